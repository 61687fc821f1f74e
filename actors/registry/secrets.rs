//! Which secrets an integration uses, and for what. No value is read here.

use std::sync::Arc;

use super::messages::Integration;
use crate::clock::UnixMs;
use crate::provider::{Profile, UnusableKey};
use crate::secret::{Secret, SecretVersion, SecretVersions};
use crate::vault::{InvalidRef, SecretStatus, VaultRef};

/// The purpose of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretUse<'a> {
    /// Verifying its deliveries.
    Deliveries,
    /// The parameter of this name, the token of a handshake.
    Parameter(&'a str),
}

impl SecretUse<'_> {
    /// Rephrases the state of the secret `vault_ref` for this purpose: for a parameter, its name is added.
    pub fn told(self, vault_ref: &VaultRef, status: SecretStatus) -> SecretStatus {
        let Self::Parameter(name) = self else { return status };
        match status {
            SecretStatus::Unavailable(why) => SecretStatus::NoToken(format!("`parameters.{name}`: {why}")),
            SecretStatus::NotFound => {
                let remedy = vault_ref.how_to_provide();
                SecretStatus::NoToken(format!("there is no secret for `parameters.{name}`: {remedy}"))
            }
            other => other,
        }
    }
}

impl Integration {
    /// The secrets it refers to, beginning with the one for its deliveries.
    pub fn secrets(&self) -> impl Iterator<Item = (SecretUse<'_>, Result<VaultRef, InvalidRef>)> {
        let own = self.record.vault_ref().map(|vault_ref| (SecretUse::Deliveries, vault_ref));
        let names = self.profile.iter().flat_map(|profile| profile.secret_parameters());
        let of_parameters = names.filter_map(|name| {
            let text = self.record.parameters.get(name)?;
            Some((SecretUse::Parameter(name), VaultRef::parse(text)))
        });
        own.into_iter().chain(of_parameters)
    }

    /// Whether it uses the secret `vault_ref` for any purpose.
    pub fn uses(&self, vault_ref: &VaultRef) -> bool {
        self.secrets().any(|(_, named)| named.is_ok_and(|named| named == *vault_ref))
    }
}

/// Enabled integrations that use the secret `vault_ref` for any purpose.
pub fn users_of(all: &[Arc<Integration>], vault_ref: &VaultRef) -> Vec<Arc<Integration>> {
    enabled(all).filter(|integration| integration.uses(vault_ref)).cloned().collect()
}

/// Enabled integrations whose deliveries are verified with the secret `vault_ref`.
pub fn verified_with(all: &[Arc<Integration>], vault_ref: &VaultRef) -> Vec<Arc<Integration>> {
    enabled(all).filter(|integration| integration.record.verifies_with(vault_ref)).cloned().collect()
}

/// The profiles of all integrations, disabled ones included, whose deliveries are verified with the secret `vault_ref`.
pub fn profiles_of(all: &[Arc<Integration>], vault_ref: &VaultRef) -> Vec<Arc<Profile>> {
    let verified = all.iter().filter(|integration| integration.record.verifies_with(vault_ref));
    verified.filter_map(|integration| integration.profile.clone()).collect()
}

fn enabled(all: &[Arc<Integration>]) -> impl Iterator<Item = &Arc<Integration>> {
    all.iter().filter(|integration| integration.record.enabled)
}

/// An integration that could not verify with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeUseless {
    pub integration_id: String,
    pub why: UnusableKey,
}

/// Enabled integrations verified with the secret `vault_ref` whose profiles cannot use `value` as a key at `now`. For a
/// blank value the list is empty, because the vault refuses that anyway.
pub fn made_useless(
    all: &[Arc<Integration>],
    vault_ref: &VaultRef,
    value: &Secret,
    now: UnixMs,
) -> Vec<MadeUseless> {
    let alone = SecretVersion { version: 0, secret: Secret::new(value.expose().to_vec()) };
    let Some(alone) = SecretVersions::new(vec![alone]) else { return Vec::new() };
    let unusable = verified_with(all, vault_ref).into_iter().filter_map(|integration| {
        let profile = integration.profile.as_ref()?;
        let why = profile.check_keys(&alone).and_then(|()| profile.check_spans(&alone, now)).err()?;
        Some(MadeUseless { integration_id: integration.record.integration_id.clone(), why })
    });
    unusable.collect()
}
