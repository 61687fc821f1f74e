//! The registry's doors.

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

/// One integration, ready to be used.
#[derive(Debug)]
pub struct Integration {
    /// The record in `webhooks.toml`.
    pub record: IntegrationRecord,
    /// Its provider profile; `None` when the profile has gone since the record was written.
    pub profile: Option<Arc<Profile>>,
    /// The enabled integration of another profile that names the same secret, where a handshake of either makes codes under
    /// it for whoever asks: such a code may be the signature of a delivery to the other.
    pub lent_with: Option<String>,
}

impl Integration {
    /// Whether it is verified with keys that the provider publishes, having none of its own.
    pub fn takes_published_keys(&self) -> bool {
        let published = self.profile.as_ref().is_some_and(|profile| profile.publishes_keys());
        self.record.secret_vault_ref.is_none() && self.record.signature_required && published
    }

    /// How long its deliveries are remembered, in seconds: as it says itself, or else its profile; `None` where the daemon does.
    pub fn replay_window_seconds(&self) -> Option<u64> {
        let of_profile = || self.profile.as_ref().and_then(|profile| profile.replay_window_seconds());
        self.record.replay_window_seconds.or_else(of_profile)
    }
}

/// Finds an integration, enabled or not.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Option<Arc<Integration>>")]
pub struct Get(pub String);

/// All integrations, in the order of the file.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Vec<Arc<Integration>>")]
pub struct List;

/// Adds an integration. One whose secret is not ready is stored disabled.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Integration>, RegistryError>")]
pub struct Add {
    /// What the caller asked for.
    pub draft: Draft,
    /// What the vault said of its secret.
    pub secret: SecretStatus,
}

/// Changes the settings of an integration that are named. An enabled one must be ready afterwards too.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Integration>, RegistryError>")]
pub struct Amend {
    /// Which.
    pub integration_id: String,
    /// What is to be otherwise.
    pub amendment: Amendment,
    /// What the vault said of the secret it then has.
    pub secret: SecretStatus,
}

/// The settings of an integration as a caller gives them (`schemas/registry.v1.json`, one entry without what the daemon
/// keeps).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Trimmed and lower-cased before it is checked.
    pub integration_id: String,
    /// Name of a profile.
    pub provider: String,
    /// Default: the id.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Required unless `signature_required` is false.
    #[serde(default)]
    pub secret_vault_ref: Option<String>,
    /// Empty: all.
    #[serde(default)]
    pub allowed_events: Vec<String>,
    /// Empty: all.
    #[serde(default)]
    pub allowed_sources: Vec<String>,
    /// Default true: enabled if it is ready.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Default true.
    #[serde(default = "yes")]
    pub signature_required: bool,
    /// Default 65,536.
    #[serde(default)]
    pub max_payload_bytes: Option<u64>,
    /// Default: the daemon's.
    #[serde(default)]
    pub replay_window_seconds: Option<u64>,
    /// Default 50; refused where `signature_required` is true.
    #[serde(default)]
    pub unsigned_rate_per_second: Option<u32>,
    /// What the profile needs to know beside the secret, by name.
    #[serde(default, deserialize_with = "each_once")]
    pub parameters: Parameters,
    /// Default `accept`.
    #[serde(default)]
    pub on_filtered: Option<OnFiltered>,
}

fn yes() -> bool {
    true
}

/// What a filtered delivery is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFiltered {
    /// 202, so that the provider does not retry.
    #[default]
    Accept,
    /// 403.
    Reject,
}

/// Enables or disables an integration. Enabling one that is not ready is an error that says why.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Integration>, RegistryError>")]
pub struct SetEnabled {
    /// Which.
    pub integration_id: String,
    /// To what.
    pub enabled: bool,
    /// What the vault said of its secret; of no account where it is disabled.
    pub secret: SecretStatus,
}

/// Removes an integration.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<Integration>, RegistryError>")]
pub struct Remove(pub String);

/// Keeps the outcome of `webhooks test`.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<(), RegistryError>")]
pub struct RecordTest {
    /// Which.
    pub integration_id: String,
    /// Whether every check passed.
    pub passed: bool,
    /// The first check that failed, or what passed; at most 240 bytes are kept.
    pub message: String,
}

/// Reads `webhooks.toml` and the operator's own profiles again. After an error the last good ones stay in force.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Changes, RegistryError>")]
pub struct Reload;

/// What a reload changed: ids of integrations, and names of profiles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// New ones.
    pub added: Vec<String>,
    /// Gone ones.
    pub removed: Vec<String>,
    /// Ones that read differently.
    pub changed: Vec<String>,
    /// Profiles that came, went or read differently.
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

/// What the registry shows of itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RegistrySnapshot {
    /// Integrations.
    pub integrations: usize,
    /// Enabled ones.
    pub enabled: usize,
    /// Integrations of each provider.
    pub providers: BTreeMap<String, usize>,
    /// Profiles known.
    pub profiles: usize,
    /// When the file was last read or written without error.
    pub loaded_at_unix_ms: UnixMs,
    /// Why the last reload was refused, while the last good file is in force.
    pub stale: Option<String>,
}
