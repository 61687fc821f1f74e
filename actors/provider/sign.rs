//! The reverse of verification: builds requests as the provider would send them, for `webhooks send`.

use serde_json::Value;
use zeroize::Zeroizing;

use super::algorithm::{Algorithm, KeyKind};
use super::form::{
    Content, Encoding, JwtForm, KeyForm, Locator, PinnedUrl, SignedForm, TokenForm, TokenScheme, When,
};
use super::key::Key;
use super::making::{Existing, Making, check_place};
use super::mutation::tampered;
use super::request::{Parameters, Request};
use super::scheme::Proof;
use super::signed::SignedScheme;
use super::{ContentKind, Mutation, Profile, key_pair, mac, signature, timestamp};
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId};
use crate::secret::SecretVersion;

/// Lifetime of a generated token, in seconds.
const TOKEN_LIFE_SECONDS: u64 = 60;

/// The request to build.
#[derive(Clone, Copy)]
pub struct SignDraft<'a> {
    /// Name of the event.
    pub event: &'a str,
    /// The body; if `None`, a small example is used.
    pub payload: Option<&'a [u8]>,
    /// The time to sign.
    pub now: UnixMs,
    /// Random bits for ids.
    pub random: u128,
    /// The URL it is sent to, for providers that sign it.
    pub url: &'a str,
    /// Settings of the integration besides its secret.
    pub parameters: &'a Parameters,
    /// For providers that sign with a key pair: a private key in PKCS #8 PEM whose public key is in the vault.
    pub private_key: Option<&'a [u8]>,
    /// The deliberate fault, if any.
    pub mutation: Option<Mutation>,
}

/// A signed request. Its headers and body may contain the secret itself, so they must not be shown or logged.
pub struct MadeRequest {
    /// Headers, in the order in which they were set.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The body has no place for the text, because another value is there.
    #[error("the payload has no place for `{0}`; use a payload of the form this provider sends")]
    NoPlace(String),
    /// A header cannot contain the text.
    #[error("the header {0} cannot contain control characters; remove them from its value")]
    NotInHeader(String),
    /// The secret cannot be used.
    #[error("the secret cannot be used: {0}; store it exactly as the provider shows it")]
    UnusableKey(String),
    /// The provider signs with a private key, and none was given.
    #[error(
        "this provider signs with a private key that only it has; use a key pair of your own: store its public key in the vault, and \
         name its private key"
    )]
    NoPrivateKey,
    /// The private key cannot be used.
    #[error("the private key cannot be used: {0}")]
    UnusablePrivateKey(String),
    /// Requests of this provider cannot be generated.
    #[error(
        "requests of this provider cannot be imitated; test it with a captured request and `webhooks test`"
    )]
    Unsupported,
}

impl Profile {
    /// Signs a request with `key`, as the provider would.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn sign(&self, draft: &SignDraft<'_>, key: &SecretVersion) -> Result<MadeRequest, SignError> {
        let plain = |when: &Option<When>| {
            matches!(
                when,
                None | Some(
                    When::HeaderAbsent(_) | When::BodyIs(_) | When::HeaderPresent(_) | When::JsonIs { .. }
                )
            )
        };
        let scheme = self.schemes.iter().find(|scheme| plain(&scheme.when)).ok_or(SignError::Unsupported)?;
        let mut making = self.begin(draft)?;
        if let Some(When::JsonIs { json, values }) = &scheme.when {
            let text = values.first().ok_or(SignError::Unsupported)?;
            making.must_place(&Locator::Json(json.clone()), text)?;
        }
        let mut signed = match &scheme.proof {
            Proof::Signed(scheme) => sign(making, scheme, key, draft),
            Proof::Token(form) => present(making, form, key, draft),
            Proof::Jwt(form) => issue(making, form, key, draft),
            Proof::None => Ok(making.done()),
        }?;
        if draft.mutation == Some(Mutation::Body) {
            signed.body = tampered(signed.body, self.sent_kind());
        }
        Ok(signed)
    }

    /// Builds a request without authentication, for integrations that require no signature.
    ///
    /// # Errors
    /// Why it cannot be built.
    pub fn make_unsigned(&self, draft: &SignDraft<'_>) -> Result<MadeRequest, SignError> {
        self.begin(draft).map(Making::done)
    }

    /// A request with the event and id in the places this profile reads.
    fn begin(&self, draft: &SignDraft<'_>) -> Result<Making, SignError> {
        let id = EventId::new(draft.now, draft.random).to_string();
        let mut making = Making::new(self.is_envelope(), self.sent_kind(), draft, &id);
        making.place_first(&self.file.event.from, draft.event, Existing::Replace)?;
        let id_form = &self.file.delivery_id;
        making.place_id(&id_form.from, &id);
        making.place_id(&id_form.replay_key, &id);
        Ok(making)
    }

    fn sent_kind(&self) -> ContentKind {
        match self.file.content.first() {
            Some(Content::Form) => ContentKind::Form,
            Some(Content::Text) => ContentKind::Text,
            Some(Content::None) => ContentKind::None,
            _ => ContentKind::Json,
        }
    }
}

impl SignDraft<'_> {
    /// Writes the signature or token to its place, or omits it if that is the fault to make.
    fn authenticate(&self, making: &mut Making, from: &Locator, text: &str) -> Result<(), SignError> {
        match self.mutation {
            Some(Mutation::DropHeader) => check_place(from),
            _ => making.must_place(from, text),
        }
    }

    fn spoilt(&self, mut code: Vec<u8>) -> Vec<u8> {
        if let (Some(Mutation::Signature), Some(last)) = (self.mutation, code.last_mut()) {
            *last ^= 1;
        }
        code
    }

    fn paired(&self, algorithm: Algorithm, content: &[u8]) -> Result<Vec<u8>, SignError> {
        let private_key = self.private_key.ok_or(SignError::NoPrivateKey)?;
        key_pair::sign(private_key, algorithm, content).map_err(SignError::UnusablePrivateKey)
    }
}

fn sign(
    mut making: Making,
    scheme: &SignedScheme,
    key: &SecretVersion,
    draft: &SignDraft<'_>,
) -> Result<MadeRequest, SignError> {
    let form = &scheme.form;
    let time = form.timestamp.as_ref().map(|time| timestamp::write(draft.now, time.format));
    let item = form.timestamp.as_ref().and_then(|time| time.signature_item.as_ref());
    if let Some((time, text)) = form.timestamp.as_ref().zip(time.as_deref())
        && let Some(from) = &time.from
    {
        making.must_place(from, text)?;
    }
    for name in scheme.content.headers() {
        making.place(&Locator::Header(name.to_owned()), "palyra", Existing::Keep)?;
    }
    if let Some(pinned) = &form.certificate_url {
        making.must_place(&pinned.from, &sample_url(pinned))?;
    }
    let algorithm = choose_algorithm(&mut making, form)?;
    let (headers, body) = making.parts();
    let request = Request {
        method: "POST",
        url: draft.url,
        headers: &headers,
        body: &body,
        parameters: draft.parameters,
    };
    let pieces = scheme.content.fill(&request, time.as_deref()).map_err(|_| SignError::Unsupported)?;
    let code = draft.spoilt(code(algorithm, key, &form.key, &pieces, draft)?);
    let text = signature::write(&code, &form.signature, item.zip(time.as_deref()));
    let place = form.signature.from.first().ok_or(SignError::Unsupported)?;
    draft.authenticate(&mut making, place, &text)?;
    Ok(making.done())
}

/// The profile's algorithm. If the request selects it, one we can sign with, and its selecting text is written into the
/// request.
fn choose_algorithm(making: &mut Making, form: &SignedForm) -> Result<Algorithm, SignError> {
    let Some(choice) = &form.algorithm_from else { return form.algorithm.ok_or(SignError::Unsupported) };
    let choices = &choice.values;
    let (text, algorithm) = choices
        .iter()
        .find(|(_, algorithm)| **algorithm != Algorithm::RsaSha1)
        .ok_or(SignError::Unsupported)?;
    making.must_place(&choice.from, text)?;
    Ok(*algorithm)
}

/// An example address that the pin allows.
fn sample_url(pinned: &PinnedUrl) -> String {
    let host = pinned.hosts.first().map(String::as_str).unwrap_or_default();
    let host = host.replace("**.", "api.").replace('*', "region");
    format!("https://{host}/palyra{}", pinned.path_suffix)
}

fn code(
    algorithm: Algorithm,
    key: &SecretVersion,
    form: &KeyForm,
    pieces: &mac::Pieces<'_>,
    draft: &SignDraft<'_>,
) -> Result<Vec<u8>, SignError> {
    match algorithm {
        Algorithm::RsaSha1 => Err(SignError::Unsupported),
        _ if algorithm.key_kind() == KeyKind::Shared => shared_code(algorithm, key, form, pieces),
        _ => draft.paired(algorithm, &mac::concatenated(pieces)),
    }
}

fn shared_code(
    algorithm: Algorithm,
    key: &SecretVersion,
    form: &KeyForm,
    pieces: &mac::Pieces<'_>,
) -> Result<Vec<u8>, SignError> {
    let key = Key::read(key.secret.expose(), form, algorithm).map_err(SignError::UnusableKey)?;
    let Key::Shared(key) = key else { return Err(SignError::Unsupported) };
    mac::compute(algorithm, &key, pieces).ok_or(SignError::Unsupported)
}

fn present(
    mut making: Making,
    form: &TokenForm,
    key: &SecretVersion,
    draft: &SignDraft<'_>,
) -> Result<MadeRequest, SignError> {
    let not_text = |_| SignError::UnusableKey("a token must be UTF-8 text".to_owned());
    let token = std::str::from_utf8(key.secret.expose()).map_err(not_text)?;
    let mut token = Zeroizing::new(token.to_owned());
    if draft.mutation == Some(Mutation::Signature) {
        let last = token.pop();
        token.push(if last == Some('x') { 'y' } else { 'x' });
    }
    let text = match form.scheme {
        None => token,
        Some(TokenScheme::Bearer) => Zeroizing::new(format!("Bearer {}", *token)),
        Some(TokenScheme::Basic) => {
            let token = Zeroizing::new(signature::encode(token.as_bytes(), Encoding::Base64));
            Zeroizing::new(format!("Basic {}", *token))
        }
    };
    let each = match (&form.each, &form.from) {
        (Some(array), Locator::Json(member)) => Some(Locator::Json(format!("{array}/0{member}"))),
        _ => None,
    };
    draft.authenticate(&mut making, each.as_ref().unwrap_or(&form.from), &text)?;
    Ok(making.done())
}

/// Issues a token (RFC 7519), signed with the secret or the private key.
fn issue(
    mut making: Making,
    form: &JwtForm,
    key: &SecretVersion,
    draft: &SignDraft<'_>,
) -> Result<MadeRequest, SignError> {
    let (_, body) = making.parts();
    let mut claims = serde_json::Map::new();
    for (claim, values) in &form.claims {
        claims.extend(values.first().map(|value| (claim.clone(), value.clone())));
    }
    for (claim, name) in &form.claims_from_parameters {
        claims.extend(draft.parameters.get(name).map(|value| (claim.clone(), value.as_str().into())));
    }
    if let Some(claim) = &form.body_sha256_claim {
        let digest = signature::encode(&Digest::of(body.raw()).0, form.body_sha256_encoding);
        claims.insert(claim.clone(), digest.into());
    }
    claims.insert("iat".to_owned(), (draft.now / 1_000).into());
    claims.insert("exp".to_owned(), (draft.now / 1_000 + TOKEN_LIFE_SECONDS).into());
    let part = |document: Value| signature::encode(document.to_string().as_bytes(), Encoding::Base64url);
    let signed = format!("{}.{}", part(token_header(form, key)), part(Value::Object(claims)));
    let code = token_code(form, key, &signed, draft)?;
    let code = signature::encode(&draft.spoilt(code), Encoding::Base64url);
    let word = if form.scheme == Some(TokenScheme::Bearer) { "Bearer " } else { "" };
    draft.authenticate(&mut making, &form.from, &format!("{word}{signed}.{code}"))?;
    Ok(making.done())
}

/// The token header, with the id of the first key of the vault's JWK set if there is one.
fn token_header(form: &JwtForm, key: &SecretVersion) -> Value {
    let mut header = serde_json::json!({"alg": form.algorithm.as_str(), "typ": "JWT"});
    let set: Option<Value> = serde_json::from_slice(key.secret.expose()).ok();
    let kid = set.as_ref().and_then(|set| set.pointer("/keys/0/kid"));
    if let Some((kid, members)) = kid.zip(header.as_object_mut()) {
        members.insert("kid".to_owned(), kid.clone());
    }
    header
}

fn token_code(
    form: &JwtForm,
    key: &SecretVersion,
    signed: &str,
    draft: &SignDraft<'_>,
) -> Result<Vec<u8>, SignError> {
    let pieces = [Some(signed.as_bytes().into())];
    code(form.algorithm.signature(), key, &KeyForm::default(), &pieces, draft)
}
