//! Handles a missing `webhooks.toml`: the state root may be new, or may have lost it.
//!
//! A new state root gets the file before any event about an integration can be journaled. So where such an event is and the
//! file is not, the file was lost, even if the first change of an integration was interrupted.

use std::fs;
use std::io::ErrorKind;

use palyra_actors::event_names::{self, REFUSED, WEBHOOK_CREATE};
use palyra_actors::journal::{Cursor, EventFilter, EventKind, JournalError, JournalReader};
use palyra_actors::limits::PAGE_EVENTS_MAX;
use palyra_actors::registry::{self, RegistryError};

use crate::state_root::{StateRoot, StateRootError};

/// Creates the file, without integrations, if the state root never had one.
///
/// # Errors
/// As [`refuse_if_lost`], or why it cannot be created.
pub fn make_sure(root: &StateRoot, journal: &JournalReader) -> anyhow::Result<()> {
    if !is_missing(root) {
        return Ok(());
    }
    refuse_if_lost(root, journal)?;
    let path = root.registry_file();
    registry::begin_file(&path).map_err(|source| StateRootError::Io { path, source })?;
    Ok(())
}

/// Refuses a state root that lacks the file although the journal contains events of integrations: every delivery to them
/// would be refused as unknown.
///
/// # Errors
/// [`RegistryError::Lost`], or the error of the journal when it cannot be read.
pub fn refuse_if_lost(root: &StateRoot, journal: &JournalReader) -> anyhow::Result<()> {
    if !is_missing(root) || !tells_of_integrations(journal)? {
        return Ok(());
    }
    Err(RegistryError::Lost { file: root.registry_file().display().to_string() }.into())
}

/// If it cannot be examined, reading it later reports why.
fn is_missing(root: &StateRoot) -> bool {
    fs::symlink_metadata(root.registry_file()).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Whether the journal contains deliveries, or more additions of integrations than failed ones: an addition is journaled
/// before it is made, and a second event follows if it failed.
fn tells_of_integrations(journal: &JournalReader) -> Result<bool, JournalError> {
    let deliveries = EventFilter { kind: Some(EventKind::Webhook), ..EventFilter::default() };
    let named = |name: &str| EventFilter { name: Some(name.to_owned()), ..EventFilter::default() };
    Ok(count(journal, &deliveries, 1)? > 0
        || count(journal, &named(WEBHOOK_CREATE), usize::MAX)?
            > count(journal, &named(&event_names::ended(WEBHOOK_CREATE, REFUSED)), usize::MAX)?)
}

/// Number of events that pass the filter; counting stops once there are `enough`, and may run slightly over.
fn count(journal: &JournalReader, filter: &EventFilter, enough: usize) -> Result<usize, JournalError> {
    let (mut count, mut after) = (0, 0);
    while count < enough {
        let page = journal.page(filter, Cursor::After(after), PAGE_EVENTS_MAX.min(enough))?;
        count += page.events.len();
        match page.next_after.filter(|next| *next > after) {
            Some(next) => after = next,
            None => break,
        }
    }
    Ok(count)
}
