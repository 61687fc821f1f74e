//! `webhooks.toml`, where it is missing: a state root may have none yet, or have lost it.

use palyra_actors::journal::{Cursor, EventFilter, EventKind, JournalError, JournalReader};
use palyra_actors::limits::PAGE_EVENTS_MAX;
use palyra_actors::registry::RegistryError;

use crate::state_root::StateRoot;
use palyra_actors::event_names::{self, REFUSED, WEBHOOK_CREATE};

/// Refuses a state root without the file whose journal knows of integrations: every delivery to them would be turned away
/// as one to nobody.
///
/// # Errors
/// [`RegistryError::Lost`], and what the journal says when it cannot be read.
pub fn refuse_if_lost(root: &StateRoot, journal: &JournalReader) -> anyhow::Result<()> {
    let file = root.registry_file();
    // What cannot be looked at is told by who reads it.
    if file.try_exists().unwrap_or(true) || !tells_of_integrations(journal)? {
        return Ok(());
    }
    Err(RegistryError::Lost { file: file.display().to_string() }.into())
}

/// By a delivery that was taken in, or by one that was added: that is journaled before it is done, and again if it was not.
fn tells_of_integrations(journal: &JournalReader) -> Result<bool, JournalError> {
    let deliveries = EventFilter { kind: Some(EventKind::Webhook), ..EventFilter::default() };
    let named = |name: &str| EventFilter { name: Some(name.to_owned()), ..EventFilter::default() };
    Ok(count(journal, &deliveries, 1)? > 0
        || count(journal, &named(WEBHOOK_CREATE), usize::MAX)?
            > count(journal, &named(&event_names::ended(WEBHOOK_CREATE, REFUSED)), usize::MAX)?)
}

/// How many events pass the filter; it goes on to so many, or to a few more.
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
