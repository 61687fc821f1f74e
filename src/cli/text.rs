//! Foreign text made safe to show: nothing in it can move the cursor, hide, reorder or forge a line.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Longest cell of a table, in characters, whatever the terminal. Longer: cut, and the last one is `…`.
pub const CELL_CHARS_MAX: usize = 60;
/// Longest value of a field that stands on a line of its own, in characters. Longer: cut like a cell.
pub const FIELD_CHARS_MAX: usize = 400;

/// Whether `c` steers a terminal or a reader's eye instead of being read: control characters, line and
/// paragraph separators, bidirectional controls (CVE-2021-42574) and characters without a width.
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

/// JSON text that means the same and holds no deceptive character but line feeds and tabs. Such characters
/// can only stand inside the strings of a valid document, where `\uXXXX` says the same (RFC 8259, section 7);
/// a carriage return can only stand between its parts.
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
