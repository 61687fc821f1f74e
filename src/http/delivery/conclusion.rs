//! Steps 9 to 11 of the path of a delivery: what is authentic is journaled, and answered once that is durable.

use std::sync::Arc;

use palyra_actors::ids::{Digest, Receipt};
use palyra_actors::journal::{Appended, HeldBecause, JournalError, NewEvent, ReplayClaim, Verdict};
use palyra_actors::provider::{Body, DeliveryAnswer, Verified};
use palyra_actors::registry::Integration;
use palyra_actors::replay_guard::SubmitError;

use crate::http::admission::Permit;
use crate::http::delivery::answer::{Answer, Outcome};
use crate::http::delivery::cause::Cause;
use crate::http::delivery::faults::Fault;
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};
use palyra_actors::judging::{self, Judgement, Names};

/// What is known of a delivery that is authentic.
pub struct Authentic {
    /// Whose it is.
    pub integration: Arc<Integration>,
    /// What it is called.
    pub names: Names,
    /// What its signature says.
    pub verified: Verified,
    /// What identifies it.
    pub key: Digest,
    /// Whether another body under its key is another attempt at the same delivery.
    pub retries_differ: bool,
    /// How its provider wants to hear that it was taken.
    pub form: DeliveryAnswer,
}

/// The end of its path: from here on it leaves one row, whatever the verdict.
pub(in crate::http) struct Conclusion<'a> {
    pub delivery: &'a Delivery<'a>,
    pub of: Authentic,
    /// Lives as long as the work.
    pub permit: Arc<Permit>,
}

impl Conclusion<'_> {
    /// Reserves the key and appends in one go, and answers once it is durable.
    ///
    /// # Errors
    /// When the row is not there in time, or nobody knows whether it is.
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

    /// Whatever conflicts is journaled once, under a key of its own: each distinct body, or, where the signature does not
    /// cover all of it, each distinct thing that was signed. Without the secret nobody can make more rows of one delivery.
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
            Judgement::Reject(flaw) => self.refusal(verdict, digest, body.raw().len(), &flaw.reasons()),
        }
    }

    fn refusal(&self, verdict: Verdict, body: Digest, bytes: usize, why: &[String]) -> NewEvent {
        let record = &self.of.integration.record;
        NewEvent::System(judging::refusal_event(record, &self.of.names, verdict, body, bytes, why))
    }

    /// Hands the work over, and waits for the row that holds the key. When the outcome is not known, or not in time, the
    /// journal's own index keeps a second row out, whatever became of the first.
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
            Judgement::Filter { .. } if judging::rejects_filtered(&self.of.integration.record) => {
                Answer::Refused(Problem::new(Kind::Filtered).outcome("filtered").id(receipt.event_id))
            }
            Judgement::Filter { .. } => self.taken(Outcome::Filtered, receipt),
            Judgement::Reject(flaw) => {
                Answer::Refused(Problem::of_flaw(&flaw).outcome("rejected").id(receipt.event_id))
            }
        }
    }
}

/// Whether nobody knows if the journal has it.
fn may_be_stored(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Journal(JournalError::Unknown | JournalError::Poisoned { .. }))
}
