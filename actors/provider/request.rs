//! A delivery as the engine sees it, and how places in it are read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::body::Body;
use super::form::{Locator, When};
use super::{Reason, Reject};
use crate::json::{self, Element};

/// Largest number tried for numbered headers.
const NUMBERED_HEADERS_MAX: u32 = 100;

/// Settings of an integration besides its secret, by name.
pub type Parameters = BTreeMap<String, String>;

/// Headers of a request.
pub trait Headers {
    /// The first value of the header `name` (case-insensitive) as raw bytes, and whether there are further values.
    fn first<'a>(&'a self, name: &str) -> Option<(&'a [u8], bool)>;
}

impl Headers for Vec<(String, Vec<u8>)> {
    fn first<'a>(&'a self, name: &str) -> Option<(&'a [u8], bool)> {
        let mut named = self.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let (_, first) = named.next()?;
        Some((first, named.next().is_some()))
    }
}

/// One request, its body included.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Path and query, or the complete URL if the sender signs that.
    pub url: &'a str,
    pub headers: &'a dyn Headers,
    pub body: &'a Body,
    /// Settings of the integration besides its secret.
    pub parameters: &'a Parameters,
}

/// A header that may appear only once.
///
/// # Errors
/// `reason` when it appears more than once or is not text.
pub fn single_header<'a>(
    headers: &'a dyn Headers,
    name: &str,
    reason: Reason,
) -> Result<Option<&'a str>, Reject> {
    let Some((value, again)) = headers.first(name) else { return Ok(None) };
    if again {
        return Err(Reject::new(reason, format!("the header {name} is there more than once")));
    }
    let text =
        std::str::from_utf8(value).map_err(|_| Reject::new(reason, format!("header {name} is not text")))?;
    Ok(Some(text))
}

impl<'a> Request<'a> {
    /// The text at `locator`; `None` if it is missing or empty.
    ///
    /// # Errors
    /// `reason` when a header it reads appears more than once.
    pub fn text(&self, locator: &Locator, reason: Reason) -> Result<Option<Cow<'a, str>>, Reject> {
        let text = match locator {
            Locator::Header(name) => single_header(self.headers, name, reason)?.map(Cow::Borrowed),
            Locator::NumberedHeader(name) => self.numbered(name, reason)?.map(Cow::Owned),
            Locator::Join { from, separator } => self.joined(from, separator, reason)?,
            other => self.elsewhere(other),
        };
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// The text of the first of `locators` that yields one.
    ///
    /// # Errors
    /// As [`Request::text`].
    pub fn first(&self, locators: &[Locator], reason: Reason) -> Result<Option<Cow<'a, str>>, Reject> {
        for locator in locators {
            if let Some(text) = self.text(locator, reason)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn joined(
        &self,
        from: &[Locator],
        separator: &str,
        reason: Reason,
    ) -> Result<Option<Cow<'a, str>>, Reject> {
        let mut parts = Vec::with_capacity(from.len());
        for locator in from {
            match self.text(locator, reason)? {
                Some(part) => parts.push(part),
                None => return Ok(None),
            }
        }
        Ok(Some(Cow::Owned(parts.join(separator))))
    }

    /// The values of numbered headers, joined by commas, which no signature encoding uses.
    fn numbered(&self, name: &str, reason: Reason) -> Result<Option<String>, Reject> {
        let mut values = Vec::new();
        for number in 1..=NUMBERED_HEADERS_MAX {
            values.extend(single_header(self.headers, &format!("{name}{number}"), reason)?);
        }
        Ok((!values.is_empty()).then(|| values.join(",")))
    }

    fn elsewhere(&self, locator: &Locator) -> Option<Cow<'a, str>> {
        match locator {
            Locator::Json(pointer) => self.body.json()?.pointer(pointer)?.scalar(),
            Locator::Form(field) => self.body.form_field(field).map(Cow::Borrowed),
            Locator::FormJson { field, json: pointer } => {
                let document = json::parse(self.body.form_field(field)?.as_bytes()).ok()?;
                document.root().pointer(pointer)?.scalar().map(|text| Cow::Owned(text.into_owned()))
            }
            Locator::JsonEach { array, json } => self.of_each(array, json).map(Cow::Owned),
            Locator::Query(name) => self.query(name).map(Cow::Owned),
            Locator::JsonFirstKeyExcept(except) => {
                let mut keys = self.body.json()?.members().map(|(key, _)| key);
                keys.find(|key| except.iter().all(|other| other != key)).map(Cow::Borrowed)
            }
            Locator::Const(text) => Some(Cow::Owned(text.clone())),
            Locator::Header(_) | Locator::NumberedHeader(_) | Locator::Join { .. } => None,
        }
    }

    fn of_each(&self, array: &str, json: &str) -> Option<String> {
        let items = self.body.json()?.pointer(array)?.items();
        let texts: Vec<_> = items.map(|item| item.pointer(json)?.scalar()).collect::<Option<_>>()?;
        serde_json::to_string(&texts).ok().filter(|_| !texts.is_empty())
    }

    /// A query parameter.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let query = self.url.split_once('?')?.1;
        let query = query.split('#').next().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes())
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Whether `when` holds.
    pub fn fits(&self, when: &When) -> bool {
        match when {
            When::QueryPresent(name) => self.query(name).is_some(),
            When::BodyIs(content) => self.body.kind() == content.kind(),
            When::JsonAbsent(pointer) => {
                self.body.json().is_some_and(|document| document.pointer(pointer).is_none())
            }
            When::JsonPresent(pointer) => {
                self.body.json().is_some_and(|document| document.pointer(pointer).is_some())
            }
            When::JsonIs { json, values } => {
                let place = self.body.json().and_then(|document| document.pointer(json));
                let text = place.and_then(Element::scalar);
                text.is_some_and(|text| values.iter().any(|value| *value == text))
            }
            when => head_fits(when, self.headers).unwrap_or(true),
        }
    }
}

/// Whether `when` holds; `None` if the headers alone cannot decide it.
pub fn head_fits(when: &When, headers: &dyn Headers) -> Option<bool> {
    match when {
        When::HeaderPresent(name) => Some(headers.first(name).is_some()),
        When::HeaderAbsent(name) => Some(headers.first(name).is_none()),
        When::HeaderIs { header, values } => {
            let text = single_header(headers, header, Reason::MalformedSignature).ok().flatten();
            Some(text.is_some_and(|text| values.iter().any(|value| value == text)))
        }
        When::HeaderItem { header, name, value } => Some(header_item(headers, header, name) == Some(value)),
        When::QueryPresent(_)
        | When::BodyIs(_)
        | When::JsonIs { .. }
        | When::JsonAbsent(_)
        | When::JsonPresent(_) => None,
    }
}

/// The item `name` of a header of the form `a=1, b=2`.
fn header_item<'a>(headers: &'a dyn Headers, header: &str, name: &str) -> Option<&'a str> {
    let text = single_header(headers, header, Reason::MalformedSignature).ok()??;
    let items = text.split(',').filter_map(|item| item.trim().split_once('='));
    items.into_iter().find(|(own, _)| *own == name).map(|(_, value)| value)
}
