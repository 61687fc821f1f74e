//! Reads a body from the wire: raw, bounded in bytes and in time.

use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::{BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::admission::Permit;
use super::problem::{Kind, Problem};

/// A body that takes longer needs a place among the slow ones.
const PROMPT: Duration = Duration::from_secs(1);

/// Bounds of one body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Largest body; one byte more is 413.
    pub bytes_max: u64,
    /// From the head of the request to the last byte; later is 408.
    pub deadline: Duration,
    /// Slowest sender after the first two seconds; slower is 408.
    pub bytes_per_second_min: u64,
}

/// Refuses by the declared length, before anything is read.
///
/// # Errors
/// [`Kind::PayloadTooLarge`].
pub fn check_declared(declared: Option<u64>, bytes_max: u64) -> Result<(), Problem> {
    match declared {
        Some(length) if length > bytes_max => Err(Problem::new(Kind::PayloadTooLarge)),
        _ => Ok(()),
    }
}

/// Reads the body to its end. What is read is covered by `permit`, and so is the time it takes: slow senders, however many,
/// leave room for the others.
///
/// # Errors
/// Too large, too slow, cut off, or more than all deliveries together may hold.
pub async fn read(mut payload: Payload, limits: BodyLimits, permit: &mut Permit) -> Result<Vec<u8>, Problem> {
    let started = Instant::now();
    let mut body = BytesMut::new();
    loop {
        let latest = patience(started, limits, body.len());
        let until = if permit.may_be_slow() { latest } else { latest.min(started + PROMPT) };
        let next = match timeout_at(until, payload.next()).await {
            Ok(next) => next,
            Err(_) if until < latest => {
                permit.be_slow()?;
                continue;
            }
            Err(_) => return Err(Problem::new(Kind::RequestTimeout)),
        };
        let Some(chunk) = next else { return Ok(body.into()) };
        let chunk = chunk.map_err(|error| broken_off(&error))?;
        let length = body.len().saturating_add(chunk.len());
        check_declared(u64::try_from(length).ok(), limits.bytes_max)?;
        permit.cover(length)?;
        body.extend_from_slice(&chunk);
    }
}

/// Until when the next bytes must come: the deadline, or sooner for a sender that trickles.
fn patience(started: Instant, limits: BodyLimits, received: usize) -> Instant {
    let received = u64::try_from(received).unwrap_or(u64::MAX);
    let earned = received / limits.bytes_per_second_min.max(1);
    let by_rate = Duration::from_secs(earned.saturating_add(2));
    started + limits.deadline.min(by_rate)
}

fn broken_off(error: &PayloadError) -> Problem {
    match error {
        PayloadError::Overflow => Problem::new(Kind::PayloadTooLarge),
        _ => Problem::new(Kind::BadRequest),
    }
}
