//! The age identity of a vault: encrypts what is stored and decrypts what is read (<https://age-encryption.org/v1>).

use std::io::{self, ErrorKind, Read as _};
use std::iter;
use std::path::Path;

use age::secrecy::ExposeSecret as _;
use age::{DecryptError, Decryptor, x25519};
use zeroize::Zeroizing;

use super::VaultError;
use crate::files;
use crate::limits::IDENTITY_FILE_BYTES_MAX;

/// An X25519 identity, stored in the format of `age-keygen`, so that `age -d -i identity.txt` can decrypt the secrets.
pub(super) struct AgeIdentity(x25519::Identity);

impl AgeIdentity {
    /// Reads the identity at `path`; `None` if there is none yet.
    ///
    /// # Errors
    /// The file is not private or does not hold exactly one identity.
    pub fn load(path: &Path) -> Result<Option<Self>, VaultError> {
        let text = match files::read_private(path, IDENTITY_FILE_BYTES_MAX) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let unusable = |reason: &str| VaultError::Identity(format!("`{}` {reason}", path.display()));
        let text = str::from_utf8(&text).map_err(|_| unusable("is not text"))?;
        let mut keys = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(unusable("does not contain exactly one identity"));
        };
        key.parse().map(|identity| Some(Self(identity))).map_err(|_| unusable("contains no X25519 identity"))
    }

    /// Generates an identity and writes it to `path`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let identity = x25519::Identity::generate();
        let (public, private) = (identity.to_public(), identity.to_string());
        let text =
            Zeroizing::new(format!("# public key: {public}\n{private}\n", private = private.expose_secret()));
        files::atomic_replace(path, text.as_bytes())?;
        Ok(Self(identity))
    }

    /// Encrypts to this identity.
    ///
    /// # Errors
    /// None is expected: it writes to memory.
    pub fn seal(&self, plaintext: &[u8]) -> io::Result<Vec<u8>> {
        age::encrypt(&self.0.to_public(), plaintext).map_err(io::Error::other)
    }

    /// Decrypts what [`AgeIdentity::seal`] made, into a buffer that is wiped on drop.
    ///
    /// # Errors
    /// It was encrypted to another identity, or altered since.
    pub fn open(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let altered = "it was cut or altered";
        let decryptor = Decryptor::new_buffered(ciphertext).map_err(|_| altered)?;
        let opened = decryptor.decrypt(iter::once(&self.0 as &dyn age::Identity));
        let mut reader = opened.map_err(|error| match error {
            DecryptError::NoMatchingKeys => "it was encrypted to another identity",
            _ => altered,
        })?;
        // The plaintext is shorter than the ciphertext, so the buffer is never reallocated and leaves no copy behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
        reader.read_to_end(&mut plaintext).map_err(|_| altered)?;
        Ok(plaintext)
    }
}
