//! The signing key of the current epoch, in a file of its own beside the database.
//!
//! A rotation has three steps: the new key is written to `journal.key.next`; the checkpoint that introduces it is signed
//! and stored; the new file replaces the old one, which is wiped. After a crash between any two of them the next start
//! completes the rotation.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock::UnixMs;
use crate::files;
use crate::journal::writing::writer::RandomBits;
use crate::limits::SIGNING_KEY_FILE_BYTES_MAX;
use crate::tlog::{Signer, VerifierKey};

/// The private key of one epoch. It cannot be printed, compared or cloned.
pub(super) struct SigningKey {
    /// When it was generated.
    pub(super) began_at: UnixMs,
    /// Size of the log when it was introduced.
    pub(super) from_size: u64,
    seed: Zeroizing<[u8; 32]>,
    pub(super) signer: Signer,
}

/// The file of the key, and that of the next key until it takes effect.
#[derive(Debug, Clone)]
pub(super) struct SigningKeyFiles {
    current: PathBuf,
    next: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    origin: String,
    began_at_unix_ms: UnixMs,
    from_size: u64,
    seed: Zeroizing<String>,
}

impl SigningKey {
    /// Generates a key for the log `origin`.
    pub(super) fn generate(origin: &str, random: RandomBits, now: UnixMs, from_size: u64) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        let (left, right) = seed.split_at_mut(16);
        left.copy_from_slice(&random().to_ne_bytes());
        right.copy_from_slice(&random().to_ne_bytes());
        Self::of(origin, seed, now, from_size)
    }

    fn of(origin: &str, seed: Zeroizing<[u8; 32]>, began_at: UnixMs, from_size: u64) -> Self {
        Self { began_at, from_size, signer: Signer::new(origin, &seed), seed }
    }

    fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match files::read_private(path, SIGNING_KEY_FILE_BYTES_MAX) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(record) = serde_json::from_slice::<Record>(&bytes) else { return Ok(None) };
        let mut seed = Zeroizing::new([0; 32]);
        let decoded = hex::decode_to_slice(record.seed.as_bytes(), seed.as_mut_slice());
        Ok(decoded.ok().map(|()| Self::of(&record.origin, seed, record.began_at_unix_ms, record.from_size)))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let record = Record {
            origin: self.signer.verifier().name().to_owned(),
            began_at_unix_ms: self.began_at,
            from_size: self.from_size,
            seed: Zeroizing::new(hex::encode(self.seed.as_slice())),
        };
        let bytes = Zeroizing::new(serde_json::to_vec(&record)?);
        files::atomic_replace(path, &bytes)
    }
}

impl SigningKeyFiles {
    /// The files beside `database`.
    pub(in crate::journal) fn beside(database: &Path) -> Self {
        let named = |name| database.with_file_name(name);
        Self { current: named("journal.key"), next: named("journal.key.next") }
    }

    /// The file of the key in effect.
    pub(super) fn current(&self) -> &Path {
        &self.current
    }

    /// The private key of `expected`, from either file; `None` if neither holds it.
    pub(in crate::journal) fn find(&self, expected: &VerifierKey) -> io::Result<Option<SigningKey>> {
        let is_it = |key: &SigningKey| key.signer.verifier() == *expected;
        if let Some(key) = SigningKey::read(&self.current)?.filter(is_it) {
            return Ok(Some(key));
        }
        let Some(key) = SigningKey::read(&self.next)?.filter(is_it) else { return Ok(None) };
        self.promote()?;
        Ok(Some(key))
    }

    /// Writes the next key to its file.
    pub(in crate::journal) fn prepare(&self, next: &SigningKey) -> io::Result<()> {
        next.write(&self.next)
    }

    /// Puts the next key into effect and destroys the previous one.
    pub(super) fn promote(&self) -> io::Result<()> {
        files::replace_and_wipe(&self.current, &self.next)
    }
}
