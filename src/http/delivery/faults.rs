//! Faults of the daemon or its set-up that keep it from accepting a delivery that may be genuine. Only the operator sees
//! which one.

use std::error::Error;

use palyra_actors::causes::in_full;
use tokio::time::Instant;

use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;
use crate::service::cause::Cause;
use crate::service::throttle::COMPLAINTS_PER_SPAN_MAX;
use crate::within::within;

/// A fault that keeps a delivery from being accepted.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    cause: Cause,
    why: String,
}

impl Fault {
    /// A fault of this cause, described by `why`.
    pub fn of(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, why: why.into() }
    }

    /// A fault of this cause, described by `error` and its sources.
    pub fn told_by(cause: Cause, error: &dyn Error) -> Self {
        Self::of(cause, in_full(error))
    }
}

impl AppState {
    /// Awaits `work`, for at most `answer_deadline_seconds`.
    ///
    /// # Errors
    /// A fault of this cause when it takes longer.
    pub(in crate::http) async fn before_deadline<T>(
        &self,
        cause: Cause,
        work: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        let work = within(self.settings.answer_deadline, work);
        work.await.map_err(|late| Fault::told_by(cause, &late))
    }
}

impl Delivery<'_> {
    /// The answer to a delivery that met with `fault`: never a 4xx, so that the provider retries. The fault is also logged,
    /// at a limited rate, because strangers can cause any number of them.
    pub(in crate::http) fn unavailable(&self, fault: Fault) -> Problem {
        let Fault { cause, why: error } = fault;
        let complaint = (self.id.clone(), cause);
        if !self.app.intake.complaints.exceeds(complaint, COMPLAINTS_PER_SPAN_MAX, Instant::now()) {
            let told = match cause {
                Cause::Unknown => "it is not known whether a delivery was stored",
                _ => "a delivery could not be accepted",
            };
            tracing::warn!(integration = self.id, what = cause.as_str(), error, "{told}");
        }
        Problem::new(Kind::Unavailable).because(cause, error)
    }
}
