//! Parses the text in a single pass: the grammar is that of `serde_json`, the result is the tape.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::de::Read;
use serde_json::{Deserializer, Number};

use super::document::{Document, Node};
use super::open_objects::OpenKeys;
use super::{DUPLICATE, UNREADABLE, plain};

/// Why a text could not be parsed.
pub enum Failure {
    /// A duplicate key: the segments of its pointer, innermost first.
    Duplicate(Vec<String>),
    /// The error of the deserializer.
    Other(serde_json::Error),
}

/// Parses a document.
pub fn document(bytes: &[u8]) -> Result<Document, Failure> {
    let quick = std::str::from_utf8(bytes).ok().and_then(plain::document);
    quick.map_or_else(|| thoroughly(bytes), Ok)
}

/// Parses a document with `serde_json`, and finds the error.
pub fn thoroughly(bytes: &[u8]) -> Result<Document, Failure> {
    match std::str::from_utf8(bytes) {
        // The text is validated as a whole, so its strings need not be validated one by one.
        Ok(text) => read(Deserializer::from_str(text), bytes.len()),
        Err(_) => read(Deserializer::from_slice(bytes), bytes.len()),
    }
}

fn read<'de>(mut deserializer: Deserializer<impl Read<'de>>, bytes: usize) -> Result<Document, Failure> {
    let mut reader =
        Reader { document: Document::with_room_for(bytes), keys: OpenKeys::default(), duplicate_at: None };
    let read = ValueSeed(&mut reader).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    match (read, reader.duplicate_at) {
        (_, Some(segments)) => Err(Failure::Duplicate(segments)),
        (Err(error), None) => Err(Failure::Other(error)),
        (Ok(()), None) => Ok(reader.document),
    }
}

struct Reader<'de> {
    document: Document,
    keys: OpenKeys<'de>,
    duplicate_at: Option<Vec<String>>,
}

impl Reader<'_> {
    /// After a duplicate key, adds a segment to its pointer while returning.
    fn note(&mut self, segment: impl FnOnce() -> String) {
        if let Some(segments) = &mut self.duplicate_at {
            segments.push(segment());
        }
    }
}

/// Parses one value; after a duplicate key it only returns.
struct ValueSeed<'r, 'de>(&'r mut Reader<'de>);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.0.document.push(Node::Null);
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.0.document.push(Node::Bool(value));
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.0.document.push(Node::Number(value.into()));
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.0.document.push(Node::Number(value.into()));
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom(UNREADABLE))?;
        self.0.document.push(Node::Number(number));
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.0.document.push_text(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let reader = self.0;
        let place = reader.document.open();
        let mut read = 0_usize;
        while items
            .next_element_seed(ValueSeed(reader))
            .inspect_err(|_| reader.note(|| read.to_string()))?
            .is_some()
        {
            read += 1;
        }
        reader.document.close(place, Node::Array);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let reader = self.0;
        let place = reader.document.open();
        let mut keys = reader.keys.open();
        while let Some(key) = members.next_key_seed(Key)? {
            reader.document.push_text(&key);
            if !reader.keys.insert(&mut keys, key.clone()) {
                reader.duplicate_at = Some(vec![key.into_owned()]);
                return Err(de::Error::custom(DUPLICATE));
            }
            members.next_value_seed(ValueSeed(reader)).inspect_err(|_| reader.note(|| key.into_owned()))?;
        }
        reader.keys.close(keys);
        reader.document.close(place, Node::Object);
        Ok(())
    }
}

/// Parses a key, which borrows from the text unless it contains escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: de::Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
