//! The reverse of verification: a request as the provider would send it, for `webhooks send`.

use super::key::Key;
use super::making::Making;
use super::profile::{Algorithm, Encoding, JwtAlgorithm, JwtAuth, KeyForm, Source, TokenAuth, TokenScheme};
use super::request::{Parameters, Request};
use super::signed::Scheme;
use super::{AuthScheme, Content, ContentKind, Method, Profile, mac, signature, timestamp};
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId};
use crate::secret::SecretVersion;

/// What is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct SignDraft<'a> {
    /// Name of the event.
    pub event: &'a str,
    /// The body; a small one is made up when it is left out.
    pub payload: Option<&'a [u8]>,
    /// The time to sign.
    pub now: UnixMs,
    /// Where ids come from.
    pub random: u128,
    /// Where it is sent to, for senders that sign the URL.
    pub url: &'a str,
    /// What the integration is told beside its secret.
    pub parameters: &'a Parameters,
}

/// A signed request. Its headers and body may hold the secret itself: they are for the wire alone.
pub struct Signed {
    /// Headers, in the order in which they were set.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Something stands in the body, and the body has no place for it.
    #[error("the payload has no place for `{0}`; give one of the form this provider sends")]
    NoPlace(String),
    /// The secret cannot be used.
    #[error("the secret cannot be used: {0}; store it as the provider shows it")]
    UnusableKey(String),
    /// The provider signs with a private key that is not ours to have.
    #[error(
        "this provider signs with a key that only it has; test it with a captured request and `webhooks test`"
    )]
    Unsupported,
}

impl Profile {
    /// Signs a request with `key`, as the provider would.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn sign(&self, draft: &SignDraft<'_>, key: &SecretVersion) -> Result<Signed, SignError> {
        let id = EventId::new(draft.now, draft.random).to_string();
        let scheme = self.schemes.iter().find(|scheme| can_sign(scheme)).ok_or(SignError::Unsupported)?;
        let mut making = Making::new(self.is_envelope(), self.sent_kind(), draft, &id);
        making.place_first(&self.file.event.from, draft.event, true)?;
        // An id may be missing: not every body has a place for it.
        making.place_first(&self.file.delivery_id.from, &id, false).ok();
        match &scheme.method {
            Method::Signed(scheme) => sign(making, scheme, key, draft),
            Method::Token(form) => present(making, form, key),
            Method::Jwt(form) => issue(making, form, key, draft),
            Method::None => Ok(making.done()),
        }
    }

    fn sent_kind(&self) -> ContentKind {
        match self.file.content.first() {
            Some(Content::Form) => ContentKind::Form,
            _ => ContentKind::Json,
        }
    }
}

fn can_sign(scheme: &AuthScheme) -> bool {
    use super::profile::When;
    let plain =
        matches!(scheme.when, None | Some(When::HeaderAbsent(_) | When::BodyIs(_) | When::HeaderPresent(_)));
    plain
        && match &scheme.method {
            Method::Signed(scheme) => scheme.form.algorithm.is_some_and(is_shared),
            Method::Jwt(form) => form.algorithm == JwtAlgorithm::Hs256,
            Method::Token(_) | Method::None => true,
        }
}

fn is_shared(algorithm: Algorithm) -> bool {
    use Algorithm::{HmacSha1, HmacSha256, HmacSha512, Sha256};
    matches!(algorithm, HmacSha1 | HmacSha256 | HmacSha512 | Sha256)
}

fn sign(
    mut making: Making,
    scheme: &Scheme,
    key: &SecretVersion,
    draft: &SignDraft<'_>,
) -> Result<Signed, SignError> {
    let form = &scheme.form;
    let time = form.timestamp.as_ref().map(|time| timestamp::write(draft.now, time.format));
    let item = form.timestamp.as_ref().and_then(|time| time.signature_item.as_deref());
    if let Some((time, text)) = form.timestamp.as_ref().zip(time.as_deref())
        && let Some(from) = &time.from
    {
        making.place(from, text, true)?;
    }
    for name in scheme.content.headers() {
        making.place(&Source::Header(name.to_owned()), "palyra", false)?;
    }
    let algorithm = form.algorithm.ok_or(SignError::Unsupported)?;
    let key = Key::read(key.secret.expose(), &form.key, algorithm).map_err(SignError::UnusableKey)?;
    let Key::Shared(key) = key else { return Err(SignError::Unsupported) };
    let (headers, body) = making.parts();
    let request = Request {
        method: "POST",
        url: draft.url,
        headers: &headers,
        body: &body,
        parameters: draft.parameters,
    };
    let pieces = scheme.content.fill(&request, time.as_deref()).map_err(|_| SignError::Unsupported)?;
    let code = mac::compute(algorithm, &key, &pieces).ok_or(SignError::Unsupported)?;
    let text = signature::write(&code, &form.signature, item.zip(time.as_deref()));
    making.place(&form.signature.from, &text, true)?;
    Ok(making.done())
}

fn present(mut making: Making, form: &TokenAuth, key: &SecretVersion) -> Result<Signed, SignError> {
    let secret = text_of(key)?;
    let text = match form.scheme {
        None => secret.to_owned(),
        Some(TokenScheme::Bearer) => format!("Bearer {secret}"),
        Some(TokenScheme::Basic) => {
            format!("Basic {}", signature::encode(secret.as_bytes(), Encoding::Base64))
        }
    };
    match (&form.each, &form.from) {
        (Some(array), Source::Json(member)) => {
            making.place(&Source::Json(format!("{array}/0{member}")), &text, true)?;
        }
        (_, from) => making.place(from, &text, true)?,
    }
    Ok(making.done())
}

fn text_of(key: &SecretVersion) -> Result<&str, SignError> {
    std::str::from_utf8(key.secret.expose()).map_err(|_| SignError::UnusableKey("a token is text".to_owned()))
}

/// A token under the secret (RFC 7519).
fn issue(
    mut making: Making,
    form: &JwtAuth,
    key: &SecretVersion,
    draft: &SignDraft<'_>,
) -> Result<Signed, SignError> {
    let (_, body) = making.parts();
    let mut claims = serde_json::Map::new();
    for (claim, values) in &form.claims {
        claims.extend(values.first().map(|value| (claim.clone(), value.clone())));
    }
    for (claim, name) in &form.claims_from_parameters {
        claims.extend(draft.parameters.get(name).map(|value| (claim.clone(), value.as_str().into())));
    }
    if let Some(claim) = &form.body_sha256_claim {
        claims.insert(claim.clone(), Digest::of(body.raw()).to_string().into());
    }
    claims.insert("exp".to_owned(), (draft.now / 1_000 + 60).into());
    let part = |text: String| signature::encode(text.as_bytes(), Encoding::Base64url);
    let head = part(r#"{"alg":"HS256","typ":"JWT"}"#.to_owned());
    let signed = format!("{head}.{}", part(serde_json::Value::Object(claims).to_string()));
    let key = Key::read(key.secret.expose(), &KeyForm::default(), Algorithm::HmacSha256);
    let Key::Shared(key) = key.map_err(SignError::UnusableKey)? else { return Err(SignError::Unsupported) };
    let code = mac::compute(Algorithm::HmacSha256, &key, &[Some(signed.as_bytes().into())]);
    let code = signature::encode(&code.ok_or(SignError::Unsupported)?, Encoding::Base64url);
    let word = if form.scheme == Some(TokenScheme::Bearer) { "Bearer " } else { "" };
    making.place(&form.from, &format!("{word}{signed}.{code}"), true)?;
    Ok(making.done())
}
