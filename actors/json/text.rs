//! Raw JSON text: white space and numbers, without parsing it into values.

/// Removes white space outside strings. Everything else is kept byte for byte.
pub fn compact(raw: &str) -> String {
    let mut compacted = String::with_capacity(raw.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in raw.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            in_string = character == '"';
        }
        compacted.push(character);
    }
    compacted
}

/// Whether a double represents every number of a document exactly enough that the canonical form (RFC 8785) has the value
/// the sender wrote. `raw` must be valid JSON.
pub fn numbers_survive_double(raw: &[u8]) -> bool {
    std::str::from_utf8(raw).is_ok_and(|text| numbers(text).all(survives_double))
}

/// The numbers of a document, as they are written.
pub(super) fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let start = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit())?;
            rest = rest.get(start..)?;
            if let Some(after_quote) = rest.strip_prefix('"') {
                rest = after_string(after_quote);
                continue;
            }
            let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (number, after) = rest.split_at_checked(end)?;
            rest = after;
            return Some(number);
        }
    })
}

fn after_string(text: &str) -> &str {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.and_then(|end| text.get(end + 1..)).unwrap_or_default()
}

fn survives_double(number: &str) -> bool {
    number.parse::<f64>().is_ok_and(|double| decimal(number) == decimal(&format!("{double:e}")))
}

/// Normalises a decimal number: sign, significant digits, exponent of the last digit. All zeros are equal.
pub(super) fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (negative, unsigned) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let shift = i64::try_from(trailing).ok()? - i64::try_from(fraction.len()).ok()?;
    Some((negative, significant.to_owned(), exponent.checked_add(shift)?))
}
