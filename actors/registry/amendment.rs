//! A change of an integration's settings: only the settings it names are changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::messages::OnFiltered;
use super::once::each_once;
use super::record::IntegrationRecord;
use crate::ids::canonical;
use crate::limits::UNSIGNED_RATE_PER_SECOND_DEFAULT;

/// New settings of an integration, with the fields of a [`super::Draft`]. A field that is omitted keeps its value.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amendment {
    /// Name of a profile. A new one discards the parameters that were set for the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Empty: the id is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `null` removes it.
    #[serde(deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub secret_vault_ref: Option<Option<String>>,
    /// The complete list; empty: all events are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_events: Option<Vec<String>>,
    /// The complete list; empty: all sources are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_sources: Option<Vec<String>>,
    /// Whether a delivery must be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_required: Option<bool>,
    /// Largest body, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_payload_bytes: Option<u64>,
    /// `null`: the daemon's setting applies.
    #[serde(deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub replay_window_seconds: Option<Option<u64>>,
    /// Refused where a signature is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsigned_rate_per_second: Option<u32>,
    /// By name. `null` removes a parameter; parameters not named here are kept.
    #[serde(deserialize_with = "each_once", skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Option<String>>,
    /// How filtered deliveries are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_filtered: Option<OnFiltered>,
}

/// Distinguishes `null` from a field that is omitted.
fn named<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl Amendment {
    /// Applies the change to `record`, which has to be normalised and checked afterwards. A test result is discarded if
    /// the secret or the profile changed, because it says nothing about the new one.
    pub fn apply(self, record: &mut IntegrationRecord) {
        let before = (record.provider.clone(), record.secret_vault_ref.clone());
        self.set_all(record);
        if (&record.provider, &record.secret_vault_ref) != (&before.0, &before.1) {
            record.last_test_at_unix_ms = None;
            record.last_test_passed = None;
            record.last_test_message = None;
        }
    }

    fn set_all(self, record: &mut IntegrationRecord) {
        if let Some(provider) = self.provider.map(|name| canonical(&name))
            && provider != record.provider
        {
            record.provider = provider;
            record.parameters.clear();
        }
        set(&mut record.secret_vault_ref, self.secret_vault_ref);
        set(&mut record.signature_required, self.signature_required);
        let rate = self.unsigned_rate_per_second.or(record.unsigned_rate_per_second);
        let rate = rate.unwrap_or(UNSIGNED_RATE_PER_SECOND_DEFAULT);
        record.unsigned_rate_per_second = (!record.signature_required).then_some(rate);
        for (name, value) in self.parameters {
            match value {
                Some(value) => drop(record.parameters.insert(name, value)),
                None => drop(record.parameters.remove(&name)),
            }
        }
        set(&mut record.display_name, self.display_name);
        set(&mut record.allowed_events, self.allowed_events);
        set(&mut record.allowed_sources, self.allowed_sources);
        set(&mut record.max_payload_bytes, self.max_payload_bytes);
        set(&mut record.replay_window_seconds, self.replay_window_seconds);
        set(&mut record.on_filtered, self.on_filtered);
    }
}

fn set<T>(setting: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *setting = new;
    }
}
