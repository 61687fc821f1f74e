//! Why processing of a delivery stops, and how a delivery from the wire is answered then.

use palyra_actors::cut::cut;
use palyra_actors::ids::EventId;
use palyra_actors::provider::{Reject, VerifyError};
use tokio::time::Instant;

use crate::http::delivery::faults::Fault;
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};
use crate::random::random_u128;
use crate::service::admission::Overloaded;
use crate::service::cause::Cause;
use crate::service::refusals::{DETAIL_BYTES_MAX, Refusal};
use crate::service::throttle::BAD_SIGNATURES_MAX;

/// Why a delivery is stopped before it is judged. Creating one counts and logs nothing.
#[derive(Debug)]
pub enum Stopped {
    /// It is not authentic; the sender is not told why.
    Unauthentic(Reject),
    /// The token of its handshake is not the agreed one; the sender is not told that either.
    WrongToken(Reject),
    /// The keys to verify it with are not available, or not usable.
    NoKeys(Fault),
    /// The token to check its handshake against is not available.
    NoToken(Fault),
    /// It is answered with this problem.
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

impl From<Overloaded> for Stopped {
    fn from(overloaded: Overloaded) -> Self {
        Self::Refused(overloaded.into())
    }
}

impl Delivery<'_> {
    /// The answer to a delivery that was stopped; counts and logs it.
    pub(in crate::http) fn answer_to(&self, stopped: Stopped) -> Problem {
        match stopped {
            Stopped::Unauthentic(reject) => self.unauthenticated(&reject, Cause::Unauthentic(reject.reason)),
            Stopped::WrongToken(reject) => self.unauthenticated(&reject, Cause::WrongToken),
            Stopped::NoKeys(fault) | Stopped::NoToken(fault) => self.unavailable(fault),
            Stopped::Refused(problem) => problem,
        }
    }

    /// The sender gets the same body for every reason; only the operator learns which one it is.
    fn unauthenticated(&self, reject: &Reject, cause: Cause) -> Problem {
        let reason = reject.reason;
        self.app.counters.count_unauthentic(&self.id, reason);
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
        Problem::new(kind).because(cause, reject.detail.as_str())
    }

    /// Keeps the reason of a refusal and puts its id into the answer, where there is more to learn than the code. Unknown
    /// integrations and overload are not kept: nothing was examined. Of the deliveries that a throttle refuses only the
    /// first is kept; the others would displace earlier refusals and add nothing.
    pub(in crate::http) fn remember(&self, problem: Problem) -> Problem {
        let is_left_out = match problem.kind() {
            Kind::NotFound | Kind::MethodNotAllowed | Kind::Overloaded => true,
            Kind::TooManyRequests => self.was_throttled_lately(),
            _ => false,
        };
        if is_left_out {
            return problem;
        }
        let now = self.app.clock.now_unix_ms();
        let id = EventId::new(now, random_u128());
        self.app.intake.refusals.keep(Refusal {
            id,
            at: now,
            integration_id: self.id.clone(),
            kind: problem.kind(),
            cause: problem.cause(),
            detail: problem.told().map(|detail| cut(detail, DETAIL_BYTES_MAX)),
        });
        problem.id(id)
    }

    /// Whether another refusal of this peer at this integration was throttled before, within the span.
    fn was_throttled_lately(&self) -> bool {
        self.app.intake.throttled.exceeds((self.head.peer, self.id.clone()), 1, Instant::now())
    }
}
