//! The console's client: JSON in and out over HTTP/1.1, without TLS (the console listens on loopback).

mod lines;

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use palyra_actors::limits::PAYLOAD_BYTES_CAP_MAX;
use serde_json::{Map, Value, json};
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body, SendBody, Timeout};
use zeroize::Zeroizing;

pub use lines::Lines;

use super::error::CliError;

/// Longest wait for a connection, in seconds; after it the daemon counts as unreachable.
const CONNECT_SECONDS_MAX: u64 = 5;
/// Longest wait for an ordinary answer, in seconds; after it the daemon counts as unreachable.
const ANSWER_SECONDS_MAX: u64 = 30;
/// Longest silence within a stream, in seconds: several keep-alives of the console, and time for a slow disk. After it the
/// stream counts as broken.
const STREAM_SILENCE_SECONDS_MAX: u64 = 60;
/// Largest answer that is one document: a page of 1,000 events with 8 KiB of details each, four times over. A larger one is
/// refused.
const DOCUMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest body of an event, as far as the settings can allow one. A larger one is refused.
pub const BODY_BYTES_MAX: u64 = PAYLOAD_BYTES_CAP_MAX;
/// Largest problem document that is read. Of a larger one only the status is shown.
const PROBLEM_BYTES_MAX: u64 = 256 * 1024;

/// The time limits of a request.
#[derive(Clone, Copy)]
enum AnswerTimeout {
    /// For an ordinary answer.
    Ordinary,
    /// For a stream without end that sends something from time to time.
    Stream,
}

struct Ask<'a> {
    method: Method,
    route: &'a str,
    json: Option<&'a [u8]>,
    timeout: AnswerTimeout,
}

/// Answers a request for a document, by its route.
pub type Answer = Box<dyn Fn(&str) -> Result<Value, CliError>>;

/// A client for one console, with its token.
pub struct ConsoleClient {
    /// Answers in place of a console.
    answer: Option<Answer>,
    agent: Agent,
    base_url: String,
    token: Zeroizing<String>,
}

impl ConsoleClient {
    /// A client for the console at `base_url` (`http://127.0.0.1:7143`).
    pub fn new(base_url: impl Into<String>, token: Zeroizing<String>) -> Self {
        let config = Agent::config_builder()
            // The token must reach only the console: no proxy, and no redirect to another address.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(CONNECT_SECONDS_MAX)))
            .user_agent(concat!("palyra/", env!("CARGO_PKG_VERSION")));
        let base_url = base_url.into().trim_end_matches('/').to_owned();
        Self { answer: None, agent: config.build().into(), base_url, token }
    }

    /// A client without a console, for commands that only read documents.
    pub fn answered_by(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::new("", Zeroizing::default()) }
    }

    /// Reads a document.
    pub fn get(&self, route: &str) -> Result<Value, CliError> {
        self.exchange(&Ask { method: Method::GET, route, json: None, timeout: AnswerTimeout::Ordinary })
    }

    /// Requests an action.
    pub fn post(&self, route: &str, body: &Value) -> Result<Value, CliError> {
        self.send(Method::POST, route, body.to_string().as_bytes())
    }

    /// Removes something.
    pub fn delete(&self, route: &str) -> Result<Value, CliError> {
        self.exchange(&Ask { method: Method::DELETE, route, json: None, timeout: AnswerTimeout::Ordinary })
    }

    /// Sends the document of `members` with one more member, `name`: `secret` in Base64. Every copy of the secret is wiped.
    pub fn send_with_secret(
        &self,
        method: Method,
        route: &str,
        members: &Map<String, Value>,
        (name, secret): (&'static str, &[u8]),
    ) -> Result<Value, CliError> {
        self.send(method, route, &with_secret(members, name, secret))
    }

    /// Sends `json` unchanged.
    pub fn send(&self, method: Method, route: &str, json: &[u8]) -> Result<Value, CliError> {
        self.exchange(&Ask { method, route, json: Some(json), timeout: AnswerTimeout::Ordinary })
    }

    /// Reads an answer that is not a document, at most [`BODY_BYTES_MAX`] bytes.
    pub fn bytes(&self, route: &str) -> Result<Vec<u8>, CliError> {
        let ask = Ask { method: Method::GET, route, json: None, timeout: AnswerTimeout::Stream };
        let mut response = self.run(&ask)?;
        let bytes = response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec();
        bytes.map_err(|error| transport_error(&self.base_url, &error))
    }

    /// Reads an answer line by line as it arrives.
    pub fn lines(&self, route: &str) -> Result<Lines, CliError> {
        let ask = Ask { method: Method::GET, route, json: None, timeout: AnswerTimeout::Stream };
        Ok(Lines::new(self.run(&ask)?.into_body(), self.base_url.clone()))
    }

    fn exchange(&self, ask: &Ask<'_>) -> Result<Value, CliError> {
        if let Some(answer) = &self.answer {
            return answer(ask.route);
        }
        let mut response = self.run(ask)?;
        let bytes = response.body_mut().with_config().limit(DOCUMENT_BYTES_MAX).read_to_vec();
        let bytes = bytes.map_err(|error| transport_error(&self.base_url, &error))?;
        serde_json::from_slice(&bytes).map_err(|error| {
            CliError::failed(format!("the answer of {} is not JSON: {error}", self.base_url)).hint(
                "another program may be listening there; `palyra daemon` prints the address of its console",
            )
        })
    }

    /// Sends a request; an answer other than 2xx is an error.
    fn run(&self, ask: &Ask<'_>) -> Result<Response<Body>, CliError> {
        let response = self.request(ask).map_err(|error| transport_error(&self.base_url, &error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response)) }
    }

    fn request(&self, ask: &Ask<'_>) -> Result<Response<Body>, ureq::Error> {
        let request = Request::builder()
            .method(&ask.method)
            .uri(format!("{}{}", self.base_url, ask.route))
            .header("authorization", format!("Bearer {}", self.token.as_str()))
            .header("content-type", "application/json");
        match ask.json {
            Some(json) => self.run_within(ask.timeout, request.body(json)?),
            None => self.run_within(ask.timeout, request.body(SendBody::none())?),
        }
    }

    fn run_within(
        &self,
        timeout: AnswerTimeout,
        request: Request<impl ureq::AsSendBody>,
    ) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request);
        let request = match timeout {
            AnswerTimeout::Ordinary => request.timeout_global(Some(Duration::from_secs(ANSWER_SECONDS_MAX))),
            AnswerTimeout::Stream => {
                request.timeout_per_read(Some(Duration::from_secs(STREAM_SILENCE_SECONDS_MAX)))
            }
        };
        self.agent.run(request.build())
    }
}

/// The document of `members` with the member `name` added, which must not be among them and must need no escaping; Base64
/// needs none either. It is written into a buffer of sufficient capacity, because one that grows would leave an unwiped
/// copy.
fn with_secret(members: &Map<String, Value>, name: &'static str, secret: &[u8]) -> Zeroizing<Vec<u8>> {
    let others: String = members.iter().map(|(name, value)| format!("{}:{value},", json!(name))).collect();
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(secret));
    let parts = ["{", &others, "\"", name, "\":\"", &encoded, "\"}"];
    let mut document = Zeroizing::new(Vec::with_capacity(parts.iter().map(|part| part.len()).sum()));
    parts.iter().for_each(|part| document.extend_from_slice(part.as_bytes()));
    document
}

fn refusal(mut response: Response<Body>) -> CliError {
    let retry_after =
        response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = response.body_mut().with_config().limit(PROBLEM_BYTES_MAX).read_to_vec().unwrap_or_default();
    let body = serde_json::from_slice(&bytes).ok().filter(Value::is_object);
    CliError::problem(response.status().as_u16(), body.as_ref(), retry_after.as_deref())
}

/// The hint for a request that was sent and not answered.
const MAY_BE_DONE: &str = "the request may have been carried out nevertheless: check before you repeat it; `palyra system heartbeat` shows the daemon's state";

/// Translates a failure below HTTP into a message for the user.
fn transport_error(base_url: &str, error: &ureq::Error) -> CliError {
    match error {
        ureq::Error::Timeout(Timeout::Connect)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed => {
            CliError::unreachable(format!("the daemon's console at {base_url} cannot be reached: {error}"))
                .hint("start the daemon with `palyra daemon`")
        }
        ureq::Error::Io(cause) if cause.kind() == std::io::ErrorKind::ConnectionRefused => {
            CliError::unreachable(format!(
                "nothing listens at {base_url}, the address of the daemon's console"
            ))
            .hint("start the daemon with `palyra daemon`")
        }
        ureq::Error::Timeout(_) => {
            CliError::unreachable(format!("the daemon's console at {base_url} did not answer in time"))
                .hint(MAY_BE_DONE)
        }
        ureq::Error::Io(cause) => CliError::unreachable(format!(
            "the connection to the daemon's console at {base_url} was lost: {cause}"
        ))
        .hint(MAY_BE_DONE),
        _ => CliError::failed(format!("the answer from {base_url} cannot be read: {error}")),
    }
}

/// The path of a console resource; each segment is percent-encoded (RFC 3986, section 2.3).
pub fn route(segments: &[&str]) -> String {
    segments.iter().fold("/console/v1".to_owned(), |path, segment| path + "/" + &percent_encoded(segment))
}

/// `route` with the parameters that have a value.
pub fn with_query(route: String, parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
    let pairs: Vec<String> =
        given.map(|(name, value)| format!("{name}={}", percent_encoded(value))).collect();
    if pairs.is_empty() { route } else { format!("{route}?{}", pairs.join("&")) }
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests;
