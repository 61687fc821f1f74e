//! The answers to authentic deliveries, as HTTP responses.

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, ResponseError};
use palyra_actors::ids::Receipt;
use palyra_actors::provider::{DeliveryAnswer, HandshakeReply};
use serde::Serialize;

use crate::http::delivery::handshake::handshake_answer;
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;

/// The answer to an authentic delivery.
pub enum Answer {
    /// Its row is in the journal, stored by this delivery or by an earlier one.
    Taken {
        /// Whether it is new, a duplicate or filtered.
        outcome: Outcome,
        /// The receipt of the row.
        receipt: Receipt,
        /// The form of answer that its provider expects.
        form: DeliveryAnswer,
    },
    /// The delivery was a handshake.
    Handshake(HandshakeReply),
    /// It is refused, and the refusal is journaled.
    Refused(Problem),
}

/// The outcome of a delivery whose row is in the journal.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A new event.
    Accepted,
    /// A duplicate of an earlier delivery.
    Duplicate,
    /// Left out by an allow list.
    Filtered,
}

impl Answer {
    /// Builds the response and counts it for the integration.
    pub fn respond(self, app: &AppState, integration_id: &str) -> HttpResponse {
        let count = |answer| app.counters.count(integration_id, answer);
        match self {
            Self::Taken { outcome, receipt, form } => {
                count(outcome.name());
                taken(outcome, &receipt, form)
            }
            Self::Handshake(reply) => {
                count("handshake");
                handshake_answer(reply)
            }
            Self::Refused(problem) => {
                count(refused_outcome(&problem));
                problem.error_response()
            }
        }
    }
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Filtered => "filtered",
        }
    }
}

fn taken(outcome: Outcome, receipt: &Receipt, form: DeliveryAnswer) -> HttpResponse {
    let form = if outcome == Outcome::Duplicate { form.again() } else { form };
    let status = StatusCode::from_u16(form.status).unwrap_or(StatusCode::ACCEPTED);
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store"));
    if form.has_content() { response.json(Document { outcome, receipt }) } else { response.finish() }
}

/// The JSON document the sender receives.
#[derive(Serialize)]
struct Document<'a> {
    outcome: Outcome,
    receipt: &'a Receipt,
}

fn refused_outcome(problem: &Problem) -> &'static str {
    match problem.kind() {
        Kind::Conflict => "conflict",
        Kind::Filtered => "filtered",
        _ => "rejected",
    }
}
