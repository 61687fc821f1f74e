//! Builds a request by writing texts into the places a profile reads.

use serde_json::{Map, Value, json};

use super::body::{Body, ContentKind};
use super::form::Locator;
use super::sign::{MadeRequest, SignDraft, SignError};
use crate::json::{Document, Element};

/// Largest array index for which an array is created.
const ARRAY_ITEMS_MAX: usize = 8;

/// What to do with a text already in the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Keep it, and write nothing.
    Keep,
    /// Replace it.
    Replace,
}

/// A request that is being built. Its body is parsed only if something has to be written into it.
pub struct Making {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    kind: ContentKind,
}

impl Making {
    /// Starts with the body of `draft`, or a small example of `kind`.
    pub fn new(is_envelope: bool, kind: ContentKind, draft: &SignDraft<'_>, id: &str) -> Self {
        let message = "palyra webhooks send";
        let made_up = || match kind {
            _ if is_envelope => envelope(draft, id, message).to_string(),
            ContentKind::Json => json!({"sent_by": message, "nonce": id}).to_string(),
            ContentKind::Form => form_urlencoded::Serializer::new(String::new())
                .append_pair("sent_by", message)
                .append_pair("nonce", id)
                .finish(),
            ContentKind::Text => format!("{message} {id}"),
            ContentKind::None => String::new(),
        };
        let typed = match kind {
            ContentKind::Json => Some("application/json"),
            ContentKind::Form => Some("application/x-www-form-urlencoded"),
            ContentKind::Text => Some("text/plain; charset=utf-8"),
            ContentKind::None => None,
        };
        let body = draft.payload.map_or_else(|| made_up().into_bytes(), <[u8]>::to_vec);
        let headers = typed.map(|typed| ("Content-Type".to_owned(), typed.to_owned()));
        Self { headers: headers.into_iter().collect(), body, kind }
    }

    /// Writes `text` to the first of `locators` that exists in this kind of body.
    ///
    /// # Errors
    /// [`SignError::NoPlace`], [`SignError::NotInHeader`].
    pub fn place_first(
        &mut self,
        locators: &[Locator],
        text: &str,
        existing: Existing,
    ) -> Result<(), SignError> {
        let fits = |locator: &&Locator| match locator {
            Locator::Json(_) => self.kind == ContentKind::Json,
            Locator::Form(_) => self.kind == ContentKind::Form,
            _ => true,
        };
        match locators.iter().find(fits) {
            Some(locator) => self.place(locator, text, existing),
            None => Ok(()),
        }
    }

    /// Writes `text` to `locator`. A locator without a single place (a join, a constant) is ignored.
    ///
    /// # Errors
    /// [`SignError::NoPlace`], [`SignError::NotInHeader`].
    pub fn place(&mut self, locator: &Locator, text: &str, existing: Existing) -> Result<(), SignError> {
        match locator {
            Locator::Header(name) => self.set_header(name, text, existing)?,
            Locator::NumberedHeader(name) => self.set_header(&format!("{name}1"), text, existing)?,
            Locator::Json(pointer) => self.set_in_json(pointer, text, existing)?,
            Locator::Form(field) => self.set_in_form(field, text, existing),
            _ => {}
        }
        Ok(())
    }

    /// Writes `text` to `locator`, replacing what is there.
    ///
    /// # Errors
    /// [`SignError::Unsupported`] for a place that cannot be written, such as a query parameter; else as
    /// [`Making::place`].
    pub fn must_place(&mut self, locator: &Locator, text: &str) -> Result<(), SignError> {
        check_place(locator)?;
        self.place(locator, text, Existing::Replace)
    }

    /// Writes an id to the first of `locators`, if that place exists and is empty. In a join, the first part is the id.
    pub fn place_id(&mut self, locators: &[Locator], id: &str) {
        match locators.first() {
            Some(Locator::Join { from, .. }) => self.place_id(from, id),
            _ => {
                self.place_first(locators, id, Existing::Keep).ok();
            }
        }
    }

    fn set_header(&mut self, name: &str, text: &str, existing: Existing) -> Result<(), SignError> {
        if text.contains(|c: char| c.is_ascii_control() && c != '\t') {
            return Err(SignError::NotInHeader(name.to_owned()));
        }
        let own = self.headers.iter_mut().find(|(own, _)| own.eq_ignore_ascii_case(name));
        match own {
            Some((_, value)) if existing == Existing::Replace => text.clone_into(value),
            Some(_) => {}
            None => self.headers.push((name.to_owned(), text.to_owned())),
        }
        Ok(())
    }

    fn set_in_json(&mut self, pointer: &str, text: &str, existing: Existing) -> Result<(), SignError> {
        let no_place = || SignError::NoPlace(pointer.to_owned());
        let mut document: Value = serde_json::from_slice(&self.body).map_err(|_| no_place())?;
        let read = Document::from(&document);
        let present = read.root().pointer(pointer);
        if present.is_some()
            && (existing == Existing::Keep
                || present.and_then(Element::scalar).is_some_and(|own| own == text))
        {
            return Ok(());
        }
        let number = present.filter(|own| own.is_number()).and_then(|_| text.parse::<u64>().ok());
        let value = number.map_or_else(|| Value::from(text), Value::from);
        set(&mut document, pointer, value).ok_or_else(no_place)?;
        self.body = document.to_string().into_bytes();
        Ok(())
    }

    fn set_in_form(&mut self, field: &str, text: &str, existing: Existing) {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(&self.body).into_owned().collect();
        match pairs.iter_mut().find(|(name, _)| name == field) {
            Some((_, value)) if existing == Existing::Replace => text.clone_into(value),
            Some(_) => {}
            None => pairs.push((field.to_owned(), text.to_owned())),
        }
        self.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes();
    }

    /// Headers and body in the form verification reads.
    pub fn parts(&self) -> (Vec<(String, Vec<u8>)>, Body) {
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes()));
        (headers.collect(), Body::new(self.body.clone(), self.kind))
    }

    /// The finished request.
    pub fn done(self) -> MadeRequest {
        MadeRequest { headers: self.headers, body: self.body }
    }
}

/// Checks that a place can be written.
///
/// # Errors
/// [`SignError::Unsupported`].
pub fn check_place(locator: &Locator) -> Result<(), SignError> {
    match locator {
        Locator::Header(_) | Locator::NumberedHeader(_) | Locator::Json(_) | Locator::Form(_) => Ok(()),
        _ => Err(SignError::Unsupported),
    }
}

fn envelope(draft: &SignDraft<'_>, id: &str, message: &str) -> Value {
    json!({
        "v": 1,
        "id": id,
        "event": draft.event,
        "source": "palyra",
        "payload": {"message": message},
        "replay_protection": {"nonce": id, "timestamp_unix_ms": draft.now},
    })
}

/// Sets a value at a pointer, creating objects and arrays on the way; `None` if another value is in the way. An empty
/// document becomes an array if the pointer needs one.
fn set(document: &mut Value, pointer: &str, value: Value) -> Option<()> {
    let mut place = document;
    for segment in pointer.split('/').skip(1) {
        place = descend(place, segment)?;
    }
    *place = value;
    Some(())
}

fn descend<'a>(place: &'a mut Value, segment: &str) -> Option<&'a mut Value> {
    let index = segment.parse::<usize>().ok().filter(|index| *index < ARRAY_ITEMS_MAX);
    if let Some(index) = index {
        if !place.is_array() {
            *place = Value::Array(vec![place.take()]);
        }
        let items = place.as_array_mut()?;
        items.resize(items.len().max(index + 1), Value::Null);
        return items.get_mut(index);
    }
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    let segment = segment.replace("~1", "/").replace("~0", "~");
    Some(place.as_object_mut()?.entry(segment).or_insert(Value::Null))
}
