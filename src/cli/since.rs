//! Parses and prints points in time for people.

use std::str::FromStr;

use palyra_actors::clock::UnixMs;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Smallest number accepted as milliseconds: March 1973. A smaller one is probably meant as seconds, and refused.
const UNIX_MS_MIN: u64 = 100_000_000_000;

/// The argument of `--since`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A point in time.
    At(UnixMs),
    /// This many milliseconds ago.
    Ago(u64),
}

impl Since {
    /// The point in time, as of `now`.
    pub fn resolve(self, now: UnixMs) -> UnixMs {
        match self {
            Self::At(at) => at,
            Self::Ago(ms) => now.saturating_sub(ms),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return unix_ms(text).map(Self::At);
        }
        if let Some(ms) = span_ms(text) {
            return Ok(Self::Ago(ms));
        }
        rfc3339_ms(text)?.map(Self::At).ok_or_else(|| {
            "write a time (2026-07-01T12:00:00Z), a span before now (30s, 15m, 2h, 3d, 1w) or milliseconds since 1970".to_owned()
        })
    }
}

/// A point in time: RFC 3339, or seconds since 1970 as providers sign them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(pub UnixMs);

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let ms = rfc3339_ms(text)?.ok_or("write 2026-07-01T12:00:00Z, or seconds since 1970")?;
            return Ok(Self(ms));
        }
        let seconds: u64 = text.parse().map_err(|_| "too many digits for seconds since 1970".to_owned())?;
        match seconds {
            UNIX_MS_MIN.. => {
                Err(format!("that is far in the future; did you mean {} seconds?", seconds / 1_000))
            }
            _ => Ok(Self(seconds * 1_000)),
        }
    }
}

/// `None` if the text is not a point in time.
///
/// # Errors
/// When the time is before 1970.
fn rfc3339_ms(text: &str) -> Result<Option<UnixMs>, String> {
    let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) else { return Ok(None) };
    let ms = at.unix_timestamp_nanos().div_euclid(1_000_000);
    UnixMs::try_from(ms).map(Some).map_err(|_| "the time is before 1970".to_owned())
}

fn unix_ms(digits: &str) -> Result<UnixMs, String> {
    let ms: UnixMs = digits.parse().map_err(|_| "too many digits for milliseconds since 1970".to_owned())?;
    if ms < UNIX_MS_MIN {
        return Err(format!("that is in the early 1970s; did you mean {digits}000 milliseconds?"));
    }
    Ok(ms)
}

fn span_ms(text: &str) -> Option<u64> {
    let unit_ms = match text.chars().last()? {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        'w' => 7 * 86_400_000,
        _ => return None,
    };
    let count = text.get(..text.len().checked_sub(1)?)?;
    let digits_only = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    digits_only.then(|| count.parse::<u64>().ok()?.checked_mul(unit_ms)).flatten()
}

/// `ms` as RFC 3339 in UTC, to the second; the number itself if it lies beyond the year 9999.
pub fn time_text(ms: UnixMs) -> String {
    let seconds = i64::try_from(ms / 1_000).ok();
    let time = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| ms.to_string())
}

/// `seconds` in the two largest units that are not zero: `3d 4h`, `5m 1s`, `0s`.
pub fn span_text(seconds: u64) -> String {
    let parts =
        [(seconds / 86_400, "d"), (seconds / 3_600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .take(2)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests;
