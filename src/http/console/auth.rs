//! Access to the console: only with the token, under a name of this machine, and never from a foreign web page.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, TRANSFER_ENCODING,
};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, ResponseError as _};
use palyra_actors::secret::Secret;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::input::untyped;
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;
use crate::service::throttle::{BAD_SIGNATURES_MAX, Peer};

/// The token of the console, kept as its digest, so that a comparison takes the same time wherever the texts differ.
#[derive(Clone)]
pub struct Token(Arc<Secret>);

impl Token {
    /// The token with this text.
    pub fn new(text: &str) -> Self {
        Self(Arc::new(Secret::new(Sha256::digest(text).to_vec())))
    }

    fn matches(&self, presented: &[u8]) -> bool {
        self.0.matches(&Sha256::digest(presented))
    }
}

/// Marks a request that presented the token.
struct Known;

/// Refuses requests that are not meant for this console or not authorised, before any handler runs.
pub async fn guard(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    match check(&request) {
        Ok(()) => {
            request.extensions_mut().insert(Known);
            next.call(request).await
        }
        Err(problem) => Ok(request.into_response(problem.error_response())),
    }
}

/// Closes the connection after answering a request without the token, so that strangers cannot occupy connections.
pub async fn close_to_strangers(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let mut answered = next.call(request).await?;
    let is_known = answered.request().extensions().contains::<Known>();
    if !is_known {
        answered.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answered)
}

fn check(request: &ServiceRequest) -> Result<(), Problem> {
    let listening = app(request).map(|app| app.settings.console.ip());
    let remote_allowed = listening.is_some_and(|address| !address.is_loopback());
    let host = single(request, HOST.as_str()).unwrap_or_default();
    if !remote_allowed && !is_own_name(host, listening) {
        return Err(Problem::new(Kind::MisdirectedRequest).hint(Some(
            "address the console as 127.0.0.1, [::1], localhost or by the address it listens on".to_owned(),
        )));
    }
    let is_own = |origin: &HeaderValue| {
        origin.to_str().is_ok_and(|origin| origin.strip_prefix("http://") == Some(host))
    };
    if !request.headers().get_all(ORIGIN).all(is_own) {
        return Err(Problem::new(Kind::ForeignOrigin));
    }
    check_content_type(request)?;
    let presented = single(request, AUTHORIZATION.as_str()).and_then(bearer);
    let token = request.app_data::<Data<Token>>();
    match (presented, token) {
        (Some(presented), Some(token)) if token.matches(presented.as_bytes()) => Ok(()),
        (presented, _) => Err(unauthorized(request, presented.is_some())),
    }
}

/// The token after the scheme. The scheme is case-insensitive and may be followed by several blanks (RFC 9110, section
/// 11.4).
fn bearer(credentials: &str) -> Option<&str> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_start_matches(' '))
}

/// The answer to a request without a valid token; wrong tokens are counted and throttled. A correct token is accepted even
/// then.
fn unauthorized(request: &ServiceRequest, has_token: bool) -> Problem {
    if let Some(app) = app(request) {
        app.counters.count_unauthorized(if has_token { "wrong_token" } else { "missing_token" });
    }
    let peer = request.peer_addr().map(|address| Peer::at(address.ip()));
    let exceeds = |(app, peer): (&Data<AppState>, Peer)| {
        app.console.bad_tokens.exceeds(peer, BAD_SIGNATURES_MAX, Instant::now())
    };
    if app(request).zip(peer).is_some_and(exceeds) {
        return Problem::new(Kind::TooManyRequests);
    }
    Problem::new(Kind::Unauthorized).hint(Some(
        "send the header `Authorization: Bearer TOKEN` with the content of admin.token".to_owned(),
    ))
}

fn app(request: &ServiceRequest) -> Option<&Data<AppState>> {
    request.app_data::<Data<AppState>>()
}

/// Requires JSON: an HTML form cannot send it without a preflight request, and the types a form can send are refused. A
/// request without a body needs no type.
fn check_content_type(request: &ServiceRequest) -> Result<(), Problem> {
    let changes = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let typed = single(request, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = typed.split(';').next().unwrap_or_default().trim();
    let is_json = essence.eq_ignore_ascii_case("application/json");
    if changes && !is_json && !is_bare(request) { Err(untyped()) } else { Ok(()) }
}

/// Whether the request has neither a body nor a content type.
fn is_bare(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
    is_empty && !headers.contains_key(TRANSFER_ENCODING) && !headers.contains_key(CONTENT_TYPE)
}

/// The value of a header that occurs exactly once.
fn single<'a>(request: &'a ServiceRequest, name: &str) -> Option<&'a str> {
    let mut values = request.headers().get_all(name);
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// Whether `host` is a loopback name or the address the console is `listening` on. A DNS name that was rebound to this
/// machine is neither.
fn is_own_name(host: &str, listening: Option<IpAddr>) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is_listening = || name.parse().is_ok_and(|address: IpAddr| Some(address) == listening);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]") || is_listening()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for host in ["127.0.0.1", "127.0.0.1:7143", "localhost:1", "[::1]:7143", "[::1]"] {
            assert!(is_own_name(host, None), "{host}");
        }
        for host in
            ["", "evil.com", "evil.com:7143", "localhost.evil.com", "127.0.0.1.nip.io", "127.0.0.1:x", "::1"]
        {
            assert!(!is_own_name(host, Some([127, 0, 0, 1].into())), "{host}");
        }
    }

    #[test]
    fn the_address_it_listens_on_is_its_own_and_no_other_of_loopback() {
        let listening = Some([127, 0, 0, 2].into());
        assert!(is_own_name("127.0.0.2:7143", listening) && is_own_name("localhost", listening));
        assert!(!is_own_name("127.0.0.3:7143", listening) && !is_own_name("127.0.0.2:7143", None));
    }

    #[test]
    fn a_token_matches_itself_alone() {
        let token = Token::new("right");
        assert!(token.matches(b"right"));
        for wrong in ["", "righ", "rightx", "Right"] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
    }
}
