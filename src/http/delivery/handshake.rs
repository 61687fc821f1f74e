//! Handshakes: requests by which a provider checks the endpoint before it delivers. They change nothing and leave no row.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use palyra_actors::provider::{Body, Handshake, HandshakeCheck, HandshakeReply, Request};
use palyra_actors::registry::Integration;
use palyra_actors::secret::SecretVersions;

use crate::http::delivery::checks;
use crate::http::delivery::headers::HeaderView;
use crate::http::delivery::stopped::Stopped;
use crate::http::ingress::Delivery;
use crate::http::problem::{Kind, Problem};

/// Answers any method other than `POST` on `/hooks/{integration_id}`: a handshake of the provider, or 405.
///
/// # Errors
/// The answer that refuses the request.
pub(in crate::http) async fn answer(delivery: &Delivery<'_>) -> Result<HttpResponse, Problem> {
    let reply = delivery.handshake_reply().await.map_err(|stopped| delivery.answer_to(stopped))?;
    delivery.app.counters.count(&delivery.id, "handshake");
    Ok(handshake_answer(reply))
}

impl Delivery<'_> {
    /// The reply to an unsigned handshake that comes by `POST`; `None` if the request is not one.
    ///
    /// # Errors
    /// When its token is wrong, or it contains no challenge to echo.
    pub(in crate::http) async fn unsigned_handshake(
        &self,
        integration: &Integration,
        body: &Body,
    ) -> Result<Option<HandshakeReply>, Stopped> {
        let Some(profile) =
            integration.profile.as_deref().filter(|profile| profile.answers_unsigned_handshakes())
        else {
            return Ok(None);
        };
        let (view, url) = (HeaderView(self.head.headers), self.public_url());
        let parameters = &integration.record.parameters;
        let request = Request { method: self.head.method, url: &url, headers: &view, body, parameters };
        match profile.asks_unsigned(&request) {
            Some(handshake) => self.reply_unsigned(integration, handshake, &request, None).await.map(Some),
            None => Ok(None),
        }
    }

    async fn reply_unsigned(
        &self,
        integration: &Integration,
        handshake: &Handshake,
        request: &Request<'_>,
        keys: Option<&SecretVersions>,
    ) -> Result<HandshakeReply, Stopped> {
        if handshake.check == HandshakeCheck::Token {
            let token = self.app.token(integration, handshake).await.map_err(Stopped::NoToken)?;
            handshake.check_token(request, token.as_deref()).map_err(Stopped::WrongToken)?;
        }
        reply(handshake, request, keys)
    }

    /// Checks a handshake that comes by a method other than `POST`.
    async fn handshake_reply(&self) -> Result<HandshakeReply, Stopped> {
        let _permit = self.app.intake.admission.enter()?;
        if !matches!(self.head.method, "GET" | "HEAD" | "OPTIONS") {
            return Err(Problem::new(Kind::MethodNotAllowed).into());
        }
        let integration = self.look_up().map_err(not_allowed_if_unknown)?;
        let not_allowed = || Problem::new(Kind::MethodNotAllowed);
        let profile = integration.profile.as_deref().ok_or_else(not_allowed)?;
        let (view, url, body) = (HeaderView(self.head.headers), self.public_url(), Body::empty());
        let parameters = &integration.record.parameters;
        let request =
            Request { method: self.head.method, url: &url, headers: &view, body: &body, parameters };
        let handshake = profile.asks(&request).ok_or_else(not_allowed)?;
        let keys = self.app.resolve(&integration).await.map_err(Stopped::NoKeys)?;
        if handshake.check == HandshakeCheck::Signature {
            let now = self.app.clock.now_unix_ms();
            let verified = checks::signature(&integration.record, profile, &request, keys.as_deref(), now)?;
            if verified.is_none() {
                self.admit_unsigned(&integration)?;
            }
        }
        self.reply_unsigned(&integration, handshake, &request, keys.as_deref()).await
    }
}

/// The reply to a handshake that has been checked.
///
/// # Errors
/// When the challenge to echo is missing or too long.
pub(in crate::http) fn reply(
    handshake: &Handshake,
    request: &Request<'_>,
    keys: Option<&SecretVersions>,
) -> Result<HandshakeReply, Stopped> {
    handshake.reply(request, keys).ok_or_else(|| Problem::new(Kind::BadRequest).into())
}

/// Answers an unknown id with 405 as well, so that other methods do not reveal which ids exist.
fn not_allowed_if_unknown(problem: Problem) -> Problem {
    match problem.kind() {
        Kind::NotFound => Problem::new(Kind::MethodNotAllowed),
        _ => problem,
    }
}

/// The echoed text comes from the caller, so the headers keep browsers from interpreting it as anything but plain text.
pub(in crate::http) fn handshake_answer(reply: HandshakeReply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store"));
    answer.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    for (name, value) in reply.headers {
        answer.insert_header((name, value));
    }
    if let Some(content_type) = reply.content_type {
        answer.content_type(content_type);
    }
    answer.body(reply.body)
}
