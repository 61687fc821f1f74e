//! Names and identifiers used across modules.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::clock::UnixMs;
use crate::limits::ID_BYTES_MAX;

/// The unique id of an event: a ULID (<https://github.com/ulid/spec>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Ulid);

impl EventId {
    /// A new id for an event of time `now`, with 80 random bits from `random`.
    pub fn new(now: UnixMs, random: u128) -> Self {
        Self(Ulid::from_parts(now, random))
    }

    /// The time in the id.
    pub fn unix_ms(self) -> UnixMs {
        self.0.timestamp_ms()
    }

    /// Parses the 26-character form.
    pub fn parse(text: &str) -> Option<Self> {
        Ulid::from_string(text).ok().map(Self)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Normalises a typed id or provider name: trimmed and lower-cased. It does not check that the result [is
/// one](is_canonical_id).
pub fn canonical(typed: &str) -> String {
    typed.trim().to_lowercase()
}

/// A SHA-256 digest. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Parses 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digest = Self(hex::decode(text).ok()?.try_into().ok()?);
        (digest.to_string() == text).then_some(digest)
    }

    /// From stored bytes; `None` if there are not exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        // 32 bytes have 64 hexadecimal digits, which are valid UTF-8.
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

/// Bytes with their SHA-256, so that it is computed only once, and outside of the critical path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hashed {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Hashed {
    /// `bytes` whose digest is known already.
    pub(crate) fn of_known(bytes: Vec<u8>, digest: Digest) -> Self {
        Self { bytes, digest }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The SHA-256 of the bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl From<Vec<u8>> for Hashed {
    fn from(bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { bytes, digest }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("64 lower-case hexadecimal digits are expected"))
    }
}

/// The answer to an accepted delivery or emitted event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Id of the event.
    pub event_id: EventId,
    /// `seq` of the event in the journal, from 1, without gaps.
    pub seq: u64,
    /// Leaf hash of the event in the journal's chain.
    pub leaf_hash: Digest,
}

/// Whether `text` is a canonical id: `[a-z0-9._-]`, starting with a letter or digit, 1–64 bytes
/// (`schemas/canonical-id.v1.json`).
pub fn is_canonical_id(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let rest_fits =
        text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
    starts_well && rest_fits && text.len() <= ID_BYTES_MAX
}

/// The candidate most similar to `name`, if any is similar enough; for "did you mean".
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
