//! Whether an integration can verify deliveries, and what is missing if not.

use serde::Serialize;

use super::messages::Integration;
use super::record::IntegrationRecord;
use crate::provider::{Profile, UnusableKey};
use crate::vault::{SecretStatus, VaultRef};

/// The state of an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It accepts deliveries.
    Ready,
    /// It could accept deliveries, but is disabled.
    Disabled,
    /// Its reference to a secret is not valid.
    InvalidSecretRef,
    /// The secret does not exist.
    SecretNotFound,
    /// The secret exists, but cannot be used.
    SecretUnavailable,
    /// Its profile is missing, or its settings contradict each other.
    InvalidConfiguration,
}

impl Readiness {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Ready,
        Self::Disabled,
        Self::InvalidSecretRef,
        Self::SecretNotFound,
        Self::SecretUnavailable,
        Self::InvalidConfiguration,
    ];

    /// The word for the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Disabled => "disabled",
            Self::InvalidSecretRef => "invalid_secret_ref",
            Self::SecretNotFound => "secret_not_found",
            Self::SecretUnavailable => "secret_unavailable",
            Self::InvalidConfiguration => "invalid_configuration",
        }
    }
}

/// The state of an integration, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    pub readiness: Readiness,
    /// What has to be corrected.
    pub issues: Vec<String>,
}

impl ReadinessReport {
    /// Whether it could accept deliveries, disregarding whether it is enabled.
    pub fn can_be_enabled(&self) -> bool {
        matches!(self.readiness, Readiness::Ready | Readiness::Disabled)
    }
}

/// The state of `integration`, given the state of its secret.
pub fn readiness(integration: &Integration, secret: &SecretStatus) -> ReadinessReport {
    let lacks = lacks_configuration(integration).or_else(|| lacks_secret(integration, secret));
    let otherwise = if integration.record.enabled { Readiness::Ready } else { Readiness::Disabled };
    let (readiness, issues) = lacks.unwrap_or((otherwise, Vec::new()));
    ReadinessReport { readiness, issues }
}

/// A state with its reasons.
type Lack = (Readiness, Vec<String>);

fn lacks_configuration(integration: &Integration) -> Option<Lack> {
    let record = &integration.record;
    let Some(profile) = &integration.profile else {
        let issue = format!("there is no provider profile `{}`", record.provider);
        return Some((Readiness::InvalidConfiguration, vec![issue]));
    };
    if record.signature_required && !profile.authenticates() {
        let issue = format!(
            "`{}` signs nothing; allow that with `palyra webhooks set {} --allow-unsigned`",
            record.provider, record.integration_id
        );
        return Some((Readiness::InvalidConfiguration, vec![issue]));
    }
    if let Some(other) = &integration.lent_with {
        return Some((Readiness::InvalidConfiguration, vec![shares_its_secret(record, other)]));
    }
    let is_blank = |name: &&String| record.parameters.get(*name).is_none_or(|text| text.trim().is_empty());
    let missing = profile.parameters().iter().filter(is_blank);
    let issues: Vec<String> = missing.map(|name| needs(record, profile, name)).collect();
    let is_unfit = record.signature_required && !issues.is_empty();
    is_unfit.then_some((Readiness::InvalidConfiguration, issues))
}

/// Names the secret that is shared, and the commands that give the integration a secret of its own.
fn shares_its_secret(record: &IntegrationRecord, other: &str) -> String {
    let (id, vault_ref) = (&record.integration_id, record.secret_vault_ref.as_deref().unwrap_or_default());
    format!(
        "it shares the secret `{vault_ref}` with `{other}`, and a handshake of one of them gives strangers codes made with it, which may \
         pass as signatures for the other; use a separate secret: `palyra vault put global/NAME < FILE && palyra webhooks set \
         {id} --secret-ref global/NAME`"
    )
}

/// Names a missing parameter, and the command that sets it.
fn needs(record: &IntegrationRecord, profile: &Profile, name: &str) -> String {
    let set = format!("palyra webhooks set {} --parameter {name}", record.integration_id);
    match profile.secret_parameters().any(|secret| secret == name) {
        true => format!(
            "it needs `parameters.{name}`, a token: `palyra vault put global/NAME < FILE && {set}=global/NAME`"
        ),
        false => format!("it needs `parameters.{name}`: `{set}=VALUE`"),
    }
}

fn lacks_secret(integration: &Integration, secret: &SecretStatus) -> Option<Lack> {
    let record = &integration.record;
    // If signatures are optional, a configured secret still verifies the deliveries that are signed.
    let is_needed = record.signature_required || record.secret_vault_ref.is_some();
    if !is_needed || integration.takes_published_keys() {
        return None;
    }
    let lacks = |readiness, issue: String| Some((readiness, vec![issue]));
    let vault_ref = match record.vault_ref() {
        None => return lacks(Readiness::InvalidSecretRef, "the integration names no secret".to_owned()),
        Some(Err(invalid)) => return lacks(Readiness::InvalidSecretRef, invalid.to_string()),
        Some(Ok(vault_ref)) => vault_ref,
    };
    match secret {
        SecretStatus::Found => None,
        SecretStatus::NotFound => {
            let issue = format!("there is no secret `{vault_ref}`: {}", vault_ref.how_to_provide());
            lacks(Readiness::SecretNotFound, issue)
        }
        SecretStatus::Unusable(key) => {
            lacks(Readiness::SecretUnavailable, cannot_use(record, &vault_ref, key))
        }
        SecretStatus::Unavailable(why) => lacks(Readiness::SecretUnavailable, why.clone()),
        SecretStatus::InvalidRef(why) => lacks(Readiness::InvalidSecretRef, why.clone()),
    }
}

fn cannot_use(record: &IntegrationRecord, vault_ref: &VaultRef, key: &UnusableKey) -> String {
    let (id, UnusableKey { version, reason }) = (&record.integration_id, key);
    let remedy = vault_ref.how_to_provide();
    format!("`{id}` cannot use version {version} of `{vault_ref}`: {reason}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn a_state_is_called_alike_wherever_it_is_written() {
        for state in Readiness::ALL {
            assert_eq!(serde_json::json!(state), state.as_str());
        }
    }
}
