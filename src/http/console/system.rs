//! The daemon itself: heartbeat, presence, insights and reload.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use palyra_actors::clock::UnixMs;
use palyra_actors::connectors::Presence;
use palyra_actors::journal::JournalSnapshot;
use palyra_actors::{journal, registry};
use serde::Serialize;
use serde_json::{Value, json};

use super::snapshots::Snapshots;
use super::webhooks::{diagnose, problem_of};
use crate::http::problem::{Became, Problem};
use crate::service::AppState;
use crate::service::probe::{PROBE_DEADLINE, Unanswered, answer_of, reasons_not_ready};
use crate::service::reloading::{self, NotReloaded};
use crate::version::VERSION;

/// How far the clock may be behind the newest event before the operator is told.
const CLOCK_BEHIND_SECONDS_MAX: u64 = 300;

/// `/system`, except its events.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/system/heartbeat", web::get().to(heartbeat))
        .route("/system/presence", web::get().to(presence))
        .route("/system/insights", web::get().to(insights))
        .route("/system/reload", web::post().to(reload));
}

/// Does the same as `SIGHUP`.
async fn reload(app: Data<AppState>) -> Result<HttpResponse, Problem> {
    let reloaded = reloading::reload(&app.into_inner(), "console").await.map_err(not_reloaded)?;
    Ok(HttpResponse::Ok().json(reloaded))
}

fn not_reloaded(error: NotReloaded) -> Problem {
    match error {
        NotReloaded::Refused(fault) => problem_of(&fault),
        NotReloaded::Broken(broken) => broken.into(),
        NotReloaded::Unconfirmed(_) => {
            let hint = "run `palyra system reload` once more: it reads the same files, and says whether they have an error";
            Problem::unavailable(&error).hint(Some(hint.to_owned())).of_a_change(Became::Unknown)
        }
        NotReloaded::Unjournaled(_) | NotReloaded::NotTaken(_) => Problem::unavailable(&error),
    }
}

/// Answers within two seconds, with what is known by then.
async fn heartbeat(app: Data<AppState>) -> HttpResponse {
    let actors = &app.actors;
    let (mut reasons, journal, registry) = tokio::join!(
        reasons_not_ready(&app, PROBE_DEADLINE),
        answer_of(actors.journal.door.ask(journal::Observe)),
        answer_of(actors.registry.ask(registry::Observe)),
    );
    let is_ready = reasons.is_empty();
    reasons.extend(journal.as_ref().err().filter(|_| is_ready).map(|error| format!("journal: {error}")));
    // Deliveries are accepted nevertheless: new events are stored soundly.
    reasons.extend(app.health.verification.now().complaint());
    reasons.extend(app.health.last_look.complaint());
    let behind =
        |journal: &JournalSnapshot| clock_behind(app.clock.now_unix_ms(), journal.head_recorded_at_unix_ms);
    reasons.extend(journal.as_ref().ok().and_then(behind));
    reasons.extend(registry.ok().and_then(|registry| registry.stale).map(refused_reload));
    let status = match (app.is_stopping(), reasons.is_empty()) {
        (true, _) => "stopping",
        (false, true) => "ok",
        (false, false) => "degraded",
    };
    let uptime_ms = app.clock.now_unix_ms().saturating_sub(app.serving.started_at);
    HttpResponse::Ok().json(json!({
        "status": status,
        "version": VERSION,
        "pid": std::process::id(),
        "started_at_unix_ms": app.serving.started_at,
        "uptime_seconds": uptime_ms / 1_000,
        "ingress": app.serving.addresses.ingress,
        "console": app.serving.addresses.console,
        "ready": is_ready,
        "reasons": reasons,
        "in_flight": app.intake.admission.in_flight(),
        "journal": shown(journal),
        "verification": app.health.verification.now(),
    }))
}

/// An event is never stamped earlier than the one before it, so a single wrong reading of the clock persists.
fn clock_behind(now: UnixMs, newest: UnixMs) -> Option<String> {
    let seconds = newest.saturating_sub(now) / 1_000;
    let said = format!(
        "the clock is {seconds} s behind the newest event's time; until it catches up, new events are recorded with that event's time. \
         Set the clock, or see docs/operations.md if the event's time is the wrong one"
    );
    (seconds > CLOCK_BEHIND_SECONDS_MAX).then_some(said)
}

fn refused_reload(fault: String) -> String {
    format!("the last reload was refused, and the previous configuration stays in force: {fault}")
}

/// If the supervisor of the connectors does not answer, their list is empty; its own state is listed among the actors.
async fn presence(app: Data<AppState>) -> HttpResponse {
    let connectors = answer_of(app.actors.connectors.ask(Presence)).await.unwrap_or_default();
    HttpResponse::Ok().json(json!({"actors": app.actors.board.snapshot(), "connectors": connectors}))
}

async fn insights(app: Data<AppState>) -> HttpResponse {
    let (snapshots, diagnostics) = tokio::join!(Snapshots::take(&app.actors), diagnose(&app));
    let Snapshots { registry, vault, replay_guard, journal, connectors } = snapshots;
    HttpResponse::Ok().json(json!({
        "deliveries": app.counters.deliveries_in_all(),
        "console": {"unauthorized": app.counters.unauthorized()},
        "registry": shown(registry),
        "vault": shown(vault),
        "replay_guard": shown(replay_guard),
        "journal": shown(journal),
        "connectors": shown(connectors),
        "diagnostics": diagnostics.unwrap_or_else(|problem| problem.document()),
    }))
}

/// A snapshot, or the reason why there is none.
fn shown(snapshot: Result<impl Serialize, Unanswered>) -> Value {
    match snapshot {
        Ok(snapshot) => json!(snapshot),
        Err(error) => json!({"error": error.to_string()}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_complained_of_when_it_stands_minutes_behind_the_journal() {
        let complaint = |behind_ms: u64| clock_behind(1_000_000_000, 1_000_000_000 + behind_ms);
        assert_eq!(complaint(300_999), None);
        assert!(complaint(301_000).unwrap().contains("301 s behind the newest event"));
        assert_eq!(clock_behind(1_000_000_000, 0), None);
    }
}
