//! Time as an argument: code that needs the time is given a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type UnixMs = u64;

/// A source of wall-clock time.
pub trait Clock: Send + Sync + 'static {
    fn now_unix_ms(&self) -> UnixMs;
}

/// A clock shared between threads.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock. A time before 1970 reads as 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// The machine's clock is set to a time that no event can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the clock of this machine says {0}, but it must be between 1970 and 9999")]
pub struct NoHttpDate(String);

impl SystemClock {
    /// Refuses a clock that is set before 1970 or after 9999, because HTTP has no such dates (RFC 9110, section 5.6.7).
    ///
    /// # Errors
    /// The time it shows.
    pub fn check() -> Result<(), NoHttpDate> {
        check(now())
    }
}

/// 10000-01-01T00:00:00Z.
const YEAR_10000_UNIX_S: u64 = 253_402_300_800;

fn check(now: SystemTime) -> Result<(), NoHttpDate> {
    let now = match now.duration_since(UNIX_EPOCH) {
        Ok(since) if since.as_secs() < YEAR_10000_UNIX_S => return Ok(()),
        Ok(_) => return Err(NoHttpDate("a time after the year 9999".to_owned())),
        Err(_) => OffsetDateTime::from(now),
    };
    let said = now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339);
    Err(NoHttpDate(said.unwrap_or_else(|_| "a time before the year 0".to_owned())))
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

impl Clock for SystemClock {
    fn now_unix_ms(&self) -> UnixMs {
        let since_epoch = now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: UnixMs) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(now)))
    }

    /// Moves the clock to `now`, forward or back.
    pub fn set(&self, now: UnixMs) {
        self.0.store(now, Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance_ms(&self, by: u64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_unix_ms(&self) -> UnixMs {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_for_which_http_has_no_date_is_refused_with_what_it_says() {
        let last = UNIX_EPOCH + Duration::from_secs(YEAR_10000_UNIX_S - 1);
        assert_eq!((check(UNIX_EPOCH), check(last)), (Ok(()), Ok(())));
        let said = |time| check(time).unwrap_err().to_string();
        assert_eq!(
            said(UNIX_EPOCH - Duration::from_secs(1)),
            "the clock of this machine says 1969-12-31T23:59:59Z, but it must be between 1970 and 9999"
        );
        assert!(said(last + Duration::from_secs(1)).contains("after the year 9999"));
    }
}
