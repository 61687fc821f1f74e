//! The result of a verification.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::ids::Digest;
use crate::journal::format::entry::GENESIS;
use crate::journal::format::row::from_sql;
use crate::limits::VERIFY_PROBLEMS_MAX;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Events read.
    pub events: u64,
    /// `seq` of the newest event; 0 in an empty journal.
    pub head_seq: u64,
    /// Leaf hash of that event, as it is stored.
    pub head_hash: Digest,
    /// Checkpoints whose signatures were verified.
    pub checkpoints: u64,
    /// Number of events the newest of them covers.
    pub checkpoint_size: u64,
    /// Number of acknowledged events that are missing, as far as the anchor and the checkpoints reveal it.
    pub missing: u64,
    /// Whether it was ended early.
    pub is_partial: bool,
    /// The problems found, at most [`VERIFY_PROBLEMS_MAX`]: those of events before others, in the order of `seq`.
    pub problems: Vec<Discrepancy>,
    /// Number of all problems, including those not listed.
    pub problems_total: u64,
    /// Whether a problem of [`Concern::Structure`] was found, listed or not.
    #[serde(skip)]
    pub(super) is_structure_damaged: bool,
}

/// One thing that does not verify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Discrepancy {
    /// The event where it was found; 0 if it concerns the file as a whole.
    pub seq: u64,
    pub problem: String,
    pub concerns: Concern,
}

/// What a problem concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    /// The journal itself.
    Journal,
    /// Acknowledged events that are not in the journal. What is there may verify.
    Missing,
    /// The database, which is missing or empty although the write-ahead log beside it holds events.
    LogAlone,
    /// The structure of the database, which SQLite finds damaged.
    Structure,
    /// The write-ahead log, without which the database verifies.
    OtherLog,
    /// The checkpoints, all of which were removed.
    Unsigned,
    /// The anchor or the checkpoint file, which lie outside the database.
    Outside,
    /// The public key that was given to vouch for the journal.
    PublicKey,
}

impl VerifyReport {
    pub(super) fn new() -> Self {
        Self {
            events: 0,
            head_seq: 0,
            head_hash: GENESIS,
            checkpoints: 0,
            checkpoint_size: 0,
            missing: 0,
            is_partial: false,
            problems: Vec::new(),
            problems_total: 0,
            is_structure_damaged: false,
        }
    }

    /// Whether everything verifies.
    pub fn is_ok(&self) -> bool {
        self.problems_total == 0
    }

    /// The JSON document that the console and the command return.
    pub fn to_json(&self, took: Duration) -> Value {
        json!({
            "verified": self.is_ok(),
            "events": self.events,
            "head_seq": self.head_seq,
            "head_hash": self.head_hash,
            "checkpoints": self.checkpoints,
            "checkpoint_size": self.checkpoint_size,
            "first_bad_seq": self.first_bad_seq(),
            "missing": self.missing,
            "problems": self.problems,
            "problems_total": self.problems_total,
            "elapsed_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// The first event that does not verify.
    pub fn first_bad_seq(&self) -> Option<u64> {
        self.problems.iter().map(|problem| problem.seq).filter(|seq| *seq > 0).min()
    }

    /// Counts the events between `last`, the last one that exists, and `newest`, the last acknowledged one, as missing.
    pub(super) fn add_missing(&mut self, newest: u64, last: u64) {
        let missing = newest.saturating_sub(last);
        if missing > self.missing {
            self.missing = missing;
            let problem = format!("missing: {missing} acknowledged events from here on are gone");
            self.push(Discrepancy { seq: last + 1, problem, concerns: Concern::Missing });
        }
    }

    pub(super) fn add(&mut self, seq: i64, problem: String) {
        self.push(Discrepancy { seq: from_sql(seq), problem, concerns: Concern::Journal });
    }

    /// Adds a problem that concerns neither an event nor the database.
    pub(super) fn add_of(&mut self, concerns: Concern, problem: String) {
        self.push(Discrepancy { seq: 0, problem, concerns });
    }

    /// Adds the cause of other problems, before them.
    pub(super) fn add_cause(&mut self, concerns: Concern, problem: String) {
        self.problems_total += 1;
        self.problems.insert(0, Discrepancy { seq: 0, problem, concerns });
        self.problems.truncate(VERIFY_PROBLEMS_MAX);
    }

    fn push(&mut self, problem: Discrepancy) {
        self.is_structure_damaged |= problem.concerns == Concern::Structure;
        self.problems_total += 1;
        if self.problems.len() < VERIFY_PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_structure_is_known_also_if_it_is_not_listed() {
        let mut report = VerifyReport::new();
        (0..VERIFY_PROBLEMS_MAX).for_each(|_| report.add(1, "changed".to_owned()));
        assert!(!report.is_structure_damaged);
        report.add_of(Concern::Structure, "a page is damaged".to_owned());
        assert!(report.is_structure_damaged);
        assert!(report.problems.iter().all(|problem| problem.concerns == Concern::Journal));
    }
}
