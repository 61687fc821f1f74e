//! Verification of one delivery: pure, over the bytes from the wire.

use serde::Serialize;

use super::request::{Headers, Request, head_fits};
use super::scheme::{Proof, Scheme};
use super::{Reason, Reject, jwt, signed, token};
use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::secret::{SecretVersion, SecretVersions};

/// A delivery that is authentic, or one that need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The version of the secret that verified it; `None` where nothing did.
    pub key_version: Option<u32>,
    /// SHA-256 of what the signature covers, where that is not just the body.
    pub signed_digest: Option<Digest>,
    /// Whether a signature covers something of the delivery, be it not all of the body.
    pub covers_content: bool,
    /// Whether it covers every byte of the body, and tells where the body begins and ends.
    pub covers_bytes: bool,
}

impl Verified {
    /// The key under which it is journaled that a delivery whose body is `body` conflicts with the one that holds `key`: one
    /// for each that only the holder of the secret can have made.
    pub fn conflict_key(&self, key: Digest, body: Digest) -> Digest {
        let mut text = b"palyra conflict v1".to_vec();
        text.extend_from_slice(&key.0);
        text.extend_from_slice(&self.distinct(body).0);
        Digest::of(&text)
    }

    /// What tells such deliveries apart: the bytes of the body, or what is signed where that does not fix all of them.
    fn distinct(&self, body: Digest) -> Digest {
        self.signed_digest.filter(|_| self.covers_content && !self.covers_bytes).unwrap_or(body)
    }
}

/// Why a delivery was not verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not authentic.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// We could not tell: no key of ours is usable.
    #[error("{0}; store it exactly as the provider shows it")]
    UnusableKey(#[from] UnusableKey),
    /// We could not tell: there is no key.
    #[error("a signature is required, but there is no key to verify it with; name a secret")]
    NoKey,
}

/// A version of a secret of which no key can be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("version {version} of the secret cannot be used: {reason}")]
pub struct UnusableKey {
    /// Which version.
    pub version: u32,
    /// What it would have to be, without the value.
    pub reason: String,
}

/// What trying one version of a secret came to.
pub(super) enum Tried {
    /// It made the signature.
    Accepted,
    /// A key can be made of it, which did not.
    Refused(Reject),
    /// No key can be made of it: why, without the value.
    Unusable(String),
}

/// The version of `keys` that made the signature. Whoever fails against a key that can be used is not authentic, whatever
/// becomes of the other versions.
///
/// # Errors
/// [`VerifyError::UnusableKey`] only when a key can be made of none.
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

/// No key of ours made it.
pub(super) fn none_of_ours() -> Reject {
    Reject::new(Reason::BadSignature, "the signature was not made over these bytes with our key")
}

/// Checks what the headers alone tell about `scheme`.
///
/// # Errors
/// What refuses the delivery whatever its body is.
pub fn precheck(scheme: &Scheme, headers: &dyn Headers) -> Result<(), Reject> {
    match &scheme.proof {
        Proof::Signed(scheme) => signed::precheck(scheme, headers),
        Proof::Token(form) => token::precheck(form, headers),
        Proof::Jwt(form) => token::precheck_header(&form.from, headers),
        Proof::None => Err(nothing_signed()),
    }
}

/// The first scheme whose condition may hold, as far as headers tell.
pub fn scheme_by_head<'a>(schemes: &'a [Scheme], headers: &dyn Headers) -> Option<&'a Scheme> {
    let undecided =
        schemes.iter().any(|one| one.when.as_ref().is_some_and(|when| head_fits(when, headers).is_none()));
    let fits = |one: &&Scheme| one.when.as_ref().is_none_or(|when| head_fits(when, headers) == Some(true));
    if undecided { None } else { schemes.iter().find(fits) }
}

/// Verifies `request` by `scheme` with any of `keys`.
///
/// # Errors
/// Why it is not authentic, or why that cannot be told.
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

/// What needs no signature is not verified: whoever may take it as it is does not ask.
fn nothing_signed() -> Reject {
    Reject::new(Reason::MissingSignature, "this provider signs nothing")
}

/// Whether [`verify`] can make a key of `secret` for `scheme`.
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

/// What is known of a delivery nothing covers.
pub fn uncovered(key_version: Option<u32>) -> Verified {
    Verified { key_version, signed_digest: None, covers_content: false, covers_bytes: false }
}
