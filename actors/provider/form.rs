//! The form of a provider profile, as it is written in TOML (`schemas/provider-profile.v1.json`).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::answer::DeliveryAnswer;
use super::body::ContentKind;
use super::handshake::Handshake;

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
    pub auth: Vec<SchemeForm>,
    /// Where the name of the event is found.
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
    /// Kinds of body taken.
    pub content: Vec<Content>,
    /// Whether the body is an envelope already.
    #[serde(default)]
    pub envelope: bool,
    /// Names of what an integration has to be told beside its secret, for `{param:NAME}` and the claims of a token.
    #[serde(default)]
    pub parameters: Vec<String>,
    /// What it asks before it delivers, answered in its own form.
    #[serde(default)]
    pub handshake: Vec<Handshake>,
    /// How a delivery that was taken is answered.
    #[serde(default)]
    pub answer: DeliveryAnswer,
    /// What it does with answers, for people.
    #[serde(default)]
    pub behaviour: Behaviour,
}

/// How a provider treats the receiver, in words; hints for people, nothing is decided by them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// Which answer it expects, and by when.
    pub answer: Option<String>,
    /// When it delivers again.
    pub retries: Option<String>,
    /// What else there is to know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Places tried in turn; the first that yields text is taken.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locators {
    /// The places, in the order in which they are tried.
    #[serde(default)]
    pub from: Vec<Locator>,
    /// What the envelope says when no place yields anything.
    pub default: Option<String>,
}

/// Where the id is found, and what it is worth.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryIdForm {
    /// The places, in the order in which they are tried.
    #[serde(default)]
    pub from: Vec<Locator>,
    /// Whether the signature covers the id. Only then may it identify the delivery.
    #[serde(default)]
    pub signed: bool,
    /// What identifies the delivery instead of the id; must be covered by the signature.
    #[serde(default)]
    pub replay_key: Vec<Locator>,
    /// Whether the provider writes its retries anew: what comes again under what identifies a delivery is the same one then,
    /// whatever its bytes are.
    #[serde(default)]
    pub retries_differ: bool,
}

/// How long deliveries are remembered, so that none is taken twice.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// For so many seconds, unless an integration says otherwise; as long as the daemon says, if this is left out.
    pub window_seconds: Option<u64>,
}

/// A place in a request that holds a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Locator {
    /// A header that comes once.
    Header(String),
    /// A JSON pointer (RFC 6901) into a JSON body.
    Json(String),
    /// The headers of this name followed by a number from 1 to 100; as a signature, each of them is one.
    NumberedHeader(String),
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
    /// Several places, all of them filled, joined.
    Join {
        /// The places, in the order in which they are tried.
        from: Vec<Locator>,
        /// What stands between them.
        separator: String,
    },
    /// The texts at a JSON pointer into each item of an array, all present, as a JSON array; at least one.
    JsonEach {
        /// The pointer of the array.
        array: String,
        /// The pointer into an item.
        json: String,
    },
    /// The first member of a JSON object that is none of these.
    JsonFirstKeyExcept(Vec<String>),
    /// This text.
    Const(String),
}

impl Locator {
    /// The name of the header, if it is one.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Header(name) => Some(name),
            _ => None,
        }
    }

    /// Whether it holds the same in every delivery.
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
    /// JSON that is sent as `text/plain`.
    JsonAsText,
    /// `text/plain` that is nothing more.
    Text,
    /// No body, and no type. It stands alone.
    None,
}

impl Content {
    /// Which parser reads it.
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
    /// The type that it is sent with.
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
    /// When it applies; always, if this is left out.
    pub when: Option<When>,
    /// A code over signed content, under a shared secret.
    pub mac: Option<SignedForm>,
    /// A signature over signed content, under a public key that the vault holds.
    pub public_key: Option<SignedForm>,
    /// A signature under a certificate that the vault holds, and whose address the delivery names.
    pub certificate: Option<SignedForm>,
    /// A signed token (RFC 7519).
    pub jwt: Option<JwtForm>,
    /// A shared token, sent as it is.
    pub token: Option<TokenForm>,
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
    /// A header of the form `a=1, b=2` holds this item.
    HeaderItem {
        /// The header.
        header: String,
        /// The item.
        name: String,
        /// Its value.
        value: String,
    },
    /// The header is one of these.
    HeaderIs {
        /// The header.
        header: String,
        /// The texts.
        values: Vec<String>,
    },
    /// The text at a JSON pointer is one of these.
    JsonIs {
        /// The pointer.
        json: String,
        /// The texts.
        values: Vec<String>,
    },
    /// The body is JSON with nothing at this pointer.
    JsonAbsent(String),
    /// The body is JSON with something at this pointer.
    JsonPresent(String),
}

/// A signature over content.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedForm {
    /// Which; left out only where `algorithm_from` chooses among several.
    pub algorithm: Option<Algorithm>,
    /// Which of these the delivery was signed with: by a text in it, among those named here.
    pub algorithm_from: Option<AlgorithmChoice>,
    /// How the secret becomes the key.
    #[serde(default)]
    pub key: KeyForm,
    /// Where and how the signature is written.
    pub signature: SignatureForm,
    /// What is signed: a template of literal text and `{placeholders}`.
    pub content: String,
    /// The signed time, if there is one.
    pub timestamp: Option<TimestampForm>,
    /// Forms of the URL that may have been signed; any will do. The URL as it is, when there is none.
    #[serde(default)]
    pub url_variants: Vec<UrlVariant>,
    /// Escapes of the URL that are undone before it is signed.
    #[serde(default)]
    pub url_unescape: Vec<String>,
    /// The parameter of the signed URL that holds the body's SHA-256 in hexadecimal.
    pub body_sha256_query: Option<String>,
    /// Where the delivery says its certificate is to be had; its form is pinned.
    pub certificate_url: Option<PinnedUrl>,
}

/// Algorithms of [`SignedForm`]. The profile chooses; a request at most among those that its `algorithm_from` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// HMAC-SHA-1 (RFC 2104).
    HmacSha1,
    /// HMAC-SHA-256.
    HmacSha256,
    /// HMAC-SHA-512.
    HmacSha512,
    /// SHA-256 of content that holds the secret.
    Sha256,
    /// Ed25519 (RFC 8032), verified strictly.
    Ed25519,
    /// ECDSA over P-256 with SHA-256, DER.
    EcdsaP256Sha256,
    /// ECDSA over P-256 with SHA-256, two numbers of 32 bytes (RFC 7518 §3.4).
    EcdsaP256Sha256Raw,
    /// RSASSA-PKCS1-v1_5 with SHA-1.
    RsaSha1,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaSha512,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes (RFC 8017 §8.1).
    RsaPssSha256,
}

/// A choice among algorithms.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlgorithmChoice {
    /// Where the text stands.
    pub from: Locator,
    /// Text and algorithm.
    pub values: BTreeMap<String, Algorithm>,
}

/// A URL in a delivery, as far as it may be believed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedUrl {
    /// Where it stands.
    pub from: Locator,
    /// Hosts it may name; a label `*` stands for one label, a leading `**.` for any labels or none.
    pub hosts: Vec<String>,
    /// What its path ends with.
    #[serde(default)]
    pub path_suffix: String,
    /// The name the certificate must be for, by a chain to an authority; without one the host it is fetched from
    /// vouches for it.
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
    /// With its port, the scheme's own if it names none.
    WithPort,
}

/// A signed token (RFC 7519, JWS compact form).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtForm {
    /// Where it stands.
    pub from: Locator,
    /// The `Authorization` scheme before it.
    pub scheme: Option<TokenScheme>,
    /// Whether the scheme's word may be left out.
    #[serde(default)]
    pub scheme_optional: bool,
    /// The one algorithm; a header that names another is refused.
    pub algorithm: JwtAlgorithm,
    /// Where the provider publishes its JWK set, for integrations that are given none.
    pub jwks_url: Option<String>,
    /// Claims and the values of which each must have one.
    #[serde(default)]
    pub claims: BTreeMap<String, Vec<serde_json::Value>>,
    /// Claims that must have the value of a parameter of the integration.
    #[serde(default)]
    pub claims_from_parameters: BTreeMap<String, String>,
    /// The claim that holds the body's SHA-256. Without one the body is not signed.
    pub body_sha256_claim: Option<String>,
    /// How it is written there.
    #[serde(default)]
    pub body_sha256_encoding: Encoding,
    /// How long after `exp`, which has to be there then, it is still taken, in seconds, and how long before `nbf`. Without
    /// it 60 s, for those that are there.
    pub expiry_leeway_seconds: Option<u64>,
    /// How long after `iat`, which has to be there then, it is still taken, in seconds; it may be 60 s ahead of our clock.
    pub issued_past_seconds: Option<u64>,
}

/// Algorithms of [`JwtForm`] (RFC 7518).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum JwtAlgorithm {
    /// HMAC-SHA-256 under the secret.
    #[serde(rename = "HS256")]
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 under a key of the JWK set the vault holds.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA over P-256 with SHA-256 under a key of the JWK set the vault holds.
    #[serde(rename = "ES256")]
    Es256,
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
    /// Where: what stands at any of these places is tried. A header may come once only. Never empty.
    #[serde(deserialize_with = "one_or_more")]
    pub from: Vec<Locator>,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// Prefixes of which one must stand before the signature; an empty one allows none.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Several lists, each with a time of its own, separated by this.
    pub split_lists: Option<String>,
    /// Several items, separated by this.
    pub split: Option<String>,
    /// Each item is a name and a value, separated by this.
    pub pair: Option<String>,
    /// The names of the items that are signatures of this scheme; others are passed over.
    #[serde(default, deserialize_with = "one_or_more")]
    pub key: Vec<String>,
    /// Whether white space around items is dropped.
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

/// The time a sender signs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimestampForm {
    /// Where it stands, if it is not part of the signature header.
    pub from: Option<Locator>,
    /// The item of the signature header that holds it.
    pub signature_item: Option<SignatureItem>,
    /// How it is written.
    pub format: TimeFormat,
    /// How old it may be, in seconds.
    pub past_seconds: u64,
    /// How far ahead of our clock it may be, in seconds.
    pub future_seconds: u64,
}

/// An item beside signatures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum SignatureItem {
    /// The first of this name.
    Named(String),
    /// The one at this place of its list, from 0.
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
    /// RFC 3339.
    Rfc3339,
}

/// A shared token.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenForm {
    /// Where it stands.
    pub from: Locator,
    /// `Authorization` scheme before it.
    pub scheme: Option<TokenScheme>,
    /// The parameter of the query that may hold it instead, without a scheme.
    pub or_query: Option<String>,
    /// The array of which each item must hold it; `from` is a pointer into an item.
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
