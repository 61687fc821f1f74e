//! Stores what was signed, at the start and after.

use super::config::JournalConfig;
use super::error::JournalError;
use super::messages::{NewEvent, SystemEvent};
use super::sealer::{Sealed, Sealer};
use super::writer::{NewRow, Writer};
use crate::clock::UnixMs;
use crate::tlog::{Checkpoint, KeyLine};

/// Finds the log to go on with, and signs and stores a checkpoint of all there is.
pub(super) fn open_sealer(config: &JournalConfig, writer: &mut Writer) -> Result<Sealer, JournalError> {
    let now = config.clock.now_unix_ms();
    let (mut sealer, adopted) = match Sealer::open(&config.files, writer.head(), config.random) {
        Err(refusal) if config.accept_rollback => {
            writer.accept(&refusal);
            (Sealer::begin_anew(&config.files, config.random)?, None)
        }
        opened => opened?,
    };
    if let Some(adopted) = adopted {
        store_and_tell(writer, &mut sealer, &adopted, now)?;
    }
    writer.record_rollback(now)?;
    if let Some(sealed) = sealer.seal(&writer.take_leaves(), now)? {
        store_and_tell(writer, &mut sealer, &sealed, now)?;
    }
    Ok(sealer)
}

pub(super) fn store_and_tell(
    writer: &mut Writer,
    sealer: &mut Sealer,
    sealed: &Sealed,
    now: UnixMs,
) -> Result<(), JournalError> {
    match store(writer, sealer, sealed)? {
        Some(told) => writer.append(vec![told], now).map(drop),
        None => Ok(()),
    }
}

/// Stores a checkpoint; after [`JournalError::Busy`] it is not stored. Gives the event of the one that ends an epoch, to
/// be appended: whoever takes events out of the journal is to have it too, for a copy that left this machine is what
/// convicts who has all its keys.
pub(super) fn store(
    writer: &mut Writer,
    sealer: &mut Sealer,
    sealed: &Sealed,
) -> Result<Option<NewRow>, JournalError> {
    writer.store(sealed)?;
    sealer.settle()?;
    Ok(matches!(sealed.checkpoint.key, Some(KeyLine::Next(_))).then(|| handed_over(sealed)))
}

fn handed_over(sealed: &Sealed) -> NewRow {
    let Checkpoint { epoch, size, .. } = sealed.checkpoint;
    let said = format!("epoch {epoch} ended with {size} events; its key is destroyed");
    let event = SystemEvent::new("journal.epoch.ended", said).detail("checkpoint", sealed.note.as_str());
    NewRow { event: NewEvent::System(event), claim: None }
}
