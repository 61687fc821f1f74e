//! Events, as they are appended and as they are read.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::bounds::shortened;
use super::claim::ReplayClaim;
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId, Hashed};
use crate::limits::EVENT_NAMES_MAX;

/// The event that journals an accepted loss. Verification accepts the start of another log only after it.
pub(super) const ROLLBACK_ACCEPTED: &str = "journal.rollback.accepted";

/// How serious a system event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Expected in normal operation.
    Info,
    /// Somebody should look at it, but not immediately.
    Warn,
    /// Somebody should look at it immediately.
    Error,
}

/// How the stored body becomes the envelope's payload when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// No body is stored.
    None,
    /// A JSON object: the payload itself.
    Json,
    /// A JSON array: the payload is `{"items": […]}`.
    JsonArray,
    /// `application/x-www-form-urlencoded`: the payload is an object of its fields.
    Form,
    /// Text that is not parsed.
    Text,
    /// The sender posted a whole envelope.
    Envelope,
}

/// A webhook event to append: an accepted delivery.
#[derive(Debug, Clone)]
pub struct WebhookEvent {
    /// Name of the event, as the provider profile finds it.
    pub name: String,
    /// Source, as the provider profile finds it.
    pub source: String,
    /// The integration that received it.
    pub integration_id: String,
    /// Name of the provider profile.
    pub provider: String,
    /// The provider's id of the delivery, as the provider states it.
    pub delivery_id: Option<String>,
    /// Version of the secret that verified it; `None` if nothing did (signature not required).
    pub key_version: Option<u32>,
    /// When it happened according to the sender; the time of receipt if the sender gives none.
    pub occurred_at: UnixMs,
    /// The bytes from the wire.
    pub body: Hashed,
    pub body_format: BodyFormat,
}

/// A system event to append. Its external form is `schemas/system-event.v1.json`.
#[derive(Debug, Clone)]
pub struct SystemEvent {
    /// `[a-z0-9._:-]`, at most 64 bytes (with the prefix of operators' events: at most 80).
    pub name: String,
    pub severity: Severity,
    /// Who caused it: `palyra`, `console`, `connector:<name>`.
    pub principal: String,
    /// The part of the daemon that reports it, or the source of the delivery it concerns.
    pub source: String,
    /// The integration it concerns.
    pub integration_id: Option<String>,
    /// The provider profile of that integration.
    pub provider: Option<String>,
    /// The delivery it concerns.
    pub delivery_id: Option<String>,
    /// One sentence, at most 240 bytes.
    pub summary: String,
    /// Keywords to find it by.
    pub tags: Vec<String>,
    /// Details, at most 8 KiB as JSON and 64 levels deep.
    pub details: Map<String, Value>,
}

impl SystemEvent {
    /// An `info` event of the daemon itself, without details. A summary that is too long is cut.
    pub fn new(name: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            severity: Severity::Info,
            principal: "palyra".to_owned(),
            source: "palyra".to_owned(),
            integration_id: None,
            provider: None,
            delivery_id: None,
            summary: shortened(summary.into()),
            tags: Vec::new(),
            details: Map::new(),
        }
    }

    /// With another severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Caused by `principal`.
    #[must_use]
    pub fn by(mut self, principal: impl Into<String>) -> Self {
        self.principal = principal.into();
        self
    }

    /// About the integration `id`.
    #[must_use]
    pub fn about(mut self, id: impl Into<String>) -> Self {
        self.integration_id = Some(id.into());
        self
    }

    /// With one more member of `details`.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// With the number of `names` and the first [`EVENT_NAMES_MAX`] of them.
    #[must_use]
    pub fn names(self, key: &str, names: &[String]) -> Self {
        let first: Vec<&String> = names.iter().take(EVENT_NAMES_MAX).collect();
        self.detail(key, json!({"count": names.len(), "names": first}))
    }
}

/// An event on its way into the journal.
#[derive(Debug, Clone)]
pub enum NewEvent {
    /// An accepted delivery.
    Webhook(WebhookEvent),
    /// Anything else.
    System(SystemEvent),
}

/// An event as it is read from the journal.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Place in the journal, counted from 1.
    pub seq: u64,
    pub event_id: EventId,
    pub kind: EventKind,
    pub name: String,
    /// Severity; `info` for webhook events.
    pub severity: Severity,
    /// Who caused it: `palyra`, `console`, `connector:<name>`.
    pub principal: String,
    pub source: String,
    pub integration_id: Option<String>,
    pub provider: Option<String>,
    /// The provider's id of the delivery, as the provider states it.
    pub delivery_id: Option<String>,
    /// Version of the secret that verified it.
    pub key_version: Option<u32>,
    /// When it happened according to its sender.
    pub occurred_at: UnixMs,
    /// When it was appended.
    pub recorded_at: UnixMs,
    pub summary: String,
    /// Keywords to find it by.
    pub tags: Vec<String>,
    /// The replay key it took, for deliveries.
    pub claim: Option<ReplayClaim>,
    /// Bytes of the body: from the wire for a webhook event, the details as JSON for a system event.
    pub body: Vec<u8>,
    pub body_format: BodyFormat,
    /// Leaf hash of the preceding event.
    pub prev_hash: Digest,
    pub hash: Digest,
}

/// The two kinds of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// An accepted delivery.
    Webhook,
    /// Anything else.
    System,
}
