//! Signatures over content, made with a shared secret, a key pair or a certificate.
//!
//! The order of the checks determines the reported reason: signature present and well formed, trusted key, signed time
//! present and well formed, signed content complete, cryptography, freshness.

use std::borrow::Cow;

use super::algorithm::Algorithm;
use super::form::{Locator, SignedForm, TimestampForm};
use super::handshake::is_bare_word;
use super::key::{self, Key};
use super::mac::Pieces;
use super::request::{Headers, Request, single_header};
use super::signature::{self, Signatures};
use super::template::Template;
use super::token::header;
use super::told_apart::FixedBodies;
use super::verify::{Tried, Verified, VerifyError, first_accepted, none_of_ours};
use super::{Reason, Reject, mac, published, timestamp, url};
use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::limits::ECHO_BYTES_MAX;
use crate::secret::SecretVersions;

/// How signatures are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// A shared secret.
    Mac,
    /// A key pair.
    PublicKey,
    /// A key pair whose public key stands in a certificate.
    Certificate,
}

impl SignatureKind {
    /// Its name in a profile: the member that contains the scheme.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mac => "mac",
            Self::PublicKey => "public_key",
            Self::Certificate => "certificate",
        }
    }
}

/// A compiled scheme.
#[derive(Debug)]
pub struct SignedScheme {
    pub kind: SignatureKind,
    /// Its form in the profile.
    pub form: SignedForm,
    /// The template of the signed content.
    pub content: Template,
    /// Whether a handshake computes HMACs under the same secret for anybody.
    pub lends_codes: bool,
    /// For which bodies the signature fixes every byte, including where the body begins and ends.
    pub fixes: FixedBodies,
}

impl SignedScheme {
    /// Whether the signature over `content` may be an HMAC that a handshake computed for somebody else.
    fn may_have_lent(&self, algorithm: Algorithm, content: &Pieces<'_>) -> bool {
        let pieces = || content.iter().flatten();
        let is_word = || {
            pieces().map(|piece| piece.len()).sum::<usize>() <= ECHO_BYTES_MAX
                && pieces().all(|piece| is_bare_word(piece))
        };
        self.lends_codes && algorithm == Algorithm::HmacSha256 && is_word()
    }
}

/// Checks what the headers alone decide.
///
/// # Errors
/// Why the delivery is refused, whatever its body is.
pub fn precheck(scheme: &SignedScheme, headers: &dyn Headers) -> Result<(), Reject> {
    let form = &scheme.form;
    let Some(texts) = texts_in(&form.signature.from, headers)? else { return Ok(()) };
    let lists = read(form, &texts, form.algorithm)?;
    if form.algorithm_from.is_some() {
        return Ok(());
    }
    if let Some(time) = &form.timestamp {
        match (&time.from, &time.signature_item) {
            (Some(Locator::Header(name)), _) => {
                let text = single_header(headers, name, Reason::MalformedTimestamp)?;
                timestamp::read(present_time(text)?, time.format)?;
            }
            (None, Some(_)) => {
                let read = |list| timestamp::read(signed_item(list)?, time.format);
                first(lists.iter().map(read)).map_or(Ok(()), |read| read.map(drop))?;
            }
            _ => return Ok(()),
        }
    }
    scheme.content.headers().try_for_each(|name| header(headers, name).map(drop))
}

/// The texts of the signature headers; `None` if the signature may also be elsewhere.
fn texts_in<'a>(from: &[Locator], headers: &'a dyn Headers) -> Result<Option<Vec<&'a str>>, Reject> {
    let mut texts = Vec::new();
    for locator in from {
        let Locator::Header(name) = locator else { return Ok(None) };
        texts.extend(
            single_header(headers, name, Reason::MalformedSignature)?.filter(|text| !text.is_empty()),
        );
    }
    match texts.is_empty() {
        false => Ok(Some(texts)),
        true => {
            let names: Vec<_> = from.iter().filter_map(Locator::header).collect();
            let detail = format!("header {} is missing", names.join(" or "));
            Err(Reject::new(Reason::MissingSignature, detail))
        }
    }
}

/// The texts of the signatures, from every place in `request`.
fn texts<'a>(form: &SignedForm, request: &Request<'a>) -> Result<Vec<Cow<'a, str>>, Reject> {
    let mut texts = Vec::new();
    for locator in &form.signature.from {
        texts.extend(request.text(locator, Reason::MalformedSignature)?);
    }
    match texts.is_empty() {
        false => Ok(texts),
        true => Err(Reject::new(Reason::MissingSignature, "the signature is missing")),
    }
}

fn read<'a>(
    form: &SignedForm,
    texts: &[&'a str],
    algorithm: Option<Algorithm>,
) -> Result<Vec<Signatures<'a>>, Reject> {
    let item = form.timestamp.as_ref().and_then(|time| time.signature_item.as_ref());
    let has_form = |bytes: &[u8]| algorithm.is_none_or(|algorithm| key::has_form(bytes, algorithm));
    signature::read(texts, &form.signature, item, has_form)
}

/// The first success, or else the first failure; `None` if there are no results.
fn first<T, E>(results: impl Iterator<Item = Result<T, E>>) -> Option<Result<T, E>> {
    let mut failure = None;
    for result in results {
        match result {
            Ok(value) => return Some(Ok(value)),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    failure.map(Err)
}

/// Verifies `request` with any of `keys`.
///
/// # Errors
/// Why it is not authentic, or why that could not be decided.
pub fn verify(
    scheme: &SignedScheme,
    request: &Request<'_>,
    keys: &SecretVersions,
    now: UnixMs,
) -> Result<Verified, VerifyError> {
    let form = &scheme.form;
    let texts = texts(form, request)?;
    let lists = read(form, &texts.iter().map(Cow::as_ref).collect::<Vec<_>>(), form.algorithm)?;
    let algorithm = algorithm(form, request)?;
    check_certificate_url(form, request)?;
    let tried = lists.iter().map(|list| {
        let time = form.timestamp.as_ref().map(|time| signed_time(time, request, list)).transpose()?;
        let attempt = Attempt { form, algorithm, keys, now, candidates: &list.candidates };
        let time_text = time.as_ref().map(|time| time.text.as_ref());
        let (key_version, signed_digest) = attempt.any_url(scheme, request, time_text)?;
        Ok::<_, VerifyError>((key_version, signed_digest, time))
    });
    let (key_version, signed_digest, time) = first(tried).unwrap_or_else(|| Err(none_of_ours().into()))?;
    check_body_digest(form, request)?;
    if let Some(time) = &time {
        timestamp::check(time.unix_ms, time.form, now)?;
    }
    let covers_bytes = form.body_sha256_query.is_some() || scheme.fixes.body(request.body);
    Ok(Verified { key_version: Some(key_version), signed_digest, covers_content: true, covers_bytes })
}

/// Whether `secret` is usable as a key, for every algorithm a delivery may select.
///
/// # Errors
/// Why not, without the value.
pub fn check_key(form: &SignedForm, secret: &[u8]) -> Result<(), String> {
    form.algorithms().try_for_each(|algorithm| Key::check(secret, &form.key, algorithm).map(drop))
}

/// Whether the certificate in `secret`, if it is one, is valid at `now`, for every algorithm a delivery may select.
///
/// # Errors
/// Until when or since when it is valid, or why it is no key.
pub fn check_span(form: &SignedForm, secret: &[u8], now: UnixMs) -> Result<(), String> {
    form.algorithms().try_for_each(|algorithm| Key::read(secret, &form.key, algorithm)?.check_span(now))
}

/// The values that are the same for every content that is tried.
struct Attempt<'a> {
    form: &'a SignedForm,
    algorithm: Algorithm,
    keys: &'a SecretVersions,
    now: UnixMs,
    candidates: &'a [Vec<u8>],
}

impl Attempt<'_> {
    /// Tries every form of the URL. Returns the version of the key that signed one of them, and the digest of the signed
    /// content if that is more than the body.
    fn any_url(
        &self,
        scheme: &SignedScheme,
        request: &Request<'_>,
        time: Option<&str>,
    ) -> Result<(u32, Option<Digest>), VerifyError> {
        let mut failure = VerifyError::from(none_of_ours());
        for url in url::variants(request.url, self.form) {
            let request = Request { url: &url, ..*request };
            let pieces = scheme.content.fill(&request, time)?;
            if scheme.may_have_lent(self.algorithm, &pieces) {
                return Err(lent().into());
            }
            if self.algorithm == Algorithm::Sha256 && std::str::from_utf8(request.body.raw()).is_err() {
                return Err(lengthened().into());
            }
            match first_accepted(self.keys, |secret| self.try_key(secret, &pieces)) {
                Ok(version) => return Ok((version, digest(scheme, &pieces))),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Whether the key in `secret` made one of the candidates over `pieces`.
    fn try_key(&self, secret: &[u8], pieces: &Pieces<'_>) -> Tried {
        match Key::read(secret, &self.form.key, self.algorithm) {
            Ok(key) if key.accepts(self.algorithm, pieces, self.candidates) => {
                key.holds(self.now).map_or_else(Tried::Refused, |()| Tried::Accepted)
            }
            Ok(_) => Tried::Refused(none_of_ours()),
            Err(reason) => Tried::Unusable(reason),
        }
    }
}

fn lent() -> Reject {
    Reject::new(
        Reason::BadSignature,
        "the signed content is a single word, and handshakes give strangers codes over such words",
    )
}

/// SHA-256(secret ‖ body) can be extended without the secret (length extension). The padding in between is never UTF-8,
/// so a body that is not text is refused.
fn lengthened() -> Reject {
    Reject::new(
        Reason::BadSignature,
        "the body is not text, so it may have been extended after it was signed (length extension)",
    )
}

/// Digest of the signed content, byte for byte as it is signed. So moving bytes from one part of it to another (from the
/// URL to the body, for example) does not produce a new delivery.
fn digest(scheme: &SignedScheme, pieces: &Pieces<'_>) -> Option<Digest> {
    (!scheme.content.is_body()).then(|| mac::digest(pieces))
}

/// The algorithm: the profile's, or the one of the profile's choices that the delivery selects.
fn algorithm(form: &SignedForm, request: &Request<'_>) -> Result<Algorithm, Reject> {
    let unknown = || {
        Reject::new(
            Reason::MalformedSignature,
            "the signature names an algorithm that this provider does not use",
        )
    };
    match (&form.algorithm_from, form.algorithm) {
        (Some(choice), _) => {
            let text = request.text(&choice.from, Reason::MalformedSignature)?.ok_or_else(unknown)?;
            choice.values.get(text.as_ref()).copied().ok_or_else(unknown)
        }
        (None, algorithm) => algorithm.ok_or_else(unknown),
    }
}

fn check_certificate_url(form: &SignedForm, request: &Request<'_>) -> Result<(), Reject> {
    let Some(pinned) = &form.certificate_url else { return Ok(()) };
    published::pinned_url(pinned, request).map(drop)
}

/// Checks the body's digest in the signed URL, if the profile has one.
fn check_body_digest(form: &SignedForm, request: &Request<'_>) -> Result<(), Reject> {
    let Some(name) = &form.body_sha256_query else { return Ok(()) };
    let own = format!("{name}={}", request.body.digest());
    // It must be the last parameter. Elsewhere it could be part of a form body that was signed together with another URL.
    let last = request.url.rsplit(['?', '&']).next().unwrap_or_default();
    match request.query(name).is_some() && last.eq_ignore_ascii_case(&own) {
        true => Ok(()),
        false => Err(Reject::new(Reason::BadSignature, "the signed digest does not match the body")),
    }
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
        (Some(locator), _) => {
            let text = request.text(locator, Reason::MalformedTimestamp)?;
            text.ok_or_else(|| Reject::new(Reason::MissingTimestamp, "the signed time is missing"))?
        }
        (None, _) => Cow::Borrowed(signed_item(signatures)?),
    };
    let unix_ms = timestamp::read(&text, form.format)?;
    Ok(SignedTime { text, unix_ms, form })
}

fn present_time(text: Option<&str>) -> Result<&str, Reject> {
    text.filter(|text| !text.is_empty())
        .ok_or_else(|| Reject::new(Reason::MissingTimestamp, "the signed time is missing"))
}

/// The time as an item of the signature header; a header without it is malformed.
fn signed_item<'a>(signatures: &Signatures<'a>) -> Result<&'a str, Reject> {
    let text = signatures.time;
    let text =
        text.ok_or_else(|| Reject::new(Reason::MalformedSignature, "the signature has no time with it"))?;
    present_time(Some(text))
}

/// The signed time of a delivery, for the record only: it is not verified. `None` if the signatures have several times.
pub fn time_of(scheme: &SignedScheme, request: &Request<'_>) -> Option<UnixMs> {
    let time = scheme.form.timestamp.as_ref()?;
    let texts = texts(&scheme.form, request).ok()?;
    let texts: Vec<&str> = texts.iter().map(Cow::as_ref).collect();
    let lists = read(&scheme.form, &texts, None).ok()?;
    let [list] = lists.as_slice() else { return None };
    let text = match &time.from {
        Some(locator) => request.text(locator, Reason::MalformedTimestamp).ok()??,
        None => Cow::Borrowed(list.time?),
    };
    timestamp::read(&text, time.format).ok()
}
