//! Message authentication codes over pieces of content.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::{Choice, ConstantTimeEq};

use super::profile::Algorithm;
use crate::ids::Digest;

/// Content with gaps where the secret stands.
pub type Pieces<'a> = [Option<Cow<'a, [u8]>>];

/// The code of a keyed algorithm over `pieces`; none for algorithms of key pairs.
pub fn compute(algorithm: Algorithm, key: &[u8], pieces: &Pieces<'_>) -> Option<Vec<u8>> {
    Some(match algorithm {
        Algorithm::HmacSha1 => keyed::<Hmac<Sha1>>(key, pieces),
        Algorithm::HmacSha256 => keyed::<Hmac<Sha256>>(key, pieces),
        Algorithm::HmacSha512 => keyed::<Hmac<Sha512>>(key, pieces),
        Algorithm::Sha256 => {
            let mut hash = Sha256::new();
            feed(key, pieces, |bytes| hash.update(bytes));
            hash.finalize().to_vec()
        }
        _ => return None,
    })
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

/// The content in one piece; where the secret stands there is nothing.
pub fn concatenated(pieces: &Pieces<'_>) -> Vec<u8> {
    pieces.iter().flatten().flat_map(|piece| piece.iter().copied()).collect()
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
