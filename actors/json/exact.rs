//! Documents that are stored as values and must not lose precision.

use serde_json::Value;

use super::document::Element;
use super::text::{decimal, numbers};
use super::{JsonError, ROUNDED, parse, reversed};

/// Parses a document like [`parse`], and refuses numbers that would be rounded as a value.
///
/// # Errors
/// [`JsonError::NotJson`] or [`JsonError::Refused`].
pub fn exact(text: &str) -> Result<Value, JsonError> {
    let document = parse(text.as_bytes())?;
    let rounds = |(written, kept): (&str, String)| decimal(written) != decimal(&kept);
    let kept = document.numbers().map(ToString::to_string);
    match numbers(text).zip(kept).position(rounds) {
        None => Ok(document.root().to_value()),
        Some(mut before) => {
            let segments = place(document.root(), &mut before).unwrap_or_default();
            Err(JsonError::Refused { pointer: reversed(&segments), reason: ROUNDED })
        }
    }
}

/// The location of the number that follows `before` others: the segments of its pointer, innermost first.
fn place(element: Element<'_>, before: &mut usize) -> Option<Vec<String>> {
    if element.is_number() {
        let left = before.checked_sub(1);
        *before = left.unwrap_or_default();
        return left.is_none().then(Vec::new);
    }
    let items = element.items().enumerate().map(|(index, item)| (index.to_string(), item));
    let members = element.members().map(|(key, value)| (key.to_owned(), value));
    items.chain(members).find_map(|(segment, child)| {
        let mut segments = place(child, before)?;
        segments.push(segment);
        Some(segments)
    })
}
