//! Signed notes (<https://c2sp.org/signed-note>) with Ed25519, and their keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::limits::NOTE_BYTES_MAX;

/// The signature type of Ed25519.
const ED25519: u8 = 0x01;
/// Prefix of a signature line.
const SIGNATURE_PREFIX: &str = "— ";
/// Most signature lines that are read; witnesses may have added some.
const SIGNATURES_MAX: usize = 16;

/// Why a note or a key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It does not have the form of a note.
    #[error("it is not a signed note")]
    NotANote,
    /// It has no signature by this key.
    #[error("it is not signed with the key {0}")]
    NotSigned(KeyId),
    /// It has a signature by this key that does not verify.
    #[error("its signature does not verify")]
    BadSignature,
    /// The text is not a public key.
    #[error("it is not a public key of the form `<name>+<8 hexadecimal digits>+<base64>`")]
    NotAKey,
}

/// The first four bytes of a key's hash. A signature line names its key by them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key with a name. Written as `<name>+<key id>+<base64 of 0x01 and the key>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key `public` with `name`; `None` if the bytes are not a point, or one of low order, which must not verify
    /// anything.
    pub fn new(name: &str, public: [u8; 32]) -> Option<Self> {
        let key = VerifyingKey::from_bytes(&public).ok().filter(|key| !key.is_weak())?;
        Some(Self { name: name.to_owned(), key })
    }

    /// Name of the key.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of the key.
    pub fn public(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The key id used in signature lines.
    pub fn id(&self) -> KeyId {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        KeyId([a, b, c, d])
    }

    /// Returns the text of `note` if this key signed it.
    ///
    /// # Errors
    /// Why the note is not accepted.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = split(note)?;
        let mut found = false;
        for line in signatures.lines() {
            let (name, id, signature) = signature_line(line).ok_or(NoteError::NotANote)?;
            if name != self.name || id != self.id() {
                continue;
            }
            found = true;
            let signature = Signature::from_slice(&signature).map_err(|_| NoteError::BadSignature)?;
            self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| NoteError::BadSignature)?;
        }
        if found { Ok(text) } else { Err(NoteError::NotSigned(self.id())) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, self.id(), STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let read = || {
            let (name, rest) = text.trim().split_once('+')?;
            let (id, key) = rest.split_once('+')?;
            let key = STANDARD.decode(key).ok()?;
            let (kind, public) = key.split_first()?;
            let key = Self::new(name, public.try_into().ok()?)?;
            let is_named = !name.is_empty() && !name.contains(char::is_whitespace);
            (*kind == ED25519 && is_named && key.id().to_string() == id).then_some(key)
        };
        read().ok_or(NoteError::NotAKey)
    }
}

/// A private key with a name. Wiped on drop; it cannot be printed, compared or cloned.
pub struct Signer {
    name: String,
    key: SigningKey,
}

impl Signer {
    /// The key derived from `seed`, with `name`.
    pub fn new(name: &str, seed: &Zeroizing<[u8; 32]>) -> Self {
        Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) }
    }

    /// The public key.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Signs `text`, which must end with a newline, and returns the note.
    pub fn sign(&self, text: &str) -> String {
        let signature =
            [&self.verifier().id().0, self.key.sign(text.as_bytes()).to_bytes().as_slice()].concat();
        format!("{text}\n{SIGNATURE_PREFIX}{} {}\n", self.name, STANDARD.encode(signature))
    }
}

/// The text of a note, without verifying its signatures.
///
/// # Errors
/// [`NoteError::NotANote`].
pub fn signed_text(note: &str) -> Result<&str, NoteError> {
    split(note).map(|(text, _)| text)
}

/// The signed text including its last newline, and the signature lines after the empty line.
fn split(note: &str) -> Result<(&str, &str), NoteError> {
    let is_plain = note.len() <= NOTE_BYTES_MAX && !note.chars().any(|c| c.is_control() && c != '\n');
    let end = note.rfind("\n\n").filter(|_| is_plain && note.ends_with('\n'));
    let (text, signatures) = end.and_then(|end| note.split_at_checked(end + 1)).ok_or(NoteError::NotANote)?;
    let signatures = signatures.strip_prefix('\n').unwrap_or(signatures);
    let lines = signatures.lines().count();
    if (1..=SIGNATURES_MAX).contains(&lines) { Ok((text, signatures)) } else { Err(NoteError::NotANote) }
}

/// Key name, key id and signature of a signature line.
fn signature_line(line: &str) -> Option<(&str, KeyId, Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    Some((name, KeyId(*id), signature.to_vec()))
}
