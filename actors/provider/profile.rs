//! A compiled profile, and what it finds in a delivery.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::answer::DeliveryAnswer;
use super::body::{ContentKind, content_kind, is_written_as_json};
use super::form::{Content, JwtForm, Locator, ProfileFile, SignedForm};
use super::reject::{Reason, Reject};
use super::request::{Headers, Request, single_header};
use super::scheme::{Proof, Scheme};
use super::signed::{self, SignedScheme};
use super::verify::{self, UnusableKey, Verified, VerifyError};
use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::limits::DELIVERY_ID_BYTES_MAX;
use crate::secret::{Secret, SecretVersion, SecretVersions};

#[derive(Debug)]
pub struct Profile {
    pub(super) file: ProfileFile,
    pub(super) schemes: Vec<Scheme>,
    pub(super) source_toml: String,
    pub(super) origin: Origin,
}

/// Where a profile comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Built into the program.
    BuiltIn,
    /// A file of the operator.
    Own {
        file: PathBuf,
        /// Whether it hides a built-in profile of the same name.
        shadows_built_in: bool,
    },
}

/// What a delivery says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Name of the event.
    pub event: Option<String>,
    /// Where it came from.
    pub source: Option<String>,
    /// The provider's delivery id; `None` if it is longer than 256 bytes.
    pub delivery_id: Option<String>,
    /// The signed time.
    pub occurred_at: Option<UnixMs>,
}

/// The Content-Type is not one the profile accepts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Content-Type is not one of: {0}")]
pub struct UnsupportedContent(String);

impl Profile {
    /// Name by which integrations refer to it.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// The TOML text it was compiled from.
    pub fn source_toml(&self) -> &str {
        &self.source_toml
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether the body is an envelope already.
    pub fn is_envelope(&self) -> bool {
        self.file.envelope
    }

    /// The event name for deliveries without one.
    pub fn default_event(&self) -> Option<&str> {
        self.file.event.default.as_deref()
    }

    /// Where the event is read, for people: places that are tried in turn.
    pub fn event_places(&self) -> Vec<String> {
        self.file.event.from.iter().map(Locator::place).collect()
    }

    /// Names of the parameters that claims of its tokens must equal.
    pub fn claim_parameters(&self) -> impl Iterator<Item = &str> {
        self.tokens().flat_map(|form| form.claims_from_parameters.values()).map(String::as_str)
    }

    /// Whether it requires fixed values of claims of its tokens.
    pub fn fixes_claims(&self) -> bool {
        self.tokens().any(|form| !form.claims.is_empty())
    }

    fn tokens(&self) -> impl Iterator<Item = &JwtForm> {
        self.schemes.iter().filter_map(|scheme| match &scheme.proof {
            Proof::Jwt(form) => Some(form),
            _ => None,
        })
    }

    /// The widest tolerance of signed times, in seconds; 0 if no time is signed.
    pub fn tolerance_seconds(&self) -> u64 {
        let times = self.signed().filter_map(|form| form.timestamp.as_ref());
        times.map(|time| time.past_seconds.max(time.future_seconds)).max().unwrap_or(0)
    }

    pub(super) fn signed(&self) -> impl Iterator<Item = &SignedForm> {
        self.signed_schemes().map(|scheme| &scheme.form)
    }

    pub(super) fn signed_schemes(&self) -> impl Iterator<Item = &SignedScheme> {
        self.schemes.iter().filter_map(|scheme| match &scheme.proof {
            Proof::Signed(scheme) => Some(scheme.as_ref()),
            _ => None,
        })
    }

    /// The answer to an accepted delivery.
    pub fn answer(&self) -> DeliveryAnswer {
        self.file.answer
    }

    /// Names of the settings an integration must have besides its secret.
    pub fn parameters(&self) -> &[String] {
        &self.file.parameters
    }

    /// Those that are secrets (the tokens of handshakes); integrations set them to vault references.
    pub fn secret_parameters(&self) -> impl Iterator<Item = &str> {
        self.file.handshake.iter().filter_map(|handshake| handshake.token_parameter.as_deref())
    }

    /// Refuses a delivery by its headers alone, before the body is read.
    ///
    /// # Errors
    /// As [`Profile::verify`], in the same order.
    pub fn precheck(&self, headers: &dyn Headers) -> Result<(), Reject> {
        match verify::scheme_by_head(&self.schemes, headers) {
            Some(scheme) => verify::precheck(scheme, headers),
            None => Ok(()),
        }
    }

    /// The parser for the body, by its Content-Type, if the profile accepts that.
    ///
    /// # Errors
    /// When the type is missing or not accepted, or the character set is not UTF-8.
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

    /// Whether the beginning of `raw` agrees with its type. JSON is never a form, and a form never JSON. Because the
    /// Content-Type is not signed, an attacker who changes it must not turn a delivery into another one.
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

    pub(super) fn takes(&self, kind: ContentKind) -> bool {
        self.file.content.iter().any(|content| content.kind() == kind)
    }

    fn content_types(&self) -> String {
        let mut types: Vec<_> = self.file.content.iter().copied().map(Content::media_type).collect();
        types.dedup();
        types.join(", ")
    }

    pub(super) fn scheme(&self, request: &Request<'_>) -> Result<&Scheme, Reject> {
        let fits = |scheme: &&Scheme| scheme.when.as_ref().is_none_or(|when| request.fits(when));
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
    /// Why it is not authentic, or why that could not be decided.
    pub fn verify(
        &self,
        request: &Request<'_>,
        keys: &SecretVersions,
        now: UnixMs,
    ) -> Result<Verified, VerifyError> {
        verify::verify(self.scheme(request)?, request, keys, now)
    }

    /// Whether the provider authenticates any of its deliveries, by a signature or otherwise.
    pub fn authenticates(&self) -> bool {
        self.schemes.iter().any(|scheme| !matches!(scheme.proof, Proof::None))
    }

    /// Whether it authenticates deliveries like this one.
    pub fn authenticates_such(&self, request: &Request<'_>) -> bool {
        self.scheme(request).is_ok_and(|scheme| !matches!(scheme.proof, Proof::None))
    }

    /// The result used instead of [`Profile::verify`] if no signature is required.
    pub fn unsigned(&self) -> Verified {
        verify::uncovered(None)
    }

    /// What the delivery says about itself, without default values.
    pub fn describe(&self, request: &Request<'_>) -> Description {
        let find = |locators| Some(request.first(locators, Reason::MalformedSignature).ok()??.into_owned());
        Description {
            event: find(&self.file.event.from),
            source: find(&self.file.source.from),
            delivery_id: find(&self.file.delivery_id.from).filter(|id| id.len() <= DELIVERY_ID_BYTES_MAX),
            occurred_at: self.signed_time(request),
        }
    }

    fn signed_time(&self, request: &Request<'_>) -> Option<UnixMs> {
        match &self.scheme(request).ok()?.proof {
            Proof::Signed(scheme) => signed::time_of(scheme, request),
            _ => None,
        }
    }

    /// The replay key: derived from what the signature fixes, or from what is available if nothing is signed.
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

    /// Whether a delivery with the same replay key but other bytes is the same one, because the provider rewrites its
    /// retries. Always false for a delivery that no key authenticates.
    pub fn retries_differ(&self, verified: &Verified) -> bool {
        self.file.delivery_id.retries_differ && verified.key_version.is_some()
    }

    /// How long its deliveries are remembered, in seconds, unless the integration says otherwise; `None` if the daemon's
    /// setting applies.
    pub fn replay_window_seconds(&self) -> Option<u64> {
        self.file.replay.window_seconds
    }

    /// The shortest safe replay window, in seconds: at its end no signed time is fresh any more. A time in whole seconds
    /// stays fresh for almost one second longer. Tokens whose lifetime is bounded by `exp` alone are not counted, because
    /// it is not known in advance.
    pub fn replay_window_seconds_min(&self) -> u64 {
        let tokens = self.tokens().filter_map(JwtForm::fresh_seconds);
        tokens.max().unwrap_or(0).max(2 * self.tolerance_seconds()) + 1
    }

    fn identifier<'a>(&self, verified: &Verified, request: &Request<'a>) -> Option<Cow<'a, str>> {
        let signed = self.scheme(request).map_or(&[][..], |scheme| &scheme.id_from);
        let locators = if verified.covers_content { signed } else { &self.file.delivery_id.from };
        request.first(locators, Reason::MalformedSignature).ok().flatten()
    }

    /// Whether [`Profile::verify`] can use every version as a key, whichever scheme a delivery takes.
    ///
    /// # Errors
    /// The first version that cannot be used.
    pub fn check_keys(&self, keys: &SecretVersions) -> Result<(), UnusableKey> {
        keys.iter().try_for_each(|SecretVersion { version, secret }| {
            let check = |scheme| verify::check_key(scheme, secret.expose());
            let checked = self.schemes.iter().try_for_each(check);
            checked.map_err(|reason| UnusableKey { version: *version, reason })
        })
    }

    /// The versions that [`Profile::verify`] can use at `now` for any of its deliveries, newest first.
    pub fn usable_versions(&self, keys: &SecretVersions, now: UnixMs) -> Vec<u32> {
        let usable = keys.iter().filter(|version| self.can_use(&version.secret, now));
        usable.map(|version| version.version).collect()
    }

    /// Whether [`Profile::verify`] can use `secret` at `now` as a key for any of its deliveries.
    pub fn can_use(&self, secret: &Secret, now: UnixMs) -> bool {
        let key = secret.expose();
        let mut signed = self.schemes.iter().filter(|scheme| !matches!(scheme.proof, Proof::None));
        signed.any(|scheme| {
            verify::check_key(scheme, key).is_ok() && verify::check_span(scheme, key, now).is_ok()
        })
    }

    /// Whether any of the versions, which [`Profile::check_keys`] has accepted, is valid at `now`. A certificate is only for
    /// a time; while it is replaced, the other one may be too old, or not valid yet.
    ///
    /// # Errors
    /// The newest version, if none is.
    pub fn check_spans(&self, keys: &SecretVersions, now: UnixMs) -> Result<(), UnusableKey> {
        let mut newest = Ok(());
        for SecretVersion { version, secret } in keys.iter() {
            let check = |scheme| verify::check_span(scheme, secret.expose(), now);
            match self.schemes.iter().try_for_each(check) {
                Ok(()) => return Ok(()),
                Err(reason) => newest = newest.and(Err(UnusableKey { version: *version, reason })),
            }
        }
        newest
    }
}

/// Each part is prefixed with its length, so that different identifiers never produce the same bytes.
pub(super) fn key_of(integration_id: &str, kind: &[u8], identifier: &[u8]) -> Digest {
    let mut hash = Sha256::new_with_prefix(b"palyra replay key v1");
    for part in [integration_id.as_bytes(), kind, identifier] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    Digest(hash.finalize().into())
}
