//! The JSON document of an event, as lists and exports have it.

use palyra_actors::clock::UnixMs;
use palyra_actors::envelope;
use palyra_actors::ids::Digest;
use palyra_actors::journal::{EventKind, StoredEvent};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An event with its envelope, on one line. The envelope keeps its original bytes.
pub fn whole(event: &StoredEvent) -> String {
    let mut view = without_body(event).to_string();
    if event.kind == EventKind::Webhook {
        let rendered = envelope::render(event).map(RawValue::from_string);
        let rendered =
            rendered.ok().and_then(Result::ok).map_or("null".to_owned(), |raw| raw.get().to_owned());
        view.pop();
        view.push_str(",\"envelope\":");
        view.push_str(&rendered);
        view.push('}');
    }
    view
}

/// An event without its body.
pub fn without_body(event: &StoredEvent) -> Value {
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
