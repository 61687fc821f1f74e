//! Secrets: list, put, rotate, retire, remove. Values go in and never come out.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::causes::in_full;
use palyra_actors::registry::{self, Integration, Readiness, readiness};
use palyra_actors::secret::{Secret, SecretVersion, SecretVersions};
use palyra_actors::supervision::DoorError;
use palyra_actors::vault::{
    Delete, List, Put, Retire, Rotate, SecretEntry, SecretStatus, VaultError, VaultRef,
};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::audit::Change;
use super::input::decoded;
use super::query::Query;
use super::webhooks::{gone, unanswered};
use crate::http::Gate;
use crate::http::problem::{Became, Kind, Problem};
use crate::readiness::{cannot_verify, secret_status};

/// `/vault`. References are percent-encoded into one segment.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/vault", web::get().to(list))
        .route("/vault/{reference}/rotate", web::post().to(rotate))
        .route("/vault/{reference}/retire", web::post().to(retire))
        .route("/vault/{reference}", web::put().to(put))
        .route("/vault/{reference}", web::delete().to(remove));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Value {
    value_base64: Zeroizing<String>,
}

async fn list(gate: Data<Gate>) -> Result<HttpResponse, Problem> {
    let listed = gate.actors.vault.ask(List).await.map_err(gone)?;
    let secrets = listed.map_err(|error| problem_of(&error))?;
    Ok(HttpResponse::Ok().json(json!({"secrets": secrets})))
}

/// Of a change that enabled integrations may be in the way of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Force {
    /// Whether it is made all the same.
    #[serde(default)]
    force: bool,
}

async fn put(
    gate: Data<Gate>,
    reference: Path<String>,
    query: Query<Force>,
    body: Json<Value>,
) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let value = Secret::new(decoded("value_base64", &body.value_base64)?);
    let (asked, force) = (gate.clone(), query.force);
    let put = async move {
        if !force {
            refuse_useless(&asked, &vault_ref, &value).await?;
        }
        answered(asked.actors.vault.ask(Put { vault_ref, value }).await)
    };
    let entry = change("vault.secret.put", &reference, &query).journaled_and_seen(&gate, put).await?;
    stored(&gate, entry).await
}

async fn rotate(
    gate: Data<Gate>,
    reference: Path<String>,
    query: Query<Force>,
    body: Json<Value>,
) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let value = Secret::new(decoded("value_base64", &body.value_base64)?);
    let (asked, force) = (gate.clone(), query.force);
    let rotate = async move {
        if !force {
            refuse_useless(&asked, &vault_ref, &value).await?;
        }
        answered(asked.actors.vault.ask(Rotate { vault_ref, value }).await)
    };
    let entry = change("vault.secret.rotate", &reference, &query).journaled_and_seen(&gate, rotate).await?;
    stored(&gate, entry).await
}

async fn retire(gate: Data<Gate>, reference: Path<String>) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let vault = gate.actors.vault.clone();
    let retire = async move { answered(vault.ask(Retire(vault_ref)).await) };
    let entry = Change::new("vault.secret.retire", &reference).journaled_and_seen(&gate, retire).await?;
    Ok(HttpResponse::Ok().json(entry))
}

async fn remove(
    gate: Data<Gate>,
    reference: Path<String>,
    query: Query<Force>,
) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let (asked, force) = (gate.clone(), query.force);
    let remove = async move {
        if !force {
            refuse_needed(&asked, &vault_ref).await?;
        }
        answered(asked.actors.vault.ask(Delete(vault_ref.clone())).await).map(|()| vault_ref)
    };
    let vault_ref =
        change("vault.secret.remove", &reference, &query).journaled_and_seen(&gate, remove).await?;
    let warnings = left_without(&gate, &vault_ref).await;
    Ok(HttpResponse::Ok().json(json!({"removed": *reference, "warnings": warnings})))
}

/// Who cannot verify deliveries without a secret that was removed.
async fn left_without(gate: &Gate, vault_ref: &VaultRef) -> Vec<String> {
    let mut warnings = Vec::new();
    for integration in enabled(gate).await.unwrap_or_default() {
        let report = match uses(&integration, vault_ref) {
            true => readiness(&integration, &secret_status(gate, &integration).await),
            false => continue,
        };
        if report.readiness != Readiness::Ready {
            warnings.push(cannot_verify(&integration.record.integration_id, &report));
        }
    }
    warnings
}

fn change(name: &'static str, reference: &str, query: &Force) -> Change {
    Change::new(name, reference).particulars(json!({"force": query.force}))
}

/// Refuses to take a secret from enabled integrations.
async fn refuse_needed(gate: &Gate, vault_ref: &VaultRef) -> Result<(), Problem> {
    let enabled = enabled(gate).await?;
    let users = enabled.iter().filter(|integration| uses(integration, vault_ref));
    let ids: Vec<String> = users.map(|integration| integration.record.integration_id.clone()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let hint = "disable them with `palyra webhooks disable ID`; --force removes it all the same";
    let detail = format!("`{vault_ref}` is used by enabled integrations: {}", ids.join(", "));
    Err(Problem::new(Kind::InUse).detail(detail).reasons(&ids).hint(Some(hint.to_owned())))
}

/// Refuses a value of which the profile of an enabled integration can make no key.
async fn refuse_useless(gate: &Gate, vault_ref: &VaultRef, value: &Secret) -> Result<(), Problem> {
    let alone = SecretVersion { version: 0, secret: Secret::new(value.expose().to_vec()) };
    // One that is blank the vault refuses.
    let Some(alone) = SecretVersions::new(vec![alone]) else { return Ok(()) };
    let enabled = enabled(gate).await?;
    let users = enabled.iter().filter(|integration| verifies_with(integration, vault_ref));
    let reasons: Vec<String> = users.filter_map(|integration| cannot_use(integration, &alone)).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    let hint = "give a value of that form; --force stores this one all the same";
    let detail = format!("nothing was stored as `{vault_ref}`: {}", reasons.join("; "));
    Err(Problem::new(Kind::InUse).detail(detail).reasons(&reasons).hint(Some(hint.to_owned())))
}

fn cannot_use(integration: &Integration, value: &SecretVersions) -> Option<String> {
    let unusable = integration.profile.as_ref()?.check_keys(value).err()?;
    Some(format!("`{}` cannot use this value: {}", integration.record.integration_id, unusable.reason))
}

async fn enabled(gate: &Gate) -> Result<Vec<Arc<Integration>>, Problem> {
    let all = gate.actors.registry.ask(registry::List).await.map_err(gone)?;
    Ok(all.into_iter().filter(|integration| integration.record.enabled).collect())
}

/// Whether a secret verifies the deliveries of an integration.
fn verifies_with(integration: &Integration, vault_ref: &VaultRef) -> bool {
    integration.record.vault_ref().is_some_and(|own| own.is_ok_and(|own| own == *vault_ref))
}

/// Whether an integration has a use for a secret: for its deliveries or for its handshake.
fn uses(integration: &Integration, vault_ref: &VaultRef) -> bool {
    let named = integration.profile.iter().flat_map(|profile| profile.secret_parameters());
    let mut texts = named.filter_map(|name| integration.record.parameters.get(name));
    verifies_with(integration, vault_ref)
        || texts.any(|text| VaultRef::parse(text).is_ok_and(|named| named == *vault_ref))
}

fn parsed(reference: &str) -> Result<VaultRef, Problem> {
    VaultRef::parse_to_change(reference)
        .map_err(|error| Problem::new(Kind::Invalid).detail(error.to_string()).hint(Some(error.hint)))
}

/// A value that was stored, and who cannot use all there is of the secret.
async fn stored(gate: &Gate, entry: SecretEntry) -> Result<HttpResponse, Problem> {
    let mut warnings = Vec::new();
    let vault_ref = parsed(&entry.vault_ref)?;
    // It is stored, whoever can say what it is good for.
    for integration in enabled(gate).await.unwrap_or_default() {
        if !verifies_with(&integration, &vault_ref) {
            continue;
        }
        let status = secret_status(gate, &integration).await;
        if matches!(status, SecretStatus::Unusable(_)) {
            warnings.extend(readiness(&integration, &status).issues);
        }
    }
    let mut answer = json!(entry);
    if let Some(members) = answer.as_object_mut() {
        members.insert("warnings".to_owned(), json!(warnings));
    }
    Ok(HttpResponse::Ok().json(answer))
}

fn answered<T>(asked: Result<Result<T, VaultError>, DoorError>) -> Result<T, Problem> {
    asked.map_err(unanswered)?.map_err(|error| problem_of(&error))
}

/// What the vault refused, as it is answered.
fn problem_of(error: &VaultError) -> Problem {
    let kind = match error {
        VaultError::NotFound(_) => Kind::NotFound,
        VaultError::Unavailable { .. }
        | VaultError::Unsynced { .. }
        | VaultError::Unknown(_)
        | VaultError::Storage(_)
        | VaultError::Damaged { .. }
        | VaultError::Pins { .. }
        | VaultError::Older { .. }
        | VaultError::Identity(_) => Kind::Unavailable,
        _ => Kind::Invalid,
    };
    let problem = Problem::new(kind).detail(in_full(error)).hint(Some(error.hint()));
    match error {
        VaultError::Unsynced { .. } => problem.of_a_change(Became::Unsynced),
        VaultError::Unknown(_) => problem.of_a_change(Became::Unknown),
        _ => problem,
    }
}
