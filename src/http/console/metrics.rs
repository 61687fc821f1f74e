//! `GET /metrics`: the figures of all parts of the daemon in the Prometheus format.
//!
//! Labels contain only ids given by the operator, names of parts, and words from closed sets; nothing from a request. An
//! actor that does not answer in time has no series until it does.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{self, Data, ServiceConfig};
use palyra_actors::connectors::{ConnectorPresence, ConnectorState, Presence};
use palyra_actors::journal::JournalSnapshot;
use palyra_actors::registry::RegistrySnapshot;
use palyra_actors::replay_guard::ReplaySnapshot;
use palyra_actors::supervision::{ActorPresence, ActorState};
use palyra_actors::vault::VaultSnapshot;

use super::snapshots::Snapshots;
use crate::http::console::exposition::{CONTENT_TYPE, Family, Page, seconds, truth};
use crate::service::AppState;
use crate::service::counters::Tally;
use crate::service::probe::{answer_of, is_ready};
use crate::service::verification::Verification;
use crate::version::VERSION;

/// `/metrics`.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/metrics", web::get().to(metrics));
}

async fn metrics(app: Data<AppState>) -> HttpResponse {
    let (ready, snapshots, connectors) = tokio::join!(
        is_ready(&app),
        Snapshots::take(&app.actors),
        answer_of(app.actors.connectors.ask(Presence)),
    );
    let mut page = Page::default();
    process(&mut page, &app, ready);
    deliveries(&mut page, &app);
    listeners(&mut page, &app);
    integrations(&mut page, &app, snapshots.registry.ok());
    let anchored_seq = *app.actors.head.borrow();
    snapshots.journal.iter().for_each(|snapshot| journal(&mut page, snapshot, anchored_seq));
    verification(&mut page, &app.health.verification.now());
    snapshots.replay_guard.iter().for_each(|snapshot| replay_guard(&mut page, snapshot));
    snapshots.vault.iter().for_each(|snapshot| vault(&mut page, snapshot));
    actors(&mut page, &app.actors.board.snapshot());
    connectors.iter().for_each(|presence| of_connectors(&mut page, presence));
    HttpResponse::Ok()
        .content_type(CONTENT_TYPE)
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(page.into_text())
}

fn process(page: &mut Page, app: &AppState, ready: bool) {
    page.gauge("palyra_build_info", "The version that runs; always 1").each("version", [(VERSION, 1)]);
    page.gauge("palyra_process_start_time_seconds", "When the process began to serve, in seconds since 1970")
        .value(seconds(app.serving.started_at));
    page.gauge(
        "palyra_ready",
        "Whether a delivery could be accepted and committed, as of at most a second ago",
    )
    .value(truth(ready));
}

/// Integrations in force appear with 0 before their first delivery, so that their first refusal shows as an increase.
fn deliveries(page: &mut Page, app: &AppState) {
    let mut tallies = app.counters.deliveries();
    for id in app.actors.integrations.ids() {
        tallies.entry(id).or_default();
    }
    let answered = page.counter(
        "palyra_deliveries_total",
        "Deliveries answered, by outcome or code; the integration is empty for those that reached none",
    );
    by_integration(answered, &tallies, "answer", |tally| &tally.answers);
    let refused = page.counter(
        "palyra_deliveries_unauthenticated_total",
        "Deliveries answered unauthenticated or too_many_requests because they were not authentic, by reason",
    );
    by_integration(refused, &tallies, "reason", |tally| &tally.unauthenticated);
    page.gauge("palyra_deliveries_in_flight", "Deliveries in flight").value(app.intake.admission.in_flight());
    page.gauge(
        "palyra_deliveries_in_flight_max",
        "Most deliveries that may be in flight; further ones are answered overloaded",
    )
    .value(app.settings.in_flight_max);
}

fn by_integration(
    mut family: Family<'_>,
    tallies: &BTreeMap<String, Tally>,
    label: &'static str,
    counts: impl Fn(&Tally) -> &BTreeMap<&'static str, u64>,
) {
    for (id, tally) in tallies {
        for (text, count) in counts(tally) {
            family.labelled(&[("integration", id), (label, text)], count);
        }
    }
}

fn listeners(page: &mut Page, app: &AppState) {
    let (ingress, console) =
        (app.serving.ingress_connections.count(), app.serving.console_connections.count());
    page.gauge("palyra_connections", "Connections that are open")
        .each("listener", [("ingress", ingress), ("console", console)]);
    page.gauge("palyra_event_streams", "Event streams of the console that are open")
        .value(app.console.open_streams());
    page.counter("palyra_console_unauthorized_total", "Console requests without a valid token, by reason")
        .each("reason", app.counters.unauthorized());
}

fn integrations(page: &mut Page, app: &AppState, registry: Option<RegistrySnapshot>) {
    if let Some(by_readiness) = app.health.last_look.by_readiness() {
        page.gauge("palyra_integrations", "Integrations by readiness; disabled ones count only as disabled")
            .each("readiness", by_readiness.map(|(state, count)| (state.as_str(), count)));
    }
    let Some(registry) = registry else { return };
    page.gauge(
        "palyra_config_stale",
        "Whether the last reload was refused, so that the previous configuration is in force",
    )
    .value(truth(registry.stale.is_some()));
    page.gauge(
        "palyra_config_loaded_timestamp_seconds",
        "When webhooks.toml was last read or written without error, in seconds since 1970",
    )
    .value(seconds(registry.loaded_at_unix_ms));
}

fn journal(page: &mut Page, journal: &JournalSnapshot, anchored_seq: u64) {
    page.gauge("palyra_journal_last_seq", "seq of the newest event; equal to the number of events")
        .value(journal.head_seq);
    page.gauge("palyra_journal_anchored_seq", "seq of the newest event recorded in the anchor")
        .value(anchored_seq);
    page.gauge("palyra_journal_signed_seq", "seq of the newest event that a signed checkpoint covers")
        .value(journal.checkpoint_size);
    page.gauge("palyra_journal_epoch", "The epoch of the key that signs checkpoints").value(journal.epoch);
    page.counter("palyra_journal_appended_total", "Events appended").value(journal.appended_total);
    page.counter("palyra_journal_groups_total", "Groups of events committed").value(journal.groups_total);
    page.counter("palyra_journal_held_total", "Deliveries whose replay key an earlier event already had")
        .value(journal.held_total);
    page.gauge("palyra_journal_database_bytes", "Size of the database without its write-ahead log")
        .value(journal.database_bytes);
    page.gauge("palyra_journal_wal_bytes", "Size of the write-ahead log").value(journal.wal_bytes);
    page.gauge(
        "palyra_journal_poisoned",
        "Whether the journal has stopped writing because a write or sync failed",
    )
    .value(truth(journal.poisoned.is_some()));
}

fn verification(page: &mut Page, verification: &Verification) {
    page.gauge(
        "palyra_journal_verification",
        "1 for the current state of the verification of the whole journal",
    )
    .each("state", Verification::STATES.map(|state| (state, truth(state == verification.state()))));
}

fn replay_guard(page: &mut Page, guard: &ReplaySnapshot) {
    page.gauge("palyra_replay_leases", "Replay keys of deliveries in flight").value(guard.leases);
    page.gauge("palyra_replay_waiters", "Deliveries waiting for the outcome of another copy")
        .value(guard.waiters);
    page.gauge("palyra_replay_recent_keys", "Replay keys remembered in memory").value(guard.recent_keys);
    page.counter("palyra_replay_submitted_total", "Deliveries passed to the journal")
        .value(guard.submitted_total);
    page.counter("palyra_replay_seen_total", "Deliveries answered from the replay keys in memory")
        .value(guard.seen_total);
    page.counter("palyra_replay_released_total", "Replay keys released without a row")
        .value(guard.released_total);
}

fn vault(page: &mut Page, vault: &VaultSnapshot) {
    page.gauge("palyra_vault_cached_secrets", "Secrets decrypted in memory").value(vault.cached);
    page.counter("palyra_vault_cache_hits_total", "Secrets answered from memory")
        .value(vault.cache_hits_total);
    page.counter("palyra_vault_reads_total", "Secrets read from where they are stored")
        .value(vault.reads_total);
    page.counter("palyra_vault_failures_total", "Reads of secrets that failed").value(vault.failures_total);
}

fn actors(page: &mut Page, actors: &[ActorPresence]) {
    let runs = |actor: &ActorPresence| truth(actor.state == ActorState::Running);
    page.gauge("palyra_actor_up", "Whether an actor runs")
        .each("actor", actors.iter().map(|actor| (actor.name.as_ref(), runs(actor))));
    page.counter("palyra_actor_restarts_total", "Restarts of an actor")
        .each("actor", actors.iter().map(|actor| (actor.name.as_ref(), actor.restarts)));
}

fn of_connectors(page: &mut Page, connectors: &[ConnectorPresence]) {
    let runs = |one: &ConnectorPresence| truth(one.state == ConnectorState::Running);
    page.gauge("palyra_connector_up", "Whether a connector runs")
        .each("connector", connectors.iter().map(|one| (one.name.as_str(), runs(one))));
    page.counter("palyra_connector_restarts_total", "Restarts of a connector, asked for or not")
        .each("connector", connectors.iter().map(|one| (one.name.as_str(), one.restarts)));
    page.counter("palyra_connector_events_total", "Events of a connector that were committed")
        .each("connector", connectors.iter().map(|one| (one.name.as_str(), one.emitted_total)));
}
