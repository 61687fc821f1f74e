//! What integrations lack, including what the vault says about their secrets. Many are checked concurrently and within a
//! time limit, because a secret may be on a share that hangs.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use palyra_actors::registry::{Integration, Readiness, ReadinessReport, SecretUse, readiness};
use palyra_actors::vault::{Keeper, Probe, SecretStatus, VaultRef};
use tokio::time::Instant;

use crate::event_document::rfc3339;
use crate::published_keys::FailedFetch;
use crate::service::AppState;
use crate::within::within;

/// Integrations whose secrets are checked at a time; each may occupy a thread of the vault.
const INTEGRATIONS_AT_A_TIME_MAX: usize = 32;
/// Time limit for checking the secrets of all integrations together, in seconds.
const FINDING_OUT_SECONDS_MAX: u64 = 10;

/// What each of `integrations` lacks, in their order.
pub async fn reports(
    app: &AppState,
    integrations: impl IntoIterator<Item = &Integration>,
) -> Vec<ReadinessReport> {
    let integrations: Vec<_> = integrations.into_iter().collect();
    let statuses = secret_statuses(app, integrations.iter().copied()).await;
    integrations.into_iter().zip(&statuses).map(|(one, status)| reported(app, one, status)).collect()
}

/// As [`reports`], for one integration.
pub async fn report(app: &AppState, integration: &Integration) -> ReadinessReport {
    reported(app, integration, &secret_status(app, integration).await)
}

/// The report, given the status of the secret. A secret that cannot be read any more may still verify from memory.
/// Published keys are fetched by the first delivery that needs them, so an integration is ready without, and stays so if
/// that fails: the next delivery tries again.
fn reported(app: &AppState, integration: &Integration, status: &SecretStatus) -> ReadinessReport {
    let mut report = readiness(integration, status);
    if report.readiness == Readiness::Ready {
        report.issues.extend(unfetched(app, integration));
    }
    match integration.record.vault_ref() {
        Some(Ok(vault_ref)) if integration.record.enabled => {
            report.with_remembered(&vault_ref, || is_remembered(app, integration, &vault_ref))
        }
        _ => report,
    }
}

/// Says that the last fetch of the keys it takes failed, if it did.
fn unfetched(app: &AppState, integration: &Integration) -> Option<String> {
    let profile = integration.profile.as_ref().filter(|_| integration.takes_published_keys())?;
    let FailedFetch { at, why } = app.intake.published.failed(profile)?;
    Some(format!(
        "the keys of `{}` could not be fetched at {}: {why}; check that this machine can reach the provider. The next delivery that needs them, \
         also a captured one in `palyra webhooks test`, fetches them again",
        profile.name(),
        rfc3339(at)
    ))
}

/// Whether a value of the secret is in memory with which deliveries are verified.
fn is_remembered(app: &AppState, integration: &Integration, vault_ref: &VaultRef) -> bool {
    let now = app.clock.now_unix_ms();
    let (keys, profile) = (app.actors.keys.peek(vault_ref, now), integration.profile.as_ref());
    keys.zip(profile).is_some_and(|(keys, profile)| !profile.usable_versions(&keys, now).is_empty())
}

/// The status of the secrets of each of `integrations`, in their order.
pub async fn secret_statuses(
    app: &AppState,
    integrations: impl IntoIterator<Item = &Integration>,
) -> Vec<SecretStatus> {
    let mut numbered: Vec<_> = integrations.into_iter().enumerate().collect();
    // Checks that cannot hang go first; otherwise those that hang could use up the time for them.
    numbered.sort_by_key(|(_, integration)| lies_elsewhere(integration));
    let asked = numbered.into_iter().map(|(number, integration)| (number, asked(app, integration)));
    found_out(Duration::from_secs(FINDING_OUT_SECONDS_MAX), asked).await
}

/// Whether one of its secrets is kept outside the vault, such as on a share, which may hang.
fn lies_elsewhere(integration: &Integration) -> bool {
    let mut kept = integration.secrets().filter_map(|(_, vault_ref)| Some(vault_ref.ok()?.keeper()));
    kept.any(|keeper| keeper != Keeper::Vault)
}

/// As [`secret_statuses`], for one integration.
pub async fn secret_status(app: &AppState, integration: &Integration) -> SecretStatus {
    let limit = Duration::from_secs(FINDING_OUT_SECONDS_MAX);
    within(limit, asked(app, integration)).await.unwrap_or_else(|_| late(limit))
}

/// The result of each of `asked`, in the order of their numbers; those that are late are reported as not known in time.
/// After the limit the vault is not asked again.
async fn found_out(
    limit: Duration,
    asked: impl Iterator<Item = (usize, impl Future<Output = SecretStatus>)>,
) -> Vec<SecretStatus> {
    let deadline = Instant::now() + limit;
    let numbered = asked.map(|(number, asked)| async move {
        let left = deadline.saturating_duration_since(Instant::now());
        (number, within(left, asked).await.unwrap_or_else(|_| late(limit)))
    });
    // Unordered: one that hangs occupies one place and does not block all behind it.
    let mut statuses: Vec<_> =
        stream::iter(numbered).buffer_unordered(INTEGRATIONS_AT_A_TIME_MAX).collect().await;
    statuses.sort_unstable_by_key(|(number, _)| *number);
    statuses.into_iter().map(|(_, status)| status).collect()
}

fn late(limit: Duration) -> SecretStatus {
    SecretStatus::Unavailable(format!(
        "its secret could not be checked within {} s; check the disk or share that the secrets are on",
        limit.as_secs()
    ))
}

/// Asks the vault for the secrets of an integration, and returns the status of the first that cannot be used. A secret that
/// is not named counts as found.
async fn asked(app: &AppState, integration: &Integration) -> SecretStatus {
    for (used, vault_ref) in integration.secrets() {
        let vault_ref = match vault_ref {
            Ok(vault_ref) => vault_ref,
            Err(invalid) => return SecretStatus::InvalidRef(invalid.to_string()),
        };
        let profile = integration.profile.clone().filter(|_| used == SecretUse::Deliveries);
        let probed = app.actors.vault.ask(Probe { vault_ref: vault_ref.clone(), profile }).await;
        let status = probed.unwrap_or_else(|error| SecretStatus::Unavailable(error.to_string()));
        match used.told(&vault_ref, status) {
            SecretStatus::Found => {}
            lacking => return lacking,
        }
    }
    SecretStatus::Found
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use futures_util::future::Either;
    use serde_json::json;
    use tokio::task::yield_now;

    use super::*;

    fn with_secret(vault_ref: &str) -> Integration {
        let record = json!({"integration_id": "gh", "provider": "github", "secret_vault_ref": vault_ref});
        let record = serde_json::from_value(record).unwrap();
        Integration { record, profile: None, lent_with: None }
    }

    #[test]
    fn only_secrets_outside_the_vault_can_hang() {
        for outside in ["env:NAME", "file:/run/secret", "hashivault:kv/app#field"] {
            assert!(lies_elsewhere(&with_secret(outside)), "{outside}");
        }
        for sound in ["global/github", "no reference"] {
            assert!(!lies_elsewhere(&with_secret(sound)), "{sound}");
        }
    }

    #[actix_web::test]
    async fn what_is_not_known_in_time_is_told_as_that_and_the_rest_as_it_is() {
        let hangs = |number: usize| number % INTEGRATIONS_AT_A_TIME_MAX == 1;
        let asked = (0..9 * INTEGRATIONS_AT_A_TIME_MAX).map(|number| match hangs(number) {
            true => (number, Either::Left(pending())),
            false => (number, Either::Right(ready(SecretStatus::Found))),
        });
        for (number, status) in found_out(Duration::from_secs(3), asked).await.iter().enumerate() {
            match status {
                SecretStatus::Found => assert!(!hangs(number), "{number}"),
                SecretStatus::Unavailable(why) => {
                    assert!(
                        hangs(number) && why.contains("could not be checked within 3 s"),
                        "{number}: {why}"
                    );
                }
                other => panic!("{number}: {other:?}"),
            }
        }
    }

    #[actix_web::test]
    async fn so_many_are_asked_at_a_time_and_the_late_ones_not_at_all() {
        let (now, most, asked) = (&Cell::new(0_usize), &Cell::new(0), &Cell::new(0));
        let ask = || async move {
            asked.set(asked.get() + 1);
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            yield_now().await;
            now.set(now.get() - 1);
            SecretStatus::Found
        };
        let many = || (0..3 * INTEGRATIONS_AT_A_TIME_MAX).map(|number| (number, ask()));
        let statuses = found_out(Duration::from_secs(60), many()).await;
        assert_eq!(statuses, vec![SecretStatus::Found; 3 * INTEGRATIONS_AT_A_TIME_MAX]);
        assert_eq!(most.get(), INTEGRATIONS_AT_A_TIME_MAX);
        asked.set(0);
        let late = found_out(Duration::ZERO, many()).await;
        assert!(late.iter().all(|status| matches!(status, SecretStatus::Unavailable(_))));
        assert_eq!(asked.get(), 0);
    }
}
