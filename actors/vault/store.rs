//! The vault's folder: one age file per secret, and the identity that decrypts them.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

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
use crate::limits::{SECRET_BYTES_MAX, SECRET_FILE_BYTES_MAX, SECRETS_MAX};
use crate::provider::Profile;
use crate::secret::{Secret, SecretVersion, SecretVersions};

const SECRET_FILE_END: &str = ".age";

/// The paths of a vault.
#[derive(Debug, Clone)]
pub struct VaultConfig {
    /// The vault's folder; created if it is missing.
    pub dir: PathBuf,
    /// The file of pins, which is outside that folder.
    pub pins: PathBuf,
}

/// The stored secrets. All methods block, because they read and write files.
///
/// The lock on the state root ensures that only one process uses them.
pub struct Store {
    folder: PathBuf,
    identity: AgeIdentity,
    pins: Pins,
    clock: SharedClock,
    /// Held from reading a secret until it is replaced, so that changes are serialised.
    changing: Mutex<()>,
}

impl Store {
    pub(super) fn new(folder: PathBuf, identity: AgeIdentity, pins: Pins, clock: SharedClock) -> Self {
        Self { folder, identity, pins, clock, changing: Mutex::new(()) }
    }

    /// Inspects the vault without changing its pins. On first use, the folder and the identity are created.
    ///
    /// # Errors
    /// The folder or the identity is not private, or there are secrets but no identity: a new identity could not decrypt
    /// them.
    pub fn look(config: VaultConfig, clock: SharedClock) -> Result<Looked, VaultError> {
        Looked::at(config, clock)
    }

    /// Opens the vault. Older copies of secrets are still refused.
    ///
    /// # Errors
    /// Those of [`Store::look`] and [`Looked::open`].
    pub fn open(config: VaultConfig, clock: SharedClock) -> Result<Self, VaultError> {
        Self::look(config, clock)?.open()
    }

    /// The state of each secret that can be decrypted: that of its file, and that of its pin. One that cannot be
    /// decrypted is reported when it is read; its pin is kept.
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
    /// It is missing, blank, unreadable or damaged.
    pub fn read(&self, vault_ref: &VaultRef) -> Result<SecretVersions, VaultError> {
        let versions = match vault_ref.keeper() {
            Keeper::Vault => self.load(vault_ref)?.into_versions(),
            Keeper::Env => {
                only_version(env_and_file::from_variable(vault_ref, env::var_os(vault_ref.place()))?)
            }
            Keeper::File => only_version(env_and_file::from_file(vault_ref)?),
            Keeper::HashiVault => {
                let reason =
                    format!("`hashivault:` is not supported in this version; {}", vault_ref.how_to_provide());
                return Err(VaultError::unavailable(vault_ref, reason));
            }
        };
        versions.ok_or_else(|| VaultError::Blank(vault_ref.clone()))
    }

    /// Stores a secret with this only version, replacing any other, even an unreadable one. If the secret existed before,
    /// the version gets the next number, unless the value is current already: then at most a previous version is removed.
    ///
    /// # Errors
    /// The value is blank or too large, the reference is not into the vault, the vault is full, or a file operation
    /// fails.
    pub fn put(&self, vault_ref: &VaultRef, value: Secret) -> Result<SecretEntry, VaultError> {
        refuse_unfit(vault_ref, &value)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now_unix_ms();
        let record = match self.load(vault_ref) {
            Ok(record) if record.is_current(&value) => return self.leave_only_current(vault_ref, record),
            Ok(mut record) => {
                record.push(value, now, None);
                record
            }
            Err(VaultError::NotFound(_)) if secret_refs(&self.folder)?.len() >= SECRETS_MAX => {
                return Err(VaultError::Full);
            }
            // The pin supplies the state of a secret that cannot be decrypted.
            Err(VaultError::NotFound(_) | VaultError::Older { .. } | VaultError::Damaged { .. }) => {
                Record::new(value, now, self.pins.of(vault_ref))
            }
            Err(error) => return Err(error),
        };
        self.save(vault_ref, record)
    }

    /// Gives a secret a new current version and keeps the previous one; if `users` cannot verify with that, the newest
    /// with which one of them can. Nothing is stored if the value is current already: repeated, a rotation would end the
    /// previous version.
    ///
    /// # Errors
    /// As [`Store::put`]; `NotFound` when there is nothing to rotate.
    pub fn rotate(
        &self,
        vault_ref: &VaultRef,
        value: Secret,
        users: &[Arc<Profile>],
    ) -> Result<SecretEntry, VaultError> {
        refuse_unfit(vault_ref, &value)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.load(vault_ref)?;
        if record.is_current(&value) {
            return Ok(unchanged(vault_ref, &record));
        }
        let now = self.clock.now_unix_ms();
        let keep = record.to_keep(users, now);
        record.push(value, now, keep);
        self.save(vault_ref, record)
    }

    /// Removes the previous version of a secret, if it has one.
    ///
    /// # Errors
    /// The secret is missing or kept outside the vault, or a file operation fails.
    pub fn retire(&self, vault_ref: &VaultRef) -> Result<SecretEntry, VaultError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = self.load(vault_ref)?;
        if record.retire() { self.save(vault_ref, record) } else { Ok(record.entry(vault_ref)) }
    }

    fn leave_only_current(
        &self,
        vault_ref: &VaultRef,
        mut record: Record,
    ) -> Result<SecretEntry, VaultError> {
        if record.retire() { self.save(vault_ref, record) } else { Ok(unchanged(vault_ref, &record)) }
    }

    /// Removes a secret. It need not be readable.
    ///
    /// # Errors
    /// The secret is missing or kept outside the vault, or a file operation fails.
    pub fn delete(&self, vault_ref: &VaultRef) -> Result<(), VaultError> {
        let path = self.path_of(vault_ref)?;
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        fs::symlink_metadata(&path).map_err(|error| missing_or(vault_ref, error))?;
        let pin = self.pins.of(vault_ref);
        let removal = Pin { change: pin.change.saturating_add(1), ..pin };
        // Pinned first: if a crash leaves the file behind, the pin shows that the secret was removed.
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

    /// All secrets, sorted by name, including those that cannot be read.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, VaultError> {
        let mut refs = secret_refs(&self.folder)?;
        refs.sort();
        Ok(refs.iter().filter_map(|vault_ref| self.listed(vault_ref)).collect())
    }

    /// `None` if it was removed meanwhile.
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
            // A removal is pinned before the file is deleted, as a change without a new version.
            let may_be_removed = found.change + 1 == pinned.change && found.version == pinned.version;
            return Err(VaultError::Older { vault_ref: vault_ref.clone(), may_be_removed });
        }
        Ok(record)
    }

    /// The content of a secret's file, without comparing it with the pin.
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

fn unchanged(vault_ref: &VaultRef, record: &Record) -> SecretEntry {
    SecretEntry { unchanged: true, ..record.entry(vault_ref) }
}

/// File name of a secret. `~` replaces `/`, which a file name cannot contain; `~` is not allowed in references into the
/// vault.
fn file_of(name: &str) -> String {
    format!("{}{SECRET_FILE_END}", name.replace('/', "~"))
}

/// The secrets with a file in `folder`.
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

/// Secrets outside the vault have no version numbers; 1 is used.
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
