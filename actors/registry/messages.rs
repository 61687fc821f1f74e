//! The messages of the registry.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Message;
use serde::{Deserialize, Serialize};

use super::once::each_once;
use super::{Amendment, IntegrationRecord, RegistryError};
use crate::clock::UnixMs;
use crate::provider::Parameters;
use crate::provider::{Catalogue, Profile};
use crate::vault::SecretStatus;

/// One integration with its profile.
#[derive(Debug)]
pub struct Integration {
    /// Its record in `webhooks.toml`.
    pub record: IntegrationRecord,
    /// Its provider profile; `None` if the profile does not exist any more.
    pub profile: Option<Arc<Profile>>,
    /// Id of an enabled integration of another profile that uses the same secret, if a handshake of either profile
    /// computes HMACs under it for anybody: such an HMAC may be a valid signature for the other profile.
    pub lent_with: Option<String>,
}

impl Integration {
    /// Whether its deliveries are verified with keys the provider publishes, because it has none of its own.
    pub fn takes_published_keys(&self) -> bool {
        let published = self.profile.as_ref().is_some_and(|profile| profile.publishes_keys());
        self.record.secret_vault_ref.is_none() && self.record.signature_required && published
    }

    /// How long its deliveries are remembered, in seconds: its own setting, or else that of its profile; `None` if the
    /// daemon's setting applies.
    pub fn replay_window_seconds(&self) -> Option<u64> {
        let of_profile = || self.profile.as_ref().and_then(|profile| profile.replay_window_seconds());
        self.record.replay_window_seconds.or_else(of_profile)
    }
}

/// Finds an integration, enabled or not.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Option<Arc<Integration>>")]
pub struct Get(pub String);

/// Asks for all integrations, in the order of the file.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<Arc<Integration>>")]
pub struct List;

/// Adds an integration. If its secret is not ready, it is stored disabled.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Integration>, RegistryError>")]
pub struct Add {
    /// The requested settings.
    pub draft: Draft,
    /// The state of its secret, from the vault.
    pub secret: SecretStatus,
}

/// Changes the named settings of an integration. One that is enabled must still be ready afterwards.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Integration>, RegistryError>")]
pub struct Amend {
    pub integration_id: String,
    pub amendment: Amendment,
    /// The state of the secret it has afterwards, from the vault.
    pub secret: SecretStatus,
}

/// The settings of an integration as a caller gives them: one entry of `schemas/registry.v1.json`, without the fields the
/// daemon maintains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Trimmed and lower-cased before it is checked.
    pub integration_id: String,
    /// Name of a profile.
    pub provider: String,
    /// Default: the id is used.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Required unless `signature_required` is false.
    #[serde(default)]
    pub secret_vault_ref: Option<String>,
    /// Empty: all events are allowed.
    #[serde(default)]
    pub allowed_events: Vec<String>,
    /// Empty: all sources are allowed.
    #[serde(default)]
    pub allowed_sources: Vec<String>,
    /// Whether it is enabled if it is ready. Default true.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Default true.
    #[serde(default = "yes")]
    pub signature_required: bool,
    /// Default 65,536.
    #[serde(default)]
    pub max_payload_bytes: Option<u64>,
    /// Default: the daemon's setting applies.
    #[serde(default)]
    pub replay_window_seconds: Option<u64>,
    /// Default 50; refused if `signature_required` is true.
    #[serde(default)]
    pub unsigned_rate_per_second: Option<u32>,
    /// Settings the profile needs besides the secret, by name.
    #[serde(default, deserialize_with = "each_once")]
    pub parameters: Parameters,
    /// Default `accept`.
    #[serde(default)]
    pub on_filtered: Option<OnFiltered>,
}

fn yes() -> bool {
    true
}

/// The answer to a filtered delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFiltered {
    /// 202, so that the provider does not retry.
    #[default]
    Accept,
    /// 403.
    Reject,
}

/// Enables or disables an integration. Enabling one that is not ready fails with the reasons.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Integration>, RegistryError>")]
pub struct SetEnabled {
    pub integration_id: String,
    /// The new state.
    pub enabled: bool,
    /// The state of its secret, from the vault; ignored when it is disabled.
    pub secret: SecretStatus,
}

/// Removes an integration.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Integration>, RegistryError>")]
pub struct Remove(pub String);

/// Records the result of `webhooks test`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), RegistryError>")]
pub struct RecordTest {
    pub integration_id: String,
    /// Whether every check passed.
    pub passed: bool,
    /// The first check that failed, or what passed; cut to 240 bytes.
    pub message: String,
}

/// Reads `webhooks.toml` and the operator's own profiles again. If that fails, the last valid state stays in force.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Changes, RegistryError>")]
pub struct Reload;

/// The changes of a reload: ids of integrations, and names of profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Integrations that were added.
    pub added: Vec<String>,
    /// Integrations that were removed.
    pub removed: Vec<String>,
    /// Integrations whose settings changed.
    pub changed: Vec<String>,
    /// Profiles that were added, removed or changed.
    pub profiles: Vec<String>,
}

/// Asks for the profiles in force.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Arc<Catalogue>")]
pub struct Profiles;

/// Asks for the [`RegistrySnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "RegistrySnapshot")]
pub struct Observe;

/// The state the registry reports.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RegistrySnapshot {
    /// Number of integrations.
    pub integrations: usize,
    /// Number of enabled integrations.
    pub enabled: usize,
    /// Number of integrations per provider.
    pub providers: BTreeMap<String, usize>,
    /// Number of profiles.
    pub profiles: usize,
    /// When the file was last read or written successfully.
    pub loaded_at_unix_ms: UnixMs,
    /// Why the last reload failed, while the last valid state is in force.
    pub stale: Option<String>,
}
