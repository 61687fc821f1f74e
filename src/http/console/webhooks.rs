//! Integrations: list, show, create, amend, enable, remove.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::causes::in_full;
use palyra_actors::event_names;
use palyra_actors::ids::canonical;
use palyra_actors::provider::Catalogue;
use palyra_actors::registry::{
    Add, Amend, Amendment, Draft, Get, Integration, IntegrationRecord, List, Profiles, RegistryError, Remove,
    SetEnabled,
};
use palyra_actors::supervision::DoorError;
use palyra_actors::vault::SecretStatus;
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::Change;
use super::query::Query;
use super::{particulars, views};
use crate::http::problem::{Became, Kind, Problem};
use crate::service::AppState;
use crate::service::probe::answer_of;
use crate::service::readiness::{reports, secret_status};

/// `/webhooks`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/webhooks", web::get().to(list))
        .route("/webhooks", web::post().to(create))
        .route("/webhooks/diagnostics", web::get().to(diagnostics))
        .route("/webhooks/{id}", web::get().to(show))
        .route("/webhooks/{id}", web::patch().to(amend))
        .route("/webhooks/{id}", web::delete().to(remove))
        .route("/webhooks/{id}/enabled", web::post().to(set_enabled));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    provider: Option<String>,
    enabled: Option<bool>,
}

async fn list(app: Data<AppState>, query: Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let provider = query.provider.as_deref().map(canonical);
    let mut wanted = all(&app).await?;
    wanted.retain(|integration| {
        let record = &integration.record;
        provider.as_ref().is_none_or(|provider| *provider == record.provider)
            && query.enabled.is_none_or(|enabled| enabled == record.enabled)
    });
    let webhooks = views::integrations(&app, &wanted).await;
    Ok(HttpResponse::Ok().json(json!({"webhooks": webhooks})))
}

async fn show(app: Data<AppState>, id: Path<String>) -> Result<HttpResponse, Problem> {
    let integration = find(&app, &id).await?;
    Ok(HttpResponse::Ok().json(views::integration(&app, &integration).await))
}

async fn create(app: Data<AppState>, draft: Json<Draft>) -> Result<HttpResponse, Problem> {
    let (asked, draft) = (app.clone(), draft.into_inner());
    let profiles = profiles(&app).await?;
    let change = Change::new(event_names::WEBHOOK_CREATE, particulars::subject(&draft))
        .particulars(particulars::of_draft(&draft, &profiles));
    let create = async move {
        let proposed = IntegrationRecord::of(draft.clone(), asked.clock.now_unix_ms());
        let secret = secret_of(&asked, proposed).await?;
        answered(asked.actors.registry.ask(Add { draft, secret }).await)
    };
    let integration = change.journaled_and_seen(&app, create).await?;
    Ok(HttpResponse::Created().json(views::integration(&app, &integration).await))
}

async fn amend(
    app: Data<AppState>,
    id: Path<String>,
    amendment: Json<Amendment>,
) -> Result<HttpResponse, Problem> {
    let (asked, amendment) = (app.clone(), amendment.into_inner());
    let integration_id = find(&app, &id).await?.record.integration_id.clone();
    let profiles = profiles(&app).await?;
    let change = Change::new("registry.webhook.amend", &id)
        .particulars(particulars::of_amendment(&amendment, &profiles));
    let amend = async move {
        let mut proposed = find(&asked, &integration_id).await?.record.clone();
        amendment.clone().apply(&mut proposed);
        let secret = secret_of(&asked, proposed).await?;
        answered(asked.actors.registry.ask(Amend { integration_id, amendment, secret }).await)
    };
    let integration = change.journaled_and_seen(&app, amend).await?;
    Ok(HttpResponse::Ok().json(views::integration(&app, &integration).await))
}

/// The status of the secret of an integration that is not stored yet.
async fn secret_of(app: &AppState, record: IntegrationRecord) -> Result<SecretStatus, Problem> {
    let profiles = profiles(app).await?;
    let profile = profiles.get(&canonical(&record.provider)).map(Arc::clone);
    Ok(secret_status(app, &Integration { record, profile, lent_with: None }).await)
}

async fn profiles(app: &AppState) -> Result<Arc<Catalogue>, Problem> {
    app.actors.registry.ask(Profiles).await.map_err(gone)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Enabled {
    enabled: bool,
}

async fn set_enabled(
    app: Data<AppState>,
    id: Path<String>,
    body: Json<Enabled>,
) -> Result<HttpResponse, Problem> {
    let (asked, enabled) = (app.clone(), body.enabled);
    let integration_id = find(&app, &id).await?.record.integration_id.clone();
    let name = if enabled { "registry.webhook.enable" } else { "registry.webhook.disable" };
    let switch = async move {
        let integration = find(&asked, &integration_id).await?;
        let secret = match enabled {
            true => secret_status(&asked, &integration).await,
            // Disabling has no preconditions.
            false => SecretStatus::Found,
        };
        answered(asked.actors.registry.ask(SetEnabled { integration_id, enabled, secret }).await)
    };
    let integration = Change::new(name, &id).journaled_and_seen(&app, switch).await?;
    Ok(HttpResponse::Ok().json(views::integration(&app, &integration).await))
}

async fn remove(app: Data<AppState>, id: Path<String>) -> Result<HttpResponse, Problem> {
    let integration = find(&app, &id).await?;
    let view = views::integration(&app, &integration).await;
    let (registry, order) = (app.actors.registry.clone(), Remove(id.to_string()));
    let remove = async move { answered(registry.ask(order).await) };
    Change::new("registry.webhook.remove", &id).journaled_and_seen(&app, remove).await?;
    Ok(HttpResponse::Ok().json(view))
}

async fn diagnostics(app: Data<AppState>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(diagnose(&app).await?))
}

/// Totals by readiness and provider, and the faults of each integration.
///
/// # Errors
/// When the registry does not answer in time.
pub async fn diagnose(app: &AppState) -> Result<Value, Problem> {
    let integrations = answer_of(app.actors.registry.ask(List)).await;
    let integrations = integrations.map_err(|error| Problem::unavailable(&error))?;
    let reports = reports(app, integrations.iter().map(AsRef::as_ref)).await;
    let mut by_readiness = BTreeMap::<&str, usize>::new();
    let mut by_provider = BTreeMap::<&str, usize>::new();
    let mut problems = Vec::new();
    for (integration, report) in integrations.iter().zip(&reports) {
        let readiness = report.readiness.as_str();
        *by_readiness.entry(readiness).or_default() += 1;
        *by_provider.entry(&integration.record.provider).or_default() += 1;
        if !report.issues.is_empty() {
            let id = &integration.record.integration_id;
            problems.push(json!({"integration_id": id, "readiness": readiness, "issues": report.issues}));
        }
    }
    let enabled = integrations.iter().filter(|integration| integration.record.enabled).count();
    Ok(json!({
        "total": integrations.len(),
        "enabled": enabled,
        "by_readiness": by_readiness,
        "by_provider": by_provider,
        "problems": problems,
    }))
}

/// All integrations, in the order of the file.
///
/// # Errors
/// When the registry does not answer.
pub async fn all(app: &AppState) -> Result<Vec<Arc<Integration>>, Problem> {
    app.actors.registry.ask(List).await.map_err(gone)
}

/// Finds an integration by its id.
///
/// # Errors
/// [`Kind::NotFound`], with the most similar id.
pub async fn find(app: &AppState, id: &str) -> Result<Arc<Integration>, Problem> {
    if let Some(found) = app.actors.registry.ask(Get(id.to_owned())).await.map_err(gone)? {
        return Ok(found);
    }
    let ids: Vec<String> = all(app).await?.iter().map(|one| one.record.integration_id.clone()).collect();
    let nearest = palyra_actors::ids::nearest(id, ids.iter().map(String::as_str));
    Err(Problem::new(Kind::NotFound)
        .detail(format!("there is no integration `{}`", id.escape_debug()))
        .hint(nearest.map(|nearest| format!("did you mean `{nearest}`?"))))
}

fn answered(
    asked: Result<Result<Arc<Integration>, RegistryError>, DoorError>,
) -> Result<Arc<Integration>, Problem> {
    asked.map_err(unanswered)?.map_err(|error| problem_of(&error))
}

/// The problem for an actor that did not answer a query.
pub fn gone(error: DoorError) -> Problem {
    Problem::unavailable(&error)
}

/// The problem for an actor that did not confirm a change.
pub fn unanswered(error: DoorError) -> Problem {
    if error != DoorError::Lost {
        return gone(error);
    }
    let hint = "check before you repeat it: `palyra webhooks list`, `palyra vault list`";
    Problem::new(Kind::Unavailable)
        .detail(format!("{error}; it is not known whether the change was made"))
        .hint(Some(hint.to_owned()))
        .of_a_change(Became::Unknown)
}

/// Translates an error of the registry into an answer.
pub fn problem_of(error: &RegistryError) -> Problem {
    let problem = match error {
        RegistryError::Exists { .. } => Problem::new(Kind::Exists),
        RegistryError::Unknown { .. } => Problem::new(Kind::NotFound),
        RegistryError::NotReady { issues, .. } | RegistryError::WouldNotBeReady { issues, .. } => {
            Problem::new(Kind::NotReady).reasons(issues)
        }
        RegistryError::InvalidFile(_)
        | RegistryError::Profile(_)
        | RegistryError::InvalidDraft { .. }
        | RegistryError::TooMany { .. }
        | RegistryError::EditedMeanwhile { .. }
        | RegistryError::Gone { .. }
        | RegistryError::Unfit { .. } => Problem::new(Kind::Invalid),
        RegistryError::Unsynced { .. } => Problem::new(Kind::Unavailable).of_a_change(Became::Unsynced),
        _ => Problem::new(Kind::Unavailable),
    };
    problem.detail(in_full(error)).hint(error.hint())
}
