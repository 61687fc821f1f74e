//! Step 5 of the path of a delivery: the keys that it is verified with, and the tokens of handshakes.

use std::sync::Arc;

use palyra_actors::provider::{Handshake, Profile, Request};
use palyra_actors::registry::Integration;
use palyra_actors::secret::SecretVersions;
use palyra_actors::vault::{InvalidRef, Resolve, VaultError, VaultRef};

use super::admission::Permit;
use super::ingress::Delivery;
use super::problem::{Kind, Problem};

impl Delivery<'_> {
    /// The keys that `request` is verified with; `None` only where the integration neither has nor needs any.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] when there are none now, or not in time, or too many wait for theirs; what
    /// [`Delivery::unauthenticated`] makes of a request that names keys of somebody else.
    pub(super) async fn keys(
        &self,
        integration: &Integration,
        profile: &Profile,
        request: &Request<'_>,
        permit: &mut Permit,
    ) -> Result<Option<Arc<SecretVersions>>, Problem> {
        if integration.takes_published_keys() {
            self.fetch(profile, request, permit).await.map(Some)
        } else {
            self.resolve(integration).await
        }
    }

    /// The keys of an integration; `None` only where it neither has nor needs any.
    pub(super) async fn resolve(
        &self,
        integration: &Integration,
    ) -> Result<Option<Arc<SecretVersions>>, Problem> {
        let record = &integration.record;
        if let Some(other) = &integration.lent_with {
            let shared = format!("it shares its secret with `{other}`, and others are given codes under it");
            return Err(Problem::new(Kind::Unavailable).because("secret", shared));
        }
        let Some(vault_ref) = record.vault_ref() else {
            let needed = record.signature_required;
            let none =
                || Problem::new(Kind::Unavailable).because("secret", "the integration names no secret");
            return if needed { Err(none()) } else { Ok(None) };
        };
        match self.secret(vault_ref).await? {
            Ok(keys) => Ok(Some(keys)),
            Err(_) if !record.signature_required => Ok(None),
            Err(error) => Err(self.unavailable("secret", &error)),
        }
    }

    /// What the vault gives for a reference.
    async fn secret(
        &self,
        vault_ref: Result<VaultRef, InvalidRef>,
    ) -> Result<Result<Arc<SecretVersions>, VaultError>, Problem> {
        let vault_ref = vault_ref.map_err(|error| self.unavailable("vault reference", &error))?;
        if let Some(keys) = self.gate.actors.keys.get(&vault_ref, self.gate.clock.now_unix_ms()) {
            return Ok(Ok(keys));
        }
        let asked = self.gate.actors.vault.ask(Resolve(vault_ref));
        self.in_time(asked).await?.map_err(|error| self.unavailable("vault", &error))
    }

    /// The token that a handshake is checked by; `None` where the integration was told none.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) async fn token(
        &self,
        integration: &Integration,
        handshake: &Handshake,
    ) -> Result<Option<Arc<SecretVersions>>, Problem> {
        let named = handshake.token_parameter.as_ref();
        let Some(text) = named.and_then(|name| integration.record.parameters.get(name)) else {
            return Ok(None);
        };
        let token = self.secret(VaultRef::parse(text)).await?;
        token.map(Some).map_err(|error| self.unavailable("token of a handshake", &error))
    }

    /// The keys that the provider publishes for `request`. Who waits until others have theirs is a slow one.
    async fn fetch(
        &self,
        profile: &Profile,
        request: &Request<'_>,
        permit: &mut Permit,
    ) -> Result<Arc<SecretVersions>, Problem> {
        let published = profile.published(request).map_err(|reject| self.unauthenticated(&reject))?;
        let Some(published) = published else {
            let none = "its provider publishes no keys, and it names no secret";
            return Err(Problem::new(Kind::Unavailable).because("published keys", none));
        };
        let (now, may_wait) = (self.gate.clock.now_unix_ms(), || permit.be_slow().is_ok());
        let asked = self.gate.published.get(profile.name(), published, now, may_wait);
        let keys = self.in_time(asked).await?;
        keys.map_err(|why| self.unavailable("published keys", &why))
    }
}
