//! The vault's folder: one age file per secret, and the identity that opens them.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::age_identity::AgeIdentity;
use super::looked::Looked;
use super::messages::{Listed, SecretEntry};
use super::pins::{Pin, Pins};
use super::record::Record;
use super::reference::{Keeper, VaultRef};
use super::{VaultError, env_and_file};
use crate::causes::in_full;
use crate::clock::SharedClock;
use crate::files;
use crate::limits::{SECRET_BYTES_MAX, SECRET_FILE_BYTES_MAX, SECRET_VERSIONS_MAX, SECRETS_MAX};
use crate::secret::{Secret, SecretVersion, SecretVersions};

const SECRET_FILE_END: &str = ".age";

/// Where a vault lies.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// The vault's folder; made when it is missing.
    pub dir: PathBuf,
    /// The file outside it that says how far each secret has come.
    pub pins: PathBuf,
}

/// Secrets at rest. All of its methods block: they read and write files.
///
/// One process at a time: the state root's lock sees to that.
pub struct Store {
    folder: PathBuf,
    identity: AgeIdentity,
    pins: Pins,
    clock: SharedClock,
    /// Held from reading a secret to replacing it, so that two changes follow each other.
    changing: Mutex<()>,
}

impl Store {
    pub(super) fn new(folder: PathBuf, identity: AgeIdentity, pins: Pins, clock: SharedClock) -> Self {
        Self { folder, identity, pins, clock, changing: Mutex::new(()) }
    }

    /// Looks at the vault without changing what counts as the newest copy of a secret. On first use the folder and the
    /// identity are made.
    ///
    /// # Errors
    /// The folder or the identity is not private, or there are secrets but no identity: a new one would not open them.
    pub fn look(config: VaultConfig, clock: SharedClock) -> Result<Looked, VaultError> {
        Looked::at(config, clock)
    }

    /// Opens the vault; older copies of secrets stay refused.
    ///
    /// # Errors
    /// Those of [`Store::look`] and [`Looked::open`].
    pub fn open(config: VaultConfig, clock: SharedClock) -> Result<Self, VaultError> {
        Self::look(config, clock)?.open()
    }

    /// The pin of each secret that can be opened, as its file has it and as it is pinned. One that cannot is told of when
    /// it is asked for; what it is pinned to stays.
    pub(super) fn found_and_pinned(&self) -> io::Result<Vec<(VaultRef, Pin, Pin)>> {
        let opened = secret_refs(&self.folder)?.into_iter().filter_map(|vault_ref| {
            let (found, pinned) = (self.open_file(&vault_ref).ok()?.pin(), self.pins.of(&vault_ref));
            Some((vault_ref, found, pinned))
        });
        Ok(opened.collect())
    }

    /// Reads the versions of a secret, in the vault or outside it.
    ///
    /// # Errors
    /// It is missing, blank, unreadable or not as it was written.
    pub fn read(&self, vault_ref: &VaultRef) -> Result<SecretVersions, VaultError> {
        let versions = match vault_ref.keeper() {
            Keeper::Vault => self.load(vault_ref)?.into_versions(),
            Keeper::Env => {
                only_version(env_and_file::from_variable(vault_ref, env::var_os(vault_ref.place()))?)
            }
            Keeper::File => only_version(env_and_file::from_file(vault_ref)?),
            Keeper::HashiVault => {
                return Err(VaultError::unavailable(vault_ref, "not supported in this version"));
            }
        };
        versions.ok_or_else(|| VaultError::Blank(vault_ref.clone()))
    }

    /// Stores a secret with this one version, whatever was there, be it unreadable. Where it was there before, the version
    /// takes the next number.
    ///
    /// # Errors
    /// The value is blank or too large, the reference is not into the vault, the vault is full, or a file fails.
    pub fn put(&self, vault_ref: &VaultRef, value: Secret) -> Result<SecretEntry, VaultError> {
        refuse_unfit(vault_ref, &value)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now_unix_ms();
        let record = match self.load(vault_ref) {
            Ok(mut record) => {
                record.push(value, now, 0);
                record
            }
            Err(VaultError::NotFound(_)) if secret_refs(&self.folder)?.len() >= SECRETS_MAX => {
                return Err(VaultError::Full);
            }
            // What cannot be opened is as far as its pin says.
            Err(VaultError::NotFound(_) | VaultError::Older { .. } | VaultError::Damaged { .. }) => {
                Record::new(value, now, self.pins.of(vault_ref))
            }
            Err(error) => return Err(error),
        };
        self.save(vault_ref, record)
    }

    /// Gives a secret a new current version and keeps the one before.
    ///
    /// # Errors
    /// As [`Store::put`]; `NotFound` when there is nothing to rotate.
    pub fn rotate(&self, vault_ref: &VaultRef, value: Secret) -> Result<SecretEntry, VaultError> {
        refuse_unfit(vault_ref, &value)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.load(vault_ref)?;
        record.push(value, self.clock.now_unix_ms(), SECRET_VERSIONS_MAX - 1);
        self.save(vault_ref, record)
    }

    /// Drops the previous version of a secret, if it has one.
    ///
    /// # Errors
    /// The secret is missing or kept outside the vault, or a file fails.
    pub fn retire(&self, vault_ref: &VaultRef) -> Result<SecretEntry, VaultError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.load(vault_ref)?;
        if record.retire() { self.save(vault_ref, record) } else { Ok(record.entry(vault_ref)) }
    }

    /// Removes a secret. It need not be readable.
    ///
    /// # Errors
    /// The secret is missing or kept outside the vault, or a file fails.
    pub fn delete(&self, vault_ref: &VaultRef) -> Result<(), VaultError> {
        let path = self.path_of(vault_ref)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        fs::symlink_metadata(&path).map_err(|error| missing_or(vault_ref, error))?;
        let pin = self.pins.of(vault_ref);
        let removal = Pin { change: pin.change.saturating_add(1), ..pin };
        // Pinned first: a file that a crash leaves there is that of a secret that was removed.
        let removed = self.pin([(vault_ref.clone(), removal)]).and_then(|()| files::remove_durably(&path));
        let Err(error) = removed else { return Ok(()) };
        if !path.try_exists().unwrap_or(true) {
            return Err(VaultError::unsynced(vault_ref, &error));
        }
        if let Err(error) = self.pin([(vault_ref.clone(), pin)]) {
            tracing::debug!(%error, "a secret could not be removed; the next start may report it as an older copy");
        }
        Err(error.into())
    }

    /// All secrets, in the order of their names, those that cannot be read too.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, VaultError> {
        let mut refs = secret_refs(&self.folder)?;
        refs.sort();
        Ok(refs.iter().filter_map(|vault_ref| self.listed(vault_ref)).collect())
    }

    /// None when it was removed meanwhile.
    fn listed(&self, vault_ref: &VaultRef) -> Option<Listed> {
        let error = match self.load(vault_ref) {
            Ok(record) => return Some(Listed::Readable(record.entry(vault_ref))),
            Err(VaultError::NotFound(_)) => return None,
            Err(error) => error,
        };
        let hint = match &error {
            VaultError::Damaged { .. } => format!(
                "restore the file from a backup, store the value again with `palyra vault put {vault_ref}`, or remove the secret with `palyra vault \
         remove {vault_ref}`"
            ),
            _ => error.hint(),
        };
        Some(Listed::Unreadable { vault_ref: vault_ref.to_string(), problem: in_full(&error), hint })
    }

    fn load(&self, vault_ref: &VaultRef) -> Result<Record, VaultError> {
        let record = self.open_file(vault_ref)?;
        let (found, pinned) = (record.pin(), self.pins.of(vault_ref));
        if found.change < pinned.change {
            // A removal is pinned before the file goes, as a change of no version.
            let may_be_removed = found.change + 1 == pinned.change && found.version == pinned.version;
            return Err(VaultError::Older { vault_ref: vault_ref.clone(), may_be_removed });
        }
        Ok(record)
    }

    /// What the file of a secret holds, however old it is.
    fn open_file(&self, vault_ref: &VaultRef) -> Result<Record, VaultError> {
        let path = self.path_of(vault_ref)?;
        let read = files::read_private(&path, SECRET_FILE_BYTES_MAX);
        let sealed = read.map_err(|error| missing_or(vault_ref, error))?;
        let opened = self.identity.open(&sealed).and_then(|plaintext| Record::decode(&plaintext, vault_ref));
        opened.map_err(|reason| VaultError::Damaged { file: path, reason: reason.to_owned() })
    }

    fn save(&self, vault_ref: &VaultRef, mut record: Record) -> Result<SecretEntry, VaultError> {
        record.count_change();
        let plaintext = record.encode(vault_ref).map_err(io::Error::other)?;
        let (path, sealed) = (self.path_of(vault_ref)?, self.identity.seal(&plaintext)?);
        let stored = match files::atomic_replace(&path, &sealed) {
            Err(error) if !files::holds(&path, &sealed) => return Err(error.into()),
            stored => stored,
        };
        let pinned = self.pin([(vault_ref.clone(), record.pin())]);
        stored.and(pinned).map_err(|error| VaultError::unsynced(vault_ref, &error))?;
        Ok(record.entry(vault_ref))
    }

    pub(super) fn pin(&self, pins: impl IntoIterator<Item = (VaultRef, Pin)>) -> io::Result<()> {
        self.pins.set(pins, |name| self.folder.join(file_of(name)).try_exists().unwrap_or(true))
    }

    fn path_of(&self, vault_ref: &VaultRef) -> Result<PathBuf, VaultError> {
        if vault_ref.keeper() != Keeper::Vault {
            return Err(VaultError::Outside(vault_ref.clone()));
        }
        Ok(self.folder.join(file_of(vault_ref.as_str())))
    }
}

/// The name of the file of a secret. `~` stands for the `/` that a file name cannot hold; no part of a reference into the
/// vault may contain it.
fn file_of(name: &str) -> String {
    format!("{}{SECRET_FILE_END}", name.replace('/', "~"))
}

/// The secrets that have a file in `folder`.
pub(super) fn secret_refs(folder: &Path) -> io::Result<Vec<VaultRef>> {
    let mut refs = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(SECRET_FILE_END));
        let vault_ref = stem.and_then(|stem| VaultRef::parse(&stem.replace('~', "/")).ok());
        refs.extend(vault_ref.filter(|vault_ref| vault_ref.keeper() == Keeper::Vault));
    }
    Ok(refs)
}

/// Outside the vault nobody counts versions.
fn only_version(secret: Secret) -> Option<SecretVersions> {
    SecretVersions::new(vec![SecretVersion { version: 1, secret }])
}

fn missing_or(vault_ref: &VaultRef, error: io::Error) -> VaultError {
    match error.kind() {
        ErrorKind::NotFound => VaultError::NotFound(vault_ref.clone()),
        _ => error.into(),
    }
}

fn refuse_unfit(vault_ref: &VaultRef, value: &Secret) -> Result<(), VaultError> {
    match value {
        value if value.is_blank() => Err(VaultError::Blank(vault_ref.clone())),
        value if value.expose().len() > SECRET_BYTES_MAX => Err(VaultError::TooLarge(vault_ref.clone())),
        _ => Ok(()),
    }
}
