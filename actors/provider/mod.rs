//! Provider profiles, and the one engine that verifies deliveries by them: pure functions of profile, keys,
//! request and time. Only `catalogue.rs` reads files. No provider is named in code; what sets them apart is data (`schemas/providers/*.toml`).
//!
//! | file | idea |
//! |---|---|
//! | `profile.rs`, `load.rs` | the form of a profile, and how a file becomes a [`Profile`] |
//! | `catalogue.rs` | the profiles in force: built in, and the operator's own |
//! | `request.rs`, `body.rs` | a delivery, and how places in it are read |
//! | `verify.rs` | which scheme applies, and what it comes to |
//! | `signed.rs`, `token.rs`, `jwt.rs` | the schemes |
//! | `identity.rs` | what tells deliveries apart |
//! | `signature.rs`, `timestamp.rs`, `template.rs`, `url.rs`, `key.rs`, `mac.rs` | their parts |
//! | `lint.rs`, `conformance.rs` | what a profile gets wrong, and whether it agrees with signed requests |
//! | `handshake.rs`, `answer.rs` | what a provider asks before it delivers, and how it wants deliveries answered |
//! | `published.rs` | keys that a provider publishes itself |
//! | `sign.rs`, `making.rs`, `key_pair.rs`, `mutation.rs` | the reverse: what the provider would send, or almost |
//! | `summary.rs` | what people are shown |

mod answer;
mod body;
mod catalogue;
mod conformance;
mod handshake;
mod identity;
mod jwt;
mod key;
mod key_pair;
mod lint;
mod load;
mod mac;
mod making;
mod mutation;
mod profile;
mod published;
mod reject;
mod request;
mod sign;
mod signature;
mod signed;
mod summary;
mod template;
#[cfg(test)]
mod tests;
mod timestamp;
mod token;
mod url;
mod verify;

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::limits::DELIVERY_ID_BYTES_MAX;
use crate::secret::{SecretVersion, SecretVersions};

pub use answer::DeliveryAnswer;
pub use body::{Body, ContentKind};
pub use catalogue::{Catalogue, read_profile};
pub use conformance::{Case, Outcome};
pub use handshake::{Handshake, HandshakeCheck, HandshakeReply};
pub use lint::{Finding, Weight, lint};
pub use load::ProfileError;
pub use mutation::Mutation;
pub use published::{Published, PublishedError, Roots};
pub use reject::{Reason, Reject};
pub use request::{Headers, Parameters, Request};
pub use sign::{SignDraft, SignError, Signed};
pub use summary::ProfileSummary;
pub use verify::{UnusableKey, Verified, VerifyError};

use body::is_written_as_json;
use profile::{Content, JwtAuth, ProfileFile, SignedAuth, Source, TokenAuth, When};
use request::single_header;

/// A compiled profile.
#[derive(Debug)]
pub struct Profile {
    file: ProfileFile,
    schemes: Vec<AuthScheme>,
    source_toml: String,
    origin: Origin,
}

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It is part of the program.
    BuiltIn,
    /// It is a file of the operator's.
    Own {
        /// The file.
        file: PathBuf,
        /// Whether a built-in profile of the same name is hidden by it.
        shadows_built_in: bool,
    },
}

/// One way to authenticate, compiled.
#[derive(Debug)]
pub(crate) struct AuthScheme {
    when: Option<When>,
    method: Method,
    /// Where what identifies its deliveries stands, if they are signed; the digest of what is signed does otherwise.
    identity: Vec<Source>,
}

#[derive(Debug)]
enum Method {
    Signed(Box<signed::Scheme>),
    Token(TokenAuth),
    Jwt(JwtAuth),
    None,
}

/// What a delivery is, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Name of the event.
    pub event: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// The provider's id; none that is longer than 256 bytes.
    pub delivery_id: Option<String>,
    /// The signed time.
    pub occurred_at: Option<UnixMs>,
}

/// A body of a kind that the profile does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Content-Type is not one of: {0}")]
pub struct UnsupportedContent(String);

impl Profile {
    /// Name by which integrations refer to it.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Its text.
    pub fn source_toml(&self) -> &str {
        &self.source_toml
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether the body is an envelope already.
    pub fn is_envelope(&self) -> bool {
        self.file.envelope
    }

    /// Name of the event of deliveries that name none.
    pub fn default_event(&self) -> Option<&str> {
        self.file.event.default.as_deref()
    }

    /// The widest tolerance for signed times; 0 where none is signed.
    pub fn tolerance_seconds(&self) -> u64 {
        let times = self.signed().filter_map(|form| form.timestamp.as_ref());
        times.map(|time| time.past_seconds.max(time.future_seconds)).max().unwrap_or(0)
    }

    fn signed(&self) -> impl Iterator<Item = &SignedAuth> {
        self.signed_schemes().map(|scheme| &scheme.form)
    }

    fn signed_schemes(&self) -> impl Iterator<Item = &signed::Scheme> {
        self.schemes.iter().filter_map(|scheme| match &scheme.method {
            Method::Signed(scheme) => Some(scheme.as_ref()),
            _ => None,
        })
    }

    /// How a delivery that was taken is answered.
    pub fn answer(&self) -> DeliveryAnswer {
        self.file.answer
    }

    /// Names of what an integration has to be told beside its secret.
    pub fn parameters(&self) -> &[String] {
        &self.file.parameters
    }

    /// Those of them that are secrets, the tokens of its handshakes: integrations name them by vault references.
    pub fn secret_parameters(&self) -> impl Iterator<Item = &str> {
        self.file.handshake.iter().filter_map(|handshake| handshake.token_parameter.as_deref())
    }

    /// Refuses what the headers alone condemn, before the body is read.
    ///
    /// # Errors
    /// As [`Profile::verify`], in the same order.
    pub fn precheck(&self, headers: &dyn Headers) -> Result<(), Reject> {
        match verify::scheme_by_head(&self.schemes, headers) {
            Some(scheme) => verify::precheck(scheme, headers),
            None => Ok(()),
        }
    }

    /// Which parser reads the body: by its type, among those the profile takes.
    ///
    /// # Errors
    /// When it has no type, or another, or a character set that is not UTF-8.
    pub fn content_kind(&self, headers: &dyn Headers) -> Result<ContentKind, UnsupportedContent> {
        if self.has_no_body() {
            return Ok(ContentKind::None);
        }
        let typed = single_header(headers, "content-type", Reason::MalformedSignature).ok().flatten();
        let as_text = self.file.content.contains(&Content::JsonAsText);
        let kind = typed.and_then(|typed| content_kind(typed, as_text));
        let taken = kind.filter(|kind| self.takes(*kind));
        taken.ok_or_else(|| UnsupportedContent(self.content_types()))
    }

    /// Whether `raw` is of the kind that its type says, as far as its beginning tells. JSON is no form, and no form JSON:
    /// types are not signed, and who changes one makes nothing of a delivery that it is not.
    pub fn agrees_with_type(&self, kind: ContentKind, raw: &[u8]) -> bool {
        match kind {
            ContentKind::Form => !is_written_as_json(raw),
            ContentKind::Json => is_written_as_json(raw) || !self.takes(ContentKind::Form),
            ContentKind::Text => true,
            ContentKind::None => raw.is_empty(),
        }
    }

    /// Whether its deliveries have no body.
    pub(crate) fn has_no_body(&self) -> bool {
        self.takes(ContentKind::None)
    }

    fn takes(&self, kind: ContentKind) -> bool {
        self.file.content.iter().any(|content| content.kind() == kind)
    }

    fn content_types(&self) -> String {
        let mut types: Vec<_> = self.file.content.iter().copied().map(Content::media_type).collect();
        types.dedup();
        types.join(", ")
    }

    fn scheme(&self, request: &Request<'_>) -> Result<&AuthScheme, Reject> {
        let fits = |scheme: &&AuthScheme| scheme.when.as_ref().is_none_or(|when| request.fits(when));
        let none = || {
            Reject::new(
                Reason::MalformedSignature,
                "none of this provider's signature schemes applies to the request",
            )
        };
        self.schemes.iter().find(fits).ok_or_else(none)
    }

    /// Verifies a delivery with any of `keys`.
    ///
    /// # Errors
    /// Why it is not authentic, or why that cannot be told.
    pub fn verify(
        &self,
        request: &Request<'_>,
        keys: &SecretVersions,
        now: UnixMs,
    ) -> Result<Verified, VerifyError> {
        verify::verify(self.scheme(request)?, request, keys, now)
    }

    /// Whether the provider signs any of its deliveries, or proves in another way that they are its own.
    pub fn authenticates(&self) -> bool {
        self.schemes.iter().any(|scheme| !matches!(scheme.method, Method::None))
    }

    /// Whether it does so for deliveries like this one.
    pub fn authenticates_such(&self, request: &Request<'_>) -> bool {
        self.scheme(request).is_ok_and(|scheme| !matches!(scheme.method, Method::None))
    }

    /// What stands for [`Profile::verify`] where no signature is required.
    pub fn unsigned(&self) -> Verified {
        verify::uncovered(None)
    }

    /// What the delivery says it is. Without defaults.
    pub fn describe(&self, request: &Request<'_>) -> Description {
        let find = |sources| Some(request.first(sources, Reason::MalformedSignature).ok()??.into_owned());
        Description {
            event: find(&self.file.event.from),
            source: find(&self.file.source.from),
            delivery_id: find(&self.file.delivery_id.from).filter(|id| id.len() <= DELIVERY_ID_BYTES_MAX),
            occurred_at: self.signed_time(request),
        }
    }

    fn signed_time(&self, request: &Request<'_>) -> Option<UnixMs> {
        match &self.scheme(request).ok()?.method {
            Method::Signed(scheme) => signed::time_of(scheme, request),
            _ => None,
        }
    }

    /// What identifies the delivery: what the signature fixes, and where nothing is signed, what there is.
    pub fn replay_key(&self, integration_id: &str, verified: &Verified, request: &Request<'_>) -> Digest {
        match self.identifier(verified, request) {
            Some(id) => key_of(integration_id, b"id", id.as_bytes()),
            None => key_of(
                integration_id,
                b"digest",
                &verified.signed_digest.unwrap_or_else(|| request.body.digest()).0,
            ),
        }
    }

    /// Whether what comes under the same replay key is the same delivery, whatever its bytes are: its retries are written
    /// anew. Never of a delivery for which no key vouches.
    pub fn retries_differ(&self, verified: &Verified) -> bool {
        self.file.delivery_id.retries_differ && verified.key_version.is_some()
    }

    /// How long its deliveries are remembered, in seconds, where an integration does not say; `None` where the daemon does.
    pub fn replay_window_seconds(&self) -> Option<u64> {
        self.file.replay.window_seconds
    }

    /// The shortest window, in seconds: within it no signed time is fresh any more. Times of whole seconds stay fresh for
    /// one more, less a moment. A token of which only `exp` says how long it holds is not counted: nobody knows it before.
    pub fn replay_window_seconds_min(&self) -> u64 {
        let tokens = self.schemes.iter().filter_map(|scheme| match &scheme.method {
            Method::Jwt(form) => form.fresh_seconds(),
            _ => None,
        });
        tokens.max().unwrap_or(0).max(2 * self.tolerance_seconds()) + 1
    }

    fn identifier<'a>(&self, verified: &Verified, request: &Request<'a>) -> Option<Cow<'a, str>> {
        let signed = self.scheme(request).map_or(&[][..], |scheme| &scheme.identity);
        let sources = if verified.covers_content { signed } else { &self.file.delivery_id.from };
        request.first(sources, Reason::MalformedSignature).ok().flatten()
    }

    /// Whether [`Profile::verify`] can make a key of every version, whatever scheme a delivery takes.
    ///
    /// # Errors
    /// The first version of which it cannot.
    pub fn check_keys(&self, keys: &SecretVersions) -> Result<(), UnusableKey> {
        keys.iter().try_for_each(|SecretVersion { version, secret }| {
            let check = |scheme| verify::check_key(scheme, secret.expose());
            let checked = self.schemes.iter().try_for_each(check);
            checked.map_err(|reason| UnusableKey { version: *version, reason })
        })
    }
}

/// Every part with its length, so that no two identities run into one another.
fn key_of(integration_id: &str, kind: &[u8], identity: &[u8]) -> Digest {
    let mut hash = Sha256::new_with_prefix(b"palyra replay key v1");
    for part in [integration_id.as_bytes(), kind, identity] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    Digest(hash.finalize().into())
}

fn content_kind(typed: &str, json_as_text: bool) -> Option<ContentKind> {
    let mut parts = typed.split(';').map(str::trim);
    let essence = parts.next()?;
    let utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    if !utf8 {
        None
    } else if is_json(essence) || (json_as_text && is("text/plain")) {
        Some(ContentKind::Json)
    } else if is("application/x-www-form-urlencoded") {
        Some(ContentKind::Form)
    } else {
        is("text/plain").then_some(ContentKind::Text)
    }
}

/// `application/json`, and what is built on it: `application/…+json`.
fn is_json(essence: &str) -> bool {
    let is_built_on_it = |(kind, subtype): (&str, &str)| {
        let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
        kind.eq_ignore_ascii_case("application") && suffix.is_some_and(|own| own.eq_ignore_ascii_case("json"))
    };
    essence.eq_ignore_ascii_case("application/json") || essence.split_once('/').is_some_and(is_built_on_it)
}
