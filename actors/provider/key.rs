//! Keys: how a secret of the vault becomes a key, and what that key verifies.

use std::ops::{Deref, RangeInclusive};

use ed25519_dalek::{Signature, VerifyingKey};
use ring::signature::{self as ring_signature, UnparsedPublicKey, VerificationAlgorithm};
use x509_cert::der::Decode;
use x509_cert::der::asn1::{SequenceOf, UintRef};
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, KeyKind};
use super::form::{Encoding, KeyDecoding, KeyForm, TimeFormat};
use super::mac::{self, Pieces};
use super::public_key::{self, Flaw, P256_BYTES, P384_BYTES};
use super::signature::decode;
use super::{Reason, Reject, timestamp};
use crate::clock::UnixMs;

pub enum Key<'a> {
    /// A shared secret.
    Shared(Bytes<'a>),
    /// An Ed25519 public key.
    Ed25519(VerifyingKey),
    /// A point of P-256 or P-384, uncompressed.
    Ecdsa(Vec<u8>),
    /// An RSA public key (PKCS #1), and the validity period of its certificate in Unix ms; unbounded without a
    /// certificate.
    Rsa(Vec<u8>, RangeInclusive<UnixMs>),
}

/// The bytes of a key: the secret as it is, or decoded.
pub enum Bytes<'a> {
    Plain(&'a [u8]),
    Decoded(Zeroizing<Vec<u8>>),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Decoded(bytes) => bytes,
        }
    }
}

impl<'a> Key<'a> {
    /// Reads a key from a secret.
    ///
    /// # Errors
    /// Why it is not a key, without the value.
    pub fn read(secret: &'a [u8], form: &KeyForm, algorithm: Algorithm) -> Result<Self, String> {
        let bytes = bytes(secret, form)?;
        match algorithm.key_kind() {
            KeyKind::Shared => Ok(Self::Shared(bytes)),
            kind => public_key::read(&bytes, kind).map_err(|flaw| told(flaw, kind)),
        }
    }

    /// Reads a key that is about to be put to use: also refused is one whose flaw would only show in the deliveries, all
    /// of which it would refuse.
    ///
    /// # Errors
    /// Why nothing can be verified with it, without the value.
    pub fn check(secret: &'a [u8], form: &KeyForm, algorithm: Algorithm) -> Result<Self, String> {
        let key = Self::read(secret, form, algorithm)?;
        key.check_point().map_err(|flaw| told(flaw, algorithm.key_kind()))?;
        Ok(key)
    }

    /// Refuses a point that is not on its curve, which [`Key::read`] does not.
    ///
    /// # Errors
    /// The flaw.
    pub fn check_point(&self) -> Result<(), Flaw> {
        match self {
            Self::Ecdsa(point) => public_key::check_point(point),
            Self::Shared(_) | Self::Ed25519(_) | Self::Rsa(..) => Ok(()),
        }
    }

    /// Refuses a certificate that is not valid at `now`, as [`Key::holds`] does for a delivery.
    ///
    /// # Errors
    /// Until when or since when it is valid, for people.
    pub fn check_span(&self, now: UnixMs) -> Result<(), String> {
        let Self::Rsa(_, span) = self else { return Ok(()) };
        let written = |time: &UnixMs| timestamp::write(*time, TimeFormat::Rfc3339);
        if now > *span.end() {
            return Err(format!("its certificate has expired: it was valid until {}", written(span.end())));
        }
        if now < *span.start() {
            return Err(format!("its certificate is not valid before {}", written(span.start())));
        }
        Ok(())
    }

    /// Refuses a certificate that is not valid at `now`.
    ///
    /// # Errors
    /// [`Reason::UntrustedKey`].
    pub fn holds(&self, now: UnixMs) -> Result<(), Reject> {
        self.check_span(now).map_err(|told| Reject::new(Reason::UntrustedKey, told))
    }

    /// Whether any of the candidates is a signature of this key over `pieces`.
    pub fn accepts(&self, algorithm: Algorithm, pieces: &Pieces<'_>, candidates: &[Vec<u8>]) -> bool {
        let message = || mac::concatenated(pieces);
        match (self, verification(algorithm)) {
            (Self::Shared(key), _) => mac::accepts(algorithm, key, pieces, candidates),
            (Self::Ed25519(key), _) => {
                let message = message();
                let accepts = |signature: Signature| key.verify_strict(&message, &signature).is_ok();
                candidates.iter().any(|candidate| Signature::from_slice(candidate).is_ok_and(accepts))
            }
            (Self::Ecdsa(key) | Self::Rsa(key, _), Some(verification)) => {
                let (key, message) = (UnparsedPublicKey::new(verification, key), message());
                candidates.iter().any(|candidate| key.verify(&message, candidate).is_ok())
            }
            (Self::Ecdsa(_) | Self::Rsa(..), None) => false,
        }
    }
}

/// A flaw of a key of this kind, for people.
fn told(flaw: Flaw, kind: KeyKind) -> String {
    let name = match kind {
        KeyKind::Shared => "a shared secret",
        KeyKind::Ed25519 => "an Ed25519 public key",
        KeyKind::P256 => "a P-256 public key",
        KeyKind::P384 => "a P-384 public key",
        KeyKind::Rsa => "a certificate with an RSA key of 2,048 to 8,192 bits, or such a public key, in PEM",
    };
    match flaw {
        Flaw::Form => format!("the secret is not {name} in the form this provider shows it"),
        Flaw::Numbers(wrong) => format!("the secret is not {name} that can verify signatures: {wrong}"),
    }
}

/// What verifies signatures of ECDSA and RSA.
fn verification(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match algorithm {
        Algorithm::EcdsaP256Sha256 => &ring_signature::ECDSA_P256_SHA256_ASN1,
        Algorithm::EcdsaP256Sha256Raw => &ring_signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::EcdsaP384Sha384 => &ring_signature::ECDSA_P384_SHA384_ASN1,
        Algorithm::EcdsaP384Sha384Raw => &ring_signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::RsaSha1 => &ring_signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        Algorithm::RsaSha256 => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::RsaSha384 => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::RsaSha512 => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::RsaPssSha256 => &ring_signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::RsaPssSha384 => &ring_signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::RsaPssSha512 => &ring_signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::HmacSha1
        | Algorithm::HmacSha256
        | Algorithm::HmacSha384
        | Algorithm::HmacSha512
        | Algorithm::Sha256
        | Algorithm::Ed25519 => return None,
    })
}

/// Whether bytes have the form of a signature; for ECDSA in DER, a sequence of two integers (RFC 3279 §2.2.3).
pub fn has_form(signature: &[u8], algorithm: Algorithm) -> bool {
    let has_bytes = |bytes| signature.len() == bytes;
    match algorithm {
        Algorithm::HmacSha1 => has_bytes(20),
        Algorithm::HmacSha256 | Algorithm::Sha256 => has_bytes(32),
        Algorithm::HmacSha384 => has_bytes(48),
        Algorithm::HmacSha512 | Algorithm::Ed25519 => has_bytes(64),
        Algorithm::EcdsaP256Sha256Raw => has_bytes(2 * P256_BYTES),
        Algorithm::EcdsaP384Sha384Raw => has_bytes(2 * P384_BYTES),
        Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP384Sha384 => {
            SequenceOf::<UintRef<'_>, 2>::from_der(signature).is_ok_and(|integers| integers.len() == 2)
        }
        Algorithm::RsaSha1
        | Algorithm::RsaSha256
        | Algorithm::RsaSha384
        | Algorithm::RsaSha512
        | Algorithm::RsaPssSha256
        | Algorithm::RsaPssSha384
        | Algorithm::RsaPssSha512 => true,
    }
}

impl KeyForm {
    /// The expected form of the secret, for people.
    fn name(&self) -> String {
        let decoding = match self.decode {
            KeyDecoding::Raw => "bytes",
            KeyDecoding::Hex => "hexadecimal",
            KeyDecoding::Base64 => "Base64",
            KeyDecoding::SpkiBase64 => "a public key in Base64",
            KeyDecoding::Pem => "a certificate or a public key in PEM",
        };
        let prefix = self.strip_prefix.as_ref().map(|prefix| format!(" after `{prefix}`"));
        format!("{decoding}{}", prefix.unwrap_or_default())
    }
}

fn bytes<'a>(secret: &'a [u8], form: &KeyForm) -> Result<Bytes<'a>, String> {
    let prefix = form.strip_prefix.as_deref().unwrap_or_default();
    let rest = secret.strip_prefix(prefix.as_bytes()).unwrap_or(secret);
    let as_text = || std::str::from_utf8(rest).map(str::trim).ok();
    let decoded = |encoding| {
        as_text().and_then(|text| decode(text, encoding)).map(|bytes| Bytes::Decoded(Zeroizing::new(bytes)))
    };
    let key = match form.decode {
        KeyDecoding::Raw | KeyDecoding::Pem => Some(Bytes::Plain(rest)),
        KeyDecoding::Hex => decoded(Encoding::Hex),
        KeyDecoding::Base64 | KeyDecoding::SpkiBase64 => decoded(Encoding::Base64),
    };
    match key {
        Some(key) if !key.is_empty() => Ok(key),
        Some(_) => Err("the secret is empty after its prefix".to_owned()),
        None => Err(format!("the secret is not {} in the form this provider writes it", form.name())),
    }
}
