//! The order of members, which a parsed document does not keep.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Deserializer;

/// The first member of an object, as it is written, that is none of `except`.
pub fn first_key_except(document: &[u8], except: &[String]) -> Option<String> {
    Deserializer::from_slice(document).deserialize_map(FirstKey { except }).ok().flatten()
}

struct FirstKey<'a> {
    except: &'a [String],
}

impl<'de> Visitor<'de> for FirstKey<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut first = None;
        while let Some((key, IgnoredAny)) = members.next_entry::<String, IgnoredAny>()? {
            if first.is_none() && !self.except.contains(&key) {
                first = Some(key);
            }
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_text() {
        let except = ["update_id".to_owned()];
        assert_eq!(first_key_except(br#"{"update_id":1,"z":{},"a":2}"#, &except).as_deref(), Some("z"));
        assert_eq!(first_key_except(br#"{"update_id":1}"#, &except), None);
        assert_eq!(first_key_except(b"[1]", &except), None);
    }
}
