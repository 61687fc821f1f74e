//! The replay guard's doors.

use std::fmt;
use std::sync::Arc;

use actix::Message;
use serde::Serialize;

use super::ReplayError;
use crate::journal::{Appended, JournalError, NewEvent, ReplayClaim};
use crate::replies::Reply;

/// The answer to a delivery that was submitted. When it is dropped unanswered, the outcome is not known.
pub type SubmitReply = Reply<Result<Appended, SubmitError>>;

/// What a delivery holds on to until it is answered, whoever still waits for it: the room it was given.
pub type HeldUntilAnswered = Arc<dyn fmt::Debug + Send + Sync>;

/// A delivery that was judged, on its way into the journal. One message carries the work along: the guard answers it with
/// the row that holds its key, or hands it on to the journal, which answers it itself. What was handed on runs to its end
/// even when the caller has gone; a copy that still waits for another is dropped then.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Submit {
    /// What to append.
    pub event: NewEvent,
    /// The key it takes.
    pub claim: ReplayClaim,
    /// Answered with the row that holds the key: its own, after the COMMIT of its group, or an earlier one.
    pub reply: SubmitReply,
    /// Given back with the answer.
    pub held_until_answered: HeldUntilAnswered,
}

/// Why a delivery that was submitted has no row that is known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// It was not handed on; nothing was written.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The journal did not take it, or cannot say whether it did.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Says that leases have ended: those that lie in [`super::lease::EndedLeases`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct LeasesEnded;

/// Asks for the [`ReplaySnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "ReplaySnapshot")]
pub struct Observe;

/// What the replay guard shows of itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReplaySnapshot {
    /// Leases in flight.
    pub leases: usize,
    /// Deliveries waiting for the row of another copy.
    pub waiters: usize,
    /// Keys remembered in memory.
    pub recent_keys: usize,
    /// Deliveries handed on to the journal.
    pub submitted_total: u64,
    /// Deliveries answered from what was seen lately.
    pub seen_total: u64,
    /// Leases given back unused.
    pub released_total: u64,
}
