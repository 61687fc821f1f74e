//! How far each secret has come, kept outside the vault's folder: an older copy of a secret's file that is put in its place
//! is told from the newest one, and so is one of a secret that was removed.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{VaultError, VaultRef};
use crate::files;
use crate::limits::{VAULT_PINS_FILE_BYTES_MAX, VAULT_PINS_MAX};

/// Of a document that is one, and not of the form that this version reads.
pub(super) const OF_A_NEWER: &str = "its format is not known; a newer palyra may have written it";

/// Whether the bytes are a document of any form. Nothing of it is kept.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// The newest state of a secret that was stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    /// Counts the changes of the secret, its removal among them.
    pub(super) change: u64,
    /// Number of its newest version.
    pub(super) version: u32,
}

/// The pins of all secrets, in a file beside the journal's anchor.
#[derive(Debug)]
pub(super) struct Pins {
    file: PathBuf,
    known: Mutex<BTreeMap<String, Pin>>,
}

impl Pins {
    /// Writes that nothing is pinned, where nothing is written yet: of a vault without secrets.
    pub(super) fn begin(file: &Path) -> io::Result<()> {
        if file.try_exists()? { Ok(()) } else { write(file, &BTreeMap::new()) }
    }

    /// Reads them. A file that is missing is one that was taken away.
    ///
    /// # Errors
    /// [`VaultError::Pins`], and when the file cannot be read.
    pub(super) fn open(file: PathBuf) -> Result<Self, VaultError> {
        let known = match files::read_private(&file, VAULT_PINS_FILE_BYTES_MAX) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let reason = if is_json(&bytes) { OF_A_NEWER.to_owned() } else { error.to_string() };
                VaultError::Pins { file: file.clone(), reason }
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let reason = "it is missing, although the vault has secrets".to_owned();
                return Err(VaultError::Pins { file, reason });
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Self { file, known: Mutex::new(known) })
    }

    /// No pins, to take the place of those in `file`.
    pub(super) fn none(file: PathBuf) -> Self {
        Self { file, known: Mutex::default() }
    }

    /// The pin of a secret.
    pub(super) fn of(&self, vault_ref: &VaultRef) -> Pin {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(vault_ref.as_str()).copied().unwrap_or_default()
    }

    /// Pins secrets. It is so for this process even when it cannot be written. With too many of them, those are forgotten
    /// first that `is_stored` does not say to be there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn set(
        &self,
        pins: impl IntoIterator<Item = (VaultRef, Pin)>,
        is_stored: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (vault_ref, pin) in pins {
            if known.len() >= VAULT_PINS_MAX && !known.contains_key(vault_ref.as_str()) {
                let forgotten = known.keys().find(|name| !is_stored(name)).or_else(|| known.keys().next());
                forgotten.cloned().and_then(|name| known.remove(&name));
            }
            known.insert(vault_ref.as_str().to_owned(), pin);
        }
        write(&self.file, &known)
    }
}

fn write(file: &Path, known: &BTreeMap<String, Pin>) -> io::Result<()> {
    files::create_private_dir(files::folder_of(file))?;
    files::atomic_replace(file, serde_json::to_string(known)?.as_bytes())
}
