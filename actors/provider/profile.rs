//! The form of a provider profile, as it is written in TOML (`schemas/provider-profile.v1.json`).

use serde::Deserialize;

/// One profile file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    /// Version of the format: 1.
    #[serde(rename = "version")]
    _version: u32,
    /// Name by which integrations refer to it.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// The provider's page about its signatures.
    pub docs: String,
    /// How it authenticates; the first whose `when` fits is the one. Never empty.
    pub auth: Vec<Auth>,
    /// Where the name of the event is found.
    pub event: Finding,
    /// Where the source is found.
    #[serde(default)]
    pub source: Finding,
    /// Where the delivery's id is found.
    #[serde(default)]
    pub delivery_id: Identity,
    /// Kinds of body taken.
    pub content: Vec<Content>,
    /// Whether the body is an envelope already.
    #[serde(default)]
    pub envelope: bool,
}

/// Sources tried in turn; the first that yields text is taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The sources.
    #[serde(default)]
    pub from: Vec<Source>,
    /// What the envelope says when no source yields anything.
    pub default: Option<String>,
}

/// Where the id is found, and what it is worth.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The sources.
    #[serde(default)]
    pub from: Vec<Source>,
    /// Whether the signature covers the id. Only then may it identify the delivery.
    #[serde(default)]
    pub signed: bool,
    /// What identifies the delivery instead of the id; must be covered by the signature.
    #[serde(default)]
    pub replay_key: Vec<Source>,
}

/// A place in a request that holds a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A header that comes once.
    Header(String),
    /// A JSON pointer (RFC 6901) into a JSON body.
    Json(String),
    /// A field of a form.
    Form(String),
    /// A JSON pointer into the JSON document a form's field holds.
    FormJson {
        /// The field.
        field: String,
        /// The pointer.
        json: String,
    },
    /// A parameter of the query.
    Query(String),
    /// Several sources, all present, joined.
    Join {
        /// The sources.
        from: Vec<Source>,
        /// What stands between them.
        separator: String,
    },
    /// The first member of a JSON object that is none of these.
    JsonFirstKeyExcept(Vec<String>),
    /// This text.
    Const(String),
}

/// A kind of body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// `application/json` and `…+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
}

/// One way to authenticate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// When it applies; always, if this is left out.
    pub when: Option<When>,
    /// A code over signed content.
    pub mac: Option<MacAuth>,
    /// A shared token, sent as it is.
    pub token: Option<TokenAuth>,
    /// Nothing at all.
    #[serde(default)]
    pub none: bool,
}

/// A condition on a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// The header is there.
    HeaderPresent(String),
    /// The header is not there.
    HeaderAbsent(String),
    /// The parameter stands in the query.
    QueryPresent(String),
    /// The body is of this kind.
    BodyIs(Content),
}

/// A message authentication code.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MacAuth {
    /// Which.
    pub algorithm: MacAlgorithm,
    /// How the secret becomes the key.
    #[serde(default)]
    pub key: KeyForm,
    /// Where and how the signature is written.
    pub signature: SignatureForm,
    /// What is signed: a template of literal text and `{placeholders}`.
    pub content: String,
    /// The signed time, if there is one.
    pub timestamp: Option<TimestampForm>,
}

/// Algorithms of [`MacAuth`]. The profile chooses, never the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacAlgorithm {
    /// HMAC-SHA-1 (RFC 2104).
    HmacSha1,
    /// HMAC-SHA-256.
    HmacSha256,
    /// HMAC-SHA-512.
    HmacSha512,
    /// SHA-256 of content that holds the secret.
    Sha256,
}

/// How a secret becomes a key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyForm {
    /// How the rest is decoded.
    #[serde(default)]
    pub decode: KeyDecoding,
    /// Taken off first, if it is there.
    pub strip_prefix: Option<String>,
}

/// Decodings of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyDecoding {
    /// The bytes as they are.
    #[default]
    Raw,
    /// Hexadecimal.
    Hex,
    /// Base64, padding optional.
    Base64,
}

/// Where and how signatures are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureForm {
    /// Where. A header may come once only.
    pub from: Source,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// Prefixes of which one must stand before the signature; an empty one allows none.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Several items, separated by this.
    pub split: Option<String>,
    /// Each item is a name and a value, separated by this.
    pub pair: Option<String>,
    /// The name of the items that are signatures of this scheme; others are passed over.
    pub key: Option<String>,
    /// Whether white space around items is dropped.
    #[serde(default)]
    pub trim: bool,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal, either case.
    Hex,
    /// Base64 (RFC 4648 §4), padding optional.
    Base64,
    /// Base64url (RFC 4648 §5), padding optional.
    Base64url,
}

/// The time a sender signs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampForm {
    /// Where it stands, if it is not part of the signature header.
    pub from: Option<Source>,
    /// The item of the signature header that holds it.
    pub signature_item: Option<String>,
    /// How it is written.
    pub format: TimeFormat,
    /// How old it may be, in seconds.
    pub past_seconds: u64,
    /// How far ahead of our clock it may be, in seconds.
    pub future_seconds: u64,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Seconds since 1970, digits only.
    UnixS,
    /// Milliseconds since 1970, digits only.
    UnixMs,
    /// RFC 3339.
    Rfc3339,
}

/// A shared token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenAuth {
    /// Where it stands.
    pub from: Source,
    /// `Authorization` scheme before it.
    pub scheme: Option<TokenScheme>,
}

/// Schemes of the `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenScheme {
    /// RFC 6750.
    Bearer,
    /// RFC 7617; the secret is `user:password`.
    Basic,
}
