//! Message authentication codes over pieces of content.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::profile::{Encoding, KeyDecoding, KeyForm, MacAlgorithm};
use super::signature::decode;
use crate::ids::Digest;

/// Content with gaps where the secret stands.
pub type Pieces<'a> = [Option<Cow<'a, [u8]>>];

impl MacAlgorithm {
    /// Length of a code.
    pub fn length_bytes(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha256 | Self::Sha256 => 32,
            Self::HmacSha512 => 64,
        }
    }

    /// The code over `pieces` under `key`.
    pub fn compute(self, key: &[u8], pieces: &Pieces<'_>) -> Vec<u8> {
        match self {
            Self::HmacSha1 => keyed::<Hmac<Sha1>>(key, pieces),
            Self::HmacSha256 => keyed::<Hmac<Sha256>>(key, pieces),
            Self::HmacSha512 => keyed::<Hmac<Sha512>>(key, pieces),
            Self::Sha256 => {
                let mut hash = Sha256::new();
                feed(key, pieces, |bytes| hash.update(bytes));
                hash.finalize().to_vec()
            }
        }
    }
}

fn keyed<M: Mac + KeyInit>(key: &[u8], pieces: &Pieces<'_>) -> Vec<u8> {
    // HMAC takes keys of any length (RFC 2104 §2), so there is always one.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
    feed(key, pieces, |bytes| mac.update(bytes));
    mac.finalize().into_bytes().to_vec()
}

fn feed(secret: &[u8], pieces: &Pieces<'_>, mut sink: impl FnMut(&[u8])) {
    for piece in pieces {
        sink(piece.as_deref().unwrap_or(secret));
    }
}

/// Whether any candidate is `code`, in time that does not depend on which or where they differ.
pub fn matches_any(code: &[u8], candidates: &[Vec<u8>]) -> bool {
    let hit = candidates.iter().fold(Choice::from(0), |hit, candidate| hit | code.ct_eq(candidate));
    hit.into() && !code.is_empty()
}

/// Digest of the signed content; the secret is no part of it.
pub fn digest(pieces: &Pieces<'_>) -> Digest {
    let mut hash = Sha256::new();
    feed(&[], pieces, |bytes| hash.update(bytes));
    Digest(hash.finalize().into())
}

/// The key a secret stands for.
///
/// # Errors
/// Why it is none, without the value.
pub fn key(secret: &[u8], form: &KeyForm) -> Result<Zeroizing<Vec<u8>>, String> {
    let prefix = form.strip_prefix.as_deref().unwrap_or_default();
    let rest = secret.strip_prefix(prefix.as_bytes()).unwrap_or(secret);
    let as_text = || std::str::from_utf8(rest).map(str::trim).ok();
    let key = match form.decode {
        KeyDecoding::Raw => Some(rest.to_vec()),
        KeyDecoding::Hex => as_text().and_then(|text| decode(text, Encoding::Hex)),
        KeyDecoding::Base64 => as_text().and_then(|text| decode(text, Encoding::Base64)),
    };
    match key {
        Some(key) if !key.is_empty() => Ok(Zeroizing::new(key)),
        Some(_) => Err("the secret is empty once its prefix is taken off".to_owned()),
        None => Err(format!("the secret is not written in {:?}, as this provider writes it", form.decode)),
    }
}
