//! Whether an integration can verify deliveries, and what it lacks.

use serde::Serialize;

use super::messages::Integration;
use crate::vault::SecretStatus;

/// The state of an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It takes deliveries.
    Ready,
    /// It could, and is switched off.
    Disabled,
    /// Its reference to a secret is not understood.
    InvalidSecretRef,
    /// There is no such secret.
    SecretNotFound,
    /// The secret is there and cannot be used.
    SecretUnavailable,
    /// Its profile is missing, or its settings contradict each other.
    InvalidConfiguration,
}

/// The state of an integration, with what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// The state.
    pub readiness: Readiness,
    /// What is to be put right.
    pub issues: Vec<String>,
}

impl ReadinessReport {
    /// Whether it could take deliveries, switched on or not.
    pub fn can_be_enabled(&self) -> bool {
        matches!(self.readiness, Readiness::Ready | Readiness::Disabled)
    }
}

/// The state of `integration`, given what the vault says of its secret.
pub fn readiness(integration: &Integration, secret: &SecretStatus) -> ReadinessReport {
    let record = &integration.record;
    if integration.profile.is_none() {
        let issue = format!("there is no provider profile `{}`", record.provider);
        return ReadinessReport { readiness: Readiness::InvalidConfiguration, issues: vec![issue] };
    }
    let needed = integration.profile.iter().flat_map(|profile| profile.parameters());
    let missing: Vec<&str> =
        needed.map(String::as_str).filter(|name| !record.parameters.contains_key(*name)).collect();
    if record.signature_required && !missing.is_empty() {
        let issues = missing.iter().map(|name| format!("it needs `parameters.{name}`")).collect();
        return ReadinessReport { readiness: Readiness::InvalidConfiguration, issues };
    }
    if record.signature_required && !integration.profile.iter().any(|profile| profile.authenticates()) {
        let issue = format!(
            "`{}` signs nothing: add it again with `--allow-unsigned`, or not at all",
            record.provider
        );
        return ReadinessReport { readiness: Readiness::InvalidConfiguration, issues: vec![issue] };
    }
    let name = record.secret_vault_ref.as_deref().unwrap_or_default();
    let lacking = match secret {
        _ if !record.signature_required => None,
        _ if integration.takes_published_keys() => None,
        SecretStatus::Found if record.secret_vault_ref.is_none() => {
            Some((Readiness::InvalidSecretRef, "it names no secret".to_owned()))
        }
        SecretStatus::Found => None,
        SecretStatus::NotFound => Some((
            Readiness::SecretNotFound,
            format!("there is no secret `{name}`: run `palyra vault put {name}`"),
        )),
        SecretStatus::Unavailable(why) => Some((Readiness::SecretUnavailable, why.clone())),
        SecretStatus::InvalidRef(why) => Some((Readiness::InvalidSecretRef, why.clone())),
    };
    match lacking {
        Some((readiness, issue)) => ReadinessReport { readiness, issues: vec![issue] },
        None => {
            let readiness = if record.enabled { Readiness::Ready } else { Readiness::Disabled };
            ReadinessReport { readiness, issues: Vec::new() }
        }
    }
}
