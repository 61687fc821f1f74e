//! Requests a provider sends before it delivers, and the bounded answers to them. They change nothing, and nothing is
//! journaled.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;

use super::form::{Encoding, Locator, When};
use super::request::Request;
use super::{Profile, Reason, Reject, signature, token};
use crate::limits::ECHO_BYTES_MAX;
use crate::secret::SecretVersions;

/// A request a provider sends before it delivers, and its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// The method of the request.
    pub method: HandshakeMethod,
    /// The conditions that identify it; all must hold.
    #[serde(default)]
    pub when: Vec<When>,
    /// How the request is authenticated; by default with the profile's own scheme.
    #[serde(default)]
    pub check: HandshakeCheck,
    /// Where the token is found, for [`HandshakeCheck::Token`].
    pub token: Option<Locator>,
    /// The parameter of the integration that holds the token. Its value is a vault reference, because whoever knows the
    /// token can answer in place of the receiver.
    pub token_parameter: Option<String>,
    pub answer: HandshakeAnswer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HandshakeMethod {
    /// GET.
    Get,
    /// HEAD.
    Head,
    /// OPTIONS.
    Options,
    /// POST.
    Post,
}

/// How a handshake request is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeCheck {
    /// With the profile's own scheme.
    #[default]
    Signature,
    /// With a token in the request that both sides know.
    Token,
    /// Not at all: the provider does not sign it, and the answer reveals nothing except HMACs of bare words.
    Nothing,
}

/// The answer to a handshake.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandshakeAnswer {
    /// The status; 200 by default.
    pub status: Option<u16>,
    /// The text echoed as `text/plain`; at most 256 bytes.
    pub echo: Option<Locator>,
    /// The members of a JSON object; each text at most 256 bytes.
    #[serde(default)]
    pub json: BTreeMap<String, AnswerText>,
    #[serde(default)]
    pub headers: BTreeMap<String, AnswerText>,
}

/// A text in an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AnswerText {
    /// A text of the request, echoed.
    Echo(Locator),
    /// HMAC-SHA-256 of a text of the request under the secret, in hexadecimal.
    HmacSha256Hex(Locator),
    /// `sha256=` followed by HMAC-SHA-256 of a text of the request under the secret, in Base64.
    HmacSha256Base64(Locator),
    /// A fixed number.
    Number(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeReply {
    pub status: u16,
    /// Content-Type; `None` for an empty body.
    pub content_type: Option<&'static str>,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl HandshakeMethod {
    fn is(self, method: &str) -> bool {
        let own = match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Post => "POST",
        };
        own == method
    }
}

impl Profile {
    /// The handshake that matches `request`, if any.
    pub fn asks(&self, request: &Request<'_>) -> Option<&Handshake> {
        let fits = |one: &&Handshake| {
            one.method.is(request.method) && one.when.iter().all(|when| request.fits(when))
        };
        self.file.handshake.iter().find(fits)
    }

    /// Like [`Profile::asks`], if the profile's own scheme does not authenticate it.
    pub fn asks_unsigned(&self, request: &Request<'_>) -> Option<&Handshake> {
        self.asks(request).filter(|handshake| handshake.check != HandshakeCheck::Signature)
    }

    /// Whether some handshake computes HMACs under the secret for anybody.
    pub fn lends_codes(&self) -> bool {
        self.file.handshake.iter().any(Handshake::lends_codes)
    }

    /// Whether an unsigned handshake may arrive as a `POST`; then a missing signature alone is no reason to refuse a
    /// request.
    pub fn answers_unsigned_handshakes(&self) -> bool {
        let unsigned =
            |one: &Handshake| one.method == HandshakeMethod::Post && one.check != HandshakeCheck::Signature;
        self.file.handshake.iter().any(unsigned)
    }
}

impl Handshake {
    /// Whether it computes HMACs under the secret for anybody, over bare words the caller chooses.
    pub(super) fn lends_codes(&self) -> bool {
        self.check != HandshakeCheck::Signature && self.answer.makes_codes()
    }

    /// Compares the token of the request with the agreed ones, in constant time whatever its length.
    ///
    /// # Errors
    /// [`Reason::BadSignature`] when it differs or is missing, or none was agreed on.
    pub fn check_token(&self, request: &Request<'_>, agreed: Option<&SecretVersions>) -> Result<(), Reject> {
        let presented = self.token.as_ref().and_then(|locator| text(request, locator));
        let fits = agreed
            .zip(presented)
            .is_some_and(|(agreed, presented)| token::find(presented.as_bytes(), agreed).is_some());
        let bad = || Reject::new(Reason::BadSignature, "the handshake's token is missing or wrong");
        fits.then_some(()).ok_or_else(bad)
    }

    /// The answer; `None` if the text to echo is missing or longer than [`ECHO_BYTES_MAX`].
    pub fn reply(&self, request: &Request<'_>, keys: Option<&SecretVersions>) -> Option<HandshakeReply> {
        let answer = &self.answer;
        let mut headers = Vec::with_capacity(answer.headers.len());
        for (name, form) in &answer.headers {
            let value = form.text(request, keys)?;
            headers.push((name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
        let (content_type, body) = match &answer.echo {
            Some(locator) => (Some("text/plain; charset=utf-8"), text(request, locator)?),
            None if answer.json.is_empty() => (None, String::new()),
            None => {
                let members =
                    answer.json.iter().map(|(name, form)| Some((name.clone(), form.text(request, keys)?)));
                let members = members.collect::<Option<serde_json::Map<_, _>>>()?;
                (Some("application/json"), Value::Object(members).to_string())
            }
        };
        Some(HandshakeReply { status: answer.status.unwrap_or(200), content_type, headers, body })
    }
}

impl HandshakeAnswer {
    /// Whether the answer contains an HMAC under the secret.
    pub(super) fn makes_codes(&self) -> bool {
        let is_code = |text: &AnswerText| {
            matches!(text, AnswerText::HmacSha256Hex(_) | AnswerText::HmacSha256Base64(_))
        };
        self.json.values().chain(self.headers.values()).any(is_code)
    }
}

impl AnswerText {
    fn text(&self, request: &Request<'_>, keys: Option<&SecretVersions>) -> Option<Value> {
        let code = |locator: &Locator| {
            let text = text(request, locator).filter(|text| is_bare_word(text.as_bytes()))?;
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(keys?.current()?.secret.expose()).ok()?;
            mac.update(text.as_bytes());
            Some(mac.finalize().into_bytes().to_vec())
        };
        match self {
            Self::Echo(locator) => text(request, locator).map(Value::String),
            Self::HmacSha256Hex(locator) => {
                code(locator).map(|code| Value::String(signature::encode(&code, Encoding::Hex)))
            }
            Self::HmacSha256Base64(locator) => {
                let written =
                    |code: Vec<u8>| format!("sha256={}", signature::encode(&code, Encoding::Base64));
                code(locator).map(written).map(Value::String)
            }
            Self::Number(number) => Some(Value::from(*number)),
        }
    }
}

/// Whether handshakes compute an HMAC over `content` for anybody. Where they do, a delivery whose signed content is a
/// bare word is refused, because its signature may be such an HMAC.
pub(super) fn is_bare_word(content: &[u8]) -> bool {
    // Padding may end a word; `a=b` is a form.
    let padding = content.iter().rev().take_while(|byte| **byte == b'=').count();
    let word = content.iter().take(content.len() - padding);
    padding <= 2 && word.into_iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/".contains(byte))
}

/// A text of the request of at most [`ECHO_BYTES_MAX`], without control characters.
fn text(request: &Request<'_>, locator: &Locator) -> Option<String> {
    let text = request.text(locator, Reason::MalformedSignature).ok()??;
    let plain = text.len() <= ECHO_BYTES_MAX && !text.chars().any(char::is_control);
    plain.then(|| text.into_owned())
}
