//! What a power cut leaves of the journal's files.

use std::collections::BTreeMap;
use std::fs;

use super::*;

const SECTOR: usize = 512;
const WAL: &str = "journal.db-wal";
const ANCHOR: &str = "anchor/journal";

/// In which order the steps of an operation reach the disk, each synced before the next begins.
pub(super) enum Order {
    /// The log, the anchor.
    Commit,
    /// The next key, the checkpoint file, the log, the keys' change of places; the event of a handover and its anchor.
    Checkpoint,
}

/// The files, byte for byte. `-shm` is no part of it: it does not outlive a process.
#[derive(Clone)]
pub(super) struct Image(BTreeMap<&'static str, Vec<u8>>);

impl Image {
    pub(super) fn of(place: &Place) -> Self {
        let names = ["journal.db", WAL, ANCHOR, "anchor/checkpoint", "journal.key", "journal.key.next"];
        let read = |name| Some((name, fs::read(place.folder.path().join(name)).ok()?));
        Self(names.into_iter().filter_map(read).collect())
    }

    /// These files as a cut leaves them at some moment on the way from `before`.
    pub(super) fn cut(self, before: &Self, order: Order, dice: &mut Dice) -> Self {
        let steps: &[&[&'static str]] = match order {
            Order::Commit => &[&[WAL], &[ANCHOR]],
            Order::Checkpoint => {
                &[&["anchor/checkpoint"], &[WAL], &["journal.key", "journal.key.next"], &[ANCHOR]]
            }
        };
        let done = dice.below(steps.len() as u64 + 1) as usize;
        let mut left = before.clone();
        // A key that was prepared and not introduced is rubbish that may lie there.
        if dice.below(2) == 0 && before.0.get("journal.key") != self.0.get("journal.key") {
            left.0.insert("journal.key.next", self.0["journal.key"].clone());
        }
        if done > 0 && before.0.get("journal.key") != self.0.get("journal.key") {
            left.0.insert("journal.key.next", self.0["journal.key"].clone());
        }
        for name in steps[..done].concat() {
            match self.0.get(name) {
                Some(bytes) => left.0.insert(name, bytes.clone()),
                None => left.0.remove(name),
            };
        }
        if let Some(name @ (WAL | ANCHOR)) = steps.get(done).map(|step| step[0]) {
            let torn = torn(&before.0.get(name).cloned().unwrap_or_default(), &self.0[name], dice);
            left.0.insert(name, torn);
        }
        left
    }

    pub(super) fn onto_a_new_disk(self) -> Place {
        let place = Place::new();
        crate::files::create_private_dir(&place.folder.path().join("anchor")).unwrap();
        for (name, bytes) in self.0 {
            crate::files::atomic_replace(&place.folder.path().join(name), &bytes).unwrap();
        }
        place
    }
}

/// A file that was being written to: of the sectors that are new each is there, or is what was there before: other
/// bytes, zeros, or the end of the file.
fn torn(before: &[u8], after: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut torn = Vec::new();
    let end = before.len() + dice.below((after.len() - before.len()) as u64 + 1) as usize;
    while torn.len() < end {
        let next = ((torn.len() / SECTOR + 1) * SECTOR).min(end);
        let is_there = dice.below(4) > 0;
        let old = |at: usize| before.get(at).copied().unwrap_or(0);
        torn.extend(
            (torn.len()..next).map(|at| if is_there { after[at] } else { old(at) }).collect::<Vec<_>>(),
        );
    }
    torn
}
