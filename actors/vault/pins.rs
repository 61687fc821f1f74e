//! Pins record the newest state of each secret outside the vault's folder. They detect that the file of a secret was
//! replaced by an older copy, or that the file of a removed secret was put back.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{VaultError, VaultRef};
use crate::files;
use crate::limits::{VAULT_PINS_FILE_BYTES_MAX, VAULT_PINS_MAX};

/// The problem of valid JSON that does not have the expected form.
pub(super) const OF_A_NEWER: &str = "its format is not known; a newer palyra may have written it";

/// Whether the bytes are valid JSON. Nothing of it is kept.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// The newest stored state of a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    /// Number of changes of the secret, its removal included.
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
    /// Creates an empty file of pins if there is none, for a vault without secrets.
    pub(super) fn begin(file: &Path) -> io::Result<()> {
        if file.try_exists()? { Ok(()) } else { write(file, &BTreeMap::new()) }
    }

    /// Reads the pins. A missing file means that it was removed.
    ///
    /// # Errors
    /// [`VaultError::Pins`]; also when the file cannot be read.
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

    /// An empty set of pins, to replace those in `file`.
    pub(super) fn none(file: PathBuf) -> Self {
        Self { file, known: Mutex::default() }
    }

    /// The pin of a secret.
    pub(super) fn of(&self, vault_ref: &VaultRef) -> Pin {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(vault_ref.as_str()).copied().unwrap_or_default()
    }

    /// Pins secrets. Within this process the pins apply even if they cannot be written. When there are too many, a secret
    /// for which `is_stored` returns false is forgotten first.
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
