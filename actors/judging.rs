//! Judges an authentic delivery: checks the envelope against its schema, then the allow lists. Pure.

use serde_json::{Value, json};

use crate::clock::UnixMs;
use crate::cut::cut;
use crate::envelope;
use crate::event_names;
use crate::ids::{Digest, Hashed};
use crate::journal::{BodyFormat, EVENT_DETAIL, Severity, SystemEvent, Verdict, WebhookEvent};
use crate::json::{Element, JsonError};
use crate::limits::{SUMMARY_BYTES_MAX, WEBHOOK_NAME_CHARS_MAX};
use crate::provider::{Body, ContentKind, Description, Profile};
use crate::registry::IntegrationRecord;
use crate::schemas::SchemaIssue;

/// Event, source and id of a delivery, with the defaults of its profile.
#[derive(Debug, Clone)]
pub struct Names {
    /// Event; empty if neither the delivery nor the profile names one.
    pub event: String,
    /// Source; the profile's name if the delivery names none.
    pub source: String,
    /// The provider's id of the delivery, as the provider states it.
    pub delivery_id: Option<String>,
    /// When it happened according to its sender, or else when it was received.
    pub occurred_at: UnixMs,
}

impl Names {
    /// Fills in what `description` lacks.
    pub fn of(description: Description, profile: &Profile, now: UnixMs) -> Self {
        let default_event = || profile.default_event().unwrap_or_default().to_owned();
        Self {
            event: description.event.unwrap_or_else(default_event),
            source: description.source.unwrap_or_else(|| profile.name().to_owned()),
            delivery_id: description.delivery_id,
            occurred_at: description.occurred_at.unwrap_or(now),
        }
    }
}

/// The result of judging.
#[derive(Debug, Clone)]
pub enum Judgement {
    /// The delivery is accepted.
    Accept(BodyFormat),
    /// It is filtered: an allow list does not contain its event or source.
    Filter {
        /// `event` or `source`.
        what: &'static str,
    },
    /// It is authentic, but cannot be turned into an envelope.
    Reject(Flaw),
}

/// What is wrong with the body of an authentic delivery.
#[derive(Debug, Clone)]
pub enum Flaw {
    /// It is not a valid document of its content type, or different readers could interpret it differently.
    Unreadable(JsonError),
    /// It violates the schema of an envelope in these places.
    Schema(Vec<SchemaIssue>),
}

impl Flaw {
    /// The reasons in the form in which they are journaled, for the operator. `names` are those of the delivery, found by
    /// `profile`: of an event that is missing, the sender's body says nothing, so the reason is where the profile reads it.
    pub fn reasons(&self, names: &Names, profile: Option<&Profile>) -> Vec<String> {
        let issues = match self {
            Self::Unreadable(error) => return vec![error.to_string()],
            Self::Schema(issues) => issues,
        };
        let places = profile.filter(|profile| names.event.is_empty() && !profile.is_envelope());
        let places = places.map(Profile::event_places).filter(|places| !places.is_empty());
        let reason = |issue: &SchemaIssue| match &places {
            Some(places) if issue.pointer == "/event" => no_event(places),
            _ => format!("{}: {}", issue.pointer, issue.message),
        };
        issues.iter().map(reason).collect()
    }
}

fn no_event(places: &[String]) -> String {
    let named = places.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(", else ");
    format!("the event is missing: the profile reads it from {named}, which is missing or empty")
}

impl Judgement {
    /// The verdict in the form in which it is journaled.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Accept(_) => Verdict::Accepted,
            Self::Filter { .. } => Verdict::Filtered,
            Self::Reject(..) => Verdict::Rejected,
        }
    }
}

/// Judges a delivery of `record`.
pub fn judge(
    record: &IntegrationRecord,
    profile: &Profile,
    body: &Body,
    names: &Names,
    nonce: Digest,
) -> Judgement {
    let document = match body.document() {
        Ok(document) => document.root(),
        Err(error) => return Judgement::Reject(Flaw::Unreadable(error.clone())),
    };
    let format = body_format(profile, body.kind(), document);
    if let Err(issues) = check_envelope(format, document, names, nonce, body.raw().len()) {
        return Judgement::Reject(Flaw::Schema(issues));
    }
    if !record.allows_event(&names.event) {
        return Judgement::Filter { what: "event" };
    }
    if !record.allows_source(&names.source) {
        return Judgement::Filter { what: "source" };
    }
    Judgement::Accept(format)
}

fn body_format(profile: &Profile, kind: ContentKind, document: Element<'_>) -> BodyFormat {
    match kind {
        _ if profile.is_envelope() => BodyFormat::Envelope,
        // A missing body is treated as a form without fields.
        ContentKind::Form | ContentKind::None => BodyFormat::Form,
        ContentKind::Text => BodyFormat::Text,
        ContentKind::Json if document.is_array() => BodyFormat::JsonArray,
        ContentKind::Json => BodyFormat::Json,
    }
}

fn check_envelope(
    format: BodyFormat,
    document: Element<'_>,
    names: &Names,
    nonce: Digest,
    body_bytes: usize,
) -> Result<(), Vec<SchemaIssue>> {
    if format != BodyFormat::Envelope {
        let parts = envelope::Parts {
            event: &names.event,
            source: &names.source,
            nonce,
            timestamp_unix_ms: names.occurred_at,
        };
        return envelope::check(&parts, format, document);
    }
    let document = document.to_value();
    envelope::validate(&document)?;
    // A whole number may also be written as `1e3` or `1000.0`.
    let own_limit = document.pointer("/limits/max_payload_bytes").and_then(Value::as_f64);
    match own_limit {
        Some(limit) if body_bytes as f64 > limit => Err(vec![SchemaIssue {
            pointer: "/limits/max_payload_bytes".to_owned(),
            message: format!("the envelope's own limit is {limit} bytes, but it has {body_bytes}"),
        }]),
        _ => Ok(()),
    }
}

/// The system event for a delivery that is not accepted: it records the integration and the body's digest, but not the
/// body.
pub fn refusal_event(
    record: &IntegrationRecord,
    names: &Names,
    verdict: Verdict,
    body: Digest,
    body_bytes: usize,
    why: &[String],
) -> SystemEvent {
    let (name, severity, said) = match verdict {
        Verdict::Filtered => (event_names::FILTERED, Severity::Info, "left out by an allow list"),
        Verdict::Conflict => (event_names::CONFLICT, Severity::Warn, "contradicts an earlier delivery"),
        _ => (event_names::REJECTED, Severity::Warn, "authentic, but not a valid envelope"),
    };
    let reason = why.first().map(|reason| format!(": {reason}")).unwrap_or_default();
    let summary = cut(&format!("{}: {said}{reason}", record.integration_id), SUMMARY_BYTES_MAX);
    let mut event = SystemEvent::new(name, summary)
        .severity(severity)
        .about(&record.integration_id)
        .detail("body_sha256", body.to_string())
        .detail("body_bytes", body_bytes)
        .detail(EVENT_DETAIL, shortened(&names.event))
        .detail("why", json!(why.iter().map(|reason| shortened(reason)).collect::<Vec<_>>()));
    event.provider = Some(record.provider.clone());
    event.delivery_id = names.delivery_id.clone();
    event.source = shortened(&names.source);
    event
}

/// A text of the sender, cut to what an event may contain. A name that an envelope may contain is never cut.
fn shortened(text: &str) -> String {
    text.chars().take(WEBHOOK_NAME_CHARS_MAX).collect()
}

/// The webhook event for an accepted delivery.
pub fn webhook_event(
    record: &IntegrationRecord,
    names: Names,
    key_version: Option<u32>,
    body: Hashed,
    body_format: BodyFormat,
) -> WebhookEvent {
    WebhookEvent {
        name: names.event,
        source: names.source,
        integration_id: record.integration_id.clone(),
        provider: record.provider.clone(),
        delivery_id: names.delivery_id,
        key_version,
        occurred_at: names.occurred_at,
        body,
        body_format,
    }
}
