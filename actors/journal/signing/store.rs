//! Stores signed checkpoints, at the start and later.

use super::checkpoints;
use super::resume::read_checkpoint;
use super::sealer::{SealError, Sealed, Sealer};
use crate::clock::UnixMs;
use crate::journal::config::JournalConfig;
use crate::journal::error::JournalError;
use crate::journal::event::SystemEvent;
use crate::journal::writing::writer::Writer;
use crate::tlog::{Checkpoint, KeyLine};

/// Name of the event that journals the checkpoint at the end of an epoch.
const EPOCH_ENDED: &str = "journal.epoch.ended";

/// Finds the log to continue, then signs and stores a checkpoint over all events.
pub(in crate::journal) fn open_sealer(
    config: &JournalConfig,
    writer: &mut Writer,
) -> Result<Sealer, JournalError> {
    let now = config.clock.now_unix_ms();
    let (mut sealer, adopted) = match Sealer::open(&config.files, writer.head(), config.random) {
        Err(refusal) if config.accept_rollback && refusal.is_a_loss() => {
            writer.accept(&refusal);
            (Sealer::begin_anew(&config.files, config.random)?, None)
        }
        opened => opened?,
    };
    match adopted {
        Some(adopted) => store_and_tell(writer, &mut sealer, &adopted, now)?,
        None => tell_of_last_epoch(writer, &sealer, now)?,
    }
    writer.record_rollback(now)?;
    if let Some(sealed) = sealer.seal(&writer.take_leaves(), now)? {
        store_and_tell(writer, &mut sealer, &sealed, now)?;
    }
    Ok(sealer)
}

pub(in crate::journal) fn store_and_tell(
    writer: &mut Writer,
    sealer: &mut Sealer,
    sealed: &Sealed,
    now: UnixMs,
) -> Result<(), JournalError> {
    match store(writer, sealer, sealed)? {
        Some(told) => writer.append_own(told, now),
        None => Ok(()),
    }
}

/// Stores a checkpoint; after [`JournalError::Busy`] it is not stored. If it ends an epoch, returns the event to append
/// for it, so that everybody who exports events receives the signed checkpoint too: a copy kept elsewhere exposes an
/// attacker who has all keys of this machine and rewrites the journal.
pub(in crate::journal) fn store(
    writer: &mut Writer,
    sealer: &mut Sealer,
    sealed: &Sealed,
) -> Result<Option<SystemEvent>, JournalError> {
    writer.store(sealed)?;
    sealer.settle()?;
    Ok(handed_over(&sealed.checkpoint, &sealed.note))
}

/// Appends the event for the end of the last epoch if a crash came between the checkpoint and its event.
fn tell_of_last_epoch(writer: &mut Writer, sealer: &Sealer, now: UnixMs) -> Result<(), JournalError> {
    let note = checkpoints::newest_handover_without(sealer.db(), EPOCH_ENDED).map_err(SealError::from)?;
    let told = note.and_then(|note| handed_over(&read_checkpoint(&note)?, &note));
    told.map_or(Ok(()), |told| writer.append_own(told, now))
}

/// The event for a checkpoint that ends an epoch; `None` for any other checkpoint.
fn handed_over(checkpoint: &Checkpoint, note: &str) -> Option<SystemEvent> {
    let Checkpoint { epoch, size, key, .. } = checkpoint;
    let Some(KeyLine::Next(_)) = key else { return None };
    let said = format!("epoch {epoch} ended with {size} events; its key is destroyed");
    Some(SystemEvent::new(EPOCH_ENDED, said).detail("checkpoint", note))
}
