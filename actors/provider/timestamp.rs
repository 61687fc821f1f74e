//! Parses signed times and checks their freshness.

use std::time::{Duration, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::form::{TimeFormat, TimestampForm};
use super::{Reason, Reject};
use crate::clock::UnixMs;

/// The last second that has four digits for its year: the end of 9999.
const HTTP_DATE_MS_MAX: UnixMs = 253_402_300_799_000;

/// Parses a time strictly: digits only, of bounded length, or a date of exactly the given form.
///
/// # Errors
/// [`Reason::MalformedTimestamp`].
pub fn read(text: &str, format: TimeFormat) -> Result<UnixMs, Reject> {
    let read = match format {
        TimeFormat::UnixS => digits(text, 12).and_then(|seconds| seconds.checked_mul(1_000)),
        TimeFormat::UnixMs => digits(text, 15),
        TimeFormat::UnixUs => digits(text, 18).map(|us| us / 1_000),
        TimeFormat::Rfc3339 => OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()),
        TimeFormat::HttpDate => http_date(text),
    };
    read.ok_or_else(|| Reject::new(Reason::MalformedTimestamp, "the signed time cannot be read"))
}

/// The older forms of a date (RFC 9110 §5.6.7) are not read: a signed text has one form.
fn http_date(text: &str) -> Option<UnixMs> {
    let time = httpdate::parse_http_date(text).ok().filter(|time| httpdate::fmt_http_date(*time) == text)?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

fn digits(text: &str, digits_max: usize) -> Option<u64> {
    let fits = (1..=digits_max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| fits)
}

/// Writes `time` as a sender does.
pub fn write(time: UnixMs, format: TimeFormat) -> String {
    match format {
        TimeFormat::UnixS => (time / 1_000).to_string(),
        TimeFormat::UnixMs => time.to_string(),
        TimeFormat::UnixUs => time.saturating_mul(1_000).to_string(),
        TimeFormat::Rfc3339 => OffsetDateTime::from_unix_timestamp_nanos(i128::from(time) * 1_000_000)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_default(),
        TimeFormat::HttpDate => {
            httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(time.min(HTTP_DATE_MS_MAX)))
        }
    }
}

/// Compares a time with our clock, in both directions; at exactly the tolerance it is still fresh. Times in whole seconds
/// are compared in whole seconds, because the sender's fraction of a second is unknown.
///
/// # Errors
/// [`Reason::StaleTimestamp`] or [`Reason::FutureTimestamp`].
pub fn check(time: UnixMs, form: &TimestampForm, now: UnixMs) -> Result<(), Reject> {
    let in_seconds = matches!(form.format, TimeFormat::UnixS | TimeFormat::HttpDate);
    let now = if in_seconds { now - now % 1_000 } else { now };
    if now.saturating_sub(time) > form.past_seconds.saturating_mul(1_000) {
        return Err(Reject::new(Reason::StaleTimestamp, "it was signed too long ago"));
    }
    if time.saturating_sub(now) > form.future_seconds.saturating_mul(1_000) {
        return Err(Reject::new(Reason::FutureTimestamp, "it was signed later than our clock's time"));
    }
    Ok(())
}
