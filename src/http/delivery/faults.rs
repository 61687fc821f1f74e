//! Our own faults: what keeps a delivery from being taken in that may be genuine. Only the operator learns which.

use std::error::Error;

use palyra_actors::causes::in_full;
use tokio::time::{Instant, timeout};

use crate::http::Gate;
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};
use crate::http::throttle::COMPLAINTS_PER_SPAN_MAX;

/// What is at fault where nobody knows whether the delivery was stored.
pub const UNKNOWN: &str = "unknown";

/// What keeps a delivery from being taken in.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    what: &'static str,
    why: String,
}

impl Fault {
    /// That `what` is at fault, and how.
    pub fn of(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, why: why.into() }
    }

    /// That `what` is at fault, as `error` and its causes say.
    pub fn told_by(what: &'static str, error: &dyn Error) -> Self {
        Self::of(what, in_full(error))
    }
}

impl Gate {
    /// What `work` comes to within `answer_deadline_seconds`.
    ///
    /// # Errors
    /// That `what` is at fault, when it takes longer.
    pub(in crate::http) async fn in_time<T>(
        &self,
        what: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, Fault> {
        let deadline = self.settings.answer_deadline;
        let late = |_| Fault::of(what, format!("it was not dealt with within {deadline:?}"));
        timeout(deadline, work).await.map_err(late)
    }
}

impl Delivery<'_> {
    /// The answer to a delivery that met with `fault`: never a 4xx. The log is told too, but not at the pace of strangers,
    /// who can bring it about that nothing can be verified.
    pub(in crate::http) fn unavailable(&self, fault: Fault) -> Problem {
        let Fault { what, why: error } = fault;
        let complaint = (self.id.clone(), what);
        if !self.gate.complaints.exceeds(complaint, COMPLAINTS_PER_SPAN_MAX, Instant::now()) {
            let told = match what {
                UNKNOWN => "whether a delivery was taken in is not known",
                _ => "a delivery could not be taken in",
            };
            tracing::warn!(integration = self.id, what, error, "{told}");
        }
        Problem::new(Kind::Unavailable).because(what, error)
    }
}
