//! Signed tokens (RFC 7519) in compact form (RFC 7515).

use std::time::Duration;

use serde_json::Value;

use super::algorithm::{Algorithm, JwtAlgorithm};
use super::form::{Encoding, JwtForm, KeyForm};
use super::jwk_set::JwkSet;
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
    let tried = first_accepted(keys, |secret| match form.algorithm.is_shared() {
        true => try_shared(form.algorithm, &parts, secret),
        false => try_set(form.algorithm, &parts, secret),
    });
    let content = check_content(form, &parts.claims, request, now);
    let version = tried.map_err(|error| with_content(error, &content, !parts.signature.is_empty()))?;
    content?;
    let covers_content = form.body_sha256_claim.is_some();
    Ok(Verified { covers_content, ..uncovered(Some(version)) })
}

/// The error for a token that none of our keys made, given whether its content is as it must be. If it is not, no key could
/// save the token, and none could save one that is not signed. Where the token names a key that we do not have, the content is
/// told instead of the key.
fn with_content(error: VerifyError, content: &Result<(), Reject>, is_signed: bool) -> VerifyError {
    match (error, content) {
        (VerifyError::Rejected(reject), Ok(())) if is_signed => Reject { only_by_key: true, ..reject }.into(),
        (VerifyError::Rejected(Reject { reason: Reason::UntrustedKey, .. }), Err(wrong)) => {
            wrong.clone().into()
        }
        (error, _) => error,
    }
}

/// Checks what the token says, whoever signed it.
fn check_content(form: &JwtForm, claims: &Value, request: &Request<'_>, now: UnixMs) -> Result<(), Reject> {
    if let Some(claim) = &form.body_sha256_claim {
        let text = claims.get(claim).and_then(Value::as_str).unwrap_or_default();
        if decode(text, form.body_sha256_encoding).as_deref() != Some(&request.body.digest().0) {
            return Err(bad("the signed digest does not match the body"));
        }
    }
    check_claims(form, claims, request)?;
    check_times(form, claims, now)
}

/// Whether a secret can be used: as a shared secret, any; as a JWK set, if it contains a key of the algorithm's type that can
/// verify.
///
/// # Errors
/// Why not, without the value.
pub fn check_key(form: &JwtForm, secret: &[u8]) -> Result<(), String> {
    if form.algorithm.is_shared() {
        return shared(secret, form.algorithm.signature()).map(drop);
    }
    check_key_set(form.algorithm, secret).map_err(|what| of_secret(&what))
}

/// Whether a document is a JWK set with a key for `algorithm` that can verify.
///
/// # Errors
/// What it is instead.
pub fn check_key_set(algorithm: JwtAlgorithm, document: &[u8]) -> Result<(), String> {
    JwkSet::read(document)?.has_key_for(algorithm, |key| key.check_point().is_ok())
}

impl JwtForm {
    /// For how many seconds one token may be accepted, from the clock tolerance before `iat` to its maximum age; `None`
    /// if the age is not bounded.
    pub(super) fn fresh_seconds(&self) -> Option<u64> {
        self.issued_past_seconds.map(|past| past + LEEWAY_SECONDS)
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

impl Parts<'_> {
    fn tried(&self, key: &Key<'_>, algorithm: JwtAlgorithm) -> Tried {
        let content = [Some(self.signed.as_bytes().into())];
        match key.accepts(algorithm.signature(), &content, std::slice::from_ref(&self.signature)) {
            true => Tried::Accepted,
            false => Tried::Refused(bad(NONE_OF_OURS)),
        }
    }
}

fn try_shared(algorithm: JwtAlgorithm, parts: &Parts<'_>, secret: &[u8]) -> Tried {
    match shared(secret, algorithm.signature()) {
        Ok(key) => parts.tried(&key, algorithm),
        Err(reason) => Tried::Unusable(reason),
    }
}

fn shared(secret: &[u8], algorithm: Algorithm) -> Result<Key<'_>, String> {
    Key::read(secret, &KeyForm::default(), algorithm)
}

/// Tries the keys of the set that fit, whatever keys of other types there are.
fn try_set(algorithm: JwtAlgorithm, parts: &Parts<'_>, secret: &[u8]) -> Tried {
    let set = match JwkSet::read(secret) {
        Ok(set) => set,
        Err(what) => return Tried::Unusable(of_secret(&what)),
    };
    let kid = parts.header.get("kid").and_then(Value::as_str);
    let mut refused = None;
    for key in set.keys(algorithm, kid) {
        match parts.tried(&key, algorithm) {
            Tried::Accepted => return Tried::Accepted,
            other => refused = Some(other),
        }
    }
    // If only keys without an id were tried, the one that the token names may be new.
    let refused = refused.filter(|_| kid.is_none_or(|kid| set.names(algorithm, kid)));
    refused.unwrap_or_else(|| match set.has_key_for(algorithm, |_| true) {
        Ok(()) => Tried::Refused(Reject::new(
            Reason::UntrustedKey,
            "the token names a key that is not in the key set",
        )),
        Err(what) => Tried::Unusable(of_secret(&what)),
    })
}

fn of_secret(what: &str) -> String {
    format!("the secret is {what}")
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
