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
        store(writer, &mut sealer, &adopted, now)?;
    }
    writer.record_rollback(now)?;
    if let Some(sealed) = sealer.seal(&writer.take_leaves(), now)? {
        store(writer, &mut sealer, &sealed, now)?;
    }
    Ok(sealer)
}

/// Stores a checkpoint. The one that ends an epoch is told to whoever takes events out of the journal too: a copy that
/// left this machine is what convicts who has all its keys.
pub(super) fn store(
    writer: &mut Writer,
    sealer: &mut Sealer,
    sealed: &Sealed,
    now: UnixMs,
) -> Result<(), JournalError> {
    writer.store(sealed)?;
    sealer.settle()?;
    match &sealed.checkpoint.key {
        Some(KeyLine::Next(_)) => writer.append(vec![handed_over(sealed)], now).map(drop),
        Some(KeyLine::Root(_)) | None => Ok(()),
    }
}

fn handed_over(sealed: &Sealed) -> NewRow {
    let Checkpoint { epoch, size, .. } = sealed.checkpoint;
    let said = format!("epoch {epoch} ended with {size} events; its key is destroyed");
    let event = SystemEvent::new("journal.epoch.ended", said).detail("checkpoint", sealed.note.as_str());
    NewRow { event: NewEvent::System(event), claim: None }
}
