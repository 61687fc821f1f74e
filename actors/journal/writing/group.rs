//! The group that is being gathered for the next commit.

use serde_json::Value;

use super::writer::{NewRow, RowOutcome};
use crate::journal::JournalError;
use crate::journal::event::NewEvent;
use crate::journal::messages::{Append, AppendReply};
use crate::limits::{GROUP_BYTES_MAX, GROUP_ROWS_MAX, JOURNAL_PAGE_BYTES};
use crate::replies::Wakes;

/// Bytes of a row without its body, about.
const ROW_BYTES: usize = 512;

/// Appends that wait for their common COMMIT.
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

    /// Bytes it takes in the database, about: a page at least.
    pub(in crate::journal) fn stored_bytes(&self) -> u64 {
        JOURNAL_PAGE_BYTES.unsigned_abs() + (self.body_bytes + self.rows.len() * ROW_BYTES) as u64
    }

    /// Bytes of its bodies.
    pub(in crate::journal) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Whether it may take `append` too. An empty one takes anything.
    pub(in crate::journal) fn has_room_for(&self, append: &Append) -> bool {
        let bytes = self.body_bytes + body_bytes(&append.event);
        self.is_empty() || (self.rows.len() < GROUP_ROWS_MAX && bytes <= GROUP_BYTES_MAX)
    }

    pub(in crate::journal) fn add(&mut self, Append { event, claim, reply }: Append) {
        self.body_bytes += body_bytes(&event);
        self.rows.push(NewRow { event, claim });
        self.replies.push(reply);
    }

    /// Its rows, for the writer, and the answers it owes.
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

/// Bytes of a value as text, about.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(json_bytes).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + json_bytes(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// The answers owed to a group, one for each row.
pub(in crate::journal) struct OwedReplies(Vec<AppendReply>);

impl OwedReplies {
    /// Answers each append, and then wakes who waits. Who has gone meanwhile is not waited for.
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
