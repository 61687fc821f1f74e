//! How the rest of the daemon appends events.

use super::JournalActor;
use super::claim::{KeyHolder, ReplayClaim};
use super::error::JournalError;
use super::event::{NewEvent, SystemEvent};
use super::messages::{Append, AppendReply, Appended};
use crate::causes::in_full;
use crate::ids::Receipt;
use crate::replies::Reply;
use crate::supervision::Door;

/// A handle to the journal writer. It stays valid when the writer is reopened.
#[derive(Clone, Default)]
pub struct JournalHandle {
    pub door: Door<JournalActor>,
}

impl JournalHandle {
    /// Appends an event and waits for the COMMIT of its group. Dropping this future does not cancel the append.
    ///
    /// # Errors
    /// Any [`JournalError`] of writing. After [`JournalError::Unknown`] and [`JournalError::Poisoned`] the event may or
    /// may not be stored.
    pub async fn append(
        &self,
        event: NewEvent,
        claim: Option<ReplayClaim>,
    ) -> Result<Appended, JournalError> {
        let (reply, answer) = Reply::to_this_thread();
        let reply = AppendReply::new(move |outcome, wakes| reply.lay_down(outcome, wakes));
        self.door.tell(Append { event, claim, reply })?;
        answer.await.unwrap_or(Err(JournalError::Unknown))
    }

    /// Appends a system event that takes no replay key.
    ///
    /// # Errors
    /// As [`JournalHandle::append`].
    pub async fn append_system(&self, event: SystemEvent) -> Result<Receipt, JournalError> {
        match self.append(NewEvent::System(event), None).await? {
            Appended::Stored(receipt) | Appended::Held { holder: KeyHolder { receipt, .. }, .. } => {
                Ok(receipt)
            }
        }
    }

    /// Appends one of the daemon's own system events. Nobody waits for the result, so a failure is logged.
    pub async fn append_or_log(&self, event: SystemEvent) {
        let (name, summary) = (event.name.clone(), event.summary.clone());
        if let Err(error) = self.append_system(event).await {
            tracing::error!(name, summary, error = %in_full(&error), "an event of the daemon could not be journaled");
        }
    }
}
