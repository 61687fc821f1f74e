//! Locates values in a TOML text, and the error that names such a place.

use std::ops::Range;

use toml_edit::{Document, Item, TomlError};

/// Longest name that is shown, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Line and column, both counted from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPlace {
    pub line: usize,
    pub column: usize,
}

impl TextPlace {
    /// The position of a byte offset in `text`.
    pub fn at(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }
}

/// A fault in a TOML file of the operator's, and its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}:{}: {field}: {message}", place.line, place.column)]
pub struct TextFault {
    pub file: String,
    pub place: TextPlace,
    /// The field, as a path, or what the file is if the whole of it is meant.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl TextFault {
    /// The fault in the file as a whole, which is `kind`.
    pub fn of_file(file: &str, kind: &str, message: &str) -> Self {
        let place = TextPlace { line: 1, column: 1 };
        Self { file: file.to_owned(), place, field: kind.to_owned(), message: message.to_owned(), hint: None }
    }

    /// The fault of the value at the JSON pointer `pointer` into `text`, which is `kind` as a whole.
    pub fn at(file: &str, text: &str, kind: &str, pointer: &str, message: &str) -> Self {
        let (place, path) = (find(text, pointer), path(pointer));
        let field = if path.is_empty() { kind.to_owned() } else { path };
        Self { place, field, ..Self::of_file(file, kind, message) }
    }
}

/// The position and message of a TOML syntax error.
pub fn syntax_error(text: &str, error: &TomlError) -> (TextPlace, String) {
    let offset = error.span().map_or(0, |span| span.start);
    let message = error.message().lines().next().unwrap_or("this is not TOML");
    (TextPlace::at(text, offset), message.to_owned())
}

/// The remedy for a duplicate name.
pub const REMOVE_ONE: &str = "remove one of the two";

/// The duplicate name, if that is the TOML parser's error in `text`.
pub fn stands_twice(text: &str, message: &str, span: Option<Range<usize>>) -> Option<String> {
    let name = text.get(span?)?.trim_matches(['"', '\'']);
    (message == "duplicate key").then(|| name.chars().take(NAME_CHARS_MAX).collect())
}

/// The position of the value at the JSON pointer `pointer`; for a missing value, that of the nearest enclosing table.
pub fn find(text: &str, pointer: &str) -> TextPlace {
    let Ok(document) = Document::parse(text) else { return TextPlace { line: 1, column: 1 } };
    let mut item = document.as_item();
    let mut offset = 0;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let Some((inner, start)) = child(item, &segment) else { break };
        offset = start.unwrap_or(offset);
        item = inner;
    }
    TextPlace::at(text, offset)
}

/// A member or element, and the offset at which it begins: that of its key, if it has one.
fn child<'a>(item: &'a Item, segment: &str) -> Option<(&'a Item, Option<usize>)> {
    if let Some(table) = item.as_table_like() {
        let (key, inner) = table.get_key_value(segment)?;
        return Some((inner, key.span().map(|span| span.start).or(start_of(inner))));
    }
    let index: usize = segment.parse().ok()?;
    let inner = item.get(index)?;
    Some((inner, start_of(inner)))
}

fn start_of(item: &Item) -> Option<usize> {
    item.span().map(|span| span.start)
}

/// A JSON pointer in the notation people use: `webhooks[1].provider`.
pub fn path(pointer: &str) -> String {
    let mut path = String::new();
    for segment in pointer.split('/').skip(1) {
        if segment.bytes().all(|byte| byte.is_ascii_digit()) && !segment.is_empty() {
            path.push_str(&format!("[{segment}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&segment.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_tables_and_missing_members_are_placed() {
        let text =
            "version = 1\n\n[[webhooks]]\n  id = \"ä\"\n\n[[webhooks]]\n  id = 2\n  inner = { a = 1 }\n";
        let place = |pointer| {
            let place = find(text, pointer);
            (place.line, place.column)
        };
        assert_eq!(place("/version"), (1, 1));
        assert_eq!(place("/webhooks/1/id"), (7, 3));
        assert_eq!(place("/webhooks/1/inner/a"), (8, 13));
        assert_eq!(place("/webhooks/0/missing"), (3, 1));
    }

    #[test]
    fn pointers_read_as_paths() {
        assert_eq!(path("/webhooks/1/provider"), "webhooks[1].provider");
        assert_eq!(path(""), "");
    }
}
