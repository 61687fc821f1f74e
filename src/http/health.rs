//! What a load balancer or a process manager asks.
//!
//! `/healthz`: the process answers. `/readyz`: the data path works, up to a commit.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::web::Data;
use actix_web::{HttpResponse, Resource, web};
use palyra_actors::journal::ProbeCommit;
use palyra_actors::{registry, replay_guard, vault};
use serde_json::json;
use tokio::time::timeout;

use super::Gate;
use super::problem::RETRY_AFTER_SECONDS;

/// Time the data path may take to prove itself.
const PROBE_DEADLINE: Duration = Duration::from_secs(2);

/// A resource at `path` that answers to `GET`.
pub fn resource(path: &str) -> Resource {
    web::resource(path.to_owned())
}

/// `GET /healthz`.
pub async fn alive() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({"status": "alive"}))
}

/// `GET /readyz`. It names no reasons: those are the console's to tell.
pub async fn ready(gate: Data<Gate>) -> HttpResponse {
    let ready = reasons_not_ready(&gate).await.is_empty();
    let (status, text) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let mut answer = HttpResponse::build(status);
    if !ready {
        answer.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS.to_string()));
    }
    answer.insert_header((CACHE_CONTROL, "no-store")).json(json!({"status": text}))
}

/// Why deliveries cannot be taken in right now; empty when they can.
pub async fn reasons_not_ready(gate: &Gate) -> Vec<String> {
    let mut reasons = Vec::new();
    if gate.is_stopping() {
        reasons.push("the daemon is stopping".to_owned());
    }
    let actors = &gate.actors;
    match timeout(PROBE_DEADLINE, actors.journal.door.ask(ProbeCommit)).await {
        Err(_) => reasons.push("the journal did not commit in time".to_owned()),
        Ok(Err(error)) => reasons.push(format!("journal: {error}")),
        Ok(Ok(Err(error))) => reasons.push(format!("journal: {error}")),
        Ok(Ok(Ok(()))) => {}
    }
    let answers = [
        (
            "registry",
            timeout(PROBE_DEADLINE, actors.registry.ask(registry::Observe)).await.is_ok_and(|it| it.is_ok()),
        ),
        ("vault", timeout(PROBE_DEADLINE, actors.vault.ask(vault::Observe)).await.is_ok_and(|it| it.is_ok())),
        (
            "replay guard",
            timeout(PROBE_DEADLINE, actors.replay_guard.door.ask(replay_guard::Observe))
                .await
                .is_ok_and(|it| it.is_ok()),
        ),
    ];
    let silent = answers.iter().filter(|(_, answered)| !answered);
    reasons.extend(silent.map(|(name, _)| format!("the {name} does not answer")));
    reasons
}
