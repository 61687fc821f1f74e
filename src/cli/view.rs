//! Reads the console's documents for display.

use serde_json::Value;

use super::since::time_text;
use super::table::Fields;

/// Shown in place of a missing value.
pub const NONE: &str = "-";

/// The member `name` of `document` as text; [`NONE`] if it is missing.
pub fn shown(document: &Value, name: &str) -> String {
    document.get(name).map_or_else(|| NONE.to_owned(), show)
}

/// A value as text: text unchanged, booleans as yes or no, lists with commas, null as [`NONE`].
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => NONE.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => NONE.to_owned(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        Value::Object(_) => value.to_string(),
    }
}

/// The member `name`, a time in milliseconds since 1970, as RFC 3339.
pub fn shown_time(document: &Value, name: &str) -> String {
    document.get(name).and_then(Value::as_u64).map_or_else(|| NONE.to_owned(), time_text)
}

/// The items of the list `name`; none if it is missing.
pub fn items<'a>(document: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    document.get(name).and_then(Value::as_array).into_iter().flatten()
}

/// The text `name`; empty if it is missing.
pub fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Whether `name` is true.
pub fn is_true(document: &Value, name: &str) -> bool {
    document.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// Every member of `document`, one per line; those of nested objects as `outer.inner`.
pub fn all_fields(document: &Value) -> Fields {
    let mut fields = Fields::default();
    add_members(&mut fields, "", document);
    fields
}

fn add_members(fields: &mut Fields, prefix: &str, document: &Value) {
    for (name, value) in document.as_object().into_iter().flatten() {
        match value {
            Value::Object(members) if members.is_empty() => {}
            Value::Object(_) => add_members(fields, &format!("{prefix}{name}."), value),
            Value::Number(_) if name.ends_with("_unix_ms") => {
                fields.add(label(prefix, name.trim_end_matches("_unix_ms")), shown_time(document, name));
            }
            _ => fields.add(label(prefix, name), show(value)),
        }
    }
}

fn label(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}").replace('_', " ")
}
