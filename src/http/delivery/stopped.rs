//! Why a delivery goes no further on its path, and what comes of that where it came over the wire.

use palyra_actors::provider::{Reject, VerifyError};
use tokio::time::Instant;

use crate::http::delivery::cause::Cause;
use crate::http::delivery::faults::Fault;
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};
use crate::http::throttle::BAD_SIGNATURES_MAX;

/// Why a delivery goes no further before it is judged. Nothing is counted or logged by it.
#[derive(Debug)]
pub enum Stopped {
    /// It is not authentic: the sender learns no reason.
    Unauthentic(Reject),
    /// What it is verified with cannot be had, or cannot be used.
    NoKeys(Fault),
    /// The token that its handshake is checked by cannot be had.
    NoToken(Fault),
    /// It has this answer.
    Refused(Problem),
}

impl From<Reject> for Stopped {
    fn from(reject: Reject) -> Self {
        Self::Unauthentic(reject)
    }
}

impl From<VerifyError> for Stopped {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Rejected(reject) => Self::Unauthentic(reject),
            error => Self::NoKeys(Fault::told_by(Cause::Secret, &error)),
        }
    }
}

impl From<Problem> for Stopped {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl Delivery<'_> {
    /// The answer to it, now that it goes no further: counted, and told to the log.
    pub(in crate::http) fn refused(&self, stopped: Stopped) -> Problem {
        match stopped {
            Stopped::Unauthentic(reject) => self.unauthenticated(&reject),
            Stopped::NoKeys(fault) | Stopped::NoToken(fault) => self.unavailable(fault),
            Stopped::Refused(problem) => problem,
        }
    }

    /// One body for every reason: the sender learns nothing, the operator everything.
    fn unauthenticated(&self, reject: &Reject) -> Problem {
        let reason = reject.reason;
        self.app.counters.refuse(&self.id, reason);
        tracing::debug!(
            integration = self.id,
            reason = reason.as_str(),
            detail = reject.detail,
            "a delivery was not authentic"
        );
        let exceeded =
            |peer| self.app.intake.bad_signatures.exceeds(peer, BAD_SIGNATURES_MAX, Instant::now());
        let throttled = self.head.peer.is_some_and(exceeded);
        let kind = if throttled { Kind::TooManyRequests } else { Kind::Unauthenticated };
        Problem::new(kind).because(Cause::Unauthentic(reason), reject.detail.as_str())
    }
}
