//! Steps 9 to 11 of the path of a delivery: an authentic delivery is journaled, and answered once the row is durable.

use std::sync::Arc;

use palyra_actors::ids::{Digest, Receipt};
use palyra_actors::journal::{Appended, HeldBecause, JournalError, NewEvent, ReplayClaim, Verdict};
use palyra_actors::judging::{self, Judgement, Names};
use palyra_actors::provider::{Body, DeliveryAnswer, Verified};
use palyra_actors::registry::Integration;
use palyra_actors::replay_guard::SubmitError;

use crate::http::delivery::answer::{Answer, Outcome};
use crate::http::delivery::faults::Fault;
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};
use crate::service::admission::Permit;
use crate::service::cause::Cause;

/// An authentic delivery, as far as the journal and the answer need it.
pub struct Authentic {
    /// The integration it was sent to.
    pub integration: Arc<Integration>,
    /// The names that its profile extracts from it.
    pub names: Names,
    /// What its signature covers.
    pub verified: Verified,
    /// The replay key, which identifies the delivery.
    pub key: Digest,
    /// Whether a different body under the same key is a retry of the same delivery.
    pub retries_differ: bool,
    /// The form in which its provider expects to be answered.
    pub form: DeliveryAnswer,
}

/// The last steps of a delivery: from here on it leaves exactly one row, whatever the verdict.
pub(in crate::http) struct Conclusion<'a> {
    pub delivery: &'a Delivery<'a>,
    pub of: Authentic,
    /// Held as long as the work lasts.
    pub permit: Arc<Permit>,
}

impl Conclusion<'_> {
    /// Reserves the replay key and appends in one go, and answers once the row is durable.
    ///
    /// # Errors
    /// When the row is not durable in time, or it is not known whether it is.
    pub async fn conclude(self, judgement: Judgement, body: Body) -> Result<Answer, Problem> {
        let (digest, bytes, verdict) = (body.digest(), body.raw().len(), judgement.verdict());
        let event = self.event(&judgement, body, digest);
        match self.submit(event, self.of.key, digest, verdict).await? {
            Appended::Stored(receipt) => Ok(self.answer(judgement, receipt)),
            Appended::Held { holder, because } => match because {
                HeldBecause::AlreadyAccepted => Ok(self.taken(Outcome::Duplicate, holder.receipt)),
                HeldBecause::AlreadyJudged => Ok(self.answer(judgement, holder.receipt)),
                HeldBecause::OtherBody => self.conflict(digest, bytes, "body").await,
                HeldBecause::OtherNames => self.conflict(digest, bytes, "event or source").await,
            },
        }
    }

    /// Journals a conflict under a key of its own, once for each distinct body or, where the signature does not cover the
    /// whole body, once for each distinct signed content. So nobody without the secret can make a delivery leave more rows.
    async fn conflict(self, body: Digest, bytes: usize, other: &str) -> Result<Answer, Problem> {
        let why = [format!("an earlier delivery with the same replay key has another {other}")];
        let event = self.refusal(Verdict::Conflict, body, bytes, &why);
        let key = self.of.verified.conflict_key(self.of.key, body);
        let receipt = match self.submit(event, key, body, Verdict::Conflict).await? {
            Appended::Stored(receipt) => receipt,
            Appended::Held { holder, .. } => holder.receipt,
        };
        Ok(Answer::Refused(Problem::new(Kind::Conflict).outcome("conflict").id(receipt.event_id)))
    }

    fn event(&self, judgement: &Judgement, body: Body, digest: Digest) -> NewEvent {
        let verdict = judgement.verdict();
        match judgement {
            Judgement::Accept(format) => {
                let record = &self.of.integration.record;
                let key_version = self.of.verified.key_version;
                let event = judging::webhook_event(
                    record,
                    self.of.names.clone(),
                    key_version,
                    body.into_hashed(),
                    *format,
                );
                NewEvent::Webhook(event)
            }
            Judgement::Filter { what } => {
                let why = [format!("allowed_{what}s does not name this {what}")];
                self.refusal(verdict, digest, body.raw().len(), &why)
            }
            Judgement::Reject(flaw) => {
                let why = flaw.reasons(&self.of.names, self.of.integration.profile.as_deref());
                self.refusal(verdict, digest, body.raw().len(), &why)
            }
        }
    }

    fn refusal(&self, verdict: Verdict, body: Digest, bytes: usize, why: &[String]) -> NewEvent {
        let record = &self.of.integration.record;
        NewEvent::System(judging::refusal_event(record, &self.of.names, verdict, body, bytes, why))
    }

    /// Hands the append over and waits for the row that holds the key. When the outcome is unknown or late, the index of the
    /// journal still prevents a second row for the same key.
    async fn submit(
        &self,
        event: NewEvent,
        key: Digest,
        body: Digest,
        verdict: Verdict,
    ) -> Result<Appended, Problem> {
        let claim = ReplayClaim {
            key,
            body,
            verdict,
            expires_at: self.expires_at(),
            is_whole: self.of.verified.covers_bytes,
            retries_differ: self.of.retries_differ,
        };
        let permit = Arc::<Permit>::clone(&self.permit);
        let app = self.delivery.app;
        let submitted = app.actors.replay_guard.submit(event, claim, permit);
        let fault = match app.before_deadline(Cause::Unknown, submitted).await {
            Ok(Ok(appended)) => return Ok(appended),
            Ok(Err(error)) if may_be_stored(&error) => Fault::told_by(Cause::Unknown, &error),
            Ok(Err(error)) => Fault::told_by(Cause::Event, &error),
            Err(late) => late,
        };
        Err(self.delivery.unavailable(fault))
    }

    fn expires_at(&self) -> u64 {
        let default = self.delivery.app.settings.replay_window_seconds;
        let window = self.of.integration.replay_window_seconds().unwrap_or(default);
        self.delivery.app.clock.now_unix_ms().saturating_add(window.saturating_mul(1_000))
    }

    fn taken(&self, outcome: Outcome, receipt: Receipt) -> Answer {
        Answer::Taken { outcome, receipt, form: self.of.form }
    }

    fn answer(&self, judgement: Judgement, receipt: Receipt) -> Answer {
        match judgement {
            Judgement::Accept(_) => self.taken(Outcome::Accepted, receipt),
            Judgement::Filter { .. } if self.of.integration.record.rejects_filtered() => {
                Answer::Refused(Problem::new(Kind::Filtered).outcome("filtered").id(receipt.event_id))
            }
            Judgement::Filter { .. } => self.taken(Outcome::Filtered, receipt),
            Judgement::Reject(flaw) => {
                Answer::Refused(Problem::of_flaw(&flaw).outcome("rejected").id(receipt.event_id))
            }
        }
    }
}

/// Whether the journal may have stored the event despite the error.
fn may_be_stored(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Journal(JournalError::Unknown | JournalError::Poisoned { .. }))
}
