//! The messages of the replay guard.

use std::fmt;
use std::sync::Arc;

use actix::Message;
use serde::Serialize;

use super::ReplayError;
use crate::journal::{Appended, JournalError, NewEvent, ReplayClaim};
use crate::replies::Reply;

/// The answer to a submitted delivery. If it is dropped unanswered, the outcome is unknown.
pub type SubmitReply = Reply<Result<Appended, SubmitError>>;

/// A resource a delivery holds until it is answered, even if nobody waits for the answer: the memory reserved for it.
pub type HeldUntilAnswered = Arc<dyn fmt::Debug + Send + Sync>;

/// An authentic delivery on its way into the journal. The guard answers it with the row that holds its key, or passes the
/// message on to the journal, which answers it directly. What was passed on is not cancelled when the caller goes away; a
/// copy still waiting for another delivery is discarded then.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Submit {
    pub event: NewEvent,
    /// The replay key it takes.
    pub claim: ReplayClaim,
    /// Answered with the row that holds the key: its own after the COMMIT of its group, or an earlier one.
    pub reply: SubmitReply,
    /// Released with the answer.
    pub held_until_answered: HeldUntilAnswered,
}

/// Why there is no known row for a submitted delivery.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SubmitError {
    /// It was not passed on; nothing was written.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The journal refused it, or cannot say whether it was stored.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Notification that [`super::lease::EndedLeases`] holds leases that ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct LeasesEnded;

/// Asks for the [`ReplaySnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "ReplaySnapshot")]
pub struct Observe;

/// The state the replay guard reports.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReplaySnapshot {
    /// Leases held.
    pub leases: usize,
    /// Deliveries waiting for the row of another copy.
    pub waiters: usize,
    /// Keys remembered in memory.
    pub recent_keys: usize,
    /// Deliveries passed on to the journal.
    pub submitted_total: u64,
    /// Deliveries answered from the keys in memory.
    pub seen_total: u64,
    /// Leases dropped unused.
    pub released_total: u64,
}
