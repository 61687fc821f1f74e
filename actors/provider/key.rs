//! Keys: how a secret of the vault becomes a key, and what that key verifies.

use std::ops::Deref;

use ed25519_dalek::{Signature, VerifyingKey};
use ring::signature::{self as rsa, UnparsedPublicKey};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{ObjectIdentifier, SequenceOf, UintRef};
use x509_cert::der::pem::{self, PemLabel};
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::form::{Algorithm, Encoding, KeyDecoding, KeyForm};
use super::mac::{self, Pieces};
use super::signature::decode;
use super::{Reason, Reject};
use crate::clock::UnixMs;

/// `id-ecPublicKey` and `secp256r1` (RFC 5480).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `rsaEncryption` (RFC 8017).
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-Ed25519` (RFC 8410).
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Length of an uncompressed point of P-256 (SEC 1 §2.3.3).
const POINT_BYTES: usize = 65;
/// Lengths of an RSA modulus: 2,048 to 8,192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

pub enum Key<'a> {
    /// A shared secret.
    Shared(Bytes<'a>),
    /// An Ed25519 public key.
    Ed25519(VerifyingKey),
    /// A point of P-256, uncompressed.
    EcdsaP256(Vec<u8>),
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
        match algorithm {
            Algorithm::Ed25519 => ed25519(&bytes).ok_or_else(|| not("an Ed25519 public key")),
            Algorithm::EcdsaP256Sha256 | Algorithm::EcdsaP256Sha256Raw => {
                p256(&bytes).ok_or_else(|| not("a P-256 public key"))
            }
            Algorithm::RsaSha1 | Algorithm::RsaSha256 | Algorithm::RsaSha512 | Algorithm::RsaPssSha256 => {
                rsa(&bytes).ok_or_else(|| {
                    not("a certificate with an RSA key of 2,048 to 8,192 bits, or such a public key, in PEM")
                })
            }
            _ => Ok(Self::Shared(bytes)),
        }
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
        match (self, algorithm) {
            (Self::Shared(key), _) => mac::accepts(algorithm, key, pieces, candidates),
            (Self::Ed25519(key), _) => {
                let message = message();
                let accepts = |signature: Signature| key.verify_strict(&message, &signature).is_ok();
                candidates.iter().any(|candidate| Signature::from_slice(candidate).is_ok_and(accepts))
            }
            (Self::EcdsaP256(point), Algorithm::EcdsaP256Sha256Raw) => {
                accepts(&rsa::ECDSA_P256_SHA256_FIXED, point, &message(), candidates)
            }
            (Self::EcdsaP256(point), _) => {
                accepts(&rsa::ECDSA_P256_SHA256_ASN1, point, &message(), candidates)
            }
            (Self::Rsa(key, _), Algorithm::RsaSha1) => {
                accepts(&rsa::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key, &message(), candidates)
            }
            (Self::Rsa(key, _), Algorithm::RsaSha512) => {
                accepts(&rsa::RSA_PKCS1_2048_8192_SHA512, key, &message(), candidates)
            }
            (Self::Rsa(key, _), Algorithm::RsaPssSha256) => {
                accepts(&rsa::RSA_PSS_2048_8192_SHA256, key, &message(), candidates)
            }
            (Self::Rsa(key, _), _) => accepts(&rsa::RSA_PKCS1_2048_8192_SHA256, key, &message(), candidates),
        }
    }
}

fn accepts(
    algorithm: &'static dyn rsa::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    candidates: &[Vec<u8>],
) -> bool {
    let key = UnparsedPublicKey::new(algorithm, key);
    candidates.iter().any(|candidate| key.verify(message, candidate).is_ok())
}

/// Whether bytes have the form of a signature; for ECDSA in DER, a sequence of two integers (RFC 3279 §2.2.3).
pub fn has_form(signature: &[u8], algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::HmacSha1 => signature.len() == 20,
        Algorithm::HmacSha256 | Algorithm::Sha256 => signature.len() == 32,
        Algorithm::HmacSha512 | Algorithm::Ed25519 | Algorithm::EcdsaP256Sha256Raw => signature.len() == 64,
        Algorithm::EcdsaP256Sha256 => {
            SequenceOf::<UintRef<'_>, 2>::from_der(signature).is_ok_and(|integers| integers.len() == 2)
        }
        Algorithm::RsaSha1 | Algorithm::RsaSha256 | Algorithm::RsaSha512 | Algorithm::RsaPssSha256 => true,
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
        Some(Self { info: SubjectPublicKeyInfoOwned::from_der(der).ok()?, span: UnixMs::MIN..=UnixMs::MAX })
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
    let plain = <[u8; 32]>::try_from(bytes).ok();
    let key = plain.or_else(|| Public::read(bytes)?.key_of(ED25519)?.try_into().ok())?;
    VerifyingKey::from_bytes(&key).ok().map(Key::Ed25519)
}

/// The point of a P-256 key. Only the uncompressed form is supported.
fn p256(bytes: &[u8]) -> Option<Key<'static>> {
    let public = Public::read(bytes)?;
    let curve = public.info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
    let point = public.key_of(EC_PUBLIC_KEY)?;
    (curve == P256 && point.len() == POINT_BYTES).then(|| Key::EcdsaP256(point.to_vec()))
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
