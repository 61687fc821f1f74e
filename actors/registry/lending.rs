//! Some handshakes compute an HMAC under the secret for anybody. The profile of such a handshake refuses deliveries whose
//! signature may be such an HMAC; but it could pass as a signature for another profile, so two profiles must not share
//! that secret.

use super::record::IntegrationRecord;
use crate::provider::Catalogue;

/// The enabled integration among `all` that `record` must not share its secret with.
pub(super) fn lent_with<'a>(
    record: &IntegrationRecord,
    all: &'a [IntegrationRecord],
    catalogue: &Catalogue,
) -> Option<&'a str> {
    let lends = |name: &str| catalogue.get(name).is_some_and(|profile| profile.lends_codes());
    let own = record.vault_ref()?.ok()?;
    let is_lent = lends(&record.provider);
    let mut others =
        all.iter().filter(|other| other.enabled && other.integration_id != record.integration_id);
    let is_other = |other: &IntegrationRecord| other.provider != record.provider;
    let found = others
        .find(|other| is_other(other) && (is_lent || lends(&other.provider)) && other.verifies_with(&own))?;
    Some(&found.integration_id)
}
