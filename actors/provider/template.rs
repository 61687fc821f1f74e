//! The signed content: a template of literal text and `{placeholders}`, compiled once per profile.

use std::borrow::Cow;

use super::profile::Source;
use super::request::Request;
use super::{Reason, Reject};
use crate::json;

/// A compiled template.
#[derive(Debug)]
pub struct Template(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Literal(String),
    Body,
    Timestamp,
    Url,
    Method,
    Secret,
    /// A header that must be there.
    Header(String),
    /// A place in the body; empty when it is missing.
    Place(Source),
    /// RFC 8785 form of the JSON body, without the member at this pointer.
    CanonicalJsonWithout(String),
}

impl Template {
    /// Compiles `text`. Braces stand for placeholders only.
    ///
    /// # Errors
    /// The placeholder that is not known.
    pub fn compile(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a `{` is not closed")?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            pieces.push(Piece::of(name)?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Whether the signed time is part of the content.
    pub fn has_timestamp(&self) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Timestamp))
    }

    /// The names of headers that must be there.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Header(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Fills the template in for one request. The secret is left as a gap: `None`.
    ///
    /// # Errors
    /// When a part of what is signed is missing, or has no canonical form.
    pub fn fill<'a>(
        &'a self,
        request: &Request<'a>,
        timestamp: Option<&'a str>,
    ) -> Result<Vec<Option<Cow<'a, [u8]>>>, Reject> {
        self.0.iter().map(|piece| piece.fill(request, timestamp)).collect()
    }
}

impl Piece {
    fn of(placeholder: &str) -> Result<Self, String> {
        let (kind, argument) = placeholder.split_once(':').unwrap_or((placeholder, ""));
        Ok(match (kind, argument) {
            ("body", "") => Self::Body,
            ("ts", "") => Self::Timestamp,
            ("url", "") => Self::Url,
            ("method", "") => Self::Method,
            ("secret", "") => Self::Secret,
            ("h", name) if !name.is_empty() => Self::Header(name.to_ascii_lowercase()),
            ("json", pointer) if pointer.starts_with('/') => Self::Place(Source::Json(pointer.to_owned())),
            ("form", field) if !field.is_empty() => Self::Place(Source::Form(field.to_owned())),
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
            Self::Method => Cow::Borrowed(request.method.as_bytes()),
            Self::Secret => return Ok(None),
            Self::Header(name) => {
                let source = Source::Header(name.clone());
                let text = request.text(&source, Reason::MalformedSignature)?;
                bytes(text.ok_or_else(|| missing(format!("signed header {name} is missing")))?)
            }
            Self::Place(source) => {
                bytes(request.text(source, Reason::MalformedSignature)?.unwrap_or_default())
            }
            Self::CanonicalJsonWithout(pointer) => Cow::Owned(canonical_without(request, pointer)?),
        }))
    }
}

fn bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

fn canonical_without(request: &Request<'_>, pointer: &str) -> Result<Vec<u8>, Reject> {
    let malformed = |detail: &str| Reject::new(Reason::MalformedSignature, detail);
    let mut document = request.body.json().ok_or_else(|| malformed("the body is not JSON"))?.clone();
    if !json::numbers_survive_double(request.body.raw()) {
        return Err(malformed("a number of the body does not survive a double, so it has no canonical form"));
    }
    let (parent, member) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(members) = document.pointer_mut(parent).and_then(serde_json::Value::as_object_mut) {
        members.remove(member);
    }
    serde_json_canonicalizer::to_vec(&document).map_err(|_| malformed("the body has no canonical form"))
}
