//! The closed catalogue of everything that can go wrong over HTTP (RFC 9457).
//!
//! A sender learns a code and, in a header, an id that it can quote. Why a signature was refused is shown only by `webhooks
//! explain`, the log and the counters.

use std::error::Error;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use palyra_actors::causes::in_full;
use palyra_actors::ids::EventId;
use palyra_actors::json::JsonError;
use palyra_actors::judging::Flaw;
use palyra_actors::schemas::SchemaIssue;
use serde::Serialize;
use serde_json::{Value, json};

use crate::service::admission::Overloaded;
use crate::service::cause::Cause;
use crate::service::under_way::Broken;

pub use crate::service::answers::Kind;

/// Default of `Retry-After`, in seconds.
pub const RETRY_AFTER_SECONDS: u64 = 2;
/// The header with the id of a refused delivery, by which the operator finds the reason with `webhooks explain`.
pub const REFUSAL: HeaderName = HeaderName::from_static("palyra-refusal");

/// A problem, with everything its answer contains.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: Option<String>,
    hint: Option<String>,
    issues: Vec<Value>,
    outcome: Option<&'static str>,
    retry_after_seconds: Option<u64>,
    aside: Option<Box<Aside>>,
}

/// Members that few problems have, and what is not part of the document.
#[derive(Debug, Clone, Default)]
struct Aside {
    /// Why a delivery was refused, with details; for the operator only.
    cause: Option<(Cause, String)>,
    id: Option<EventId>,
    became: Became,
}

/// The state of a requested change that was answered with a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Became {
    /// It was not made.
    #[default]
    Refused,
    /// It is in effect, but may be lost in a power cut.
    Unsynced,
    /// It is not known whether it was made.
    Unknown,
}

impl Problem {
    /// A problem without details; 429 and 503 ask the sender to retry.
    pub fn new(kind: Kind) -> Self {
        let again = matches!(kind, Kind::TooManyRequests | Kind::Overloaded | Kind::Unavailable);
        let retry_after_seconds = again.then_some(RETRY_AFTER_SECONDS);
        let (detail, hint, issues, outcome, aside) = (None, None, Vec::new(), None, None);
        Self { kind, detail, hint, issues, outcome, retry_after_seconds, aside }
    }

    /// Something is unavailable, for the reason that `error` and its sources give.
    pub fn unavailable(error: &dyn Error) -> Self {
        Self::new(Kind::Unavailable).detail(in_full(error))
    }

    /// Adds why a delivery was refused; not part of the answer.
    #[must_use]
    pub fn because(mut self, cause: Cause, detail: impl Into<String>) -> Self {
        self.aside.get_or_insert_default().cause = Some((cause, detail.into()));
        self
    }

    /// Adds the id by which the operator finds the refusal.
    #[must_use]
    pub fn id(mut self, id: EventId) -> Self {
        self.aside.get_or_insert_default().id = Some(id);
        self
    }

    /// Adds what happened, which the caller will see. Never for [`Kind::Unauthenticated`].
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The problem for a flaw in the body of an authentic delivery, with the places.
    pub fn of_flaw(flaw: &Flaw) -> Self {
        match flaw {
            Flaw::Unreadable(JsonError::NotJson { .. }) => Self::new(Kind::NotJson),
            Flaw::Unreadable(JsonError::Refused { pointer, reason }) => Self::new(Kind::SchemaViolation)
                .schema_issues(&[SchemaIssue { pointer: pointer.clone(), message: (*reason).to_owned() }]),
            Flaw::Schema(issues) => Self::new(Kind::SchemaViolation).schema_issues(issues),
        }
    }

    /// Adds the places of a document that break a schema.
    #[must_use]
    pub fn schema_issues(mut self, issues: &[SchemaIssue]) -> Self {
        self.issues =
            issues.iter().map(|issue| json!({"pointer": issue.pointer, "message": issue.message})).collect();
        self
    }

    /// Adds reasons in words.
    #[must_use]
    pub fn reasons(mut self, reasons: &[String]) -> Self {
        self.issues = reasons.iter().map(|reason| Value::String(reason.clone())).collect();
        self
    }

    /// Adds the outcome of the delivery.
    #[must_use]
    pub fn outcome(mut self, outcome: &'static str) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// Marks the change as made, or possibly made: the client is not asked to retry.
    #[must_use]
    pub fn of_a_change(mut self, became: Became) -> Self {
        self.aside.get_or_insert_default().became = became;
        self.retry_after_seconds = None;
        self
    }

    /// The state of the requested change.
    pub fn became(&self) -> Became {
        self.aside.as_ref().map(|aside| aside.became).unwrap_or_default()
    }

    /// The kind of problem.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The cause that the answer does not reveal, if any.
    pub fn cause(&self) -> Option<Cause> {
        Some(self.aside.as_ref()?.cause.as_ref()?.0)
    }

    /// A description of what happened: the operator's version if there is one, else that of the answer.
    pub fn told(&self) -> Option<&str> {
        let cause = self.aside.as_ref().and_then(|aside| aside.cause.as_ref());
        cause.map(|(_, detail)| detail.as_str()).or(self.detail.as_deref())
    }

    /// The JSON document (`schemas/problem.v1.json`).
    pub fn document(&self) -> Value {
        json!(self.members())
    }

    fn members(&self) -> Document<'_> {
        let (status, code, title) = self.kind.entry();
        Document {
            r#type: format!("urn:palyra:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            outcome: self.outcome,
            detail: self.detail.as_deref(),
            hint: self.hint.as_deref(),
            issues: &self.issues,
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Value]>::is_empty")]
    issues: &'a [Value],
}

impl From<Overloaded> for Problem {
    fn from(_: Overloaded) -> Self {
        Self::new(Kind::Overloaded)
    }
}

impl From<Broken> for Problem {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Stopping => Self::unavailable(&broken),
            Broken::Off => Self::unavailable(&broken).of_a_change(Became::Unknown),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.detail.as_deref().unwrap_or(self.kind.entry().1))
    }
}

impl Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.entry().0
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        answer.insert_header((CONTENT_TYPE, "application/problem+json"));
        answer.insert_header((CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.retry_after_seconds {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(id) = self.aside.as_ref().and_then(|aside| aside.id) {
            answer.insert_header((REFUSAL, id.to_string()));
        }
        if self.kind == Kind::MethodNotAllowed {
            answer.insert_header((ALLOW, "POST"));
        }
        // Serialisation cannot fail: every member has a JSON form.
        answer.body(serde_json::to_vec(&self.members()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use palyra_actors::schemas::PROBLEM;

    use super::*;

    #[test]
    fn every_problem_fits_its_schema_and_has_a_code_of_its_own() {
        let mut codes = HashSet::new();
        for kind in Kind::ALL {
            let bare = Problem::new(kind).document();
            assert_eq!(PROBLEM.check(&bare), Ok(()), "{bare}");
            let issue = SchemaIssue { pointer: "/a".into(), message: "is wrong".into() };
            let full = Problem::new(kind).detail("d").hint(Some("h".into())).schema_issues(&[issue]);
            assert_eq!(PROBLEM.check(&full.outcome("rejected").document()), Ok(()));
            assert!(codes.insert(kind.entry().1), "{bare}");
        }
    }

    #[test]
    fn our_own_faults_ask_the_sender_to_come_again() {
        for kind in Kind::ALL {
            let answer = Problem::new(kind).error_response();
            let again = answer.headers().contains_key(RETRY_AFTER);
            assert_eq!(again, matches!(answer.status().as_u16(), 429 | 503), "{kind:?}");
        }
    }

    #[test]
    fn every_code_is_explained_to_operators() {
        let page = include_str!("../../docs/answers.md");
        for kind in Kind::ALL {
            let code = kind.entry().1;
            assert!(page.contains(&format!("`{code}`")), "docs/answers.md does not name `{code}`");
        }
    }
}
