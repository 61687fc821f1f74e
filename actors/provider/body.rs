//! A body as the engine sees it: the bytes from the wire, and the document parsed from them, at most once.

use std::cell::OnceCell;

use crate::ids::{Digest, Hashed};
use crate::json::{self, Document, Element, JsonError, form_document, text_document};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind {
    /// `application/json` and `application/…+json`.
    Json,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// Text that is not parsed.
    Text,
    /// No body.
    None,
}

/// The body of one delivery.
#[derive(Debug)]
pub struct Body {
    raw: Vec<u8>,
    kind: ContentKind,
    document: OnceCell<Result<Document, JsonError>>,
    digest: OnceCell<Digest>,
}

impl Body {
    /// A body of the given kind.
    pub fn new(raw: Vec<u8>, kind: ContentKind) -> Self {
        Self { raw, kind, document: OnceCell::new(), digest: OnceCell::new() }
    }

    /// No body, for a handshake request that has none.
    pub fn empty() -> Self {
        Self::new(Vec::new(), ContentKind::Json)
    }

    /// The bytes from the wire.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Their SHA-256, computed at the first call.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(&self.raw))
    }

    /// The parser that reads it.
    pub fn kind(&self) -> ContentKind {
        self.kind
    }

    /// The parsed document: JSON as it is, a form as an object of its fields, a text as an object that contains it, and a
    /// missing body as an empty object. Parsed at the first call.
    ///
    /// # Errors
    /// When the bytes are not valid for their type.
    pub fn document(&self) -> Result<&Document, &JsonError> {
        let document = self.document.get_or_init(|| match self.kind {
            ContentKind::Json => json::parse(&self.raw),
            ContentKind::Form => form(&self.raw),
            ContentKind::Text => text(&self.raw),
            ContentKind::None => nothing(&self.raw),
        });
        document.as_ref()
    }

    /// The JSON document; `None` for a form, or if it is not JSON.
    pub(super) fn json(&self) -> Option<Element<'_>> {
        self.document().ok().filter(|_| self.kind == ContentKind::Json).map(Document::root)
    }

    /// The last value of a form field; `None` for JSON.
    pub(super) fn form_field(&self, name: &str) -> Option<&str> {
        let document = self.document().ok().filter(|_| self.kind == ContentKind::Form)?;
        let value = document.root().get(name)?;
        value.items().last().unwrap_or(value).as_str()
    }

    /// Returns the bytes and their digest, to be stored.
    pub fn into_hashed(self) -> Hashed {
        let digest = self.digest();
        Hashed::of_known(self.raw, digest)
    }
}

/// Parses a form. The Content-Type is not signed, so a JSON body sent as a form must not pass for another delivery.
fn form(raw: &[u8]) -> Result<Document, JsonError> {
    if is_written_as_json(raw) {
        return Err(JsonError::Refused { pointer: String::new(), reason: "a form that is written as JSON" });
    }
    Ok(Document::from(&form_document(raw)))
}

/// Whether a body begins like a JSON document, which a form never does.
pub fn is_written_as_json(raw: &[u8]) -> bool {
    matches!(raw.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn nothing(raw: &[u8]) -> Result<Document, JsonError> {
    match raw.is_empty() {
        true => Ok(Document::from(&form_document(raw))),
        false => {
            Err(JsonError::Refused { pointer: String::new(), reason: "a body where there is to be none" })
        }
    }
}

fn text(raw: &[u8]) -> Result<Document, JsonError> {
    let refused = |_| JsonError::Refused { pointer: String::new(), reason: "text that is not UTF-8" };
    std::str::from_utf8(raw).map(|text| Document::from(&text_document(text))).map_err(refused)
}

/// The parser for the Content-Type `typed`; `None` for any other type, or a character set other than UTF-8.
pub fn content_kind(typed: &str, json_as_text: bool) -> Option<ContentKind> {
    let mut parts = typed.split(';').map(str::trim);
    let essence = parts.next()?;
    let utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    if !utf8 {
        None
    } else if is_json(essence) || (json_as_text && is("text/plain")) {
        Some(ContentKind::Json)
    } else if is("application/x-www-form-urlencoded") {
        Some(ContentKind::Form)
    } else {
        is("text/plain").then_some(ContentKind::Text)
    }
}

/// `application/json`, or a type based on it: `application/…+json`.
fn is_json(essence: &str) -> bool {
    let is_built_on_it = |(kind, subtype): (&str, &str)| {
        let suffix = subtype.rsplit_once('+').map(|(_, suffix)| suffix);
        kind.eq_ignore_ascii_case("application") && suffix.is_some_and(|own| own.eq_ignore_ascii_case("json"))
    };
    essence.eq_ignore_ascii_case("application/json") || essence.split_once('/').is_some_and(is_built_on_it)
}
