//! An event: on its way into the journal, and as it is read.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::bounds::shortened;
use super::claim::ReplayClaim;
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId, Hashed};
use crate::limits::EVENT_NAMES_MAX;

/// What journals an accepted loss. Verification takes another log for sound only after one.
pub(super) const ROLLBACK_ACCEPTED: &str = "journal.rollback.accepted";

/// How serious a system event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Expected in good order.
    Info,
    /// Somebody should look, not at once.
    Warn,
    /// Somebody should look now.
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
    /// Text that is not read any further.
    Text,
    /// The sender posted a whole envelope.
    Envelope,
}

/// A webhook event to append: an accepted delivery.
#[derive(Debug, Clone)]
pub struct WebhookEvent {
    /// Name of the event, by the provider profile.
    pub name: String,
    /// Where it came from, by the provider profile.
    pub source: String,
    /// The integration that took it in.
    pub integration_id: String,
    /// Name of the provider profile.
    pub provider: String,
    /// The provider's id of the delivery, recorded as it was claimed.
    pub delivery_id: Option<String>,
    /// Which version of the secret verified it; `None` when nothing did (signature not required).
    pub key_version: Option<u32>,
    /// When the sender says it happened; when we received it, if the sender says nothing.
    pub occurred_at: UnixMs,
    /// The bytes from the wire.
    pub body: Hashed,
    /// How they are read.
    pub body_format: BodyFormat,
}

/// A system event to append. `schemas/system-event.v1.json` is its form outside.
#[derive(Debug, Clone)]
pub struct SystemEvent {
    /// `[a-z0-9._:-]`, at most 64 bytes (with the prefix of operators' events: at most 80).
    pub name: String,
    /// How serious it is.
    pub severity: Severity,
    /// Who caused it: `palyra`, `console`, `connector:<name>`.
    pub principal: String,
    /// What part of the daemon tells it, or the source of the delivery it speaks of.
    pub source: String,
    /// The integration it speaks of.
    pub integration_id: Option<String>,
    /// The provider profile of that integration.
    pub provider: Option<String>,
    /// The delivery it speaks of.
    pub delivery_id: Option<String>,
    /// One sentence, at most 240 bytes.
    pub summary: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The particulars, at most 8 KiB as JSON.
    pub details: Map<String, Value>,
}

impl SystemEvent {
    /// An `info` event of the daemon itself, without particulars. A summary that is too long is cut.
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

    /// With one more particular.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// With how many `names` there are, and the first [`EVENT_NAMES_MAX`] of them.
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

/// One row as it is read.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Place in the journal, from 1.
    pub seq: u64,
    /// Id.
    pub event_id: EventId,
    /// `webhook` or `system`.
    pub kind: EventKind,
    /// Name.
    pub name: String,
    /// Severity; `info` for webhook events.
    pub severity: Severity,
    /// Who caused it.
    pub principal: String,
    /// Source.
    pub source: String,
    /// Integration.
    pub integration_id: Option<String>,
    /// Provider profile.
    pub provider: Option<String>,
    /// The provider's id of the delivery.
    pub delivery_id: Option<String>,
    /// Version of the secret that verified it.
    pub key_version: Option<u32>,
    /// When it happened, by its sender.
    pub occurred_at: UnixMs,
    /// When it was appended.
    pub recorded_at: UnixMs,
    /// One sentence.
    pub summary: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// The replay key it took, for deliveries.
    pub claim: Option<ReplayClaim>,
    /// Bytes of the body: from the wire for a webhook event, the details as JSON for a system event.
    pub body: Vec<u8>,
    /// How they are read.
    pub body_format: BodyFormat,
    /// Leaf hash of the event before.
    pub prev_hash: Digest,
    /// Leaf hash.
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
