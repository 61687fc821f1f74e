//! The JSON documents of the console for integrations and events.

use std::sync::Arc;

use palyra_actors::clock::UnixMs;
use palyra_actors::ids::Digest;
use palyra_actors::journal::{EventKind, StoredEvent};
use palyra_actors::registry::{Integration, ReadinessReport};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::service::AppState;
use crate::service::readiness::{report, reports};

/// An integration with its readiness.
pub async fn integration(app: &AppState, integration: &Integration) -> Value {
    integration_view(app, integration, &report(app, integration).await)
}

/// Integrations, each with its readiness.
pub async fn integrations(app: &AppState, integrations: &[Arc<Integration>]) -> Vec<Value> {
    let reports = reports(app, integrations.iter().map(AsRef::as_ref)).await;
    let reported = integrations.iter().zip(&reports);
    reported.map(|(integration, report)| integration_view(app, integration, report)).collect()
}

fn integration_view(app: &AppState, integration: &Integration, report: &ReadinessReport) -> Value {
    let record = &integration.record;
    let of_profile = integration.profile.as_ref().and_then(|profile| profile.replay_window_seconds());
    let mut view = json!(record);
    let members = [
        ("profile_replay_window_seconds", json!(of_profile)),
        ("url", json!(app.hook_url(&record.integration_id))),
        ("local_url", json!(app.local_url(&record.integration_id))),
        ("readiness", json!(report.readiness)),
        ("issues", json!(report.issues)),
    ];
    if let Some(view) = view.as_object_mut() {
        view.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    view
}

/// An event without its body.
pub fn event(event: &StoredEvent) -> Value {
    let details: Option<Map<String, Value>> = match event.kind {
        EventKind::System => Some(serde_json::from_slice(&event.body).unwrap_or_default()),
        EventKind::Webhook => None,
    };
    json!({
        "seq": event.seq,
        "event_id": event.event_id,
        "kind": event.kind,
        "name": event.name,
        "severity": event.severity,
        "principal": event.principal,
        "source": event.source,
        "integration_id": event.integration_id,
        "provider": event.provider,
        "delivery_id": event.delivery_id,
        "key_version": event.key_version,
        "occurred_at_unix_ms": event.occurred_at,
        "recorded_at_unix_ms": event.recorded_at,
        "recorded_at": rfc3339(event.recorded_at),
        "summary": event.summary,
        "tags": event.tags,
        "body_format": event.body_format,
        "body_bytes": event.body.len(),
        "body_sha256": Digest::of(&event.body),
        "details": details,
        "prev_hash": event.prev_hash,
        "leaf_hash": event.hash,
    })
}

/// A point in time as RFC 3339 in UTC, in milliseconds; empty beyond the range of the calendar.
pub fn rfc3339(time: UnixMs) -> String {
    let moment = OffsetDateTime::from_unix_timestamp((time / 1_000).cast_signed()).ok();
    let seconds = moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default();
    seconds.strip_suffix('Z').map(|text| format!("{text}.{:03}Z", time % 1_000)).unwrap_or_default()
}
