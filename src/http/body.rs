//! Reads a body from the wire: raw, bounded in bytes and in time.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use crate::http::problem::{Kind, Problem};
use crate::service::admission::Permit;

/// Bounds of one body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Largest body; one byte more is answered 413.
    pub bytes_max: u64,
    /// From the head of the request to the last byte; later is answered 408.
    pub deadline: Duration,
    /// Slowest transfer after the first two seconds; slower is answered 408.
    pub bytes_per_second_min: u64,
}

/// Refuses a body by its declared length, before anything is read.
///
/// # Errors
/// [`Kind::PayloadTooLarge`].
pub fn check_declared(declared: Option<u64>, bytes_max: u64) -> Result<(), Problem> {
    match declared {
        Some(length) if length > bytes_max => Err(Problem::new(Kind::PayloadTooLarge)),
        _ => Ok(()),
    }
}

/// Reads the whole body. Its bytes are covered by `permit`. Bodies that do not arrive at once are limited, so that they
/// leave room for the others.
///
/// # Errors
/// When the body is too large, too slow or cut off, or exceeds the bytes that all deliveries together may hold.
pub async fn read(
    payload: &mut Payload,
    limits: BodyLimits,
    permit: &mut Permit,
) -> Result<Vec<u8>, Problem> {
    let started = Instant::now();
    let mut body = BytesMut::new();
    loop {
        let next = match at_once(payload).await {
            Some(next) => next,
            None => wait(payload, patience(started, limits, body.len()), permit).await?,
        };
        let Some(chunk) = next else {
            permit.be_whole();
            return Ok(body.into());
        };
        let chunk = chunk.map_err(|error| broken_off(&error))?;
        let length = body.len().saturating_add(chunk.len());
        check_declared(u64::try_from(length).ok(), limits.bytes_max)?;
        permit.cover(length, Instant::now())?;
        body.extend_from_slice(&chunk);
    }
}

type Next = Option<Result<Bytes, PayloadError>>;

/// The next chunk, if it is already there. actix-http hands a body that arrived with its head over only after it was polled,
/// so it is polled twice.
async fn at_once(payload: &mut Payload) -> Option<Next> {
    let mut was_asked = false;
    poll_fn(|cx| match payload.poll_next_unpin(cx) {
        Poll::Ready(next) => Poll::Ready(Some(next)),
        Poll::Pending if std::mem::replace(&mut was_asked, true) => Poll::Ready(None),
        Poll::Pending => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Waits for the next chunk until `latest`, or until this body is cancelled to make room for others.
async fn wait(payload: &mut Payload, latest: Instant, permit: &mut Permit) -> Result<Next, Problem> {
    let place = permit.be_unfinished(Instant::now())?;
    tokio::select! {
        next = timeout_at(latest, payload.next()) => next.map_err(|_| Problem::new(Kind::RequestTimeout)),
        () = place.given_way() => Err(Problem::new(Kind::Overloaded)),
    }
}

/// When the next bytes must have arrived: the deadline, or sooner for a sender below the least rate.
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
