//! The JSON parser for all bodies: strict where `serde_json` is lenient.
//!
//! Different parsers read a document with duplicate keys differently, so it is refused. Anything two readers could
//! interpret differently is refused before the schema is checked.

mod document;
mod exact;
mod foreign;
mod open_objects;
mod plain;
mod read;
mod text;

#[cfg(test)]
mod tests;

use serde::de::{Deserialize, IgnoredAny};
use serde_json::Deserializer;

pub use document::{Document, Element};
pub use exact::exact;
pub use foreign::{form_document, text_document};
pub use text::{compact, numbers_survive_double};

use read::Failure;

/// Why a body is not accepted as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It violates the grammar of RFC 8259, or is not UTF-8.
    #[error("not JSON at line {line}, column {column}")]
    NotJson {
        /// From 1; 0 if unknown.
        line: usize,
        /// From 1; 0 if unknown.
        column: usize,
    },
    /// It is valid JSON, but different readers could interpret it differently.
    #[error("{reason} at `{pointer}`")]
    Refused {
        /// JSON pointer to the place, as far as known.
        pointer: String,
        /// What is wrong.
        reason: &'static str,
    },
}

const DUPLICATE: &str = "duplicate key";
const ROUNDED: &str = "a number that would be rounded (write it as a string)";
const UNREADABLE: &str = "nested too deeply, a number out of range, or a lone surrogate";

/// Parses a document. Linear in its length; at most 128 levels of nesting.
///
/// # Errors
/// [`JsonError::NotJson`] or [`JsonError::Refused`].
pub fn parse(bytes: &[u8]) -> Result<Document, JsonError> {
    read::document(bytes).map_err(|failure| match failure {
        Failure::Duplicate(segments) => {
            JsonError::Refused { pointer: reversed(&segments), reason: DUPLICATE }
        }
        Failure::Other(error) => classify(bytes, &error),
    })
}

/// Decides whether a text that could not be parsed is nevertheless grammatical JSON.
fn classify(bytes: &[u8], error: &serde_json::Error) -> JsonError {
    let mut grammar = Deserializer::from_slice(bytes);
    let is_json = std::str::from_utf8(bytes).is_ok()
        && IgnoredAny::deserialize(&mut grammar).is_ok()
        && grammar.end().is_ok();
    if is_json {
        return JsonError::Refused { pointer: String::new(), reason: UNREADABLE };
    }
    JsonError::NotJson { line: error.line(), column: error.column() }
}

/// The JSON pointer of segments collected innermost first.
fn reversed(segments: &[String]) -> String {
    segments
        .iter()
        .rev()
        .map(|segment| format!("/{}", segment.replace('~', "~0").replace('/', "~1")))
        .collect()
}
