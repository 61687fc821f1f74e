//! A loss of events that was found at the opening, and that the operator accepts.

use crate::journal::error::JournalError;
use crate::journal::format::row::Head;
use crate::journal::writing::anchor::{Anchored, Records};

/// A loss that the operator accepted.
#[derive(Debug, Clone)]
pub(in crate::journal) struct Rollback {
    /// What the anchor named; `None` if there was no readable anchor.
    pub(in crate::journal) anchored: Option<Anchored>,
    /// The head that was found.
    pub(in crate::journal) found: Head,
    /// Events that are known to be missing.
    pub(in crate::journal) missing: u64,
    /// The reasons why a loss was concluded.
    pub(in crate::journal) why: Vec<String>,
}

impl Rollback {
    /// The loss that the operator accepts, if `checked` found one.
    pub(super) fn accepted(
        checked: Result<(), JournalError>,
        records: Option<&Records>,
        found: Head,
        accept_rollback: bool,
    ) -> Result<Option<Self>, JournalError> {
        let Err(refused) = checked else { return Ok(None) };
        if !(accept_rollback && refused.is_a_loss()) {
            return Err(refused);
        }
        let anchored = records.and_then(Records::newest);
        let mut rollback = Self { anchored, found, missing: 0, why: Vec::new() };
        rollback.add(&refused);
        Ok(Some(rollback))
    }

    /// Adds the reason of another refusal.
    pub(in crate::journal) fn add(&mut self, refusal: &JournalError) {
        if let JournalError::Behind { missing, .. } = refusal {
            self.missing = self.missing.max(*missing);
        }
        self.why.push(refusal.reason());
    }
}
