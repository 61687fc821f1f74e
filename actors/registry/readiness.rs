//! Whether an integration can verify deliveries, and what is missing if not.

use serde::Serialize;

use super::messages::Integration;
use super::record::IntegrationRecord;
use crate::limits::SECRET_CACHE_SECONDS;
use crate::provider::{Profile, UnusableKey};
use crate::vault::{Keeper, SecretStatus, VaultRef};

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
    /// What has to be corrected. A ready integration may have one: that its provider's keys could not be fetched the last
    /// time.
    pub issues: Vec<String>,
    /// Whether it accepts some deliveries, if it is enabled, although it is not ready: those signed with a version that
    /// can be used, or all but handshakes.
    pub accepts_some: bool,
}

impl ReadinessReport {
    /// Whether it could accept deliveries, disregarding whether it is enabled.
    pub fn can_be_enabled(&self) -> bool {
        matches!(self.readiness, Readiness::Ready | Readiness::Disabled)
    }

    /// Adds, if it lacks the secret `vault_ref` but `is_remembered`, that deliveries are still verified with what was read
    /// of it before.
    #[must_use]
    pub fn with_remembered(mut self, vault_ref: &VaultRef, is_remembered: impl FnOnce() -> bool) -> Self {
        let lacks = matches!(self.readiness, Readiness::SecretNotFound | Readiness::SecretUnavailable);
        if lacks && !self.accepts_some && is_remembered() {
            self.accepts_some = true;
            self.issues.push(match vault_ref.keeper() {
                Keeper::Vault => "until the daemon restarts, it verifies with the value that it read before".to_owned(),
                _ => format!(
                    "a value that was read before still verifies deliveries, for up to {SECRET_CACHE_SECONDS} s"
                ),
            });
        }
        self
    }
}

/// The state of `integration`, given the state of its secret.
pub fn readiness(integration: &Integration, secret: &SecretStatus) -> ReadinessReport {
    let otherwise = if integration.record.enabled { Readiness::Ready } else { Readiness::Disabled };
    let ready = ReadinessReport { readiness: otherwise, issues: Vec::new(), accepts_some: false };
    let secret = lacks_secret(integration, secret);
    let verifies = secret.as_ref().is_none_or(|lack| lack.accepts_some);
    let configuration = lacks_configuration(integration).or_else(|| lacks_parameters(integration, verifies));
    configuration.or(secret).unwrap_or(ready)
}

/// A lack with which no delivery is accepted.
fn lacks(readiness: Readiness, issue: String) -> Option<ReadinessReport> {
    Some(ReadinessReport { readiness, issues: vec![issue], accepts_some: false })
}

fn lacks_configuration(integration: &Integration) -> Option<ReadinessReport> {
    let record = &integration.record;
    let Some(profile) = &integration.profile else {
        let issue = format!("there is no provider profile `{}`", record.provider);
        return lacks(Readiness::InvalidConfiguration, issue);
    };
    if record.signature_required && !profile.authenticates() {
        let issue = format!(
            "`{}` signs nothing; allow that with `palyra webhooks set {} --allow-unsigned`",
            record.provider, record.integration_id
        );
        return lacks(Readiness::InvalidConfiguration, issue);
    }
    let other = integration.lent_with.as_ref()?;
    lacks(Readiness::InvalidConfiguration, shares_its_secret(record, other))
}

/// Reports missing parameters. Without the token of a handshake, deliveries are accepted if the secret `verifies` any.
fn lacks_parameters(integration: &Integration, verifies: bool) -> Option<ReadinessReport> {
    let (record, profile) = (&integration.record, integration.profile.as_ref()?);
    let is_blank = |name: &&String| record.parameters.get(*name).is_none_or(|text| text.trim().is_empty());
    let missing: Vec<&String> = profile.parameters().iter().filter(is_blank).collect();
    let are_tokens = missing.iter().all(|name| is_token(profile, name));
    let issues: Vec<String> = missing.iter().map(|name| needs(record, profile, name)).collect();
    (record.signature_required && !issues.is_empty()).then_some(ReadinessReport {
        readiness: Readiness::InvalidConfiguration,
        issues,
        accepts_some: verifies && are_tokens,
    })
}

/// Whether the parameter is the token of a handshake.
fn is_token(profile: &Profile, parameter: &str) -> bool {
    profile.secret_parameters().any(|secret| secret == parameter)
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
    match is_token(profile, name) {
        true => format!(
            "it needs `parameters.{name}`, a token: `palyra vault put global/NAME < FILE && {set}=global/NAME`"
        ),
        false => format!("it needs `parameters.{name}`: `{set}=VALUE`"),
    }
}

fn lacks_secret(integration: &Integration, secret: &SecretStatus) -> Option<ReadinessReport> {
    let record = &integration.record;
    // If signatures are optional, a configured secret still verifies the deliveries that are signed.
    let is_needed = record.signature_required || record.secret_vault_ref.is_some();
    if !is_needed || integration.takes_published_keys() {
        return None;
    }
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
        SecretStatus::Unusable { key, usable } => Some(ReadinessReport {
            readiness: Readiness::SecretUnavailable,
            issues: vec![cannot_use(record, &vault_ref, key, usable)],
            accepts_some: !usable.is_empty() || !record.signature_required,
        }),
        SecretStatus::Unavailable(why) => lacks(Readiness::SecretUnavailable, why.clone()),
        SecretStatus::NoToken(why) => Some(ReadinessReport {
            readiness: Readiness::SecretUnavailable,
            issues: vec![why.clone()],
            accepts_some: true,
        }),
        SecretStatus::InvalidRef(why) => lacks(Readiness::InvalidSecretRef, why.clone()),
    }
}

fn cannot_use(record: &IntegrationRecord, vault_ref: &VaultRef, key: &UnusableKey, usable: &[u32]) -> String {
    let (id, UnusableKey { version, reason }) = (&record.integration_id, key);
    let remedy = match usable.iter().find(|other| *other != version) {
        None => vault_ref.how_to_provide(),
        Some(other) => keeping(*other, *version, vault_ref),
    };
    format!("`{id}` cannot use version {version} of `{vault_ref}`: {reason}; {remedy}")
}

/// What a version that `works` does beside one that is `unusable`, and the command that ends the latter alone.
fn keeping(works: u32, unusable: u32, vault_ref: &VaultRef) -> String {
    let remedy = if works > unusable {
        format!("`palyra vault retire {vault_ref}` ends version {unusable}")
    } else {
        format!(
            "`palyra vault rotate {vault_ref} < FILE` replaces version {unusable} and keeps version {works}"
        )
    };
    format!("version {works} verifies deliveries, those signed with version {unusable} are refused; {remedy}")
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
