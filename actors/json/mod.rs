//! The one JSON parser for bodies: strict where `serde_json` is lenient.
//!
//! A document with duplicate keys reads differently to different parsers, so it is refused. What two
//! readers could disagree about never reaches the schema.

mod order;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Number, Value};

pub use order::first_key_except;
pub use text::{compact, numbers_survive_double};

/// Why a body is not taken as JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It breaks the grammar of RFC 8259, or is not UTF-8.
    #[error("not JSON at line {line}, column {column}")]
    NotJson {
        /// From 1; 0 where the place is not known.
        line: usize,
        /// From 1; 0 where the place is not known.
        column: usize,
    },
    /// It is JSON, but not such that every reader reads the same.
    #[error("{reason} at `{pointer}`")]
    Refused {
        /// JSON pointer to the place, as far as it is known.
        pointer: String,
        /// What is wrong.
        reason: &'static str,
    },
}

const DUPLICATE: &str = "duplicate key";
const UNREADABLE: &str = "nested too deeply, a number out of range, or a lone surrogate";

/// Reads a document. Linear in its length; nesting up to 128 levels.
///
/// # Errors
/// [`JsonError::NotJson`] or [`JsonError::Refused`].
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut duplicate_at = None;
    let mut deserializer = Deserializer::from_slice(bytes);
    let node = Node { duplicate_at: &mut duplicate_at };
    let parsed = node.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match (parsed, duplicate_at) {
        (_, Some(pointer)) => Err(JsonError::Refused { pointer: reversed(&pointer), reason: DUPLICATE }),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(classify(bytes, &error)),
    }
}

/// Whether the text is JSON by grammar although it could not be read.
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

/// Segments are collected from the inside out.
fn reversed(segments: &[String]) -> String {
    segments
        .iter()
        .rev()
        .map(|segment| format!("/{}", segment.replace('~', "~0").replace('/', "~1")))
        .collect()
}

/// Reads one value; after a duplicate key it reads on only to leave.
struct Node<'a> {
    duplicate_at: &'a mut Option<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom(UNREADABLE))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        loop {
            match items.next_element_seed(Node { duplicate_at: &mut *self.duplicate_at }) {
                Ok(Some(item)) => array.push(item),
                Ok(None) => return Ok(Value::Array(array)),
                Err(error) => {
                    note(self.duplicate_at, || array.len().to_string());
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if object.contains_key(&key) {
                *self.duplicate_at = Some(vec![key]);
                return Err(de::Error::custom(DUPLICATE));
            }
            match members.next_value_seed(Node { duplicate_at: &mut *self.duplicate_at }) {
                Ok(value) => drop(object.insert(key, value)),
                Err(error) => {
                    note(self.duplicate_at, || key);
                    return Err(error);
                }
            }
        }
        Ok(Value::Object(object))
    }
}

/// On the way out of a duplicate key, adds where it stands.
fn note(duplicate_at: &mut Option<Vec<String>>, segment: impl FnOnce() -> String) {
    if let Some(pointer) = duplicate_at {
        pointer.push(segment());
    }
}
