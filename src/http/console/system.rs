//! The daemon itself: heartbeat, presence, insights.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use palyra_actors::connectors::Presence;
use palyra_actors::supervision::DoorError;
use palyra_actors::{connectors, journal, registry, replay_guard, vault};
use serde::Serialize;
use serde_json::{Value, json};

use super::webhooks::diagnose;
use crate::http::Gate;
use crate::http::health::reasons_not_ready;

/// `/system`, without its events.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/system/heartbeat", web::get().to(heartbeat))
        .route("/system/presence", web::get().to(presence))
        .route("/system/insights", web::get().to(insights));
}

async fn heartbeat(gate: Data<Gate>) -> HttpResponse {
    let mut reasons = reasons_not_ready(&gate).await;
    let is_ready = reasons.is_empty();
    // Deliveries are taken in all the same: what is new is stored well.
    reasons.extend(gate.verification.now().complaint());
    let status = match (gate.is_stopping(), reasons.is_empty()) {
        (true, _) => "stopping",
        (false, true) => "ok",
        (false, false) => "degraded",
    };
    let uptime_ms = gate.clock.now_unix_ms().saturating_sub(gate.started_at);
    HttpResponse::Ok().json(json!({
        "status": status,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "started_at_unix_ms": gate.started_at,
        "uptime_seconds": uptime_ms / 1_000,
        "ingress": gate.addresses.ingress,
        "console": gate.addresses.console,
        "ready": is_ready,
        "reasons": reasons,
        "in_flight": gate.admission.in_flight(),
        "journal": shown(gate.actors.journal.door.ask(journal::Observe).await),
        "verification": gate.verification.now(),
    }))
}

/// While the connectors' supervisor is away their list is empty; its own state stands among the actors.
async fn presence(gate: Data<Gate>) -> HttpResponse {
    let connectors = gate.actors.connectors.ask(Presence).await.unwrap_or_default();
    HttpResponse::Ok().json(json!({"actors": gate.actors.board.snapshot(), "connectors": connectors}))
}

async fn insights(gate: Data<Gate>) -> HttpResponse {
    let actors = &gate.actors;
    let diagnostics = diagnose(&gate).await.unwrap_or_else(|problem| problem.document());
    HttpResponse::Ok().json(json!({
        "deliveries": gate.counters.snapshot(),
        "registry": shown(actors.registry.ask(registry::Observe).await),
        "vault": shown(actors.vault.ask(vault::Observe).await),
        "replay_guard": shown(actors.replay_guard.door.ask(replay_guard::Observe).await),
        "journal": shown(actors.journal.door.ask(journal::Observe).await),
        "connectors": shown(actors.connectors.ask(connectors::Observe).await),
        "diagnostics": diagnostics,
    }))
}

/// A snapshot, or why there is none.
fn shown(snapshot: Result<impl Serialize, DoorError>) -> Value {
    match snapshot {
        Ok(snapshot) => json!(snapshot),
        Err(error) => json!({"error": error.to_string()}),
    }
}
