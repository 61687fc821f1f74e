//! Handles a missing `webhooks.toml`: the state root may be new, or may have lost it.

use palyra_actors::event_names::{self, REFUSED, WEBHOOK_CREATE};
use palyra_actors::journal::{Cursor, EventFilter, EventKind, JournalError, JournalReader};
use palyra_actors::limits::PAGE_EVENTS_MAX;
use palyra_actors::registry::RegistryError;

use crate::state_root::StateRoot;

/// Refuses a state root that lacks the file although the journal contains events of integrations: every delivery to them
/// would be refused as unknown.
///
/// # Errors
/// [`RegistryError::Lost`], or the error of the journal when it cannot be read.
pub fn refuse_if_lost(root: &StateRoot, journal: &JournalReader) -> anyhow::Result<()> {
    let file = root.registry_file();
    // If it cannot be examined, reading it later reports why.
    if file.try_exists().unwrap_or(true) || !tells_of_integrations(journal)? {
        return Ok(());
    }
    Err(RegistryError::Lost { file: file.display().to_string() }.into())
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
