//! JWK sets (RFC 7517). Members that are no usable key are ignored, as §5 asks: a provider may add kinds of keys at any time.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::algorithm::{JwtAlgorithm, KeyKind};
use super::form::Encoding;
use super::key::Key;
use super::public_key;
use super::signature::decode;

/// Most keys of one set that a token is tried with. A set has several that fit while its provider changes keys, or where
/// it or the token names none.
const KEYS_TRIED_MAX: usize = 8;

/// The keys of a set. Their number is bounded by the length of the document.
pub struct JwkSet {
    keys: Vec<Jwk>,
    /// Whether the document has no members, not even ones that are ignored.
    is_empty: bool,
}

/// Of each key the members that RSA, ECDSA (RFC 7518 §6) and Ed25519 (RFC 8037 §2) need.
#[derive(Deserialize)]
struct Jwk {
    kty: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl JwkSet {
    /// Reads a set. Which of its keys are usable depends on the algorithm; see [`Self::keys`].
    ///
    /// # Errors
    /// What the text is instead.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let members = object::<Document<'_>>(text).ok_or_else(|| "not a JWK set (RFC 7517)".to_owned())?.keys;
        let keys = members.iter().filter_map(|member| object(member.get().as_bytes())).collect();
        Ok(Self { keys, is_empty: members.is_empty() })
    }

    /// The keys for `algorithm` that a token may be made with: those with the id `kid` if it names one, then those without an
    /// id; otherwise all. The first [`KEYS_TRIED_MAX`] of them.
    pub fn keys(&self, algorithm: JwtAlgorithm, kid: Option<&str>) -> impl Iterator<Item = Key<'static>> {
        let is_named = move |key: &&Jwk| kid.is_none() || key.kid.as_deref() == kid;
        let is_nameless = move |key: &&Jwk| kid.is_some() && key.kid.is_none();
        let fitting = self.keys.iter().filter(is_named).chain(self.keys.iter().filter(is_nameless));
        fitting.filter_map(move |key| key.key(algorithm)).take(KEYS_TRIED_MAX)
    }

    /// Whether the set has a key for `algorithm` with this id.
    pub fn names(&self, algorithm: JwtAlgorithm, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid) && key.key(algorithm).is_some())
    }

    /// Checks that the set contains a key for `algorithm` that `is_usable`.
    ///
    /// # Errors
    /// What the set is instead.
    pub fn has_key_for(
        &self,
        algorithm: JwtAlgorithm,
        is_usable: impl Fn(&Key<'_>) -> bool,
    ) -> Result<(), String> {
        let without = || match self.is_empty {
            true => "a JWK set without keys".to_owned(),
            false => {
                let (needed, named) = (needed(algorithm), algorithm.as_str());
                format!("a JWK set without {needed}, which {named} needs")
            }
        };
        let mut keys = self.keys.iter().filter_map(|key| key.key(algorithm));
        keys.any(|key| is_usable(&key)).then_some(()).ok_or_else(without)
    }
}

impl Jwk {
    /// The key, if it is of the algorithm's kind.
    fn key(&self, algorithm: JwtAlgorithm) -> Option<Key<'static>> {
        let bytes = |text: &Option<String>| decode(text.as_deref()?, Encoding::Base64url);
        let kind = algorithm.signature().key_kind();
        if self.kty.as_deref() != key_type(kind) {
            return None;
        }
        if curve(kind).is_some_and(|curve| self.crv.as_deref() != Some(curve)) {
            return None;
        }
        match kind {
            KeyKind::Shared => None,
            KeyKind::Ed25519 => public_key::of_ed25519(&bytes(&self.x)?).ok(),
            KeyKind::P256 | KeyKind::P384 => {
                public_key::of_coordinates(kind, &bytes(&self.x)?, &bytes(&self.y)?).ok()
            }
            KeyKind::Rsa => public_key::of_modulus(&bytes(&self.n)?, &bytes(&self.e)?).ok(),
        }
    }
}

/// The name of its type in a JWK (RFC 7518 §6.1, RFC 8037 §2).
fn key_type(kind: KeyKind) -> Option<&'static str> {
    match kind {
        KeyKind::Shared => None,
        KeyKind::Ed25519 => Some("OKP"),
        KeyKind::P256 | KeyKind::P384 => Some("EC"),
        KeyKind::Rsa => Some("RSA"),
    }
}

/// The name of its curve in a JWK.
fn curve(kind: KeyKind) -> Option<&'static str> {
    match kind {
        KeyKind::Ed25519 => Some("Ed25519"),
        KeyKind::P256 => Some("P-256"),
        KeyKind::P384 => Some("P-384"),
        KeyKind::Shared | KeyKind::Rsa => None,
    }
}

/// The key that an algorithm needs, for people.
fn needed(algorithm: JwtAlgorithm) -> &'static str {
    match algorithm.signature().key_kind() {
        KeyKind::Shared => "a shared secret",
        KeyKind::Ed25519 => "a usable Ed25519 key",
        KeyKind::P256 => "a usable P-256 key",
        KeyKind::P384 => "a usable P-384 key",
        KeyKind::Rsa => "a usable RSA key of 2,048 to 8,192 bits",
    }
}

/// Reads a JSON object. Serde would also take an array of the members in their order.
fn object<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Option<T> {
    let is_object = text.trim_ascii_start().starts_with(b"{");
    serde_json::from_slice(text).ok().filter(|_| is_object)
}
