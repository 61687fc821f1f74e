//! What becomes of a delivery that was authentic, as a response.

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, ResponseError};
use palyra_actors::ids::Receipt;
use palyra_actors::provider::{DeliveryAnswer, HandshakeReply};
use serde::Serialize;

use crate::daemon::state::AppState;
use crate::http::delivery::handshake::handshake_answer;
use crate::http::problem::{Kind, Problem};

/// What a delivery that was authentic is answered with.
pub enum Answer {
    /// Its row is in the journal.
    Taken {
        /// Since when, and as what.
        outcome: Outcome,
        /// The row's.
        receipt: Receipt,
        /// How its provider wants to hear of it.
        form: DeliveryAnswer,
    },
    /// It was a question.
    Handshake(HandshakeReply),
    /// It is refused, and that is journaled.
    Refused(Problem),
}

/// What became of a delivery that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is an event.
    Accepted,
    /// It was one before.
    Duplicate,
    /// An allow list leaves it out.
    Filtered,
}

impl Answer {
    /// The response to a delivery of an integration, counted.
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

/// What the sender is told of its delivery.
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
