//! The two ways in which a delivery arrives: over the wire, or captured and tried out by `webhooks test`
//! (`console/workbench.rs`). Everything in which the two differ on the common path is here.

use std::sync::Arc;

use actix_web::web::Payload;
use palyra_actors::clock::UnixMs;
use palyra_actors::ids::{Digest, Receipt};
use palyra_actors::limits::UNSIGNED_RATE_PER_SECOND_DEFAULT;
use palyra_actors::provider::Verified;
use palyra_actors::registry::Integration;
use palyra_actors::secret::SecretVersions;
use tokio::time::Instant;

use crate::http::body::{self, BodyLimits};
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};
use crate::service::admission::Permit;
use crate::service::cause::Cause;

/// A sender of a body may not be slower than this.
const BODY_BYTES_PER_SECOND_MIN: u64 = 1_024;

/// The steps of the path that depend on how the delivery arrives.
pub trait Arrival {
    /// The integration in its current state.
    fn look_up(&self) -> Result<Arc<Integration>, Problem>;

    /// The body, of at most `bytes_max` bytes.
    async fn read(&mut self, bytes_max: u64) -> Result<Vec<u8>, Problem>;

    /// Whether the delivery may wait for keys that are being fetched for others.
    fn may_wait_for_keys(&mut self) -> bool;

    /// The time that signatures and replays are judged by.
    fn now(&self) -> UnixMs;

    /// Admits a delivery that is not signed.
    fn admit_unsigned(&self, integration: &Integration) -> Result<(), Problem>;

    /// The receipt of an earlier delivery with the same key and body, if it was accepted recently.
    fn accepted_before(&self, key: &Digest, body: &Digest, now: UnixMs) -> Option<Receipt>;

    /// Records that the delivery has passed a step.
    fn passed(&mut self, step: Passed<'_>);
}

/// A step that a delivery has passed.
pub enum Passed<'a> {
    /// The head was accepted.
    Head,
    /// The body has this many bytes, within the limit.
    Size(usize),
    /// The keys to verify with; `None` if the integration needs none.
    Keys(Option<&'a SecretVersions>),
    /// The signature was verified; `None` for a delivery that is accepted unsigned.
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
    /// Admits an unsigned delivery within the rate that the integration allows.
    ///
    /// # Errors
    /// [`Kind::TooManyRequests`] above that rate.
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
