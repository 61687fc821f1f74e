//! What becomes of a delivery that was authentic, as a response.

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, ResponseError};
use palyra_actors::ids::Receipt;
use palyra_actors::provider::HandshakeReply;
use serde::Serialize;

use super::Gate;
use super::greeting::handshake_answer;
use super::problem::{Kind, Problem};

/// What a delivery that was authentic is answered with.
pub enum Answer {
    /// It is in the journal.
    Accepted(Receipt),
    /// It was there before.
    Duplicate(Receipt),
    /// An allow list leaves it out.
    Filtered(Receipt),
    /// It was a question.
    Handshake(HandshakeReply),
    /// It is refused, and that is journaled.
    Refused(Problem),
}

impl Answer {
    /// The response to a delivery of an integration, counted.
    pub fn respond(self, gate: &Gate, integration_id: &str) -> HttpResponse {
        let (status, outcome, receipt) = match self {
            Self::Accepted(receipt) => (StatusCode::ACCEPTED, "accepted", receipt),
            Self::Duplicate(receipt) => (StatusCode::OK, "duplicate", receipt),
            Self::Filtered(receipt) => (StatusCode::ACCEPTED, "filtered", receipt),
            Self::Handshake(reply) => {
                gate.counters.count(integration_id, "handshake");
                return handshake_answer(reply);
            }
            Self::Refused(problem) => {
                gate.counters.count(integration_id, refused_outcome(&problem));
                return problem.error_response();
            }
        };
        gate.counters.count(integration_id, outcome);
        HttpResponse::build(status)
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(Document { outcome, receipt: &receipt })
    }
}

/// What the sender is told of its delivery.
#[derive(Serialize)]
struct Document<'a> {
    outcome: &'static str,
    receipt: &'a Receipt,
}

fn refused_outcome(problem: &Problem) -> &'static str {
    match problem.kind() {
        Kind::Conflict => "conflict",
        Kind::Filtered => "filtered",
        _ => "rejected",
    }
}
