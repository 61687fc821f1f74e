//! A vault before it is opened: which of its secrets stand behind their pins, for somebody to decide what is to be done.

use std::cmp::Ordering;
use std::path::Path;

use super::age_identity::AgeIdentity;
use super::pins::{Pin, Pins};
use super::store::secret_refs;
use super::{Store, VaultConfig, VaultError, VaultRef};
use crate::clock::SharedClock;
use crate::files;

const IDENTITY_FILE: &str = "identity.txt";

/// A vault that was looked at. Until it is opened, what counts as the newest copy of a secret is as it was.
pub struct Looked {
    store: Store,
    /// What a crash left unpinned.
    unpinned: Vec<(VaultRef, Pin)>,
    older: Vec<(VaultRef, Pin)>,
    /// That the file of pins is damaged or missing.
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

    /// What only [`Looked::accept`] opens: secrets whose files are older copies, by name, and the file that says how far
    /// they had come, when it is damaged or missing.
    pub fn behind(&self) -> Vec<String> {
        let lost = self.lost.iter().filter_map(|error| match error {
            VaultError::Pins { file, .. } => Some(file.display().to_string()),
            _ => None,
        });
        lost.chain(self.older.iter().map(|(vault_ref, _)| vault_ref.to_string())).collect()
    }

    /// Opens the vault. Secrets whose files are older copies are refused when they are asked for.
    ///
    /// # Errors
    /// [`VaultError::Pins`] when what says how far each secret has come is missing or cannot be read, and when it cannot be
    /// written.
    pub fn open(self) -> Result<Store, VaultError> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        if !self.unpinned.is_empty() {
            self.store.pin(self.unpinned)?;
        }
        Ok(self.store)
    }

    /// Opens the vault and takes what is [behind](Looked::behind) as it is, from now on. It has to be journaled before.
    ///
    /// # Errors
    /// What says how far each secret has come cannot be written.
    pub fn accept(self) -> Result<Store, VaultError> {
        let Self { store, unpinned, older, lost } = self;
        if lost.is_some() || !unpinned.is_empty() || !older.is_empty() {
            store.pin(unpinned.into_iter().chain(older))?;
        }
        Ok(store)
    }
}

/// The identity of the vault in `folder`. Pins are begun where there are no secrets, so that a vault without pins that holds
/// some has lost them.
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
