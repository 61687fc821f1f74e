//! Walks along the chain and says what breaks it.

use std::cmp::Ordering;

use super::entry::{GENESIS, leaf_hash};
use super::row::Columns;
use crate::ids::Digest;

/// Where a walk along the chain stands: what the next row has to be.
#[derive(Debug, Clone)]
pub(in crate::journal) struct ChainWalk {
    next_seq: i64,
    /// Unknown after a row that could not be read.
    prev_hash: Option<Digest>,
    recorded_at: i64,
}

impl ChainWalk {
    /// From the first event.
    pub(in crate::journal) fn from_start() -> Self {
        Self { next_seq: 1, prev_hash: Some(GENESIS), recorded_at: 0 }
    }

    /// From the event after one that is not looked at itself.
    pub(in crate::journal) fn after(seq: i64, hash: Digest) -> Self {
        Self { next_seq: seq.saturating_add(1), prev_hash: Some(hash), recorded_at: 0 }
    }

    /// Arrives at a row and inspects it: the first thing that is wrong, and where.
    pub(in crate::journal) fn step(&mut self, columns: &Columns<'_>) -> Option<(i64, String)> {
        self.arrive(columns.seq).or_else(|| Some((columns.seq, self.inspect(columns)?)))
    }

    /// Whether `seq` is the next one; the seq that is not as it should be if it is not. The walk goes on from `seq`.
    pub(in crate::journal) fn arrive(&mut self, seq: i64) -> Option<(i64, String)> {
        let expected = std::mem::replace(&mut self.next_seq, seq.saturating_add(1));
        match seq.cmp(&expected) {
            Ordering::Equal => None,
            Ordering::Greater => Some((expected, format!("missing, up to seq {}", seq - 1))),
            Ordering::Less => Some((seq, "no event has this seq".to_owned())),
        }
    }

    /// What is wrong with the row it arrived at, the first thing only.
    pub(in crate::journal) fn inspect(&mut self, columns: &Columns<'_>) -> Option<String> {
        let prev_hash = self.prev_hash.replace(columns.hash);
        let before = std::mem::replace(&mut self.recorded_at, columns.recorded_at);
        if leaf_hash(columns) != columns.hash {
            return Some("its hash does not match its columns".to_owned());
        }
        if prev_hash.is_some_and(|hash| hash != columns.prev_hash) {
            return Some("its prev_hash is not the hash of the event before it".to_owned());
        }
        if columns.recorded_at < before {
            return Some("it was recorded earlier than the event before it".to_owned());
        }
        contradiction(columns)
    }

    /// Goes past a row that cannot be read.
    pub(in crate::journal) fn skip(&mut self) {
        self.prev_hash = None;
    }
}

/// What no writer would have stored, although it is hashed well.
fn contradiction(columns: &Columns<'_>) -> Option<String> {
    if let Some(column) = columns.odd_column() {
        return Some(format!("its {column} has a value that is not allowed"));
    }
    (!columns.claims_its_body()).then(|| "its replay key was claimed with another body".to_owned())
}
