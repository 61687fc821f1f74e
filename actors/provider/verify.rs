//! Verification of one delivery: pure, over the bytes from the wire.
//!
//! The order of the checks fixes the reason that is told: signature there and readable, signed time there and
//! readable, everything signed there, cryptography, freshness.

use std::borrow::Cow;

use super::mac::{self, matches_any};
use super::profile::{MacAuth, Source, TimestampForm, TokenAuth, TokenScheme};
use super::request::{Headers, Request, head_fits, single_header};
use super::signature::{self, Signatures, decode};
use super::template::Template;
use super::{AuthScheme, Method, Reason, Reject, timestamp};
use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::secret::SecretVersions;

/// A delivery that is authentic, or one that need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The version of the secret that verified it; `None` where nothing did.
    pub key_version: Option<u32>,
    /// SHA-256 of what the signature covers; of the body where nothing is signed.
    pub signed_digest: Digest,
    /// Whether a signature covers the content.
    pub covers_content: bool,
}

/// Why a delivery was not verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not authentic.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// We could not tell: our own key is unusable.
    #[error("version {version} of the secret cannot be used: {reason}; store it as the provider shows it")]
    UnusableKey {
        /// Which version.
        version: u32,
        /// Why, without the value.
        reason: String,
    },
}

/// Checks what the headers alone tell about `scheme`.
///
/// # Errors
/// What refuses the delivery whatever its body is.
pub fn precheck(scheme: &AuthScheme, headers: &dyn Headers) -> Result<(), Reject> {
    match &scheme.method {
        Method::Mac { form, content } => precheck_mac(form, content, headers),
        Method::Token(TokenAuth { from: Source::Header(name), .. }) => header(headers, name).map(drop),
        Method::Token(_) | Method::None => Ok(()),
    }
}

fn precheck_mac(form: &MacAuth, content: &Template, headers: &dyn Headers) -> Result<(), Reject> {
    let Source::Header(name) = &form.signature.from else { return Ok(()) };
    let text = header(headers, name)?;
    let signatures = signature::read(text, &form.signature, form.algorithm.length_bytes())?;
    if let Some(time) = &form.timestamp {
        match (&time.from, &time.signature_item) {
            (Some(Source::Header(name)), _) => {
                let text = single_header(headers, &name.to_ascii_lowercase(), Reason::MalformedTimestamp)?;
                timestamp::read(present_time(text)?, time.format)?;
            }
            (None, Some(item)) => drop(timestamp::read(signed_item(&signatures, item)?, time.format)?),
            _ => return Ok(()),
        }
    }
    content.headers().try_for_each(|name| header(headers, name).map(drop))
}

fn header<'a>(headers: &'a dyn Headers, name: &str) -> Result<&'a str, Reject> {
    let text = single_header(headers, &name.to_ascii_lowercase(), Reason::MalformedSignature)?;
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| Reject::new(Reason::MissingSignature, format!("header {name} is missing")))
}

/// The first scheme whose condition may hold, as far as headers tell.
pub fn scheme_by_head<'a>(schemes: &'a [AuthScheme], headers: &dyn Headers) -> Option<&'a AuthScheme> {
    let undecided =
        schemes.iter().any(|one| one.when.as_ref().is_some_and(|when| head_fits(when, headers).is_none()));
    let fits =
        |one: &&AuthScheme| one.when.as_ref().is_none_or(|when| head_fits(when, headers) == Some(true));
    if undecided { None } else { schemes.iter().find(fits) }
}

/// Verifies `request` by `scheme` with any of `keys`.
///
/// # Errors
/// Why it is not authentic, or why that cannot be told.
pub fn verify(
    scheme: &AuthScheme,
    request: &Request<'_>,
    keys: &SecretVersions,
    now: UnixMs,
) -> Result<Verified, VerifyError> {
    match &scheme.method {
        Method::Mac { form, content } => verify_mac(form, content, request, keys, now),
        Method::Token(form) => Ok(verify_token(form, request, keys)?),
        Method::None => Ok(uncovered(request, None)),
    }
}

/// What is known of a delivery nothing covers.
pub fn uncovered(request: &Request<'_>, key_version: Option<u32>) -> Verified {
    Verified { key_version, signed_digest: Digest::of(request.body.raw()), covers_content: false }
}

fn verify_mac(
    form: &MacAuth,
    content: &Template,
    request: &Request<'_>,
    keys: &SecretVersions,
    now: UnixMs,
) -> Result<Verified, VerifyError> {
    let text = request.text(&form.signature.from, Reason::MalformedSignature)?;
    let text = text.ok_or_else(|| Reject::new(Reason::MissingSignature, "there is no signature"))?;
    let signatures = signature::read(&text, &form.signature, form.algorithm.length_bytes())?;
    let time = form.timestamp.as_ref().map(|time| signed_time(time, request, &signatures)).transpose()?;
    let pieces = content.fill(request, time.as_ref().map(|time| time.text.as_ref()))?;
    let mut unusable = None;
    for version in keys.iter() {
        let key = match mac::key(version.secret.expose(), &form.key) {
            Ok(key) => key,
            Err(reason) => {
                unusable = Some(VerifyError::UnusableKey { version: version.version, reason });
                continue;
            }
        };
        if matches_any(&form.algorithm.compute(&key, &pieces), &signatures.candidates) {
            if let Some(time) = &time {
                timestamp::check(time.unix_ms, time.form, now)?;
            }
            let key_version = Some(version.version);
            return Ok(Verified { key_version, signed_digest: mac::digest(&pieces), covers_content: true });
        }
    }
    let bad =
        || Reject::new(Reason::BadSignature, "no key of ours made this signature over these bytes").into();
    Err(unusable.unwrap_or_else(bad))
}

struct SignedTime<'a> {
    text: Cow<'a, str>,
    unix_ms: UnixMs,
    form: &'a TimestampForm,
}

fn signed_time<'a>(
    form: &'a TimestampForm,
    request: &Request<'a>,
    signatures: &Signatures<'a>,
) -> Result<SignedTime<'a>, Reject> {
    let text = match (&form.from, &form.signature_item) {
        (Some(source), _) => {
            let text = request.text(source, Reason::MalformedTimestamp)?;
            text.ok_or_else(|| Reject::new(Reason::MissingTimestamp, "the signed time is missing"))?
        }
        (None, item) => Cow::Borrowed(signed_item(signatures, item.as_deref().unwrap_or_default())?),
    };
    let unix_ms = timestamp::read(&text, form.format)?;
    Ok(SignedTime { text, unix_ms, form })
}

fn present_time(text: Option<&str>) -> Result<&str, Reject> {
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| Reject::new(Reason::MissingTimestamp, "the signed time is missing"))
}

/// A time that is an item of the signature header: without it the header is not of the scheme.
fn signed_item<'a>(signatures: &Signatures<'a>, item: &str) -> Result<&'a str, Reject> {
    let text = signatures.item(item);
    let text =
        text.ok_or_else(|| Reject::new(Reason::MalformedSignature, "the signature has no time beside it"))?;
    present_time(Some(text))
}

/// The signed time of a delivery, unchecked: for the record.
pub fn time_of(scheme: &AuthScheme, request: &Request<'_>) -> Option<UnixMs> {
    let Method::Mac { form, .. } = &scheme.method else { return None };
    let time = form.timestamp.as_ref()?;
    let text = request.text(&form.signature.from, Reason::MalformedSignature).ok()??;
    let signatures = signature::read(&text, &form.signature, form.algorithm.length_bytes()).ok()?;
    let text = match (&time.from, &time.signature_item) {
        (Some(source), _) => request.text(source, Reason::MalformedTimestamp).ok()??.into_owned(),
        (None, item) => signatures.item(item.as_deref()?)?.to_owned(),
    };
    timestamp::read(&text, time.format).ok()
}

fn verify_token(form: &TokenAuth, request: &Request<'_>, keys: &SecretVersions) -> Result<Verified, Reject> {
    let text = request.text(&form.from, Reason::MalformedSignature)?;
    let text = text.ok_or_else(|| Reject::new(Reason::MissingSignature, "there is no token"))?;
    let presented = Digest::of(&token(&text, form.scheme)?);
    // Digests are compared, so that the length of the secret takes no time of its own either.
    let hit = keys.iter().find(|version| {
        let own = crate::secret::Secret::new(Digest::of(version.secret.expose()).0.to_vec());
        own.matches(&presented.0)
    });
    match hit {
        Some(version) => Ok(uncovered(request, Some(version.version))),
        None => Err(Reject::new(Reason::BadSignature, "the token is none of ours")),
    }
}

fn token(text: &str, scheme: Option<TokenScheme>) -> Result<Vec<u8>, Reject> {
    let malformed =
        || Reject::new(Reason::MalformedSignature, "the token is not written in the scheme's form");
    let Some(scheme) = scheme else { return Ok(text.as_bytes().to_vec()) };
    let (word, rest) = text.split_once(' ').ok_or_else(malformed)?;
    match scheme {
        TokenScheme::Bearer if word.eq_ignore_ascii_case("bearer") => Ok(rest.as_bytes().to_vec()),
        TokenScheme::Basic if word.eq_ignore_ascii_case("basic") => {
            decode(rest, super::profile::Encoding::Base64).ok_or_else(malformed)
        }
        _ => Err(malformed()),
    }
}
