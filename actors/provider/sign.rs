//! The reverse of verification: a request as the provider would send it, for `webhooks send`.

use serde_json::{Map, Value, json};

use super::body::{Body, ContentKind};
use super::profile::{MacAuth, Source, TokenAuth, TokenScheme};
use super::request::Request;
use super::template::Template;
use super::{AuthScheme, Method, Profile, mac, signature, timestamp};
use crate::clock::UnixMs;
use crate::ids::EventId;
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
}

/// A signed request. Its headers may hold the secret itself: they are for the wire alone.
pub struct Signed {
    /// Headers, in the order in which they were set.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// Why a request cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The event or id stands in the body, and the body has no place for it.
    #[error("the payload is not a JSON object, so `{0}` cannot be set in it; give a JSON object")]
    NotAnObject(String),
    /// The secret cannot be used.
    #[error("the secret cannot be used: {0}; store it as the provider shows it")]
    UnusableKey(String),
    /// The scheme has no place in the head of a request to be written to.
    #[error(
        "this provider's scheme cannot be signed here; test it with a captured request and `webhooks test`"
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
        let mut making = Making::new(self, draft, &id);
        making.place(self.file.event.from.first(), draft.event, true)?;
        making.place(self.file.delivery_id.from.first(), &id, false)?;
        let scheme = self.schemes.iter().find(|scheme| writes_head(scheme)).ok_or(SignError::Unsupported)?;
        match &scheme.method {
            Method::Mac { form, content } => making.sign(form, content, key, draft.now),
            Method::Token(form) => making.present(form, key),
            Method::None => Ok(making.done()),
        }
    }
}

fn writes_head(scheme: &AuthScheme) -> bool {
    match &scheme.method {
        Method::Mac { form, .. } => matches!(form.signature.from, Source::Header(_)),
        Method::Token(form) => matches!(form.from, Source::Header(_)),
        Method::None => true,
    }
}

/// A request in the making. The body is parsed only if something has to be set in it.
struct Making {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Making {
    fn new(profile: &Profile, draft: &SignDraft<'_>, id: &str) -> Self {
        let made_up = || match profile.file.envelope {
            true => envelope(draft, id),
            false => {
                json!({"message": "sent by palyra webhooks send", "sent_at_unix_ms": draft.now, "nonce": id})
            }
        };
        let body = draft.payload.map_or_else(|| made_up().to_string().into_bytes(), <[u8]>::to_vec);
        Self { headers: vec![("Content-Type".to_owned(), "application/json".to_owned())], body }
    }

    /// Puts `text` where the profile looks for it; `over` what stands there already.
    fn place(&mut self, source: Option<&Source>, text: &str, over: bool) -> Result<(), SignError> {
        match source {
            Some(Source::Header(name)) => self.headers.push((name.clone(), text.to_owned())),
            Some(Source::Json(pointer)) => self.set_in_body(pointer, text, over)?,
            _ => {}
        }
        Ok(())
    }

    fn set_in_body(&mut self, pointer: &str, text: &str, over: bool) -> Result<(), SignError> {
        let not_an_object = || SignError::NotAnObject(pointer.to_owned());
        let mut document: Value = serde_json::from_slice(&self.body).map_err(|_| not_an_object())?;
        let present = document.pointer(pointer);
        if present == Some(&Value::from(text)) || (present.is_some() && !over) {
            return Ok(());
        }
        set(&mut document, pointer, text).ok_or_else(not_an_object)?;
        self.body = document.to_string().into_bytes();
        Ok(())
    }

    fn sign(
        mut self,
        form: &MacAuth,
        content: &Template,
        key: &SecretVersion,
        now: UnixMs,
    ) -> Result<Signed, SignError> {
        let Source::Header(name) = &form.signature.from else { return Err(SignError::Unsupported) };
        let time = form.timestamp.as_ref().map(|time| timestamp::write(now, time.format));
        let item = form.timestamp.as_ref().and_then(|time| time.signature_item.as_deref());
        if let Some((time, text)) = form.timestamp.as_ref().zip(time.as_deref()) {
            self.place(time.from.as_ref().filter(|from| matches!(from, Source::Header(_))), text, true)?;
        }
        let key = mac::key(key.secret.expose(), &form.key).map_err(SignError::UnusableKey)?;
        let headers: Vec<(String, Vec<u8>)> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        let body = Body::new(self.body.clone(), ContentKind::Json);
        let request = Request { method: "POST", url: "/", headers: &headers, body: &body };
        let pieces = content.fill(&request, time.as_deref()).map_err(|_| SignError::Unsupported)?;
        let code = form.algorithm.compute(&key, &pieces);
        let text = signature::write(&code, &form.signature, item.zip(time.as_deref()));
        self.headers.push((name.clone(), text));
        Ok(self.done())
    }

    fn present(mut self, form: &TokenAuth, key: &SecretVersion) -> Result<Signed, SignError> {
        let Source::Header(name) = &form.from else { return Err(SignError::Unsupported) };
        let secret = std::str::from_utf8(key.secret.expose())
            .map_err(|_| SignError::UnusableKey("a token is text".to_owned()))?;
        let text = match form.scheme {
            None => secret.to_owned(),
            Some(TokenScheme::Bearer) => format!("Bearer {secret}"),
            Some(TokenScheme::Basic) => {
                format!("Basic {}", signature::encode(secret.as_bytes(), super::profile::Encoding::Base64))
            }
        };
        self.headers.push((name.clone(), text));
        Ok(self.done())
    }

    fn done(self) -> Signed {
        Signed { headers: self.headers, body: self.body }
    }
}

fn envelope(draft: &SignDraft<'_>, id: &str) -> Value {
    json!({
        "v": 1,
        "id": id,
        "event": draft.event,
        "source": "palyra",
        "payload": {"message": "sent by palyra webhooks send"},
        "replay_protection": {"nonce": id, "timestamp_unix_ms": draft.now},
    })
}

/// Sets a text at a pointer, making the objects on the way; `None` where something else is in the way.
fn set(document: &mut Value, pointer: &str, text: &str) -> Option<()> {
    let (parents, member) = pointer.rsplit_once('/')?;
    let mut place = document;
    for segment in parents.split('/').skip(1) {
        let members = place.as_object_mut()?;
        place = members.entry(segment.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    }
    place.as_object_mut()?.insert(member.to_owned(), Value::from(text));
    Some(())
}
