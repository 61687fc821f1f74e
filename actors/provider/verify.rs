//! Verifies one delivery: a pure function of the bytes from the wire.

use serde::Serialize;

use super::request::{Headers, Request, head_fits};
use super::scheme::{Proof, Scheme};
use super::{Reason, Reject, jwt, signed, token};
use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::secret::{SecretVersion, SecretVersions};

/// The result for a delivery that is authentic, or need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Version of the secret that verified it; `None` if none did.
    pub key_version: Option<u32>,
    /// SHA-256 of the signed content, if that is more than the body.
    pub signed_digest: Option<Digest>,
    /// Whether a signature covers anything of the delivery, even if not the whole body.
    pub covers_content: bool,
    /// Whether it covers every byte of the body, including where the body begins and ends.
    pub covers_bytes: bool,
}

impl Verified {
    /// The key under which a conflict is journaled: that of a delivery with `body` with the delivery that holds `key`.
    /// Each delivery only the holder of the secret can have made gets its own key.
    pub fn conflict_key(&self, key: Digest, body: Digest) -> Digest {
        let mut text = b"palyra conflict v1".to_vec();
        text.extend_from_slice(&key.0);
        text.extend_from_slice(&self.distinct(body).0);
        Digest::of(&text)
    }

    /// What distinguishes such deliveries: the body, or the signed content if that does not fix the whole body.
    fn distinct(&self, body: Digest) -> Digest {
        self.signed_digest.filter(|_| self.covers_content && !self.covers_bytes).unwrap_or(body)
    }
}

/// Why a delivery was not verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// Undecided: none of our keys is usable.
    #[error("{0}; store it exactly as the provider shows it")]
    UnusableKey(#[from] UnusableKey),
    /// Undecided: there is no key.
    #[error("a signature is required, but there is no key to verify it with; name a secret")]
    NoKey,
}

/// A version of a secret that is not usable as a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("version {version} of the secret cannot be used: {reason}")]
pub struct UnusableKey {
    pub version: u32,
    /// What the value must be; the value itself is not mentioned.
    pub reason: String,
}

/// The result of trying one version of a secret.
pub(super) enum Tried {
    /// It made the signature.
    Accepted,
    /// It is a usable key, but did not make the signature.
    Refused(Reject),
    /// It is not usable as a key: the reason, without the value.
    Unusable(String),
}

/// The version in `keys` that made the signature. If a usable key fails, the delivery is not authentic, even if other
/// versions are not usable.
///
/// # Errors
/// [`VerifyError::UnusableKey`] only if no version is usable.
pub(super) fn first_accepted(
    keys: &SecretVersions,
    try_one: impl Fn(&[u8]) -> Tried,
) -> Result<u32, VerifyError> {
    let (mut refused, mut unusable) = (None, None);
    for SecretVersion { version, secret } in keys.iter() {
        match try_one(secret.expose()) {
            Tried::Accepted => return Ok(*version),
            Tried::Refused(reject) => refused = Some(reject),
            Tried::Unusable(reason) => unusable = Some(UnusableKey { version: *version, reason }),
        }
    }
    match (refused, unusable) {
        (None, Some(unusable)) => Err(unusable.into()),
        (refused, _) => Err(refused.unwrap_or_else(none_of_ours).into()),
    }
}

/// The rejection if none of our keys made the signature.
pub(super) fn none_of_ours() -> Reject {
    Reject::new(Reason::BadSignature, "the signature was not made over these bytes with our key")
}

/// Checks what the headers alone decide for `scheme`.
///
/// # Errors
/// Why the delivery is refused, whatever its body is.
pub fn precheck(scheme: &Scheme, headers: &dyn Headers) -> Result<(), Reject> {
    match &scheme.proof {
        Proof::Signed(scheme) => signed::precheck(scheme, headers),
        Proof::Token(form) => token::precheck(form, headers),
        Proof::Jwt(form) => token::precheck_header(&form.from, headers),
        Proof::None => Err(nothing_signed()),
    }
}

/// The first scheme whose condition may hold, judging by the headers.
pub fn scheme_by_head<'a>(schemes: &'a [Scheme], headers: &dyn Headers) -> Option<&'a Scheme> {
    let undecided =
        schemes.iter().any(|one| one.when.as_ref().is_some_and(|when| head_fits(when, headers).is_none()));
    let fits = |one: &&Scheme| one.when.as_ref().is_none_or(|when| head_fits(when, headers) == Some(true));
    if undecided { None } else { schemes.iter().find(fits) }
}

/// Verifies `request` by `scheme` with any of `keys`.
///
/// # Errors
/// Why it is not authentic, or why that could not be decided.
pub fn verify(
    scheme: &Scheme,
    request: &Request<'_>,
    keys: &SecretVersions,
    now: UnixMs,
) -> Result<Verified, VerifyError> {
    match &scheme.proof {
        Proof::Signed(scheme) => signed::verify(scheme, request, keys, now),
        Proof::Token(form) => Ok(token::verify(form, request, keys)?),
        Proof::Jwt(form) => jwt::verify(form, request, keys, now),
        Proof::None => Err(nothing_signed().into()),
    }
}

/// A scheme without authentication never verifies: if no signature is required, verification is skipped.
fn nothing_signed() -> Reject {
    Reject::new(Reason::MissingSignature, "this provider signs nothing")
}

/// Whether [`verify`] can use `secret` as a key for `scheme`.
///
/// # Errors
/// Why not, without the value.
pub fn check_key(scheme: &Scheme, secret: &[u8]) -> Result<(), String> {
    match &scheme.proof {
        Proof::Signed(scheme) => signed::check_key(&scheme.form, secret),
        Proof::Jwt(form) => jwt::check_key(form, secret),
        Proof::Token(_) | Proof::None => Ok(()),
    }
}

/// Whether `secret`, which [`check_key`] has accepted for `scheme`, is valid at `now`.
///
/// # Errors
/// Until when or since when it is valid.
pub fn check_span(scheme: &Scheme, secret: &[u8], now: UnixMs) -> Result<(), String> {
    match &scheme.proof {
        Proof::Signed(scheme) => signed::check_span(&scheme.form, secret, now),
        Proof::Jwt(_) | Proof::Token(_) | Proof::None => Ok(()),
    }
}

/// The result for a delivery that nothing covers.
pub fn uncovered(key_version: Option<u32>) -> Verified {
    Verified { key_version, signed_digest: None, covers_content: false, covers_bytes: false }
}
