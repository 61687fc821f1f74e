//! How a delivery arrives: over the wire, or captured, to be tried out (`console/workbench.rs`). What the two do otherwise
//! on the same path is here.

use std::sync::Arc;

use actix_web::web::Payload;
use palyra_actors::clock::UnixMs;
use palyra_actors::ids::{Digest, Receipt};
use palyra_actors::limits::UNSIGNED_RATE_PER_SECOND_DEFAULT;
use palyra_actors::provider::Verified;
use palyra_actors::registry::Integration;
use palyra_actors::secret::SecretVersions;
use tokio::time::Instant;

use crate::http::admission::Permit;
use crate::http::body::{self, BodyLimits};
use crate::http::delivery::cause::Cause;
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};

/// Slowest sender of a body.
const BODY_BYTES_PER_SECOND_MIN: u64 = 1_024;

/// What the path of a delivery asks of how it arrives.
pub trait Arrival {
    /// The integration as it is now.
    fn look_up(&self) -> Result<Arc<Integration>, Problem>;

    /// Its body, of at most so many bytes.
    async fn read(&mut self, bytes_max: u64) -> Result<Vec<u8>, Problem>;

    /// Whether it may wait for keys that others fetch.
    fn may_wait_for_keys(&mut self) -> bool;

    /// The time by which it is judged.
    fn now(&self) -> UnixMs;

    /// Lets in what is not signed.
    fn admit_unsigned(&self, integration: &Integration) -> Result<(), Problem>;

    /// The receipt of the same bytes, where they were accepted a moment before.
    fn accepted_before(&self, key: &Digest, body: &Digest, now: UnixMs) -> Option<Receipt>;

    /// Takes note of a step that it has passed.
    fn passed(&mut self, step: Passed<'_>);
}

/// A step that a delivery has passed.
pub enum Passed<'a> {
    /// Its head is not refused.
    Head,
    /// Its body has so many bytes, which are not too many.
    Size(usize),
    /// The keys that it is verified with; none where it needs none.
    Keys(Option<&'a SecretVersions>),
    /// It is signed, or taken without a signature.
    Signature(Option<&'a Verified>),
}

/// A delivery that comes over the wire.
pub(in crate::http) struct Wire<'a> {
    pub delivery: &'a Delivery<'a>,
    pub payload: Payload,
    pub permit: Permit,
}

impl Arrival for Wire<'_> {
    fn look_up(&self) -> Result<Arc<Integration>, Problem> {
        self.delivery.look_up()
    }

    async fn read(&mut self, bytes_max: u64) -> Result<Vec<u8>, Problem> {
        let deadline = self.delivery.app.settings.body_deadline;
        let limits = BodyLimits { bytes_max, deadline, bytes_per_second_min: BODY_BYTES_PER_SECOND_MIN };
        body::read(&mut self.payload, limits, &mut self.permit).await
    }

    fn may_wait_for_keys(&mut self) -> bool {
        self.permit.may_wait_for_keys()
    }

    fn now(&self) -> UnixMs {
        self.delivery.app.clock.now_unix_ms()
    }

    fn admit_unsigned(&self, integration: &Integration) -> Result<(), Problem> {
        self.delivery.admit_unsigned(integration)
    }

    fn accepted_before(&self, key: &Digest, body: &Digest, now: UnixMs) -> Option<Receipt> {
        self.delivery.app.actors.seen.accepted(key, body, now)
    }

    fn passed(&mut self, _: Passed<'_>) {}
}

impl Delivery<'_> {
    /// Lets in what is not signed, as often as the integration takes it.
    ///
    /// # Errors
    /// [`Kind::TooManyRequests`].
    pub(in crate::http) fn admit_unsigned(&self, integration: &Integration) -> Result<(), Problem> {
        let record = &integration.record;
        let most = record.unsigned_rate_per_second.unwrap_or(UNSIGNED_RATE_PER_SECOND_DEFAULT);
        let exceeded = self.app.intake.unsigned.exceeds(record.integration_id.clone(), most, Instant::now());
        let many = || format!("more than {most} unsigned deliveries arrived within a second");
        if exceeded {
            Err(Problem::new(Kind::TooManyRequests).because(Cause::UnsignedRate, many()))
        } else {
            Ok(())
        }
    }
}
