//! A vault that is inspected but not opened yet: which secrets are behind their pins, so that the operator can decide.

use std::cmp::Ordering;
use std::path::Path;

use super::age_identity::AgeIdentity;
use super::pins::{Pin, Pins};
use super::store::secret_refs;
use super::{Store, VaultConfig, VaultError, VaultRef};
use crate::clock::SharedClock;
use crate::files;

const IDENTITY_FILE: &str = "identity.txt";

/// An inspected vault. Until it is opened, the pins are unchanged.
pub struct Looked {
    store: Store,
    /// Changes that a crash left stored but not pinned.
    unpinned: Vec<(VaultRef, Pin)>,
    older: Vec<(VaultRef, Pin)>,
    /// The error, if the file of pins is damaged or missing.
    lost: Option<VaultError>,
}

impl Looked {
    pub(super) fn at(config: VaultConfig, clock: SharedClock) -> Result<Self, VaultError> {
        let VaultConfig { dir: folder, pins: file } = config;
        files::create_private_dir(&folder)?;
        files::remove_unfinished(&folder)?;
        let identity = open_identity(&folder, &file)?;
        let (pins, lost) = match Pins::open(file.clone()) {
            Err(error @ VaultError::Pins { .. }) => (Pins::none(file), Some(error)),
            read => (read?, None),
        };
        let store = Store::new(folder, identity, pins, clock);
        let (mut unpinned, mut older) = (Vec::new(), Vec::new());
        for (vault_ref, found, pinned) in store.found_and_pinned()? {
            match found.change.cmp(&pinned.change) {
                Ordering::Greater => unpinned.push((vault_ref, found)),
                Ordering::Less => older.push((vault_ref, found)),
                Ordering::Equal => {}
            }
        }
        Ok(Self { store, unpinned, older, lost })
    }

    /// What only [`Looked::accept`] accepts: the names of secrets whose files are older copies, and the file of pins if
    /// it is damaged or missing.
    pub fn behind(&self) -> Vec<String> {
        let lost = self.lost.iter().filter_map(|error| match error {
            VaultError::Pins { file, .. } => Some(file.display().to_string()),
            _ => None,
        });
        lost.chain(self.older.iter().map(|(vault_ref, _)| vault_ref.to_string())).collect()
    }

    /// Opens the vault. Reading a secret whose file is an older copy fails.
    ///
    /// # Errors
    /// [`VaultError::Pins`] when the file of pins is missing or damaged; also when it cannot be written.
    pub fn open(self) -> Result<Store, VaultError> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        if !self.unpinned.is_empty() {
            self.store.pin(self.unpinned)?;
        }
        Ok(self.store)
    }

    /// Opens the vault and accepts what is [behind](Looked::behind) as the newest state. The caller must journal that
    /// before.
    ///
    /// # Errors
    /// The file of pins cannot be written.
    pub fn accept(self) -> Result<Store, VaultError> {
        let Self { store, unpinned, older, lost } = self;
        if lost.is_some() || !unpinned.is_empty() || !older.is_empty() {
            store.pin(unpinned.into_iter().chain(older))?;
        }
        Ok(store)
    }
}

/// The identity of the vault in `folder`. The file of pins is created while the vault has no secrets; so if there are
/// secrets but no pins, the file was lost.
fn open_identity(folder: &Path, pins: &Path) -> Result<AgeIdentity, VaultError> {
    let path = folder.join(IDENTITY_FILE);
    let identity = AgeIdentity::load(&path)?;
    if secret_refs(folder)?.is_empty() {
        Pins::begin(pins)?;
        return Ok(identity.map_or_else(|| AgeIdentity::create(&path), Ok)?);
    }
    identity.ok_or_else(|| {
        let reason = format!("`{}` is missing, although the vault has secrets", path.display());
        VaultError::Identity(reason)
    })
}
