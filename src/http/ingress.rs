//! The path of one delivery. [`Delivery::take_in`] and [`Delivery::walk`] follow the numbered steps in ARCHITECTURE.md.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::http::header::{HOST, HeaderMap};
use actix_web::http::{Method, Uri};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use palyra_actors::ids::Receipt;
use palyra_actors::judging::{self, Judgement, Names};
use palyra_actors::provider::{Body, ContentKind, DeliveryAnswer, HandshakeReply, Profile, Request};
use palyra_actors::registry::Integration;

use crate::http::body;
use crate::http::delivery::answer::{Answer, Outcome};
use crate::http::delivery::arrival::{Arrival, Passed, Wire};
use crate::http::delivery::checks;
use crate::http::delivery::conclusion::{Authentic, Conclusion};
use crate::http::delivery::handshake;
use crate::http::delivery::headers::{HeaderView, is_authority};
use crate::http::delivery::stopped::Stopped;
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;
use crate::service::throttle::Peer;

/// Handles `POST /hooks/{integration_id}`.
///
/// # Errors
/// The answer that refuses the delivery.
pub(super) async fn deliver(delivery: &Delivery<'_>, payload: Payload) -> Result<HttpResponse, Problem> {
    Ok(delivery.take_in(payload).await?.respond(delivery.app, &delivery.id))
}

/// Steps 1 to 3 for a sender that waits for `100 Continue` before it sends the body. The permit is released again: the
/// delivery is admitted anew with its body.
///
/// # Errors
/// The answer that refuses the delivery before its body is read.
pub async fn expect(app: &AppState, head: Head<'_>, id: &str) -> Result<(), Problem> {
    if head.method != "POST" {
        return Ok(());
    }
    let delivery = Delivery { app, head, id: id.to_owned() };
    delivery.go_on().await.map_err(|stopped| delivery.remember(delivery.answer_to(stopped)))
}

/// The head of a delivery: all that is known before its body is read.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// Method; `POST` for a delivery, any other for a handshake.
    pub method: &'a str,
    /// Path and query.
    pub url: &'a str,
    pub headers: &'a HeaderMap,
    /// The other end of the connection.
    pub peer: Option<Peer>,
}

impl<'a> Head<'a> {
    /// The head of `request`.
    pub fn of(request: &'a HttpRequest) -> Self {
        Self::made_of(request.method(), request.uri(), request.headers(), request.peer_addr())
    }

    /// Builds a head from its parts.
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

/// A delivery that is being processed.
pub(super) struct Delivery<'a> {
    pub app: &'a AppState,
    pub head: Head<'a>,
    pub id: String,
}

/// The result of steps 2 to 8, before anything is journaled.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of a delivery, and a box would be memory for each"
)]
pub enum Walked {
    /// A handshake of the provider, with the reply to it.
    Handshake(HandshakeReply),
    /// A duplicate: the same bytes were accepted recently.
    AcceptedBefore(Receipt, DeliveryAnswer),
    /// An authentic delivery that will leave a row in the journal.
    Judged(Authentic, Judgement, Body),
}

impl Delivery<'_> {
    async fn take_in(&self, payload: Payload) -> Result<Answer, Problem> {
        // 1. Admit: take a permit that is held as long as the work lasts.
        let permit = self.app.intake.admission.enter()?;
        let mut wire = Wire { delivery: self, payload, permit };
        // 2.–8. A delivery that fails one of these steps is not journaled.
        match self.walk(&mut wire).await.map_err(|stopped| self.answer_to(stopped))? {
            Walked::Handshake(reply) => Ok(Answer::Handshake(reply)),
            Walked::AcceptedBefore(receipt, form) => {
                Ok(Answer::Taken { outcome: Outcome::Duplicate, receipt, form })
            }
            // 9.–11. Reserve the replay key and append in one go; answer once the row is durable.
            Walked::Judged(of, judgement, body) => {
                let permit = Arc::new(wire.permit);
                Conclusion { delivery: self, of, permit }.conclude(judgement, body).await
            }
        }
    }

    /// Steps 2 to 8. A captured delivery that `webhooks test` tries out takes the same path as one from the wire.
    ///
    /// # Errors
    /// Why the delivery was stopped.
    pub async fn walk(&self, arrival: &mut impl Arrival) -> Result<Walked, Stopped> {
        // 2. Look up. Unknown and disabled integrations get the same answer, so that nobody outside can tell which ids
        // exist.
        let integration = arrival.look_up()?;
        let profile = profile_of(&integration)?;
        if let Some(reply) = self.unsigned_handshake(&integration, &Body::empty()).await? {
            return Ok(Walked::Handshake(reply));
        }
        // 3. Refuse early what can be refused by the head alone.
        let kind = checks::head(self.head.headers, &integration, profile)?;
        arrival.passed(Passed::Head);
        // 4. Read the raw body, bounded in bytes and time.
        let raw = arrival.read(integration.record.max_payload_bytes).await?;
        let (integration, kind) = self.look_up_again(arrival, integration, kind, raw.len())?;
        arrival.passed(Passed::Size(raw.len()));
        let profile = profile_of(&integration)?;
        checks::body(profile, kind, &raw)?;
        let body = Body::new(raw, kind);
        if let Some(reply) = self.unsigned_handshake(&integration, &body).await? {
            return Ok(Walked::Handshake(reply));
        }
        let view = HeaderView(self.head.headers);
        let (url, parameters) = (self.public_url(), &integration.record.parameters);
        let request =
            Request { method: self.head.method, url: &url, headers: &view, body: &body, parameters };
        // 5. Resolve the keys. Without a key nothing is accepted.
        let mut keys = self.keys(&integration, profile, &request, arrival).await?;
        arrival.passed(Passed::Keys(keys.as_deref()));
        // 6. Verify the raw bytes; if the published keys are outdated, fetch newer ones and verify again.
        let now = arrival.now();
        let verified = self.verify(&integration, profile, &request, &mut keys, now, arrival).await?;
        arrival.passed(Passed::Signature(verified.as_ref()));
        let verified = match verified {
            Some(verified) => verified,
            None => arrival.admit_unsigned(&integration).map(|()| profile.unsigned())?,
        };
        if let Some(keys) = keys.as_ref().filter(|_| integration.takes_published_keys()) {
            self.app.intake.published.have_verified(profile.name(), keys);
        }
        if let Some(handshake) = profile.asks(&request) {
            return handshake::reply(handshake, &request, keys.as_deref()).map(Walked::Handshake);
        }
        // A duplicate of a recently accepted delivery need not be parsed again.
        let key = profile.replay_key(&self.id, &verified, &request);
        if let Some(receipt) = arrival.accepted_before(&key, &body.digest(), now) {
            return Ok(Walked::AcceptedBefore(receipt, profile.answer()));
        }
        // 7. Parse, and extract the names that the profile defines for the delivery.
        let names = Names::of(profile.describe(&request), profile, now);
        // 8. Judge: check the envelope against its schema, then apply the allow lists.
        let judgement = judging::judge(&integration.record, profile, &body, &names, key);
        let (form, retries_differ) = (profile.answer(), profile.retries_differ(&verified));
        let authentic = Authentic { integration, names, verified, key, retries_differ, form };
        Ok(Walked::Judged(authentic, judgement, body))
    }

    /// Whether the sender should go on and send the body.
    async fn go_on(&self) -> Result<(), Stopped> {
        let _permit = self.app.intake.admission.enter()?;
        let integration = self.look_up()?;
        if self.unsigned_handshake(&integration, &Body::empty()).await?.is_some() {
            return Ok(());
        }
        checks::head(self.head.headers, &integration, profile_of(&integration)?).map(drop)
    }

    /// The URL to which the sender addressed the request, as far as it can be known behind a proxy.
    pub(super) fn public_url(&self) -> String {
        match &self.app.settings.public_url {
            Some(front) => format!("{front}{}", self.head.url),
            None => {
                let host = self.head.headers.get(HOST).and_then(|host| host.to_str().ok());
                let host = host.filter(|host| is_authority(host));
                format!("https://{}{}", host.unwrap_or_default(), self.head.url)
            }
        }
    }

    pub(super) fn look_up(&self) -> Result<Arc<Integration>, Problem> {
        self.app.actors.integrations.lookup(&self.id).ok_or_else(|| Problem::new(Kind::NotFound))
    }

    /// Looks the integration up again after the body was read: with a slow sender it may have changed since the head came.
    fn look_up_again(
        &self,
        arrival: &impl Arrival,
        before: Arc<Integration>,
        kind: ContentKind,
        body_bytes: usize,
    ) -> Result<(Arc<Integration>, ContentKind), Stopped> {
        let now = arrival.look_up()?;
        if Arc::ptr_eq(&before, &now) {
            return Ok((now, kind));
        }
        body::check_declared(u64::try_from(body_bytes).ok(), now.record.max_payload_bytes)?;
        let kind = checks::head(self.head.headers, &now, profile_of(&now)?)?;
        Ok((now, kind))
    }
}

/// An integration whose profile is unknown is answered like one that does not exist.
fn profile_of(integration: &Integration) -> Result<&Profile, Problem> {
    integration.profile.as_deref().ok_or_else(|| Problem::new(Kind::NotFound))
}
