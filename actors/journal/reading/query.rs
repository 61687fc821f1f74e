//! What a list of events is asked for, and what it gives.

use crate::clock::UnixMs;
use crate::journal::event::{EventKind, Severity, StoredEvent};

/// What a list of events is narrowed to. Empty: everything.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Kind.
    pub kind: Option<EventKind>,
    /// Exact name.
    pub name: Option<String>,
    /// Exact integration.
    pub integration_id: Option<String>,
    /// Exact severity.
    pub severity: Option<Severity>,
    /// Recorded at or after.
    pub since: Option<UnixMs>,
    /// Exact delivery id, as the provider gave it. There is no index of it.
    pub delivery_id: Option<String>,
    /// Text that stands in name, summary, source or delivery id (ASCII case ignored).
    pub contains: Option<String>,
}

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// The newest events.
    Newest,
    /// The events that follow this seq.
    After(u64),
    /// The events that precede this seq, the nearest ones.
    Before(u64),
}

/// One page of events, in the order of `seq`.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// Continue forward with `Cursor::After` of this. Never `None` unless the journal is empty:
    /// it also serves to wait for what comes.
    pub next_after: Option<u64>,
    /// Continue backward with `Cursor::Before` of this; `None` at the beginning of the journal.
    pub next_before: Option<u64>,
}
