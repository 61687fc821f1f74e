//! What is to be otherwise about an integration: only what is named changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::messages::OnFiltered;
use super::once::each_once;
use super::record::IntegrationRecord;
use crate::ids::canonical;
use crate::limits::UNSIGNED_RATE_PER_SECOND_DEFAULT;

/// New settings of an integration, those of a [`super::Draft`]. What is left out stays as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amendment {
    /// Name of a profile. What the integration told the old one is forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Empty: the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `null`: none.
    #[serde(deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub secret_vault_ref: Option<Option<String>>,
    /// All that are to be allowed; empty: all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_events: Option<Vec<String>>,
    /// All that are to be allowed; empty: all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_sources: Option<Vec<String>>,
    /// Whether a delivery must be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature_required: Option<bool>,
    /// Largest body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_payload_bytes: Option<u64>,
    /// `null`: the daemon's.
    #[serde(deserialize_with = "named", skip_serializing_if = "Option::is_none")]
    pub replay_window_seconds: Option<Option<u64>>,
    /// Refused where a signature is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsigned_rate_per_second: Option<u32>,
    /// By name; `null` takes one away, and those not named stay.
    #[serde(deserialize_with = "each_once", skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Option<String>>,
    /// How filtered deliveries are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_filtered: Option<OnFiltered>,
}

/// What is there is named, `null` too.
fn named<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl Amendment {
    /// Changes `record` so, before it is normalised and checked. A test under another secret or profile says nothing of
    /// this one and is forgotten.
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
