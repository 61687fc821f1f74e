//! Steps 5 and 6 of the path of a delivery: the keys to verify with, newer published keys when those are outdated, and the
//! tokens of handshakes.

use std::sync::Arc;

use palyra_actors::clock::UnixMs;
use palyra_actors::provider::{
    Handshake, Profile, Published, Reason, Reject, Request, Verified, VerifyError,
};
use palyra_actors::registry::Integration;
use palyra_actors::secret::SecretVersions;
use palyra_actors::vault::{InvalidRef, Resolve, VaultError, VaultRef};

use crate::http::delivery::arrival::Arrival;
use crate::http::delivery::checks;
use crate::http::delivery::faults::Fault;
use crate::http::delivery::stopped::Stopped;
use crate::http::ingress::Delivery;
use crate::published_keys::{FetchFailed, Wanted};
use crate::service::AppState;
use crate::service::cause::Cause;

impl AppState {
    /// The keys of an integration; `None` only if it neither names nor needs any. A secret that is named must be available
    /// even if signatures are optional: without it, a wrong signature would pass as no signature.
    ///
    /// # Errors
    /// Why there are none, or that they are not available in time.
    pub(in crate::http) async fn resolve(
        &self,
        integration: &Integration,
    ) -> Result<Option<Arc<SecretVersions>>, Fault> {
        let record = &integration.record;
        if let Some(other) = &integration.lent_with {
            let shared = format!(
                "its secret is shared with `{other}`, whose handshakes give strangers codes made with that secret"
            );
            return Err(Fault::of(Cause::Secret, shared));
        }
        let Some(vault_ref) = record.vault_ref() else {
            let needed = record.signature_required;
            let none = || Fault::of(Cause::Secret, "the integration names no secret");
            return if needed { Err(none()) } else { Ok(None) };
        };
        self.secret(vault_ref).await?.map(Some).map_err(|error| Fault::told_by(Cause::Secret, &error))
    }

    /// Resolves a reference in the vault.
    async fn secret(
        &self,
        vault_ref: Result<VaultRef, InvalidRef>,
    ) -> Result<Result<Arc<SecretVersions>, VaultError>, Fault> {
        let vault_ref = vault_ref.map_err(|error| Fault::told_by(Cause::VaultReference, &error))?;
        if let Some(keys) = self.actors.keys.get(&vault_ref, self.clock.now_unix_ms()) {
            return Ok(Ok(keys));
        }
        let asked = self.actors.vault.ask(Resolve(vault_ref));
        self.before_deadline(Cause::Vault, asked).await?.map_err(|error| Fault::told_by(Cause::Vault, &error))
    }

    /// The token that a handshake is checked against; `None` if the integration has none configured.
    ///
    /// # Errors
    /// Why it is not available.
    pub(in crate::http) async fn token(
        &self,
        integration: &Integration,
        handshake: &Handshake,
    ) -> Result<Option<Arc<SecretVersions>>, Fault> {
        let named = handshake.token_parameter.as_ref();
        let Some(text) = named.and_then(|name| integration.record.parameters.get(name)) else {
            return Ok(None);
        };
        let token = self.secret(VaultRef::parse(text)).await?;
        token.map(Some).map_err(|error| Fault::told_by(Cause::HandshakeToken, &error))
    }
}

impl Delivery<'_> {
    /// The keys to verify `request` with; `None` only if the integration neither names nor needs any.
    ///
    /// # Errors
    /// When none are available in time, when too many deliveries wait for keys, or when the request names keys of another
    /// party.
    pub(in crate::http) async fn keys(
        &self,
        integration: &Integration,
        profile: &Profile,
        request: &Request<'_>,
        arrival: &mut impl Arrival,
    ) -> Result<Option<Arc<SecretVersions>>, Stopped> {
        let keys = if integration.takes_published_keys() {
            let published = profile.published(request)?;
            self.fetch(profile, published, arrival).await.map(Some)
        } else {
            self.app.resolve(integration).await
        };
        keys.map_err(Stopped::NoKeys)
    }

    /// The keys that the provider publishes.
    async fn fetch(
        &self,
        profile: &Profile,
        published: Option<Published>,
        arrival: &mut impl Arrival,
    ) -> Result<Arc<SecretVersions>, Fault> {
        let Some(published) = published else {
            let none = "its provider publishes no keys, and the integration names no secret";
            return Err(Fault::of(Cause::PublishedKeys, none));
        };
        let (now, may_wait) = (self.app.clock.now_unix_ms(), || arrival.may_wait_for_keys());
        let asked = self.app.intake.published.get(profile.name(), published, now, may_wait);
        let keys = self.app.before_deadline(Cause::PublishedKeys, asked).await?;
        keys.map_err(|why| Fault::told_by(Cause::PublishedKeys, &why))
    }

    /// Verifies `request` with `keys`. If these are published keys that did not make the signature, and the provider
    /// publishes others by then, replaces `keys` with the newer ones and verifies again: the signing key may be newer than
    /// the cached ones.
    ///
    /// # Errors
    /// Why the delivery is not authentic, or why that cannot be decided.
    pub(in crate::http) async fn verify(
        &self,
        integration: &Integration,
        profile: &Profile,
        request: &Request<'_>,
        keys: &mut Option<Arc<SecretVersions>>,
        now: UnixMs,
        arrival: &mut impl Arrival,
    ) -> Result<Option<Verified>, Stopped> {
        let record = &integration.record;
        let first = checks::signature(record, profile, request, keys.as_deref(), now);
        let published = keys.as_ref().filter(|_| integration.takes_published_keys());
        let newer = match published.zip(asks_for_others(&first)) {
            Some((used, reject)) => self.newer(profile, request, used, reject, arrival).await?,
            None => None,
        };
        if newer.is_none() {
            return Ok(first?);
        }
        *keys = newer;
        Ok(checks::signature(record, profile, request, keys.as_deref(), now)?)
    }

    /// The keys that the provider publishes at this moment; `None` if they are `used` itself. Keys within their life count as
    /// what is published, unless `reject`, why they do not verify the delivery, shows that there may be newer ones. If the
    /// provider could not be asked for those in time, in vain, or at all, the delivery is 503 rather than 401: one signed with
    /// a new key must not be refused because the cache is stale. If no newer key could verify it, and the provider was asked
    /// in vain while `used` are still in force, that is `None` too.
    async fn newer(
        &self,
        profile: &Profile,
        request: &Request<'_>,
        used: &Arc<SecretVersions>,
        reject: &Reject,
        arrival: &mut impl Arrival,
    ) -> Result<Option<Arc<SecretVersions>>, Stopped> {
        let Some(published) = profile.published(request)? else { return Ok(None) };
        let may_have_newer = published.may_have_newer(reject);
        let wanted = match may_have_newer {
            true => Wanted::NewerThan(Arc::clone(used)),
            false => Wanted::Fresh,
        };
        let (kept, provider) = (&self.app.intake.published, profile.name());
        let (now, may_wait) = (self.app.clock.now_unix_ms(), || arrival.may_wait_for_keys());
        let asked = kept.newest(provider, published.clone(), wanted, now, may_wait);
        match self.app.before_deadline(Cause::PublishedKeys, asked).await.map_err(Stopped::NoKeys)? {
            Ok(newest) => Ok(Some(newest).filter(|newest| !Arc::ptr_eq(newest, used))),
            Err(FetchFailed::Provider(_)) if !may_have_newer && kept.uses(provider, &published, used) => {
                Ok(None)
            }
            Err(why) => Err(Stopped::NoKeys(Fault::told_by(Cause::PublishedKeys, &why))),
        }
    }
}

/// A rejection that other keys could change.
fn asks_for_others(verdict: &Result<Option<Verified>, VerifyError>) -> Option<&Reject> {
    let Err(VerifyError::Rejected(reject)) = verdict else { return None };
    Some(reject).filter(|reject| matches!(reject.reason, Reason::BadSignature | Reason::UntrustedKey))
}
