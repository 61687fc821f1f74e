//! The group collected for the next commit.

use serde_json::Value;

use super::writer::{NewRow, RowOutcome};
use crate::journal::JournalError;
use crate::journal::event::NewEvent;
use crate::journal::messages::{Append, AppendReply};
use crate::limits::{GROUP_BYTES_MAX, GROUP_ROWS_MAX, JOURNAL_PAGE_BYTES};
use crate::replies::Wakes;

/// Approximate bytes of a row without its body.
const ROW_BYTES: usize = 512;

/// Appends that share the next COMMIT.
#[derive(Default)]
pub(in crate::journal) struct Group {
    rows: Vec<NewRow>,
    replies: Vec<AppendReply>,
    body_bytes: usize,
}

impl Group {
    pub(in crate::journal) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Approximate bytes it takes in the database: at least one page.
    pub(in crate::journal) fn stored_bytes(&self) -> u64 {
        JOURNAL_PAGE_BYTES.unsigned_abs() + (self.body_bytes + self.rows.len() * ROW_BYTES) as u64
    }

    /// Total bytes of its bodies.
    pub(in crate::journal) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Whether `append` fits into it. An empty group accepts an append of any size.
    pub(in crate::journal) fn has_room_for(&self, append: &Append) -> bool {
        let bytes = self.body_bytes + body_bytes(&append.event);
        self.is_empty() || (self.rows.len() < GROUP_ROWS_MAX && bytes <= GROUP_BYTES_MAX)
    }

    pub(in crate::journal) fn add(&mut self, Append { event, claim, reply }: Append) {
        self.body_bytes += body_bytes(&event);
        self.rows.push(NewRow { event, claim });
        self.replies.push(reply);
    }

    /// The rows for the writer, and the replies to their callers.
    pub(in crate::journal) fn split(self) -> (Vec<NewRow>, OwedReplies) {
        (self.rows, OwedReplies(self.replies))
    }
}

fn body_bytes(event: &NewEvent) -> usize {
    match event {
        NewEvent::Webhook(event) => event.body.bytes().len(),
        NewEvent::System(event) => {
            event.details.iter().map(|(name, value)| name.len() + json_bytes(value)).sum()
        }
    }
}

/// Approximate bytes of a value as JSON text.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(json_bytes).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + json_bytes(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// The pending replies of a group, one per row.
pub(in crate::journal) struct OwedReplies(Vec<AppendReply>);

impl OwedReplies {
    /// Answers every append, then wakes the receivers. A receiver that is gone is ignored.
    pub(in crate::journal) fn answer(self, result: Result<Vec<RowOutcome>, JournalError>) {
        let mut wakes = Wakes::default();
        match result {
            Ok(outcomes) => self
                .0
                .into_iter()
                .zip(outcomes)
                .for_each(|(reply, outcome)| reply.answer(outcome, &mut wakes)),
            Err(error) => self.0.into_iter().for_each(|reply| reply.answer(Err(error.clone()), &mut wakes)),
        }
    }
}
