//! The TOML form of a provider profile (`schemas/provider-profile.v1.json`).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::algorithm::{Algorithm, JwtAlgorithm};
use super::answer::DeliveryAnswer;
use super::body::ContentKind;
use super::handshake::Handshake;

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
    /// Its authentication schemes; the first whose `when` applies is used. Never empty.
    pub auth: Vec<SchemeForm>,
    /// Where the event name is found.
    pub event: Locators,
    /// Where the source is found.
    #[serde(default)]
    pub source: Locators,
    /// Where the delivery's id is found.
    #[serde(default)]
    pub delivery_id: DeliveryIdForm,
    /// How long its deliveries are remembered.
    #[serde(default)]
    pub replay: Replay,
    /// The kinds of body it accepts.
    pub content: Vec<Content>,
    /// Whether the body is an envelope already.
    #[serde(default)]
    pub envelope: bool,
    /// Names of the settings an integration must have besides its secret, for `{param:NAME}` and the claims of a token.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// Requests it sends before it delivers, each with the answer it expects.
    #[serde(default)]
    pub handshake: Vec<Handshake>,
    /// The answer to an accepted delivery.
    #[serde(default)]
    pub answer: DeliveryAnswer,
    /// How the provider reacts to answers; for people.
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// How a provider treats the receiver, in words. These are hints for people; nothing is decided by them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// Which answer it expects, and within what time.
    pub answer: Option<String>,
    /// When it retries.
    pub retries: Option<String>,
    /// Further notes.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Places that are tried in turn; the first one that yields text is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locators {
    /// The places, in the order in which they are tried.
    #[serde(default)]
    pub from: Vec<Locator>,
    /// Used in the envelope when no place yields text.
    pub default: Option<String>,
}

/// Where the delivery id is found, and whether it can be trusted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryIdForm {
    /// The places, in the order in which they are tried.
    #[serde(default)]
    pub from: Vec<Locator>,
    /// Whether the signature covers the id. Only then may it identify the delivery.
    #[serde(default)]
    pub signed: bool,
    /// Places that identify the delivery instead of the id; the signature must cover them.
    #[serde(default)]
    pub replay_key: Vec<Locator>,
    /// Whether the provider rewrites its retries. If so, a delivery with the same identification is the same one, even if
    /// its bytes differ.
    #[serde(default)]
    pub retries_differ: bool,
}

/// How long deliveries are remembered, to detect duplicates.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// In seconds, unless the integration says otherwise. If omitted, the daemon's setting applies.
    pub window_seconds: Option<u64>,
}

/// A place in a request that contains a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Locator {
    /// A header that may appear only once.
    Header(String),
    /// A JSON pointer (RFC 6901) into a JSON body.
    Json(String),
    /// All headers whose name is this one followed by a number from 1 to 100; as a signature, each is one candidate.
    NumberedHeader(String),
    /// A form field.
    Form(String),
    /// A JSON pointer into the JSON document in a form field.
    FormJson {
        /// Name of the field.
        field: String,
        json: String,
    },
    /// A query parameter.
    Query(String),
    /// Several places joined; each must yield text.
    Join {
        /// The places, in the order in which they are joined.
        from: Vec<Locator>,
        /// The text between them.
        separator: String,
    },
    /// The texts at a JSON pointer into each item of an array, as a JSON array. Every item must have one, and there must
    /// be at least one item.
    JsonEach {
        /// Pointer to the array.
        array: String,
        /// Pointer into an item.
        json: String,
    },
    /// The name of the first member of a JSON object that is not one of these.
    JsonFirstKeyExcept(Vec<String>),
    /// A fixed text.
    Const(String),
}

impl Locator {
    /// The name of the header, if it is a header.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it yields the same text for every delivery.
    pub fn is_constant(&self) -> bool {
        match self {
            Self::Const(_) => true,
            Self::Join { from, .. } => from.iter().all(Self::is_constant),
            _ => false,
        }
    }
}

/// A kind of body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// `application/json` and `…+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// JSON sent as `text/plain`.
    JsonAsText,
    /// `text/plain` that is not parsed.
    Text,
    /// No body and no Content-Type. It excludes all other kinds.
    None,
}

impl Content {
    /// The parser for it.
    pub fn kind(self) -> ContentKind {
        match self {
            Self::Json | Self::JsonAsText => ContentKind::Json,
            Self::Form => ContentKind::Form,
            Self::Text => ContentKind::Text,
            Self::None => ContentKind::None,
        }
    }
}

impl Content {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::JsonAsText | Self::Text => "text/plain",
            Self::None => "none",
        }
    }
}

/// One way to authenticate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemeForm {
    /// When it applies; always, if omitted.
    pub when: Option<When>,
    /// A MAC over signed content, with a shared secret.
    pub mac: Option<SignedForm>,
    /// A signature over signed content, verified with a public key from the vault.
    pub public_key: Option<SignedForm>,
    /// A signature verified with a certificate: one from the vault, or the one at the address the delivery names.
    pub certificate: Option<SignedForm>,
    /// A signed token (RFC 7519).
    pub jwt: Option<JwtForm>,
    /// A shared token sent in clear.
    pub token: Option<TokenForm>,
    /// No authentication.
    #[serde(default)]
    pub none: bool,
}

/// A condition on a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// The header is present.
    HeaderPresent(String),
    /// The header is absent.
    HeaderAbsent(String),
    /// The query contains the parameter.
    QueryPresent(String),
    /// The body is of this kind.
    BodyIs(Content),
    /// A header of the form `a=1, b=2` contains this item.
    HeaderItem {
        /// Name of the header.
        header: String,
        name: String,
        value: String,
    },
    /// The header has one of these values.
    HeaderIs {
        /// Name of the header.
        header: String,
        values: Vec<String>,
    },
    /// The text at a JSON pointer is one of these values.
    JsonIs {
        /// The pointer.
        json: String,
        values: Vec<String>,
    },
    /// The body is JSON without a value at this pointer.
    JsonAbsent(String),
    /// The body is JSON with a value at this pointer.
    JsonPresent(String),
}

/// A signature over content.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedForm {
    /// The algorithm; omitted only if `algorithm_from` chooses one.
    pub algorithm: Option<Algorithm>,
    /// A text in the delivery that selects the algorithm, among those listed here.
    pub algorithm_from: Option<AlgorithmChoice>,
    /// How the key is derived from the secret.
    #[serde(default)]
    pub key: KeyForm,
    /// Where and how the signature is written.
    pub signature: SignatureForm,
    /// The signed content: a template of literal text and `{placeholders}`.
    pub content: String,
    /// The signed time, if there is one.
    pub timestamp: Option<TimestampForm>,
    /// Forms of the URL that may have been signed; any of them is accepted. If empty, the URL as it is.
    #[serde(default)]
    pub url_variants: Vec<UrlVariant>,
    /// Percent-escapes of the URL that are decoded before it is signed.
    #[serde(default)]
    pub url_unescape: Vec<String>,
    /// The parameter of the signed URL that contains the body's SHA-256 in hexadecimal.
    pub body_sha256_query: Option<String>,
    /// Where the delivery names the address of its certificate; the form of the address is pinned.
    pub certificate_url: Option<PinnedUrl>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlgorithmChoice {
    /// Where the text is found.
    pub from: Locator,
    /// The algorithm for each text.
    pub values: BTreeMap<String, Algorithm>,
}

/// An address in a delivery, and the form it must have to be trusted.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedUrl {
    /// Where the address is found.
    pub from: Locator,
    /// Hosts it may name. A label `*` matches exactly one label, a leading `**.` any number of labels, including none.
    pub hosts: Vec<String>,
    /// Required end of its path.
    #[serde(default)]
    pub path_suffix: String,
    /// The name the certificate must be issued for, with a chain to a trusted root. If omitted, the HTTPS host it is
    /// fetched from vouches for it.
    pub chain_name: Option<String>,
}

/// A form of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrlVariant {
    /// As it is.
    AsIs,
    /// Without its port.
    WithoutPort,
    /// With its port, which is the default of the scheme if it names none.
    WithPort,
}

/// A signed token (RFC 7519, JWS compact form).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtForm {
    /// Where the token is found.
    pub from: Locator,
    /// The `Authorization` scheme before the token.
    pub scheme: Option<TokenScheme>,
    /// Whether the name of the scheme may be omitted.
    #[serde(default)]
    pub scheme_optional: bool,
    /// The only algorithm; a token whose header names another is refused.
    pub algorithm: JwtAlgorithm,
    /// Where the provider publishes its JWK set, for integrations without a key of their own.
    pub jwks_url: Option<String>,
    /// Required claims, each with the values it may have.
    #[serde(default)]
    pub claims: BTreeMap<String, Vec<serde_json::Value>>,
    /// Claims that must equal a parameter of the integration.
    #[serde(default)]
    pub claims_from_parameters: BTreeMap<String, String>,
    /// The claim with the body's SHA-256. If omitted, the body is not signed.
    pub body_sha256_claim: Option<String>,
    /// The encoding of that digest.
    #[serde(default)]
    pub body_sha256_encoding: Encoding,
    /// Seconds for which the token is accepted after `exp` and before `nbf`; it makes `exp` mandatory. If omitted, 60 s
    /// apply to those that are present.
    pub expiry_leeway_seconds: Option<u64>,
    /// Seconds for which the token is accepted after `iat`; it makes `iat` mandatory, which may be at most 60 s ahead of
    /// our clock.
    pub issued_past_seconds: Option<u64>,
}

/// How a key is derived from a secret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyForm {
    /// How the secret is decoded, after the prefix was removed.
    #[serde(default)]
    pub decode: KeyDecoding,
    /// Removed first, if present.
    pub strip_prefix: Option<String>,
}

/// Encodings of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyDecoding {
    /// The bytes as they are.
    #[default]
    Raw,
    /// Hexadecimal.
    Hex,
    /// Base64, padding optional.
    Base64,
    /// A SubjectPublicKeyInfo (RFC 5280) in Base64.
    SpkiBase64,
    /// A certificate or a SubjectPublicKeyInfo in PEM (RFC 7468).
    Pem,
}

/// Where and how signatures are written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureForm {
    /// The places that are searched; all of them are tried. A header may appear only once. Never empty.
    #[serde(deserialize_with = "one_or_more")]
    pub from: Vec<Locator>,
    /// How the signature bytes are encoded.
    pub encoding: Encoding,
    /// Prefixes of a signature, one of which is required. If empty, there is no prefix.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Separator of several lists, each with its own time.
    pub split_lists: Option<String>,
    /// Separator of the items of a list.
    pub split: Option<String>,
    /// Separator of name and value of an item.
    pub pair: Option<String>,
    /// Names of the items that are signatures of this scheme; other items are skipped.
    #[serde(default, deserialize_with = "one_or_more")]
    pub key: Vec<String>,
    /// Whether white space around items is removed.
    #[serde(default)]
    pub trim: bool,
}

fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(given: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given<T> {
        More(Vec<T>),
        One(T),
    }
    Given::deserialize(given).map(|given| match given {
        Given::More(all) => all,
        Given::One(one) => vec![one],
    })
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal, either case.
    #[default]
    Hex,
    /// Base64 (RFC 4648 §4), padding optional.
    Base64,
    /// Base64url (RFC 4648 §5), padding optional.
    Base64url,
}

/// The signed time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampForm {
    /// Where the time is found, if it is not part of the signature header.
    pub from: Option<Locator>,
    /// The item of the signature header that contains it.
    pub signature_item: Option<SignatureItem>,
    /// How it is written.
    pub format: TimeFormat,
    /// Maximum age, in seconds.
    pub past_seconds: u64,
    /// How far it may be ahead of our clock, in seconds.
    pub future_seconds: u64,
}

/// An item of a signature header other than the signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum SignatureItem {
    /// The first item of this name.
    Named(String),
    /// The item at this position of its list, from 0.
    At(usize),
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Seconds since 1970, digits only.
    UnixS,
    /// Milliseconds since 1970, digits only.
    UnixMs,
    /// Microseconds since 1970, digits only.
    UnixUs,
    /// RFC 3339.
    Rfc3339,
    /// The form of the `Date` header, in GMT (RFC 9110 §5.6.7, IMF-fixdate).
    HttpDate,
}

/// A shared token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenForm {
    /// Where the token is found.
    pub from: Locator,
    /// The `Authorization` scheme before the token.
    pub scheme: Option<TokenScheme>,
    /// A query parameter that may contain it instead, without a scheme.
    pub or_query: Option<String>,
    /// An array each of whose items must contain it; `from` is then a pointer into an item.
    pub each: Option<String>,
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
