//! What a provider asks before it delivers, and the bounded answers to it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::profile::{Source, When};

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
    /// A text that must be one of the secrets of the integration, for [`HandshakeCheck::Token`].
    pub token: Option<Source>,
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
    /// A token in the question.
    Token,
    /// Nothing: the provider signs it not, and the answer gives nothing away.
    Nothing,
}

/// The answer to a handshake.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandshakeAnswer {
    /// The text that is given back as `text/plain`; at most 256 bytes.
    pub echo: Option<Source>,
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
    Echo(Source),
    /// HMAC-SHA-256 of it under the secret, in hexadecimal.
    HmacSha256Hex(Source),
    /// `sha256=` and HMAC-SHA-256 of it under the secret, in Base64.
    HmacSha256Base64(Source),
}
