//! Secrets: list, put, rotate, retire, remove. Values go in and never come out.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::causes::in_full;
use palyra_actors::registry::{
    MadeUseless, Readiness, made_useless, profiles_of, readiness, users_of, verified_with,
};
use palyra_actors::secret::Secret;
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
use super::webhooks::{all, gone, unanswered};
use crate::http::problem::{Became, Kind, Problem};
use crate::service::AppState;
use crate::service::readiness::{not_ready, reports, secret_statuses};

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

async fn list(app: Data<AppState>) -> Result<HttpResponse, Problem> {
    let listed = app.actors.vault.ask(List).await.map_err(gone)?;
    let secrets = listed.map_err(|error| problem_of(&error))?;
    Ok(HttpResponse::Ok().json(json!({"secrets": secrets})))
}

/// Query of a change that an enabled integration may stand in the way of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Force {
    /// Whether to make it all the same.
    #[serde(default)]
    force: bool,
}

async fn put(
    app: Data<AppState>,
    reference: Path<String>,
    query: Query<Force>,
    body: Json<Value>,
) -> Result<HttpResponse, Problem> {
    store(&app, Order::Put, &reference, &query, &body).await
}

async fn rotate(
    app: Data<AppState>,
    reference: Path<String>,
    query: Query<Force>,
    body: Json<Value>,
) -> Result<HttpResponse, Problem> {
    store(&app, Order::Rotate, &reference, &query, &body).await
}

/// How a value is stored.
#[derive(Clone, Copy)]
enum Order {
    /// It replaces all versions of the secret.
    Put,
    /// It is added; the previous version stays valid.
    Rotate,
}

impl Order {
    fn event(self) -> &'static str {
        match self {
            Self::Put => "vault.secret.put",
            Self::Rotate => "vault.secret.rotate",
        }
    }
}

async fn store(
    app: &Data<AppState>,
    order: Order,
    reference: &str,
    query: &Force,
    body: &Value,
) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(reference)?;
    let value = Secret::new(decoded("value_base64", &body.value_base64)?);
    let (asked, force) = (app.clone(), query.force);
    let change = change(order.event(), reference, query);
    let without_effect = change.without_effect();
    let store = async move {
        if !force {
            refuse_useless(&asked, &vault_ref, &value).await?;
        }
        let vault = &asked.actors.vault;
        let entry = answered(match order {
            Order::Put => vault.ask(Put { vault_ref, value }).await,
            Order::Rotate => {
                let users = profiles_of(&all(&asked).await?, &vault_ref);
                vault.ask(Rotate { vault_ref, value, users }).await
            }
        })?;
        if entry.unchanged {
            asked.actors.journal.append_or_log(without_effect).await;
        }
        Ok(entry)
    };
    let entry = change.journaled_and_seen(app, store).await?;
    stored(app, entry).await
}

async fn retire(app: Data<AppState>, reference: Path<String>) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let vault = app.actors.vault.clone();
    let retire = async move { answered(vault.ask(Retire(vault_ref)).await) };
    let entry = Change::new("vault.secret.retire", &reference).journaled_and_seen(&app, retire).await?;
    Ok(HttpResponse::Ok().json(entry))
}

async fn remove(
    app: Data<AppState>,
    reference: Path<String>,
    query: Query<Force>,
) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&reference)?;
    let (asked, force) = (app.clone(), query.force);
    let remove = async move {
        if !force {
            refuse_needed(&asked, &vault_ref).await?;
        }
        answered(asked.actors.vault.ask(Delete(vault_ref.clone())).await).map(|()| vault_ref)
    };
    let vault_ref =
        change("vault.secret.remove", &reference, &query).journaled_and_seen(&app, remove).await?;
    let warnings = left_without(&app, &vault_ref).await;
    Ok(HttpResponse::Ok().json(json!({"removed": *reference, "warnings": warnings})))
}

/// The enabled integrations that are not ready because a secret was removed.
async fn left_without(app: &AppState, vault_ref: &VaultRef) -> Vec<String> {
    let users = users_of(&all(app).await.unwrap_or_default(), vault_ref);
    let reports = reports(app, users.iter().map(AsRef::as_ref)).await;
    let told = users.iter().zip(&reports).filter(|(_, report)| report.readiness != Readiness::Ready);
    told.map(|(user, report)| not_ready(&user.record.integration_id, report)).collect()
}

fn change(name: &'static str, reference: &str, query: &Force) -> Change {
    Change::new(name, reference).particulars(json!({"force": query.force}))
}

/// Refuses to remove a secret that enabled integrations use.
async fn refuse_needed(app: &AppState, vault_ref: &VaultRef) -> Result<(), Problem> {
    let users = users_of(&all(app).await?, vault_ref);
    if users.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = users.iter().map(|user| user.record.integration_id.clone()).collect();
    let hint = "disable them with `palyra webhooks disable ID`; `?force=true` removes the secret anyway";
    let detail = format!("`{vault_ref}` is used by enabled integrations: {}", ids.join(", "));
    Err(Problem::new(Kind::InUse).detail(detail).reasons(&ids).hint(Some(hint.to_owned())))
}

/// Refuses a value from which the profile of an enabled integration cannot derive a key.
async fn refuse_useless(app: &AppState, vault_ref: &VaultRef, value: &Secret) -> Result<(), Problem> {
    let useless = made_useless(&all(app).await?, vault_ref, value, app.clock.now_unix_ms());
    if useless.is_empty() {
        return Ok(());
    }
    let said =
        |one: &MadeUseless| format!("`{}` cannot use this value: {}", one.integration_id, one.why.reason);
    let reasons: Vec<String> = useless.iter().map(said).collect();
    let hint = "give a value that they can use; `?force=true` stores this one anyway";
    let detail = format!("nothing was stored as `{vault_ref}`: {}", reasons.join("; "));
    Err(Problem::new(Kind::InUse).detail(detail).reasons(&reasons).hint(Some(hint.to_owned())))
}

fn parsed(reference: &str) -> Result<VaultRef, Problem> {
    VaultRef::parse_to_change(reference)
        .map_err(|error| Problem::new(Kind::Invalid).detail(error.to_string()).hint(Some(error.hint)))
}

/// The answer to a stored value, with the integrations that cannot use all versions of the secret.
async fn stored(app: &AppState, entry: SecretEntry) -> Result<HttpResponse, Problem> {
    let vault_ref = parsed(&entry.vault_ref)?;
    // The value is stored, even if the registry cannot be asked who uses it.
    let users = verified_with(&all(app).await.unwrap_or_default(), &vault_ref);
    let statuses = secret_statuses(app, users.iter().map(AsRef::as_ref)).await;
    let unusable =
        users.iter().zip(&statuses).filter(|(_, status)| matches!(status, SecretStatus::Unusable { .. }));
    let warnings: Vec<String> = unusable.flat_map(|(user, status)| readiness(user, status).issues).collect();
    let mut answer = json!(entry);
    if let Some(members) = answer.as_object_mut() {
        members.insert("warnings".to_owned(), json!(warnings));
    }
    Ok(HttpResponse::Ok().json(answer))
}

fn answered<T>(asked: Result<Result<T, VaultError>, DoorError>) -> Result<T, Problem> {
    asked.map_err(unanswered)?.map_err(|error| problem_of(&error))
}

/// Translates an error of the vault into an answer.
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
