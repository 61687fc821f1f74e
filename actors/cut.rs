//! Makes text from outside fit for a row of the journal.

/// `text` without control characters, cut to at most `bytes_max` bytes.
pub fn cut(text: &str, bytes_max: usize) -> String {
    let mut kept: String = text.chars().filter(|c| !c.is_control()).take(bytes_max).collect();
    kept.truncate(kept.floor_char_boundary(bytes_max));
    kept
}
