//! Our own faults: what keeps a delivery from being taken in that may be genuine. Only the operator learns which.

use std::error::Error;

use palyra_actors::causes::in_full;
use tokio::time::{Instant, timeout};

use crate::daemon::state::AppState;
use crate::http::delivery::cause::Cause;
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};
use crate::http::throttle::COMPLAINTS_PER_SPAN_MAX;

/// What keeps a delivery from being taken in.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    cause: Cause,
    why: String,
}

impl Fault {
    /// One of that cause, and how it shows.
    pub fn of(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, why: why.into() }
    }

    /// One of that cause, as `error` and its own causes say.
    pub fn told_by(cause: Cause, error: &dyn Error) -> Self {
        Self::of(cause, in_full(error))
    }
}

impl AppState {
    /// What `work` comes to within `answer_deadline_seconds`.
    ///
    /// # Errors
    /// A fault of that cause, when it takes longer.
    pub(in crate::http) async fn before_deadline<T>(
        &self,
        cause: Cause,
        work: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        let deadline = self.settings.answer_deadline;
        let late = |_| Fault::of(cause, format!("no result within {deadline:?}"));
        timeout(deadline, work).await.map_err(late)
    }
}

impl Delivery<'_> {
    /// The answer to a delivery that met with `fault`: never a 4xx. The log is told too, but not at the pace of strangers,
    /// who can bring it about that nothing can be verified.
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
