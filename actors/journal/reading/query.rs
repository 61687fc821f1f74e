//! The filter and cursors of a list of events, and its pages.

use crate::clock::UnixMs;
use crate::journal::event::{EventKind, Severity, StoredEvent};

/// Restricts a list of events. Empty: all events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub kind: Option<EventKind>,
    /// Exact name.
    pub name: Option<String>,
    /// Exact integration.
    pub integration_id: Option<String>,
    /// Exact severity.
    pub severity: Option<Severity>,
    /// Recorded at or after this time.
    pub since: Option<UnixMs>,
    /// Exact delivery id, as the provider gave it. It is not indexed.
    pub delivery_id: Option<String>,
    /// Text contained in name, summary, source or delivery id, ignoring ASCII case.
    pub contains: Option<String>,
}

/// The position of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// The newest events.
    Newest,
    /// The events immediately after this seq.
    After(u64),
    /// The events immediately before this seq.
    Before(u64),
}

/// One page of events, ordered by `seq`.
#[derive(Debug, Clone, Default)]
pub struct Page {
    pub events: Vec<StoredEvent>,
    /// Continue forward with `Cursor::After` of this. `None` only if the journal is empty: it also serves to wait for new
    /// events.
    pub next_after: Option<u64>,
    /// Continue backward with `Cursor::Before` of this; `None` at the beginning of the journal.
    pub next_before: Option<u64>,
}
