//! Message authentication codes over pieces of content.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use subtle::{Choice, ConstantTimeEq};

use super::algorithm::Algorithm;
use crate::ids::Digest;

/// The pieces of signed content; `None` stands for the secret.
pub type Pieces<'a> = [Option<Cow<'a, [u8]>>];

/// The MAC over `pieces`; `None` for algorithms with key pairs.
pub fn compute(algorithm: Algorithm, key: &[u8], pieces: &Pieces<'_>) -> Option<Vec<u8>> {
    with_code(algorithm, key, pieces, <[u8]>::to_vec)
}

/// Whether any candidate is the MAC over `pieces`, in time that depends neither on which one matches nor on where they
/// differ.
pub fn accepts(algorithm: Algorithm, key: &[u8], pieces: &Pieces<'_>, candidates: &[Vec<u8>]) -> bool {
    let is_code = |code: &[u8]| {
        let hit = candidates.iter().fold(Choice::from(0), |hit, candidate| hit | code.ct_eq(candidate));
        hit.into()
    };
    with_code(algorithm, key, pieces, is_code).unwrap_or(false)
}

fn with_code<T>(
    algorithm: Algorithm,
    key: &[u8],
    pieces: &Pieces<'_>,
    then: impl FnOnce(&[u8]) -> T,
) -> Option<T> {
    match algorithm {
        Algorithm::HmacSha1 => keyed::<Hmac<Sha1>, T>(key, pieces, then),
        Algorithm::HmacSha256 => keyed::<Hmac<Sha256>, T>(key, pieces, then),
        Algorithm::HmacSha384 => keyed::<Hmac<Sha384>, T>(key, pieces, then),
        Algorithm::HmacSha512 => keyed::<Hmac<Sha512>, T>(key, pieces, then),
        Algorithm::Sha256 => {
            let mut hash = Sha256::new();
            feed(key, pieces, |bytes| hash.update(bytes));
            Some(then(&hash.finalize()))
        }
        _ => None,
    }
}

fn keyed<M: Mac + KeyInit, T>(key: &[u8], pieces: &Pieces<'_>, then: impl FnOnce(&[u8]) -> T) -> Option<T> {
    // HMAC accepts keys of any length (RFC 2104 §2), so this always succeeds.
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    feed(key, pieces, |bytes| mac.update(bytes));
    Some(then(&mac.finalize().into_bytes()))
}

fn feed(secret: &[u8], pieces: &Pieces<'_>, mut sink: impl FnMut(&[u8])) {
    for piece in pieces {
        sink(piece.as_deref().unwrap_or(secret));
    }
}

/// The content in one piece, without the secret.
pub fn concatenated(pieces: &Pieces<'_>) -> Vec<u8> {
    pieces.iter().flatten().flat_map(|piece| piece.iter().copied()).collect()
}

/// Digest of the signed content, without the secret.
pub fn digest(pieces: &Pieces<'_>) -> Digest {
    let mut hash = Sha256::new();
    feed(&[], pieces, |bytes| hash.update(bytes));
    Digest(hash.finalize().into())
}
