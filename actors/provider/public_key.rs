//! Public keys: read from the forms in which providers publish them, and told from those with which nothing could be
//! verified.

use std::ops::RangeInclusive;

use ed25519_dalek::VerifyingKey;
use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use ring::rand::SystemRandom;
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, SequenceOf, UintRef};
use x509_cert::der::pem::{self, PemLabel};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::algorithm::KeyKind;
use super::key::Key;
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
pub const P256_BYTES: usize = 32;
pub const P384_BYTES: usize = 48;
/// The validity period of a key without a certificate.
const ALWAYS: RangeInclusive<UnixMs> = UnixMs::MIN..=UnixMs::MAX;
/// Lengths of an RSA modulus: 2,048 to 8,192 bits.
const RSA_MODULUS_BYTES: RangeInclusive<usize> = 256..=1_024;
/// The RSA exponents with which signatures are verified; larger ones would only take long.
const RSA_EXPONENTS: RangeInclusive<u64> = 3..=(1 << 33) - 1;

/// Why something is no public key of the kind that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It does not have the form of one.
    Form,
    /// It has the form, but the numbers in it are not those of a key: what is wrong with them, for people.
    Numbers(&'static str),
}

const NOT_ON_THE_CURVE: Flaw = Flaw::Numbers("its point is not on the curve");
const SMALL_ORDER: Flaw = Flaw::Numbers("its point is of small order, so that anybody could sign for it");
const MODULUS: Flaw = Flaw::Numbers("its modulus is even");
const EXPONENT: Flaw = Flaw::Numbers("its exponent is not an odd number from 3 to 2^33 - 1");

type Read = Result<Key<'static>, Flaw>;

/// The key of this kind in a certificate or public key, in PEM or DER; for Ed25519 also the bare 32 bytes.
///
/// # Errors
/// Why it is none. Whether a point is on its curve is left to [`check_point`].
pub fn read(bytes: &[u8], kind: KeyKind) -> Read {
    match kind {
        KeyKind::Shared => Err(Flaw::Form),
        KeyKind::Ed25519 if bytes.len() == ed25519_dalek::PUBLIC_KEY_LENGTH => of_ed25519(bytes),
        KeyKind::Ed25519 => of_ed25519(Public::read(bytes)?.key_of(ED25519)?),
        KeyKind::P256 => uncompressed(&Public::read(bytes)?, P256, P256_BYTES),
        KeyKind::P384 => uncompressed(&Public::read(bytes)?, P384, P384_BYTES),
        KeyKind::Rsa => {
            let public = Public::read(bytes)?;
            rsa(public.key_of(RSA)?.to_vec(), public.span)
        }
    }
}

/// The Ed25519 key of these bytes.
///
/// # Errors
/// Why they are none.
pub fn of_ed25519(bytes: &[u8]) -> Read {
    let bytes = <[u8; ed25519_dalek::PUBLIC_KEY_LENGTH]>::try_from(bytes).map_err(|_| Flaw::Form)?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_| NOT_ON_THE_CURVE)?;
    if key.is_weak() { Err(SMALL_ORDER) } else { Ok(Key::Ed25519(key)) }
}

/// The point with these coordinates, each in its full length.
///
/// # Errors
/// [`Flaw::Form`] if they do not have the length of those of the curve `kind`. Whether it is on the curve is left to
/// [`check_point`].
pub fn of_coordinates(kind: KeyKind, x: &[u8], y: &[u8]) -> Read {
    let bytes = match kind {
        KeyKind::P256 => P256_BYTES,
        KeyKind::P384 => P384_BYTES,
        KeyKind::Shared | KeyKind::Ed25519 | KeyKind::Rsa => return Err(Flaw::Form),
    };
    let fits = x.len() == bytes && y.len() == bytes;
    fits.then(|| Key::Ecdsa([&[UNCOMPRESSED_POINT], x, y].concat())).ok_or(Flaw::Form)
}

/// The RSA key of this modulus and exponent.
///
/// # Errors
/// Why it is none that is supported.
pub fn of_modulus(modulus: &[u8], exponent: &[u8]) -> Read {
    let encoded = || {
        let mut numbers = SequenceOf::<UintRef<'_>, 2>::new();
        numbers.add(UintRef::new(modulus).ok()?).ok()?;
        numbers.add(UintRef::new(exponent).ok()?).ok()?;
        numbers.to_der().ok()
    };
    rsa(encoded().ok_or(Flaw::Form)?, ALWAYS)
}

/// Refuses an uncompressed point of P-256 or P-384 that is not on its curve. This takes about as long as verifying a
/// signature, which does the same check; so it is for keys that are about to be used, not for every delivery.
///
/// # Errors
/// The flaw.
pub fn check_point(point: &[u8]) -> Result<(), Flaw> {
    let curve = match point.len() {
        bytes if bytes == 1 + 2 * P384_BYTES => &agreement::ECDH_P384,
        _ => &agreement::ECDH_P256,
    };
    // An agreement begins with this check, which is offered nowhere alone. What is agreed on is dropped.
    let ours = EphemeralPrivateKey::generate(curve, &SystemRandom::new());
    let agreed =
        ours.and_then(|ours| agreement::agree_ephemeral(ours, &UnparsedPublicKey::new(curve, point), |_| ()));
    agreed.map_err(|_| NOT_ON_THE_CURVE)
}

/// A public key in its published form, and its validity period in Unix ms.
struct Public {
    info: SubjectPublicKeyInfoOwned,
    span: RangeInclusive<UnixMs>,
}

impl Public {
    /// Reads a certificate or a public key in PEM (RFC 7468), or a public key in DER.
    fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let read = match pem::decode_vec(bytes) {
            Ok((Certificate::PEM_LABEL, der)) => Self::of_certificate(&der),
            Ok((SubjectPublicKeyInfoOwned::PEM_LABEL, der)) => Self::of_spki(&der),
            Ok(_) => None,
            Err(_) => Self::of_spki(bytes),
        };
        read.ok_or(Flaw::Form)
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
    fn key_of(&self, kind: ObjectIdentifier) -> Result<&[u8], Flaw> {
        let is_it = self.info.algorithm.oid == kind;
        is_it.then(|| self.info.subject_public_key.raw_bytes()).ok_or(Flaw::Form)
    }
}

/// The point of a key on `curve`, whose coordinates have `coordinate_bytes` each. Only the uncompressed form is supported.
fn uncompressed(public: &Public, curve: ObjectIdentifier, coordinate_bytes: usize) -> Read {
    let parameters = public.info.algorithm.parameters.as_ref();
    let own_curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    let point = public.key_of(EC_PUBLIC_KEY)?;
    let has_form = point.len() == 1 + 2 * coordinate_bytes && point.first() == Some(&UNCOMPRESSED_POINT);
    let is_it = own_curve == Some(curve) && has_form;
    is_it.then(|| Key::Ecdsa(point.to_vec())).ok_or(Flaw::Form)
}

/// An RSA key (PKCS #1), if its numbers are supported.
fn rsa(key: Vec<u8>, span: RangeInclusive<UnixMs>) -> Read {
    let numbers = SequenceOf::<UintRef<'_>, 2>::from_der(&key).map_err(|_| Flaw::Form)?;
    let number = |index| numbers.get(index).map(UintRef::as_bytes).ok_or(Flaw::Form);
    let (modulus, exponent) = (number(0)?, number(1)?);
    let is_even = |number: &[u8]| number.last().is_none_or(|byte| byte % 2 == 0);
    if !RSA_MODULUS_BYTES.contains(&modulus.len()) {
        return Err(Flaw::Form);
    }
    if is_even(modulus) {
        return Err(MODULUS);
    }
    if is_even(exponent) || !small(exponent).is_some_and(|exponent| RSA_EXPONENTS.contains(&exponent)) {
        return Err(EXPONENT);
    }
    Ok(Key::Rsa(key, span))
}

/// A number in big-endian order, if it fits.
fn small(number: &[u8]) -> Option<u64> {
    let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    (number.len() <= size_of::<u64>()).then(|| number.iter().fold(0, push))
}
