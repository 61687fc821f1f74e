//! How deliveries are submitted.

use super::messages::{HeldUntilAnswered, Submit, SubmitError};
use super::{ReplayError, ReplayGuardActor};
use crate::journal::{Appended, JournalError, NewEvent, ReplayClaim};
use crate::replies::Reply;
use crate::supervision::{Door, DoorError};

/// A handle to the replay guard, and through it to the journal. It stays valid when either is restarted.
#[derive(Clone, Default)]
pub struct ReplayHandle {
    pub door: Door<ReplayGuardActor>,
}

impl ReplayHandle {
    /// Submits a delivery and waits for the row that holds its key. Once it was passed on to the journal, dropping this
    /// future does not cancel it, and `held_until_answered` is kept until it is answered. A copy that is still waiting
    /// for another delivery is discarded when its turn comes.
    ///
    /// # Errors
    /// [`SubmitError::Replay`] when it was not passed on; [`SubmitError::Journal`] as for an append.
    pub async fn submit(
        &self,
        event: NewEvent,
        claim: ReplayClaim,
        held_until_answered: HeldUntilAnswered,
    ) -> Result<Appended, SubmitError> {
        let (reply, answer) = Reply::to_this_thread();
        self.door.tell(Submit { event, claim, reply, held_until_answered }).map_err(not_taken)?;
        // The guard ended while the delivery was waiting, or the journal ended in the middle of a group.
        answer.await.unwrap_or(Err(SubmitError::Journal(JournalError::Unknown)))
    }
}

fn not_taken(error: DoorError) -> ReplayError {
    match error {
        DoorError::Full => ReplayError::Full,
        DoorError::NotRunning | DoorError::Lost => ReplayError::Stopped,
    }
}
