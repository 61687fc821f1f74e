//! What a provider asks before it delivers, and the bounded answers to it. They change nothing and leave no row.

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

/// A question a provider asks before it delivers, and its answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handshake {
    /// The method of the question.
    pub method: HandshakeMethod,
    /// When it is one: all of these.
    #[serde(default)]
    pub when: Vec<When>,
    /// What authenticates it. The profile's own scheme, unless it says otherwise.
    #[serde(default)]
    pub check: HandshakeCheck,
    /// Where the token stands, for [`HandshakeCheck::Token`].
    pub token: Option<Locator>,
    /// The parameter of the integration that names it: a vault reference, for whoever knows it answers for the receiver.
    pub token_parameter: Option<String>,
    /// The answer.
    pub answer: HandshakeAnswer,
}

/// Methods of a handshake.
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

/// What authenticates a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HandshakeCheck {
    /// The profile's own scheme.
    #[default]
    Signature,
    /// A token in the question, agreed on beforehand.
    Token,
    /// Nothing: the provider does not sign it, and the answer gives nothing away but codes over bare words.
    Nothing,
}

/// The answer to a handshake.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandshakeAnswer {
    /// The status; 200 unless it says otherwise.
    pub status: Option<u16>,
    /// The text that is given back as `text/plain`; at most 256 bytes.
    pub echo: Option<Locator>,
    /// The members of a JSON object; at most 256 bytes each.
    #[serde(default)]
    pub json: BTreeMap<String, AnswerText>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, AnswerText>,
}

/// A text of an answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AnswerText {
    /// As it stands in the question.
    Echo(Locator),
    /// HMAC-SHA-256 of it under the secret, in hexadecimal.
    HmacSha256Hex(Locator),
    /// `sha256=` and HMAC-SHA-256 of it under the secret, in Base64.
    HmacSha256Base64(Locator),
    /// This number.
    Number(i64),
}

/// An answer, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandshakeReply {
    /// Status.
    pub status: u16,
    /// Type of the body; none for an empty one.
    pub content_type: Option<&'static str>,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
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
    /// The handshake that `request` is, if it is one.
    pub fn asks(&self, request: &Request<'_>) -> Option<&Handshake> {
        let fits = |one: &&Handshake| {
            one.method.is(request.method) && one.when.iter().all(|when| request.fits(when))
        };
        self.file.handshake.iter().find(fits)
    }

    /// The same, if it is one that the profile's own scheme does not authenticate.
    pub fn asks_unsigned(&self, request: &Request<'_>) -> Option<&Handshake> {
        self.asks(request).filter(|handshake| handshake.check != HandshakeCheck::Signature)
    }

    /// Whether some handshake makes codes under the secret for who does not have it.
    pub fn lends_codes(&self) -> bool {
        self.file.handshake.iter().any(Handshake::lends_codes)
    }

    /// Whether some handshake comes by `POST`, unsigned, so that a missing signature alone condemns nothing.
    pub fn greets_unsigned(&self) -> bool {
        let unsigned =
            |one: &Handshake| one.method == HandshakeMethod::Post && one.check != HandshakeCheck::Signature;
        self.file.handshake.iter().any(unsigned)
    }
}

impl Handshake {
    /// Whether it makes codes under the secret for who does not have it: over bare words of their choice.
    pub(super) fn lends_codes(&self) -> bool {
        self.check != HandshakeCheck::Signature && self.answer.makes_codes()
    }

    /// Whether the token is one that was agreed on. Constant in time, whatever its length is.
    ///
    /// # Errors
    /// [`Reason::BadSignature`] when it is another, is missing, or none was agreed on.
    pub fn check_token(&self, request: &Request<'_>, agreed: Option<&SecretVersions>) -> Result<(), Reject> {
        let presented = self.token.as_ref().and_then(|locator| text(request, locator));
        let fits = agreed
            .zip(presented)
            .is_some_and(|(agreed, presented)| token::find(presented.as_bytes(), agreed).is_some());
        let bad = || Reject::new(Reason::BadSignature, "the handshake's token is missing or wrong");
        fits.then_some(()).ok_or_else(bad)
    }

    /// The answer; none when what is to be given back is missing or longer than [`ECHO_BYTES_MAX`].
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
    /// Whether any text of it is a code under the secret.
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

/// Whether a code is made over `content` for whoever asks. Where anybody may ask, a delivery that signs such content is
/// refused: a code over a text of the asker's choice must never be one over a delivery.
pub(super) fn is_bare_word(content: &[u8]) -> bool {
    // Padding ends a word; `a=b` is a form.
    let padding = content.iter().rev().take_while(|byte| **byte == b'=').count();
    let word = content.iter().take(content.len() - padding);
    padding <= 2 && word.into_iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_+/".contains(byte))
}

/// A text of the question, without control characters, of at most [`ECHO_BYTES_MAX`].
fn text(request: &Request<'_>, locator: &Locator) -> Option<String> {
    let text = request.text(locator, Reason::MalformedSignature).ok()??;
    let plain = text.len() <= ECHO_BYTES_MAX && !text.chars().any(char::is_control);
    plain.then(|| text.into_owned())
}
