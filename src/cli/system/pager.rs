//! Fetches pages until there are as many events as requested.

use palyra_actors::journal::Cursor;
use palyra_actors::limits::PAGE_EVENTS_MAX;
use serde_json::{Value, json};

use crate::cli::error::CliError;

/// The part of the journal that is requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Most events.
    pub limit: usize,
    /// Events after this seq, the oldest first.
    pub after: Option<u64>,
    /// Events before this seq.
    pub before: Option<u64>,
}

/// The events found, in the order of `seq`, and where to continue.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    pub events: Vec<Value>,
    /// The cursor for the events that follow: those after this seq.
    pub next_after: Option<u64>,
    /// The cursor for the events before: those before this seq.
    pub next_before: Option<u64>,
}

impl Found {
    /// As one document.
    pub fn to_json(&self) -> Value {
        json!({ "events": self.events, "next_after": self.next_after, "next_before": self.next_before })
    }

    fn page(document: Value) -> Self {
        let cursor = |name: &str| document.get(name).and_then(Value::as_u64);
        let [next_after, next_before] = ["next_after", "next_before"].map(cursor);
        let events = match document {
            Value::Object(mut members) => members.remove("events"),
            _ => None,
        };
        let events = match events {
            Some(Value::Array(events)) => events,
            _ => Vec::new(),
        };
        Self { events, next_after, next_before }
    }
}

/// The `seq` of an event.
pub fn seq(event: &Value) -> u64 {
    event.get("seq").and_then(Value::as_u64).unwrap_or(0)
}

/// Collects the requested events. `fetch` returns the page at a cursor, with at most the given number of events. A page may
/// be short or empty and still have a successor, because the journal ends a page after it has examined a certain number of
/// rows.
pub fn collect(
    window: Window,
    fetch: impl FnMut(Cursor, usize) -> Result<Value, CliError>,
) -> Result<Found, CliError> {
    match window.after {
        Some(after) => forward(window, after, fetch),
        None => backward(window, fetch),
    }
}

fn forward(
    window: Window,
    mut after: u64,
    mut fetch: impl FnMut(Cursor, usize) -> Result<Value, CliError>,
) -> Result<Found, CliError> {
    let before = window.before.unwrap_or(u64::MAX);
    let mut found = Found { next_after: Some(after), ..Found::default() };
    loop {
        let page = Found::page(fetch(
            Cursor::After(after),
            (window.limit - found.events.len()).min(PAGE_EVENTS_MAX),
        )?);
        found.next_before = found.next_before.or(page.next_before);
        found.events.extend(page.events.into_iter().filter(|event| seq(event) < before));
        let next = page.next_after.filter(|next| *next > after);
        if let Some(next) = next {
            after = next;
            found.next_after = Some(next.min(before.saturating_sub(1)));
        }
        // At the end of the journal the cursor does not advance.
        let at_end = next.is_none() || after.saturating_add(1) >= before;
        if at_end || found.events.len() >= window.limit {
            return Ok(found);
        }
    }
}

fn backward(
    window: Window,
    mut fetch: impl FnMut(Cursor, usize) -> Result<Value, CliError>,
) -> Result<Found, CliError> {
    let mut cursor = window.before.map_or(Cursor::Newest, Cursor::Before);
    let mut found = Found::default();
    loop {
        let page = Found::page(fetch(cursor, (window.limit - found.events.len()).min(PAGE_EVENTS_MAX))?);
        found.next_after = found.next_after.or(page.next_after);
        found.events.splice(..0, page.events);
        found.next_before = page.next_before.filter(|next| is_earlier(*next, cursor));
        match found.next_before {
            Some(next) if found.events.len() < window.limit => cursor = Cursor::Before(next),
            _ => return Ok(found),
        }
    }
}

fn is_earlier(seq: u64, cursor: Cursor) -> bool {
    match cursor {
        Cursor::Before(before) => seq < before,
        Cursor::Newest | Cursor::After(_) => true,
    }
}

#[cfg(test)]
mod tests;
