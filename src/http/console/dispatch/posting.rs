//! Posts a delivery that palyra made to its own ingress, as any sender would.

use std::io::ErrorKind;

use palyra_actors::provider::MadeRequest;
use serde_json::Value;
use tokio::time::Instant;
use ureq::Timeout;

use crate::http::problem::{Became, Kind, Problem, REFUSAL};
use crate::threads;

/// Longest answer of the ingress that is shown.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The answer of the ingress.
#[derive(Debug, PartialEq, Eq)]
pub struct Posted {
    pub status: u16,
    /// The document, or the text if it is none.
    pub answer: Value,
    /// The id by which `webhooks explain` finds the refusal, if it was refused and has one.
    pub refusal: Option<String>,
}

/// Why a delivery that was to be sent has no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing was sent.
    #[error("the delivery could not be sent: {0}")]
    NotSent(String),
    /// Something was sent.
    #[error("the ingress did not answer: {0}; it is not known whether the delivery was accepted")]
    Lost(String),
}

impl Unanswered {
    fn of(error: &ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::BadUri(_)
            | ureq::Error::Http(_) => Self::NotSent(error.to_string()),
            ureq::Error::Io(cause) if cause.kind() == ErrorKind::ConnectionRefused => {
                Self::NotSent(error.to_string())
            }
            _ => Self::Lost(error.to_string()),
        }
    }

    /// The same, after an earlier copy was sent.
    fn after_another(self) -> Self {
        match self {
            Self::NotSent(why) | Self::Lost(why) => Self::Lost(why),
        }
    }

    /// The problem that the client is answered with, for a delivery to the integration `id`.
    pub fn problem(self, id: &str) -> Problem {
        let problem = Problem::new(Kind::Unavailable).detail(self.to_string());
        match self {
            Self::NotSent(_) => problem,
            Self::Lost(_) => {
                let hint = format!(
                    "`palyra webhooks explain {id}` lists its latest rows: check before you send again"
                );
                problem.hint(Some(hint)).of_a_change(Became::Unknown)
            }
        }
    }
}

/// Posts the delivery once or twice, and returns the last answer.
///
/// # Errors
/// Why there is no answer by the deadline.
pub async fn post_to_ingress(
    url: String,
    signed: MadeRequest,
    twice: bool,
    deadline: Instant,
) -> Result<Posted, Unanswered> {
    let posted = threads::on_its_own(move || {
        let first = post(&url, &signed, deadline)?;
        if !twice {
            return Ok(first);
        }
        post(&url, &signed, deadline).map_err(Unanswered::after_another)
    });
    posted.await.unwrap_or_else(|error| {
        let has_begun = error.downcast_ref::<std::io::Error>().is_none();
        Err(if has_begun { Unanswered::Lost } else { Unanswered::NotSent }(error.to_string()))
    })
}

fn post(url: &str, signed: &MadeRequest, deadline: Instant) -> Result<Posted, Unanswered> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Unanswered::NotSent("there is no time left".to_owned()));
    }
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(left))
        .proxy(None)
        .build();
    let mut request = ureq::Agent::new_with_config(config).post(url);
    for (name, value) in &signed.headers {
        request = request.header(name, value);
    }
    let mut answer = request.send(&signed.body).map_err(|error| Unanswered::of(&error))?;
    let refusal = answer.headers().get(REFUSAL.as_str()).and_then(|id| Some(id.to_str().ok()?.to_owned()));
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string();
    let text = text.map_err(|error| Unanswered::of(&error))?;
    let status = answer.status().as_u16();
    Ok(Posted { status, answer: serde_json::from_str(&text).unwrap_or(Value::String(text)), refusal })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    /// Posts to an ingress that answers so many requests, reads one more and closes.
    async fn sent(answers: usize, twice: bool, patience: Duration) -> Result<Posted, Unanswered> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hooks/gh", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for number in 0..=answers {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut request, mut chunk) = (Vec::new(), [0; 1_024]);
                while !request.ends_with(b"{}") {
                    let count = stream.read(&mut chunk).unwrap();
                    request.extend_from_slice(&chunk[..count]);
                }
                if number < answers {
                    stream
                        .write_all(b"HTTP/1.1 202 X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
                        .unwrap();
                }
            }
        });
        let signed = MadeRequest { headers: Vec::new(), body: b"{}".to_vec() };
        post_to_ingress(url, signed, twice, Instant::now() + patience).await
    }

    #[actix_web::test]
    async fn what_was_sent_and_not_answered_may_have_been_accepted() {
        let patience = Duration::from_secs(10);
        for (answers, twice) in [(0, false), (0, true), (1, true)] {
            let lost = sent(answers, twice, patience).await.unwrap_err();
            assert!(matches!(lost, Unanswered::Lost(_)), "{answers} {twice}: {lost}");
            assert_eq!(lost.problem("gh").became(), Became::Unknown);
        }
        assert_eq!(sent(2, true, patience).await.unwrap().status, 202);
    }

    #[actix_web::test]
    async fn what_was_not_sent_was_not_accepted() {
        let late = sent(0, false, Duration::ZERO).await.unwrap_err();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let signed = MadeRequest { headers: Vec::new(), body: b"{}".to_vec() };
        let deadline = Instant::now() + Duration::from_secs(10);
        let away = post_to_ingress(format!("http://{closed}/"), signed, false, deadline).await.unwrap_err();
        for not_sent in [late, away] {
            assert!(matches!(not_sent, Unanswered::NotSent(_)), "{not_sent}");
            assert_eq!(not_sent.problem("gh").became(), Became::Refused);
        }
    }
}
