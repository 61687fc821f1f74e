//! Keys: how a secret of the vault becomes a key, and what that key verifies.

use std::ops::Deref;

use ed25519_dalek::{Signature, VerifyingKey};
use ring::signature::{self as ring_signature, UnparsedPublicKey, VerificationAlgorithm};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, SequenceOf, UintRef};
use x509_cert::der::pem::{self, PemLabel};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, KeyKind};
use super::form::{Encoding, KeyDecoding, KeyForm};
use super::mac::{self, Pieces};
use super::signature::decode;
use super::{Reason, Reject};
use crate::clock::UnixMs;

/// `id-ecPublicKey`, `secp256r1` and `secp384r1` (RFC 5480).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// `rsaEncryption` (RFC 8017).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-Ed25519` (RFC 8410).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// First byte of an uncompressed point, before its two coordinates (SEC 1 §2.3.3).
const UNCOMPRESSED_POINT: u8 = 4;
/// Lengths of a coordinate.
const P256_BYTES: usize = 32;
const P384_BYTES: usize = 48;
/// The validity period of a key without a certificate.
const ALWAYS: std::ops::RangeInclusive<UnixMs> = UnixMs::MIN..=UnixMs::MAX;
/// Lengths of an RSA modulus: 2,048 to 8,192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

pub enum Key<'a> {
    /// A shared secret.
    Shared(Bytes<'a>),
    /// An Ed25519 public key.
    Ed25519(VerifyingKey),
    /// A point of P-256 or P-384, uncompressed.
    Ecdsa(Vec<u8>),
    /// An RSA public key (PKCS #1), and the validity period of its certificate in Unix ms; unbounded without a
    /// certificate.
    Rsa(Vec<u8>, std::ops::RangeInclusive<UnixMs>),
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
        let not = |what: &str| format!("the secret is not {what} in the form this provider shows it");
        match algorithm.key_kind() {
            KeyKind::Shared => Ok(Self::Shared(bytes)),
            KeyKind::Ed25519 => ed25519(&bytes).ok_or_else(|| not("an Ed25519 public key")),
            KeyKind::P256 => ecdsa(&bytes, P256, P256_BYTES).ok_or_else(|| not("a P-256 public key")),
            KeyKind::P384 => ecdsa(&bytes, P384, P384_BYTES).ok_or_else(|| not("a P-384 public key")),
            KeyKind::Rsa => rsa(&bytes).ok_or_else(|| {
                not("a certificate with an RSA key of 2,048 to 8,192 bits, or such a public key, in PEM")
            }),
        }
    }

    /// The Ed25519 key of these bytes; `None` if they are not one.
    pub fn ed25519(bytes: &[u8]) -> Option<Key<'static>> {
        let key = <[u8; 32]>::try_from(bytes).ok()?;
        VerifyingKey::from_bytes(&key).ok().map(Key::Ed25519)
    }

    /// The point with these coordinates, each in its full length; `None` if they are not of the curve `kind`.
    pub fn ecdsa(kind: KeyKind, x: &[u8], y: &[u8]) -> Option<Key<'static>> {
        let bytes = match kind {
            KeyKind::P256 => P256_BYTES,
            KeyKind::P384 => P384_BYTES,
            KeyKind::Shared | KeyKind::Ed25519 | KeyKind::Rsa => return None,
        };
        let fits = x.len() == bytes && y.len() == bytes;
        fits.then(|| Key::Ecdsa([&[UNCOMPRESSED_POINT], x, y].concat()))
    }

    /// The RSA key of this modulus and exponent; `None` if it is not of 2,048 to 8,192 bits.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Key<'static>> {
        let mut numbers = SequenceOf::<UintRef<'_>, 2>::new();
        numbers.add(UintRef::new(modulus).ok()?).ok()?;
        numbers.add(UintRef::new(exponent).ok()?).ok()?;
        let key = numbers.to_der().ok()?;
        is_long_enough(&key).then_some(Key::Rsa(key, ALWAYS))
    }

    /// Refuses a certificate that is not valid at `now`.
    ///
    /// # Errors
    /// [`Reason::UntrustedKey`].
    pub fn holds(&self, now: UnixMs) -> Result<(), Reject> {
        match self {
            Self::Rsa(_, span) if !span.contains(&now) => {
                Err(Reject::new(Reason::UntrustedKey, "the certificate has expired or is not valid yet"))
            }
            _ => Ok(()),
        }
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

/// A public key in its published form, and its validity period in Unix ms.
struct Public {
    info: SubjectPublicKeyInfoOwned,
    span: std::ops::RangeInclusive<UnixMs>,
}

impl Public {
    /// Reads a certificate or a public key in PEM (RFC 7468), or a public key in DER.
    fn read(bytes: &[u8]) -> Option<Self> {
        match pem::decode_vec(bytes) {
            Ok((Certificate::PEM_LABEL, der)) => Self::of_certificate(&der),
            Ok((SubjectPublicKeyInfoOwned::PEM_LABEL, der)) => Self::of_spki(&der),
            Ok(_) => None,
            Err(_) => Self::of_spki(bytes),
        }
    }

    fn of_spki(der: &[u8]) -> Option<Self> {
        Some(Self { info: SubjectPublicKeyInfoOwned::from_der(der).ok()?, span: ALWAYS })
    }

    fn of_certificate(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        let ms = |time: x509_cert::time::Time| u64::try_from(time.to_unix_duration().as_millis()).ok();
        let span = ms(certificate.validity.not_before)?..=ms(certificate.validity.not_after)?;
        Some(Self { info: certificate.subject_public_key_info, span })
    }

    /// The key bytes, if the algorithm is `kind`.
    fn key_of(&self, kind: ObjectIdentifier) -> Option<&[u8]> {
        (self.info.algorithm.oid == kind).then(|| self.info.subject_public_key.raw_bytes())
    }
}

/// An Ed25519 key: 32 plain bytes, or one of the published forms.
fn ed25519(bytes: &[u8]) -> Option<Key<'static>> {
    Key::ed25519(bytes).or_else(|| Key::ed25519(Public::read(bytes)?.key_of(ED25519)?))
}

/// The point of a key on `curve`, whose coordinates have `coordinate_bytes` each. Only the uncompressed form is supported.
fn ecdsa(bytes: &[u8], curve: ObjectIdentifier, coordinate_bytes: usize) -> Option<Key<'static>> {
    let public = Public::read(bytes)?;
    let own_curve = public.info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
    let point = public.key_of(EC_PUBLIC_KEY)?;
    (own_curve == curve && point.len() == 1 + 2 * coordinate_bytes).then(|| Key::Ecdsa(point.to_vec()))
}

fn rsa(bytes: &[u8]) -> Option<Key<'static>> {
    let public = Public::read(bytes)?;
    let key = public.key_of(RSA)?.to_vec();
    is_long_enough(&key).then_some(Key::Rsa(key, public.span))
}

/// Whether the length of an RSA key (PKCS #1) is supported.
fn is_long_enough(key: &[u8]) -> bool {
    let numbers = SequenceOf::<UintRef<'_>, 2>::from_der(key).ok();
    let modulus = numbers.as_ref().and_then(|numbers| numbers.get(0));
    modulus.is_some_and(|modulus| RSA_BYTES.contains(&modulus.as_bytes().len()))
}
