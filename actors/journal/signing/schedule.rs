//! When a checkpoint is due, which signed one is not stored yet, and who waits for one.

use tokio::sync::oneshot;

use super::sealer::{SealError, SealOutcome, Sealed, Sealer};
use super::store::store;
use crate::clock::UnixMs;
use crate::journal::JournalError;
use crate::journal::config::{HeadSender, tell_of};
use crate::journal::event::SystemEvent;
use crate::journal::writing::writer::Writer;
use crate::limits::{CHECKPOINT_BYTES, CHECKPOINT_EVENTS, SEAL_WAITERS_MAX};
use crate::supervision::DoorError;

/// Answered once a checkpoint covers the requested events.
pub(in crate::journal) type Waiting = oneshot::Sender<Result<(), JournalError>>;

/// The pending work on checkpoints.
pub(in crate::journal) struct SealSchedule {
    /// `None` while it is signing.
    sealer: Option<Sealer>,
    /// A signed checkpoint that could not be stored because another process locked the database.
    unstored: Option<Sealed>,
    /// The event for an epoch that ended, not appended yet.
    untold: Option<SystemEvent>,
    /// Body bytes appended since the newest checkpoint was begun.
    bytes: u64,
    /// Receivers that wait, each with the number of events its checkpoint has to cover.
    waiting: Vec<(u64, Waiting)>,
    /// Size and epoch of the newest checkpoint.
    newest: (u64, u64),
}

impl SealSchedule {
    pub(in crate::journal) fn new(sealer: Sealer) -> Self {
        let newest = (sealer.size(), sealer.epoch());
        let (unstored, untold, waiting) = (None, None, Vec::new());
        Self { sealer: Some(sealer), unstored, untold, bytes: 0, waiting, newest }
    }

    /// Number of events the newest checkpoint covers, and the epoch of the current key.
    pub(in crate::journal) fn newest(&self) -> (u64, u64) {
        self.sealer.as_ref().map_or(self.newest, |sealer| (sealer.size(), sealer.epoch()))
    }

    /// Whether enough is uncovered that the next checkpoint is due at once.
    pub(in crate::journal) fn is_due(&self, events: u64) -> bool {
        self.uncovered(events) >= CHECKPOINT_EVENTS || self.bytes >= CHECKPOINT_BYTES
    }

    /// Whether a checkpoint would say anything that the newest one does not.
    pub(in crate::journal) fn has_anything_to_sign(&self, events: u64, now: UnixMs) -> bool {
        let is_epoch_over = self.sealer.as_ref().is_some_and(|sealer| sealer.is_epoch_over(events, now));
        self.uncovered(events) > 0 || is_epoch_over
    }

    /// Counts `bytes` of appended bodies.
    pub(in crate::journal) fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Whether a checkpoint is being signed.
    pub(in crate::journal) fn is_signing(&self) -> bool {
        self.sealer.is_none()
    }

    /// Takes the sealer for the next checkpoint; `None` while one is being signed or waits to be stored.
    pub(in crate::journal) fn take_sealer(&mut self) -> Option<Sealer> {
        if self.unstored.is_some() {
            return None;
        }
        self.newest = self.newest();
        let sealer = self.sealer.take()?;
        self.bytes = 0;
        Some(sealer)
    }

    /// Takes the sealer back.
    pub(in crate::journal) fn returned(&mut self, sealer: Sealer) {
        self.sealer = Some(sealer);
    }

    /// Answers `reply` once a checkpoint of `events` events is stored or has failed; at once with an error if
    /// [`SEAL_WAITERS_MAX`] wait already.
    pub(in crate::journal) fn wait_for(&mut self, events: u64, reply: Waiting) {
        self.waiting.retain(|(_, reply)| !reply.is_closed());
        if self.waiting.len() < SEAL_WAITERS_MAX {
            self.waiting.push((events, reply));
        } else {
            // The receiver may be gone.
            drop(reply.send(Err(DoorError::Full.into())));
        }
    }

    /// Stores a signed checkpoint. A failure to sign poisons the journal, unless another process has locked it.
    pub(in crate::journal) fn take_in(
        &mut self,
        sealed: SealOutcome,
        writer: &mut Writer,
        head: &HeadSender,
        now: UnixMs,
    ) {
        match sealed {
            Ok(sealed) => {
                self.unstored = sealed;
                self.store(writer, head, now);
            }
            Err(SealError::Busy) => {
                tracing::warn!("no checkpoint was signed, because another process has locked the journal");
                self.refuse(&JournalError::Busy);
            }
            Err(error) => writer.poison(JournalError::from(error).to_string()),
        }
    }

    /// Stores a signed checkpoint that is not stored yet, and journals the end of an epoch.
    pub(in crate::journal) fn store(&mut self, writer: &mut Writer, head: &HeadSender, now: UnixMs) {
        match self.store_checkpoint(writer).and_then(|()| self.tell_of_epoch(writer, head, now)) {
            Ok(()) | Err(JournalError::Poisoned { .. }) => {}
            Err(busy @ JournalError::Busy) => self.refuse(&busy),
            Err(error) => writer.poison(error.to_string()),
        }
    }

    pub(in crate::journal) fn store_checkpoint(&mut self, writer: &mut Writer) -> Result<(), JournalError> {
        let (Some(sealed), Some(sealer)) = (&self.unstored, &mut self.sealer) else { return Ok(()) };
        let told = store(writer, sealer, sealed)?;
        self.unstored = None;
        self.untold = self.untold.take().or(told);
        Ok(())
    }

    fn tell_of_epoch(
        &mut self,
        writer: &mut Writer,
        head: &HeadSender,
        now: UnixMs,
    ) -> Result<(), JournalError> {
        let Some(told) = &self.untold else { return Ok(()) };
        writer.append_own(told.clone(), now)?;
        self.untold = None;
        // It is anchored, and so is everything before it.
        tell_of(head, writer.head().seq);
        Ok(())
    }

    /// Signs and stores the last checkpoint on this thread.
    pub(in crate::journal) fn seal_at_last(&mut self, writer: &mut Writer, head: &HeadSender, now: UnixMs) {
        self.store(writer, head, now);
        let Some(sealer) = &mut self.sealer else { return };
        if writer.poisoned().is_none() && self.unstored.is_none() {
            let sealed = sealer.seal(&writer.take_leaves(), now);
            self.take_in(sealed, writer, head, now);
        }
    }

    /// Answers everybody who waits that this checkpoint was not signed or stored.
    fn refuse(&mut self, why: &JournalError) {
        // The receiver may be gone.
        self.waiting.drain(..).for_each(|(_, reply)| drop(reply.send(Err(why.clone()))));
    }

    /// Answers those whose events are covered, or everybody once nothing more is signed. Returns whether anybody still
    /// waits.
    pub(in crate::journal) fn answer(&mut self, usable: &Result<(), JournalError>) -> bool {
        let covered = match (&self.sealer, &self.unstored) {
            (Some(sealer), None) => sealer.size(),
            _ => 0,
        };
        for (events, reply) in std::mem::take(&mut self.waiting) {
            match usable {
                Ok(()) if events > covered || self.sealer.is_none() => self.waiting.push((events, reply)),
                // The receiver may be gone.
                answer => drop(reply.send(answer.clone())),
            }
        }
        !self.waiting.is_empty()
    }

    /// Events no checkpoint covers; 0 while one is being signed.
    fn uncovered(&self, events: u64) -> u64 {
        self.sealer.as_ref().map_or(0, |sealer| events.saturating_sub(sealer.size()))
    }
}
