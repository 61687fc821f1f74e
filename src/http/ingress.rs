//! The path of one delivery, step by step. [`Delivery::take_in`] reads like the list in ARCHITECTURE.md.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::http::header::{HOST, HeaderMap};
use actix_web::http::{Method, Uri};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use palyra_actors::ids::{Digest, Receipt};
use palyra_actors::journal::{Appended, HeldBecause, JournalError, NewEvent, ReplayClaim, Verdict};
use palyra_actors::limits::UNSIGNED_RATE_PER_SECOND_DEFAULT;
use palyra_actors::provider::{
    Body, ContentKind, DeliveryAnswer, Profile, Reject, Request, Verified, VerifyError,
};
use palyra_actors::registry::Integration;
use palyra_actors::replay_guard::SubmitError;
use palyra_actors::secret::SecretVersions;
use tokio::time::Instant;

use crate::http::Gate;
use crate::http::admission::Permit;
use crate::http::body::{self, BodyLimits};
use crate::http::delivery::answer::{Answer, Outcome};
use crate::http::delivery::cause::Cause;
use crate::http::delivery::checks::{self, Condemned};
use crate::http::delivery::faults::Fault;
use crate::http::delivery::headers::{HeaderView, is_authority};
use crate::http::problem::{Kind, Problem};
use crate::http::throttle::{BAD_SIGNATURES_MAX, Peer};
use palyra_actors::judging::{self, Judgement, Names};

/// Slowest sender of a body.
const BODY_BYTES_PER_SECOND_MIN: u64 = 1_024;

/// `POST /hooks/{integration_id}`.
///
/// # Errors
/// What refuses the delivery.
pub(super) async fn deliver(delivery: &Delivery<'_>, payload: Payload) -> Result<HttpResponse, Problem> {
    Ok(delivery.take_in(payload).await?.respond(delivery.gate, &delivery.id))
}

/// Steps 1 to 3 for a sender that waits for `100 Continue` before it sends the body, which is to be let in again with it.
///
/// # Errors
/// What refuses the delivery before its body is read.
pub async fn expect(gate: &Gate, head: Head<'_>, id: &str) -> Result<(), Problem> {
    if head.method != "POST" {
        return Ok(());
    }
    let delivery = Delivery { gate, head, id: id.to_owned() };
    delivery.go_on().await.map_err(|problem| delivery.kept(problem))
}

/// What is known of a delivery before its body.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// Method, `POST`.
    pub method: &'a str,
    /// Path and query.
    pub url: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Who is at the other end of the connection.
    pub peer: Option<Peer>,
}

impl<'a> Head<'a> {
    /// The head of `request`.
    pub fn of(request: &'a HttpRequest) -> Self {
        Self::made_of(request.method(), request.uri(), request.headers(), request.peer_addr())
    }

    /// A head of these parts.
    pub fn made_of(
        method: &'a Method,
        uri: &'a Uri,
        headers: &'a HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Self {
        Self {
            method: method.as_str(),
            url: uri.path_and_query().map_or("/", |url| url.as_str()),
            headers,
            peer: peer.map(|address| Peer::at(address.ip())),
        }
    }
}

/// One delivery on its way in.
pub(super) struct Delivery<'a> {
    pub gate: &'a Gate,
    pub head: Head<'a>,
    pub id: String,
}

impl Delivery<'_> {
    async fn take_in(&self, payload: Payload) -> Result<Answer, Problem> {
        // 1. Admit: a permit that lives as long as the work.
        let mut permit = self.gate.admission.enter()?;
        // 2. Look up: unknown and disabled are told apart by nobody outside.
        let integration = self.look_up()?;
        let profile = profile_of(&integration)?;
        if let Some(reply) = self.unsigned_handshake(&integration, &Body::empty()).await? {
            return Ok(Answer::Handshake(reply));
        }
        // 3. Refuse early what the head alone condemns.
        let kind = self.refuse_early(&integration, profile)?;
        // 4. Read the bytes from the wire, bounded.
        let raw = body::read(payload, self.body_limits(&integration), &mut permit).await?;
        let (integration, kind) = self.look_up_again(&integration, kind, raw.len())?;
        let profile = profile_of(&integration)?;
        checks::body(profile, kind, &raw)?;
        let body = Body::new(raw, kind);
        if let Some(reply) = self.unsigned_handshake(&integration, &body).await? {
            return Ok(Answer::Handshake(reply));
        }
        let view = HeaderView(self.head.headers);
        let (url, parameters) = (self.public_url(), &integration.record.parameters);
        let request =
            Request { method: self.head.method, url: &url, headers: &view, body: &body, parameters };
        // 5. Resolve the keys. No key, no acceptance.
        let keys = self.keys(&integration, profile, &request, &mut permit).await?;
        // 6. Verify, over the bytes from the wire.
        let verified = self.verify(&integration, profile, &request, keys.as_deref())?;
        if let Some(keys) = keys.as_ref().filter(|_| integration.takes_published_keys()) {
            self.gate.published.have_verified(profile.name(), keys);
        }
        if let Some(handshake) = profile.asks(&request) {
            let reply = handshake.reply(&request, keys.as_deref());
            return reply.map(Answer::Handshake).ok_or_else(|| Problem::new(Kind::BadRequest));
        }
        // What was accepted a moment ago need not be read again.
        let now = self.gate.clock.now_unix_ms();
        let key = profile.replay_key(&self.id, &verified, &request);
        if let Some(receipt) = self.gate.actors.seen.accepted(&key, &body.digest(), now) {
            return Ok(Answer::Taken { outcome: Outcome::Duplicate, receipt, form: profile.answer() });
        }
        // 7. Parse, and find what the profile says the delivery is.
        let names = Names::of(profile.describe(&request), profile, now);
        // 8. Judge: the envelope against its schema, then the allow lists.
        let judgement = judging::judge(&integration.record, profile, &body, &names, key);
        // 9.–11. Reserve the key and append in one go, answer once it is durable.
        let permit = Arc::new(permit);
        let (form, retries_differ) = (profile.answer(), profile.retries_differ(&verified));
        let (delivery, integration) = (self, integration.as_ref());
        let authentic =
            Authentic { delivery, integration, names, verified, key, retries_differ, permit, form };
        authentic.conclude(judgement, body).await
    }

    /// Whether its body is wanted.
    async fn go_on(&self) -> Result<(), Problem> {
        let _permit = self.gate.admission.enter()?;
        let integration = self.look_up()?;
        if self.unsigned_handshake(&integration, &Body::empty()).await?.is_some() {
            return Ok(());
        }
        self.refuse_early(&integration, profile_of(&integration)?).map(drop)
    }

    /// The URL as the sender wrote it, as far as it can be known behind a proxy.
    pub(super) fn public_url(&self) -> String {
        match &self.gate.settings.public_url {
            Some(front) => format!("{front}{}", self.head.url),
            None => {
                let host = self.head.headers.get(HOST).and_then(|host| host.to_str().ok());
                let host = host.filter(|host| is_authority(host));
                format!("https://{}{}", host.unwrap_or_default(), self.head.url)
            }
        }
    }

    pub(super) fn look_up(&self) -> Result<Arc<Integration>, Problem> {
        self.gate.actors.integrations.lookup(&self.id).ok_or_else(|| Problem::new(Kind::NotFound))
    }

    /// What its body is, of a delivery whose head is not refused.
    fn refuse_early(&self, integration: &Integration, profile: &Profile) -> Result<ContentKind, Problem> {
        checks::head(self.head.headers, integration, profile).map_err(|condemned| match condemned {
            Condemned::Unauthentic(reject) => self.unauthenticated(&reject),
            Condemned::Otherwise(problem) => problem,
        })
    }

    /// The integration as it is once the body is read: with a slow sender that may be long after the head was.
    fn look_up_again(
        &self,
        before: &Arc<Integration>,
        kind: ContentKind,
        body_bytes: usize,
    ) -> Result<(Arc<Integration>, ContentKind), Problem> {
        let now = self.look_up()?;
        if Arc::ptr_eq(before, &now) {
            return Ok((now, kind));
        }
        body::check_declared(u64::try_from(body_bytes).ok(), now.record.max_payload_bytes)?;
        let kind = self.refuse_early(&now, profile_of(&now)?)?;
        Ok((now, kind))
    }

    fn body_limits(&self, integration: &Integration) -> BodyLimits {
        BodyLimits {
            bytes_max: integration.record.max_payload_bytes,
            deadline: self.gate.settings.body_deadline,
            bytes_per_second_min: BODY_BYTES_PER_SECOND_MIN,
        }
    }

    pub(super) fn verify(
        &self,
        integration: &Integration,
        profile: &Profile,
        request: &Request<'_>,
        keys: Option<&SecretVersions>,
    ) -> Result<Verified, Problem> {
        let now = self.gate.clock.now_unix_ms();
        match checks::signature(&integration.record, profile, request, keys, now) {
            Ok(Some(verified)) => Ok(verified),
            Ok(None) => self.admit_unsigned(integration).map(|()| profile.unsigned()),
            Err(VerifyError::Rejected(reject)) => Err(self.unauthenticated(&reject)),
            Err(error) => Err(self.unavailable(Fault::told_by(Cause::Secret, &error))),
        }
    }

    fn admit_unsigned(&self, integration: &Integration) -> Result<(), Problem> {
        let record = &integration.record;
        let most = record.unsigned_rate_per_second.unwrap_or(UNSIGNED_RATE_PER_SECOND_DEFAULT);
        let exceeded = self.gate.unsigned.exceeds(record.integration_id.clone(), most, Instant::now());
        let many = || format!("more than {most} unsigned deliveries came within a second");
        if exceeded {
            Err(Problem::new(Kind::TooManyRequests).because(Cause::UnsignedRate, many()))
        } else {
            Ok(())
        }
    }

    /// One body for every reason: the sender learns nothing, the operator everything.
    pub(super) fn unauthenticated(&self, reject: &Reject) -> Problem {
        let reason = reject.reason;
        self.gate.counters.refuse(&self.id, reason);
        tracing::debug!(
            integration = self.id,
            reason = reason.as_str(),
            detail = reject.detail,
            "a delivery was not authentic"
        );
        let exceeded = |peer| self.gate.bad_signatures.exceeds(peer, BAD_SIGNATURES_MAX, Instant::now());
        let throttled = self.head.peer.is_some_and(exceeded);
        let kind = if throttled { Kind::TooManyRequests } else { Kind::Unauthenticated };
        Problem::new(kind).because(Cause::Unauthentic(reason), reject.detail.as_str())
    }
}

/// A delivery that is authentic: from here on it leaves one row, whatever the verdict.
struct Authentic<'a> {
    delivery: &'a Delivery<'a>,
    integration: &'a Integration,
    names: Names,
    verified: Verified,
    key: Digest,
    /// Whether another body under its key is another attempt at the same delivery.
    retries_differ: bool,
    permit: Arc<Permit>,
    form: DeliveryAnswer,
}

impl Authentic<'_> {
    async fn conclude(self, judgement: Judgement, body: Body) -> Result<Answer, Problem> {
        let (digest, bytes, verdict) = (body.digest(), body.raw().len(), judgement.verdict());
        let event = self.event(&judgement, body, digest);
        match self.submit(event, self.key, digest, verdict).await? {
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
        let why = [format!("the key is held by an earlier delivery with another {other}")];
        let event = self.refusal(Verdict::Conflict, body, bytes, &why);
        let key = self.verified.conflict_key(self.key, body);
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
                let record = &self.integration.record;
                let key_version = self.verified.key_version;
                let event = judging::webhook_event(
                    record,
                    self.names.clone(),
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
        let record = &self.integration.record;
        NewEvent::System(judging::refusal_event(record, &self.names, verdict, body, bytes, why))
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
            is_whole: self.verified.covers_bytes,
            retries_differ: self.retries_differ,
        };
        let permit = Arc::<Permit>::clone(&self.permit);
        let gate = self.delivery.gate;
        let submitted = gate.actors.replay_guard.submit(event, claim, permit);
        let fault = match gate.in_time(Cause::Unknown, submitted).await {
            Ok(Ok(appended)) => return Ok(appended),
            Ok(Err(error)) if may_be_stored(&error) => Fault::told_by(Cause::Unknown, &error),
            Ok(Err(error)) => Fault::told_by(Cause::Event, &error),
            Err(late) => late,
        };
        Err(self.delivery.unavailable(fault))
    }

    fn expires_at(&self) -> u64 {
        let default = self.delivery.gate.settings.replay_window_seconds;
        let window = self.integration.replay_window_seconds().unwrap_or(default);
        self.delivery.gate.clock.now_unix_ms().saturating_add(window.saturating_mul(1_000))
    }

    fn taken(&self, outcome: Outcome, receipt: Receipt) -> Answer {
        Answer::Taken { outcome, receipt, form: self.form }
    }

    fn answer(&self, judgement: Judgement, receipt: Receipt) -> Answer {
        match judgement {
            Judgement::Accept(_) => self.taken(Outcome::Accepted, receipt),
            Judgement::Filter { .. } if judging::rejects_filtered(&self.integration.record) => {
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

/// Without a profile that is known there is nothing to deliver to.
fn profile_of(integration: &Integration) -> Result<&Profile, Problem> {
    integration.profile.as_deref().ok_or_else(|| Problem::new(Kind::NotFound))
}
