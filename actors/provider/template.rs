//! The signed content: a template of literal text and `{placeholders}`, compiled once per profile.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::form::Locator;
use super::handshake::is_bare_word;
use super::request::{Request, single_header};
use super::{ContentKind, Reason, Reject, url};
use crate::json;
use crate::limits::SIGNATURE_HEADER_BYTES_MAX;

/// A compiled template.
#[derive(Debug)]
pub struct Template(pub(super) Vec<Piece>);

/// A part of what is signed.
#[derive(Debug)]
pub(super) enum Piece {
    Literal(String),
    Body,
    Timestamp,
    Url,
    /// The path of the URL, as it was sent.
    Path,
    Method,
    Secret,
    /// A header that must be present.
    Header(String),
    /// A place in the body or query; empty if missing.
    Place(Locator),
    /// The RFC 8785 form of the JSON body, without the member at this pointer.
    CanonicalJsonWithout(String),
    /// CRC-32 (ISO 3309) of the body, in decimal.
    BodyCrc32,
    /// SHA-256 of the body, in hexadecimal.
    BodySha256,
    /// Names and values of a form, sorted by name, without separators and duplicates.
    SortedForm,
    /// These members of the JSON body in this order, as `name\nvalue\n`; missing members are omitted.
    Members(Vec<String>),
    /// Path and query, encoded as JavaScript does it.
    UriEncoded,
    /// The headers that this header lists, sorted by name, as `name:value` separated by `;`.
    ListedHeaders(String),
    /// A parameter of the integration.
    Parameter(String),
}

impl Template {
    /// Compiles `text`. `{` begins a placeholder; `{{` is a literal brace.
    ///
    /// # Errors
    /// The unknown placeholder.
    pub fn compile(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            if let Some(after) = after.strip_prefix('{') {
                pieces.push(Piece::Literal("{".to_owned()));
                rest = after;
                continue;
            }
            let (name, after) =
                after.split_once('}').ok_or("a `{` is not closed; write `{{` for a literal brace")?;
            pieces.push(Piece::of(name)?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Whether an accidental change of the body is detected. A checksum suffices for that, though not against an
    /// attacker.
    pub fn notices_body(&self) -> bool {
        self.covers_body() || self.0.iter().any(|piece| matches!(piece, Piece::BodyCrc32))
    }

    /// Whether every byte of the body is signed, directly or by a digest.
    pub fn covers_bytes(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Body | Piece::BodySha256))
    }

    /// Whether the content is the body and nothing else.
    pub fn is_body(&self) -> bool {
        matches!(self.0.as_slice(), [Piece::Body])
    }

    /// Whether a body can be chosen so that the whole content is a bare word.
    pub fn may_be_bare_word(&self) -> bool {
        let is_word =
            |piece: &Piece| !matches!(piece, Piece::Literal(text) if !is_bare_word(text.as_bytes()));
        self.covers_bytes() && self.0.iter().all(is_word)
    }

    /// Whether the signed time is part of the content.
    pub fn has_timestamp(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Timestamp))
    }

    /// Whether the secret is part of the content.
    pub fn has_secret(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Secret))
    }

    /// Whether the content contains nothing of the delivery.
    pub fn is_constant(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Literal(_) | Piece::Secret | Piece::Parameter(_)))
    }

    /// Whether the content contains the whole body.
    pub fn covers_body(&self) -> bool {
        let whole = |piece: &Piece| matches!(piece, Piece::CanonicalJsonWithout(_) | Piece::SortedForm);
        self.covers_bytes() || self.0.iter().any(whole)
    }

    /// Whether the text at `locator` is a piece of the content.
    pub fn covers(&self, locator: &Locator) -> bool {
        self.0.iter().any(|piece| match (piece, locator) {
            (Piece::Header(name), Locator::Header(other)) => name.eq_ignore_ascii_case(other),
            (Piece::ListedHeaders(_), Locator::Header(_)) => true,
            (Piece::Place(Locator::Json(pointer)), Locator::Json(other)) => pointer == other,
            (Piece::Place(Locator::Form(field)), Locator::Form(other)) => field == other,
            (Piece::Place(Locator::Query(name)), Locator::Query(other)) => name == other,
            (Piece::Members(names), Locator::Json(pointer)) => {
                pointer.strip_prefix('/').is_some_and(|name| names.iter().any(|own| own == name))
            }
            (_, Locator::Join { from, .. }) => from.iter().all(|locator| self.covers(locator)),
            _ => false,
        })
    }

    /// The kinds of body it reads from, each with what it reads there.
    pub fn kinds_read(&self) -> impl Iterator<Item = (ContentKind, &'static str)> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::SortedForm => Some((ContentKind::Form, "{sorted_form}")),
            Piece::Place(Locator::Form(_)) => Some((ContentKind::Form, "{form:…}")),
            Piece::Place(Locator::Json(_)) => Some((ContentKind::Json, "{json:…}")),
            Piece::Members(_) => Some((ContentKind::Json, "{members:…}")),
            Piece::CanonicalJsonWithout(_) => Some((ContentKind::Json, "{canonical_json_without:…}")),
            _ => None,
        })
    }

    /// Whether its content differs between deliveries without a body.
    pub fn tells_apart_without_body(&self) -> bool {
        self.0.iter().any(|piece| {
            matches!(
                piece,
                Piece::Timestamp
                    | Piece::Url
                    | Piece::UriEncoded
                    | Piece::Header(_)
                    | Piece::ListedHeaders(_)
            ) || matches!(piece, Piece::Place(Locator::Query(_)))
        })
    }

    /// Names of the parameters it uses.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Names of the headers it requires.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Header(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Fills in the template for a request. The secret is left as a gap: `None`.
    ///
    /// # Errors
    /// When a part of the content is missing or has no canonical form, or the content contains nothing of the delivery.
    pub fn fill<'a>(
        &'a self,
        request: &Request<'a>,
        timestamp: Option<&'a str>,
    ) -> Result<Vec<Option<Cow<'a, [u8]>>>, Reject> {
        let mut filled = Vec::with_capacity(self.0.len());
        for piece in &self.0 {
            filled.push(piece.fill(request, timestamp)?);
        }
        match self.is_left_empty(&filled) {
            true => Err(Reject::new(Reason::MissingSignature, "none of the signed parts is in the request")),
            false => Ok(filled),
        }
    }
}

impl Template {
    /// Whether all its optional places are missing, and the rest is the same for any delivery.
    fn is_left_empty(&self, filled: &[Option<Cow<'_, [u8]>>]) -> bool {
        let mut optional = self.0.iter().zip(filled).filter(|(piece, _)| !piece.is_common()).peekable();
        let is_empty = |text: &Option<Cow<'_, [u8]>>| text.as_deref().is_none_or(<[u8]>::is_empty);
        optional.peek().is_some() && optional.all(|(piece, text)| piece.may_be_missing() && is_empty(text))
    }
}

impl Piece {
    /// Whether it is the same in every delivery, except for the time.
    fn is_common(&self) -> bool {
        matches!(self, Self::Literal(_) | Self::Secret | Self::Parameter(_) | Self::Timestamp | Self::Method)
    }

    fn may_be_missing(&self) -> bool {
        matches!(self, Self::Place(_) | Self::Members(_) | Self::ListedHeaders(_))
    }

    fn of(placeholder: &str) -> Result<Self, String> {
        let (kind, argument) = placeholder.split_once(':').unwrap_or((placeholder, ""));
        Ok(match (kind, argument) {
            ("body", "") => Self::Body,
            ("ts", "") => Self::Timestamp,
            ("url", "") => Self::Url,
            ("path", "") => Self::Path,
            ("method", "") => Self::Method,
            ("secret", "") => Self::Secret,
            ("body_crc32", "") => Self::BodyCrc32,
            ("body_sha256", "") => Self::BodySha256,
            ("sorted_form", "") => Self::SortedForm,
            ("uri_encoded", "") => Self::UriEncoded,
            ("members", names) if !names.is_empty() => {
                Self::Members(names.split(',').map(str::to_owned).collect())
            }
            ("listed_headers", name) if !name.is_empty() => Self::ListedHeaders(name.to_ascii_lowercase()),
            ("param", name) if !name.is_empty() => Self::Parameter(name.to_owned()),
            ("h", name) if !name.is_empty() => Self::Header(name.to_ascii_lowercase()),
            ("json", pointer) if pointer.starts_with('/') => Self::Place(Locator::Json(pointer.to_owned())),
            ("form", field) if !field.is_empty() => Self::Place(Locator::Form(field.to_owned())),
            ("query", name) if !name.is_empty() => Self::Place(Locator::Query(name.to_owned())),
            ("canonical_json_without", pointer) if pointer.starts_with('/') => {
                Self::CanonicalJsonWithout(pointer.to_owned())
            }
            _ => return Err(format!("`{{{placeholder}}}` is not a placeholder")),
        })
    }

    fn fill<'a>(
        &'a self,
        request: &Request<'a>,
        timestamp: Option<&'a str>,
    ) -> Result<Option<Cow<'a, [u8]>>, Reject> {
        let missing = |detail: String| Reject::new(Reason::MissingSignature, detail);
        Ok(Some(match self {
            Self::Literal(text) => Cow::Borrowed(text.as_bytes()),
            Self::Body => Cow::Borrowed(request.body.raw()),
            Self::Timestamp => Cow::Borrowed(timestamp.unwrap_or_default().as_bytes()),
            Self::Url => Cow::Borrowed(request.url.as_bytes()),
            Self::Path => Cow::Borrowed(url::path(request.url).as_bytes()),
            Self::Method => Cow::Borrowed(request.method.as_bytes()),
            Self::Secret => return Ok(None),
            Self::Header(name) => {
                let text = single_header(request.headers, name, Reason::MalformedSignature)?;
                let text = text.filter(|text| !text.is_empty());
                Cow::Borrowed(
                    text.ok_or_else(|| missing(format!("signed header {name} is missing")))?.as_bytes(),
                )
            }
            Self::Place(locator) => {
                bytes(request.text(locator, Reason::MalformedSignature)?.unwrap_or_default())
            }
            Self::CanonicalJsonWithout(pointer) => Cow::Owned(canonical_without(request, pointer)?),
            Self::BodyCrc32 => owned(crc32fast::hash(request.body.raw()).to_string()),
            Self::BodySha256 => owned(request.body.digest().to_string()),
            Self::SortedForm => owned(sorted_form(request)?),
            Self::Members(names) => owned(members(request, names)),
            Self::UriEncoded => owned(url::uri_encoded(request.url)),
            Self::ListedHeaders(name) => owned(listed_headers(request, name)?),
            Self::Parameter(name) => {
                let value = request.parameters.get(name).map(String::as_str).unwrap_or_default();
                Cow::Borrowed(value.as_bytes())
            }
        }))
    }
}

fn owned<'a>(text: String) -> Cow<'a, [u8]> {
    Cow::Owned(text.into_bytes())
}

/// Without this check, a body that is not a form would not be covered by the signature.
fn sorted_form(request: &Request<'_>) -> Result<String, Reject> {
    if request.body.kind() != ContentKind::Form {
        return Err(Reject::new(
            Reason::BadSignature,
            "the signature covers a form, but the body is not a form",
        ));
    }
    let pairs: BTreeSet<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(request.body.raw()).collect();
    Ok(pairs.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]).collect())
}

fn members(request: &Request<'_>, names: &[String]) -> String {
    let text = |name: &String| {
        let value = request.body.json()?.get(name)?;
        Some(format!("{name}\n{}\n", value.scalar()?))
    };
    names.iter().filter_map(text).collect()
}

/// The number of headers is bounded by the names that fit into a list of 16 KiB.
fn listed_headers(request: &Request<'_>, list: &str) -> Result<String, Reject> {
    let listed = single_header(request.headers, list, Reason::MalformedSignature)?.unwrap_or_default();
    if listed.len() > SIGNATURE_HEADER_BYTES_MAX {
        return Err(Reject::new(Reason::MalformedSignature, "the list of signed headers is too long"));
    }
    let names: BTreeSet<String> = listed.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    let mut lines = Vec::new();
    for name in names {
        let value = single_header(request.headers, &name, Reason::MalformedSignature)?.map(str::trim);
        if !is_header_name(&name) || value.is_some_and(holds_a_header) {
            return Err(Reject::new(
                Reason::MalformedSignature,
                "the list of signed headers, or the value of one, can be read in two ways",
            ));
        }
        lines.extend(value.map(|value| format!("{name}:{value}")));
    }
    Ok(lines.join(";"))
}

/// Whether part of `value` looks like a further header, which would be signed as a header that is no longer listed.
fn holds_a_header(value: &str) -> bool {
    let names = value.split(';').skip(1).filter_map(|part| part.split_once(':'));
    names.into_iter().any(|(name, _)| is_header_name(name))
}

/// Whether `text` is a token (RFC 9110 §5.6.2), or nothing.
fn is_header_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn canonical_without(request: &Request<'_>, pointer: &str) -> Result<Vec<u8>, Reject> {
    let malformed = |detail: &str| Reject::new(Reason::MalformedSignature, detail);
    let mut document = request.body.json().ok_or_else(|| malformed("the body is not JSON"))?.to_value();
    if !json::numbers_survive_double(request.body.raw()) {
        return Err(malformed(
            "the body has a number that a double cannot represent, so it has no canonical form",
        ));
    }
    let (parent, member) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(members) = document.pointer_mut(parent).and_then(serde_json::Value::as_object_mut) {
        members.remove(member);
    }
    serde_json_canonicalizer::to_vec(&document).map_err(|_| malformed("the body has no canonical form"))
}
