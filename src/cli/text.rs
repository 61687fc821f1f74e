//! Makes foreign text safe to show: it cannot move the cursor, hide or reorder text, or forge a line.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Longest cell of a table, in characters, regardless of the terminal. A longer one is cut, and ends in `…`.
pub const CELL_CHARS_MAX: usize = 60;
/// Longest value of a field on its own line, in characters. A longer one is cut like a cell.
pub const FIELD_CHARS_MAX: usize = 400;

/// Whether `c` controls a terminal or misleads a reader instead of being visible: control characters, line and paragraph
/// separators, bidirectional controls (CVE-2021-42574) and characters without a width.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// `text` on one line, with every deceptive character written as a Rust escape (`\n`, `\u{1b}`).
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_deceptive) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_deceptive(c) => shown.push(c),
            '\n' | '\r' | '\t' => shown.extend(c.escape_default()),
            c => shown.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

/// [`visible`], line by line: for text that has lines of its own, like a file.
pub fn visible_lines(text: &str) -> String {
    text.lines().map(|line| visible(line).into_owned() + "\n").collect()
}

/// [`visible`], cut to `chars_max` characters.
pub fn clipped(text: &str, chars_max: usize) -> String {
    let shown = visible(text);
    if shown.chars().count() <= chars_max {
        return shown.into_owned();
    }
    shown.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect()
}

/// Equivalent JSON without deceptive characters except line feeds and tabs. In a valid document such characters occur only
/// inside strings, where `\uXXXX` is equivalent (RFC 8259, section 7), except a carriage return, which may also stand
/// between tokens.
pub fn safe_json(json: &str) -> Cow<'_, str> {
    let keep = |c: char| matches!(c, '\n' | '\t') || !is_deceptive(c);
    if json.chars().all(keep) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match c {
            c if keep(c) => safe.push(c),
            '\r' => safe.push(' '),
            c => push_json_escape(&mut safe, c),
        }
    }
    Cow::Owned(safe)
}

fn push_json_escape(json: &mut String, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing to a String cannot fail.
        write!(json, "\\u{unit:04x}").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests;
