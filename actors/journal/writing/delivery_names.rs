//! Whether a delivery has the event and source of an earlier one. Both may come from unsigned headers. Whoever captured a
//! filtered delivery could send it again under an allowed name; so what was filtered can only be accepted under the names
//! it first had.

use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::journal::claim::KeyHolder;
use crate::journal::event::NewEvent;
use crate::journal::format::row::to_sql;

/// Key in `details` under which the system event of a delivery that was not accepted keeps the delivery's event name.
pub const EVENT_DETAIL: &str = "event";

/// Whether `event` has the same event name and source as the delivery that holds its key.
pub(in crate::journal) fn agree(
    db: &Connection,
    holder: &KeyHolder,
    event: &NewEvent,
) -> rusqlite::Result<bool> {
    let (name, source) = names_of(event);
    let find = "SELECT source, body FROM journal_events WHERE seq = ?1";
    db.prepare_cached(find)?.query_row([to_sql(holder.receipt.seq)], |row| {
        let details: Map<String, Value> =
            serde_json::from_slice(row.get_ref(1)?.as_blob()?).unwrap_or_default();
        Ok(named_in(&details) == name && row.get_ref(0)?.as_str()? == source)
    })
}

/// Event and source.
fn names_of(event: &NewEvent) -> (&str, &str) {
    match event {
        NewEvent::Webhook(event) => (&event.name, &event.source),
        NewEvent::System(event) => (named_in(&event.details), &event.source),
    }
}

fn named_in(details: &Map<String, Value>) -> &str {
    details.get(EVENT_DETAIL).and_then(Value::as_str).unwrap_or_default()
}
