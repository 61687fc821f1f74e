//! One integration as it is stored in `webhooks.toml`.

use serde::{Deserialize, Serialize};

use super::messages::{Draft, OnFiltered};
use crate::clock::UnixMs;
use crate::limits::{PAYLOAD_BYTES_DEFAULT, UNSIGNED_RATE_PER_SECOND_DEFAULT};
use crate::provider::Parameters;
use crate::vault::{InvalidRef, VaultRef};

/// An integration: one inbound endpoint. Its fields are those of `schemas/registry.v1.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegrationRecord {
    /// Canonical and unique.
    pub integration_id: String,
    /// Name of its provider profile.
    pub provider: String,
    /// Name for people; empty in the file means the id.
    #[serde(default)]
    pub display_name: String,
    /// The reference to its secret.
    #[serde(default)]
    pub secret_vault_ref: Option<String>,
    /// Events that are accepted; empty: all.
    #[serde(default)]
    pub allowed_events: Vec<String>,
    /// Sources that are accepted; empty: all.
    #[serde(default)]
    pub allowed_sources: Vec<String>,
    /// Whether deliveries are accepted at all.
    #[serde(default)]
    pub enabled: bool,
    /// Whether a delivery must be signed.
    #[serde(default = "yes")]
    pub signature_required: bool,
    /// Largest body, in bytes.
    #[serde(default = "default_payload_bytes")]
    pub max_payload_bytes: u64,
    /// How long its replay keys are remembered; if omitted, the profile's or the daemon's setting applies.
    #[serde(default)]
    pub replay_window_seconds: Option<u64>,
    /// Unsigned deliveries accepted per second, if no signature is required.
    #[serde(default)]
    pub unsigned_rate_per_second: Option<u32>,
    /// Settings its profile needs besides the secret, by name.
    #[serde(default)]
    pub parameters: Parameters,
    /// How filtered deliveries are answered.
    #[serde(default)]
    pub on_filtered: OnFiltered,
    /// When it was created; 0 if it was written by hand.
    #[serde(default)]
    pub created_at_unix_ms: UnixMs,
    /// When its settings last changed through the daemon.
    #[serde(default)]
    pub updated_at_unix_ms: UnixMs,
    /// When it was last tested.
    #[serde(default)]
    pub last_test_at_unix_ms: Option<UnixMs>,
    /// Whether every check of that test passed.
    #[serde(default)]
    pub last_test_passed: Option<bool>,
    /// The result of that test.
    #[serde(default)]
    pub last_test_message: Option<String>,
}

fn yes() -> bool {
    true
}

fn default_payload_bytes() -> u64 {
    PAYLOAD_BYTES_DEFAULT
}

impl IntegrationRecord {
    /// The record for a draft; it has to be normalised and checked.
    pub fn of(draft: Draft, now: UnixMs) -> Self {
        let rate = draft.unsigned_rate_per_second.unwrap_or(UNSIGNED_RATE_PER_SECOND_DEFAULT);
        Self {
            integration_id: draft.integration_id,
            provider: draft.provider,
            display_name: draft.display_name.unwrap_or_default(),
            secret_vault_ref: draft.secret_vault_ref,
            allowed_events: draft.allowed_events,
            allowed_sources: draft.allowed_sources,
            enabled: draft.enabled,
            signature_required: draft.signature_required,
            max_payload_bytes: draft.max_payload_bytes.unwrap_or(PAYLOAD_BYTES_DEFAULT),
            replay_window_seconds: draft.replay_window_seconds,
            unsigned_rate_per_second: (!draft.signature_required).then_some(rate),
            parameters: draft.parameters,
            on_filtered: draft.on_filtered.unwrap_or_default(),
            created_at_unix_ms: now,
            updated_at_unix_ms: now,
            last_test_at_unix_ms: None,
            last_test_passed: None,
            last_test_message: None,
        }
    }

    /// The parsed reference to its secret; `None` if it has none.
    pub fn vault_ref(&self) -> Option<Result<VaultRef, InvalidRef>> {
        self.secret_vault_ref.as_deref().map(VaultRef::parse)
    }

    /// Whether its deliveries are verified with the secret `vault_ref`.
    pub fn verifies_with(&self, vault_ref: &VaultRef) -> bool {
        self.vault_ref().is_some_and(|own| own.is_ok_and(|own| own == *vault_ref))
    }

    /// Whether the allow list accepts the event.
    pub fn allows_event(&self, event: &str) -> bool {
        self.allowed_events.is_empty() || self.allowed_events.iter().any(|allowed| allowed == event)
    }

    /// Whether the allow list accepts the source.
    pub fn allows_source(&self, source: &str) -> bool {
        self.allowed_sources.is_empty() || self.allowed_sources.iter().any(|allowed| allowed == source)
    }

    /// Whether a filtered delivery is answered with an error.
    pub fn rejects_filtered(&self) -> bool {
        self.on_filtered == OnFiltered::Reject
    }
}
