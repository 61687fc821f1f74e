//! Parses signed times and checks their freshness.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::form::{TimeFormat, TimestampForm};
use super::{Reason, Reject};
use crate::clock::UnixMs;

/// Parses a time strictly: digits only, of bounded length, or RFC 3339.
///
/// # Errors
/// [`Reason::MalformedTimestamp`].
pub fn read(text: &str, format: TimeFormat) -> Result<UnixMs, Reject> {
    let read = match format {
        TimeFormat::UnixS => digits(text, 12).and_then(|seconds| seconds.checked_mul(1_000)),
        TimeFormat::UnixMs => digits(text, 15),
        TimeFormat::Rfc3339 => OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()),
    };
    read.ok_or_else(|| Reject::new(Reason::MalformedTimestamp, "the signed time cannot be read"))
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
        TimeFormat::Rfc3339 => OffsetDateTime::from_unix_timestamp_nanos(i128::from(time) * 1_000_000)
            .ok()
            .and_then(|time| time.format(&Rfc3339).ok())
            .unwrap_or_default(),
    }
}

/// Compares a time with our clock, in both directions; at exactly the tolerance it is still fresh. Times in whole seconds
/// are compared in whole seconds, because the sender's fraction of a second is unknown.
///
/// # Errors
/// [`Reason::StaleTimestamp`] or [`Reason::FutureTimestamp`].
pub fn check(time: UnixMs, form: &TimestampForm, now: UnixMs) -> Result<(), Reject> {
    let now = if form.format == TimeFormat::UnixS { now - now % 1_000 } else { now };
    if now.saturating_sub(time) > form.past_seconds.saturating_mul(1_000) {
        return Err(Reject::new(Reason::StaleTimestamp, "it was signed too long ago"));
    }
    if time.saturating_sub(now) > form.future_seconds.saturating_mul(1_000) {
        return Err(Reject::new(Reason::FutureTimestamp, "it was signed later than our clock's time"));
    }
    Ok(())
}
