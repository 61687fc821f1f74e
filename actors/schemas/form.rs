//! How a table or a list is written where a schema requires one, for a person who wrote something else.

use serde_json::{Map, Value};

use super::followed;

/// The written form, with an ellipsis for what is inside. `found` is what stands there: if it is a word that belongs inside,
/// it is put there. `None` if a plain value is required.
pub(super) fn of(schema: &Value, place: &Value, found: &Value) -> Option<String> {
    match place.get("type")?.as_str()? {
        "array" if is_word_of(schema, place.get("items"), found) => Some(format!("[{found}]")),
        "array" => Some("[…]".to_owned()),
        "object" => Some(table(schema, place, found)),
        _ => None,
    }
}

/// The fields of which a table must have exactly one, if it is such a table.
pub(super) fn choice(place: &Value) -> String {
    if !is_choice(place) {
        return String::new();
    }
    let names: Vec<&str> = fields(place).map(|(name, _)| name.as_str()).collect();
    format!(", where FIELD is one of {}", names.join(", "))
}

fn table(schema: &Value, place: &Value, found: &Value) -> String {
    if let Some((name, _)) = fields(place).find(|(_, field)| is_word_of(schema, Some(field), found)) {
        return format!("{{ {name} = {found} }}");
    }
    if is_choice(place) {
        return "{ FIELD = … }".to_owned();
    }
    let required = place.get("required").and_then(|names| names.get(0)?.as_str());
    let first = required.or_else(|| fields(place).next().map(|(name, _)| name.as_str()));
    format!("{{ {} = … }}", first.unwrap_or("NAME"))
}

fn is_choice(place: &Value) -> bool {
    place.get("maxProperties") == Some(&1.into()) && fields(place).next().is_some()
}

fn fields(place: &Value) -> impl Iterator<Item = (&String, &Value)> {
    place.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// Whether `found` is one of the words that `place` allows.
fn is_word_of(schema: &Value, place: Option<&Value>, found: &Value) -> bool {
    let words = place.and_then(|place| followed(schema, place)?.get("enum")?.as_array());
    found.is_string() && words.is_some_and(|words| words.contains(found))
}
