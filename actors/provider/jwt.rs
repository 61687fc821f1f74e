//! Signed tokens (RFC 7519) in compact form (RFC 7515).

use std::time::Duration;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

use super::form::{Algorithm, Encoding, JwtAlgorithm, JwtForm, KeyForm};
use super::key::Key;
use super::request::Request;
use super::signature::decode;
use super::token::after_scheme;
use super::verify::{Tried, Verified, VerifyError, first_accepted, uncovered};
use super::{Reason, Reject};
use crate::clock::UnixMs;
use crate::json;
use crate::limits::SIGNATURE_HEADER_BYTES_MAX;
use crate::secret::SecretVersions;

/// First byte of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED_POINT: u8 = 4;

/// Allowed difference of the clocks if the profile names none, in seconds.
const LEEWAY_SECONDS: u64 = 60;

/// The detail of a rejection because of the signature.
const NONE_OF_OURS: &str = "the token was not made with our key";

/// The parts of a token, not verified.
struct Parts<'a> {
    signed: &'a str,
    header: Value,
    claims: Value,
    signature: Vec<u8>,
}

/// Verifies the token of `request` with any of `keys`: a shared secret, or a JWK set (RFC 7517).
///
/// # Errors
/// Why it is not authentic, or why that could not be decided.
pub fn verify(
    form: &JwtForm,
    request: &Request<'_>,
    keys: &SecretVersions,
    now: UnixMs,
) -> Result<Verified, VerifyError> {
    let text = request.text(&form.from, Reason::MalformedSignature)?;
    let text = text.ok_or_else(|| Reject::new(Reason::MissingSignature, "the token is missing"))?;
    let parts = take_apart(token(&text, form)?)?;
    let named = parts.header.get("alg").and_then(Value::as_str);
    if named != Some(form.algorithm.as_str()) {
        return Err(bad("the token uses another algorithm than the profile").into());
    }
    if parts.header.get("crit").is_some() {
        // RFC 7515 §4.1.11.
        return Err(bad("the token has critical extensions that are not supported").into());
    }
    let version = first_accepted(keys, |secret| match form.algorithm {
        JwtAlgorithm::Hs256 => try_shared(&parts, secret),
        JwtAlgorithm::Rs256 | JwtAlgorithm::Es256 => try_set(form.algorithm, &parts, secret),
    })?;
    if let Some(claim) = &form.body_sha256_claim {
        let text = parts.claims.get(claim).and_then(Value::as_str).unwrap_or_default();
        if decode(text, form.body_sha256_encoding).as_deref() != Some(&request.body.digest().0) {
            return Err(bad("the signed digest does not match the body").into());
        }
    }
    check_claims(form, &parts.claims, request)?;
    check_times(form, &parts.claims, now)?;
    let covers_content = form.body_sha256_claim.is_some();
    Ok(Verified { covers_content, ..uncovered(Some(version)) })
}

/// Whether a secret can be used: as a shared secret, any; as a JWK set, if it contains a key of the algorithm's type.
///
/// # Errors
/// Why not, without the value.
pub fn check_key(form: &JwtForm, secret: &[u8]) -> Result<(), String> {
    match form.algorithm {
        JwtAlgorithm::Hs256 => shared(secret).map(drop),
        algorithm => {
            let fits = has_key_of(&key_set(secret)?, algorithm);
            fits.then_some(()).ok_or_else(|| no_key_of(algorithm))
        }
    }
}

impl JwtForm {
    /// For how many seconds one token may be accepted, from the clock tolerance before `iat` to its maximum age; `None`
    /// if the age is not bounded.
    pub(super) fn fresh_seconds(&self) -> Option<u64> {
        self.issued_past_seconds.map(|past| past + LEEWAY_SECONDS)
    }
}

impl JwtAlgorithm {
    /// Its name in a token (RFC 7518 §3.1).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

fn token<'a>(text: &'a str, form: &JwtForm) -> Result<&'a str, Reject> {
    let Some(scheme) = form.scheme else { return Ok(text) };
    match after_scheme(text, scheme) {
        Some(rest) => Ok(rest),
        None if form.scheme_optional => Ok(text),
        None => Err(malformed()),
    }
}

fn take_apart(token: &str) -> Result<Parts<'_>, Reject> {
    if token.len() > SIGNATURE_HEADER_BYTES_MAX {
        return Err(malformed());
    }
    let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
    let document = |text: &str| {
        let bytes = decode(text, Encoding::Base64url)?;
        json::parse(&bytes).ok().map(|document| document.root().to_value()).filter(Value::is_object)
    };
    Ok(Parts {
        signed,
        header: document(header).ok_or_else(malformed)?,
        claims: document(claims).ok_or_else(malformed)?,
        signature: match signature {
            "" => Vec::new(),
            text => decode(text, Encoding::Base64url).ok_or_else(malformed)?,
        },
    })
}

fn try_shared(parts: &Parts<'_>, secret: &[u8]) -> Tried {
    let key = match shared(secret) {
        Ok(key) => key,
        Err(reason) => return Tried::Unusable(reason),
    };
    let content = [Some(parts.signed.as_bytes().into())];
    match key.accepts(Algorithm::HmacSha256, &content, std::slice::from_ref(&parts.signature)) {
        true => Tried::Accepted,
        false => Tried::Refused(bad(NONE_OF_OURS)),
    }
}

fn shared(secret: &[u8]) -> Result<Key<'_>, String> {
    Key::read(secret, &KeyForm::default(), Algorithm::HmacSha256)
}

/// A JWK set, restricted to RSA and P-256 keys.
#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    /// The coordinates of its point, or its modulus and exponent; `None` if one is missing or is not valid Base64url.
    fn numbers(&self, algorithm: JwtAlgorithm) -> Option<(Vec<u8>, Vec<u8>)> {
        let number = |text: &Option<String>| decode(text.as_deref()?, Encoding::Base64url);
        match algorithm {
            JwtAlgorithm::Es256 => number(&self.x).zip(number(&self.y)),
            JwtAlgorithm::Hs256 | JwtAlgorithm::Rs256 => number(&self.n).zip(number(&self.e)),
        }
    }
}

fn key_set(secret: &[u8]) -> Result<Vec<Jwk>, String> {
    let set = serde_json::from_slice::<JwkSet>(secret);
    set.map(|set| set.keys).map_err(|_| "the secret is not a JWK set (RFC 7517)".to_owned())
}

/// Tries the keys of the set. Keys of another type than the algorithm's are ignored, whatever their ids are.
fn try_set(algorithm: JwtAlgorithm, parts: &Parts<'_>, secret: &[u8]) -> Tried {
    let set = match key_set(secret) {
        Ok(set) => set,
        Err(reason) => return Tried::Unusable(reason),
    };
    let kid = parts.header.get("kid").and_then(Value::as_str);
    let is_named = |key: &&Jwk| key.kid.as_deref() == kid || (kid.is_none() && set.len() == 1);
    let mut named = set.iter().filter(is_named);
    let Some(numbers) = named.find_map(|key| key.numbers(algorithm)) else {
        return match has_key_of(&set, algorithm) {
            true => Tried::Refused(Reject::new(
                Reason::UntrustedKey,
                "the token names a key that is not in the key set",
            )),
            false => Tried::Unusable(no_key_of(algorithm)),
        };
    };
    match is_signed_by(algorithm, numbers, parts) {
        true => Tried::Accepted,
        false => Tried::Refused(bad(NONE_OF_OURS)),
    }
}

fn is_signed_by(algorithm: JwtAlgorithm, (a, b): (Vec<u8>, Vec<u8>), parts: &Parts<'_>) -> bool {
    let (signed, signature) = (parts.signed.as_bytes(), parts.signature.as_slice());
    let verified = if algorithm == JwtAlgorithm::Es256 {
        let point = [&[UNCOMPRESSED_POINT], a.as_slice(), b.as_slice()].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature)
    } else {
        RsaPublicKeyComponents { n: a, e: b }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
    };
    verified.is_ok()
}

fn has_key_of(set: &[Jwk], algorithm: JwtAlgorithm) -> bool {
    set.iter().any(|key| key.numbers(algorithm).is_some())
}

fn no_key_of(algorithm: JwtAlgorithm) -> String {
    format!("the secret contains no key for {}", algorithm.as_str())
}

fn check_claims(form: &JwtForm, claims: &Value, request: &Request<'_>) -> Result<(), Reject> {
    let wrong = |claim: &str| {
        Reject::new(Reason::BadClaim, format!("the claim `{claim}` does not have the required value"))
    };
    for (claim, values) in &form.claims {
        if !texts(claims, claim).any(|value| values.contains(value)) {
            return Err(wrong(claim));
        }
    }
    for (claim, parameter) in &form.claims_from_parameters {
        let expected = request.parameters.get(parameter).map(String::as_str);
        if expected.is_none() || !texts(claims, claim).any(|value| value.as_str() == expected) {
            return Err(wrong(claim));
        }
    }
    Ok(())
}

/// The values of a claim: one, or for `aud` any of an array (RFC 7519 §4.1.3).
fn texts<'a>(claims: &'a Value, claim: &str) -> impl Iterator<Item = &'a Value> {
    let value = claims.get(claim);
    let several = value.filter(|_| claim == "aud").and_then(Value::as_array);
    let one = value.filter(|_| several.is_none());
    several.into_iter().flatten().chain(one)
}

/// Checks `exp` and `nbf` (RFC 7519 §4.1.4 and §4.1.5) if present. `exp` is mandatory if the profile sets a leeway, and
/// `iat` (§4.1.6) if the profile bounds the age.
fn check_times(form: &JwtForm, claims: &Value, now: UnixMs) -> Result<(), Reject> {
    let leeway = Duration::from_secs(form.expiry_leeway_seconds.unwrap_or(LEEWAY_SECONDS)).as_secs_f64();
    let now = Duration::from_millis(now).as_secs_f64();
    let time = |name: &str| claims.get(name).map(Value::as_f64);
    let is_over = |expiry: Option<f64>| expiry.is_none_or(|expiry| now >= expiry + leeway + 1.0);
    if time("exp").map_or(form.expiry_leeway_seconds.is_some(), is_over) {
        return Err(Reject::new(Reason::StaleTimestamp, "the token has expired"));
    }
    if time("nbf").is_some_and(|begin| begin.is_none_or(|begin| now < begin - leeway)) {
        return Err(Reject::new(Reason::FutureTimestamp, "the token is not valid yet"));
    }
    match form.issued_past_seconds {
        Some(seconds) => check_issue(time("iat").flatten(), Duration::from_secs(seconds), now),
        None => Ok(()),
    }
}

fn check_issue(issued: Option<f64>, past: Duration, now: f64) -> Result<(), Reject> {
    let missing = || Reject::new(Reason::MissingTimestamp, "the token has no time of issue");
    let age = now - issued.ok_or_else(missing)?;
    if age >= past.as_secs_f64() + 1.0 {
        return Err(Reject::new(Reason::StaleTimestamp, "the token was issued too long ago"));
    }
    if age < -Duration::from_secs(LEEWAY_SECONDS).as_secs_f64() {
        return Err(Reject::new(Reason::FutureTimestamp, "the token was issued later than our clock's time"));
    }
    Ok(())
}

fn malformed() -> Reject {
    Reject::new(Reason::MalformedSignature, "the token is not a JWS in compact form")
}

fn bad(detail: &str) -> Reject {
    Reject::new(Reason::BadSignature, detail)
}
