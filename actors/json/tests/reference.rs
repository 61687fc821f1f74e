//! The straight way to read a document strictly: into a tree of values. What the tape must agree with.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Number, Value};

use super::{DUPLICATE, JsonError, UNREADABLE, classify, reversed};

/// Reads a document into values of `serde_json`.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut duplicate_at = None;
    let mut deserializer = Deserializer::from_slice(bytes);
    let place = ValueSeed { duplicate_at: &mut duplicate_at };
    let parsed = place.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match (parsed, duplicate_at) {
        (_, Some(pointer)) => Err(JsonError::Refused { pointer: reversed(&pointer), reason: DUPLICATE }),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(classify(bytes, &error)),
    }
}

/// Parses one value; after a duplicate key it only returns.
struct ValueSeed<'a> {
    duplicate_at: &'a mut Option<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
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
            match items.next_element_seed(ValueSeed { duplicate_at: &mut *self.duplicate_at }) {
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
            match members.next_value_seed(ValueSeed { duplicate_at: &mut *self.duplicate_at }) {
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

/// After a duplicate key, adds a segment to its pointer while returning.
fn note(duplicate_at: &mut Option<Vec<String>>, segment: impl FnOnce() -> String) {
    if let Some(pointer) = duplicate_at {
        pointer.push(segment());
    }
}

/// A scalar as text: strings as they are, numbers and booleans as JSON writes them.
pub fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        _ => None,
    }
}
