//! Walks along the hash chain and reports what breaks it.

use std::cmp::Ordering;

use super::entry::{GENESIS, leaf_hash};
use super::row::Columns;
use crate::ids::Digest;

/// The state of a walk along the chain: what the next row must contain.
#[derive(Debug, Clone)]
pub(in crate::journal) struct ChainWalk {
    next_seq: i64,
    /// `None` after a row that could not be read.
    prev_hash: Option<Digest>,
    recorded_at: i64,
}

impl ChainWalk {
    /// Starts at the first event.
    pub(in crate::journal) fn from_start() -> Self {
        Self { next_seq: 1, prev_hash: Some(GENESIS), recorded_at: 0 }
    }

    /// Starts after the event `seq`, which is not checked itself.
    pub(in crate::journal) fn after(seq: i64, hash: Digest) -> Self {
        Self { next_seq: seq.saturating_add(1), prev_hash: Some(hash), recorded_at: 0 }
    }

    /// Arrives at a row and inspects it. Returns the first problem and its `seq`.
    pub(in crate::journal) fn step(&mut self, columns: &Columns<'_>) -> Option<(i64, String)> {
        self.arrive(columns.seq).or_else(|| Some((columns.seq, self.inspect(columns)?)))
    }

    /// Checks that `seq` is the expected one; else returns the wrong or missing `seq` with the problem. The walk goes on
    /// from `seq`.
    pub(in crate::journal) fn arrive(&mut self, seq: i64) -> Option<(i64, String)> {
        let expected = std::mem::replace(&mut self.next_seq, seq.saturating_add(1));
        match seq.cmp(&expected) {
            Ordering::Equal => None,
            Ordering::Greater => Some((expected, format!("missing, up to seq {}", seq - 1))),
            Ordering::Less => Some((seq, "no event has this seq".to_owned())),
        }
    }

    /// The first problem of the row it arrived at, if there is one.
    pub(in crate::journal) fn inspect(&mut self, columns: &Columns<'_>) -> Option<String> {
        let prev_hash = self.prev_hash.replace(columns.hash);
        let before = std::mem::replace(&mut self.recorded_at, columns.recorded_at);
        if !is_as_hashed(columns) {
            return Some(OTHER_HASH.to_owned());
        }
        if prev_hash.is_some_and(|hash| hash != columns.prev_hash) {
            return Some("its prev_hash is not the hash of the event before it".to_owned());
        }
        if columns.recorded_at < before {
            return Some("it was recorded earlier than the event before it".to_owned());
        }
        contradiction(columns)
    }

    /// Passes a row that cannot be read.
    pub(in crate::journal) fn skip(&mut self) {
        self.prev_hash = None;
    }
}

const OTHER_HASH: &str = "its hash does not match its columns";

/// The first problem of a row by itself, wherever it stands.
pub(in crate::journal) fn damage(columns: &Columns<'_>) -> Option<String> {
    if is_as_hashed(columns) { contradiction(columns) } else { Some(OTHER_HASH.to_owned()) }
}

fn is_as_hashed(columns: &Columns<'_>) -> bool {
    leaf_hash(columns) == columns.hash
}

/// Content that no writer stores, although its hash is right.
fn contradiction(columns: &Columns<'_>) -> Option<String> {
    if let Some(column) = columns.odd_column() {
        return Some(format!("its {column} has a value that is not allowed"));
    }
    (!columns.claims_its_body()).then(|| "its replay key was claimed with another body".to_owned())
}
