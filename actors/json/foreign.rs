//! JSON documents for bodies that are not JSON: forms and texts.

use serde_json::{Map, Value, json};

/// A text as an object with the single member `text`.
pub fn text_document(text: &str) -> Value {
    json!({ "text": text })
}

/// The fields of a form as an object: a field is a string if it appears once, an array if it appears several times.
pub fn form_document(body: &[u8]) -> Value {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::from(value.into_owned());
        match fields.get_mut(name.as_ref()) {
            None => drop(fields.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_form_fields_become_an_array() {
        assert_eq!(form_document(b"a=1&b=2&a=3&a=4"), json!({"a": ["1", "3", "4"], "b": "2"}));
    }
}
