//! Text that somebody else wrote, made fit for a row.

/// `text` in at most `bytes_max` bytes, and without control characters.
pub fn cut(text: &str, bytes_max: usize) -> String {
    let mut kept: String = text.chars().filter(|c| !c.is_control()).take(bytes_max).collect();
    kept.truncate(kept.floor_char_boundary(bytes_max));
    kept
}
