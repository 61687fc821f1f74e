//! `webhooks explain`: what happened to a delivery or an integration, why, and how to fix it.
//!
//! The subject is named by any identifier the operator has: the id of an integration, the id in the answer to a refused
//! delivery, the seq or id of an event, or the provider's own id of a delivery.

mod search;
mod words;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Path, ServiceConfig};
use palyra_actors::ids::{EventId, nearest};
use palyra_actors::journal::{Cursor, EventFilter, EventKind, StoredEvent};
use palyra_actors::registry::{Get, Integration, List};
use serde_json::{Value, json};

use self::search::Searched;
use self::words::Explanation;
use super::events;
use super::journal::blocking;
use super::webhooks::gone;
use crate::event_document;
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;
use crate::service::readiness::report;
use crate::service::refusals::{REFUSALS_MAX, Refusal};

/// Most refusals, and most rows, listed for an integration.
const LATEST_MAX: usize = 10;

/// `/explain`. Below `/webhooks` it would collide with the ids of integrations.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/explain/{subject}", web::get().to(explain));
}

async fn explain(app: Data<AppState>, subject: Path<String>) -> Result<HttpResponse, Problem> {
    let document = match Subject::find(&app, &subject).await? {
        Subject::Integration(integration) => of_integration(&app, &integration).await?,
        Subject::Refusal(refusal) => of_refusal(&app, &refusal).await?,
        Subject::Event(event) => of_event(&app, &event).await?,
    };
    Ok(HttpResponse::Ok().json(document))
}

/// What is to be explained.
enum Subject {
    Integration(Arc<Integration>),
    Refusal(Refusal),
    Event(Box<StoredEvent>),
}

impl Subject {
    /// The first kind of subject that `named` identifies.
    async fn find(app: &AppState, named: &str) -> Result<Self, Problem> {
        if let Some(integration) = integration(app, named).await? {
            return Ok(Self::Integration(integration));
        }
        let id = EventId::parse(named);
        if let Some(refusal) = id.and_then(|id| app.intake.refusals.find(id)) {
            return Ok(Self::Refusal(refusal));
        }
        if id.is_some() || named.parse::<u64>().is_ok() {
            match events::find(app, named.to_owned()).await {
                Err(problem) if problem.kind() == Kind::NotFound => {}
                found => return found.map(|event| Self::Event(Box::new(event))),
            }
        }
        match search::by_delivery_id(app, named).await? {
            Searched::Found(event) => Ok(Self::Event(event)),
            Searched::NotThere => Err(unknown(app, named, None).await?),
            Searched::NotFrom(seq) => Err(unknown(app, named, Some(seq)).await?),
        }
    }
}

async fn integration(app: &AppState, id: &str) -> Result<Option<Arc<Integration>>, Problem> {
    app.actors.registry.ask(Get(id.to_owned())).await.map_err(gone)
}

/// The problem for a name that identifies nothing known. If the search was cut short, it may be the id of an older delivery.
async fn unknown(app: &AppState, named: &str, searched_from: Option<u64>) -> Result<Problem, Problem> {
    let all = app.actors.registry.ask(List).await.map_err(gone)?;
    let near = nearest(named, all.iter().map(|one| one.record.integration_id.as_str()));
    let shown: String = named.escape_debug().take(64).collect();
    let (rest, on) = match searched_from {
        Some(seq) => (
            format!("refusal or event, and no delivery from seq {seq} on (older events were not searched)"),
            // The text may come from a sender, so it is not put into a command for the operator to copy.
            format!(
                "continue the search with `palyra system event list --contains {} --before {seq} --limit 1`",
                if words::is_plain(named) { named } else { "ID" }
            ),
        ),
        None => ("refusal, event or delivery".to_owned(), not_kept()),
    };
    let detail = format!("`{shown}` is not the id of an integration (its senders are answered 404), {rest}");
    let hint = match near {
        Some(near) if searched_from.is_some() => format!("did you mean `{near}`? Otherwise {on}"),
        Some(near) => format!("did you mean `{near}`?"),
        None => on,
    };
    Ok(Problem::new(Kind::NotFound).detail(detail).hint(Some(hint)))
}

fn not_kept() -> String {
    format!(
        "refusals that left no row are kept in memory only, the last {REFUSALS_MAX} since the daemon started; each is found by the \
         `Palyra-Refusal` header of its answer. `palyra webhooks explain ID` lists those of an integration"
    )
}

async fn of_refusal(app: &AppState, refusal: &Refusal) -> Result<Value, Problem> {
    let integration = integration(app, &refusal.integration_id).await?;
    let told = words::of_refusal(refusal, integration.as_deref());
    Ok(document("refusal", told, json!({"refusal": refusal, "integration_id": refusal.integration_id})))
}

async fn of_event(app: &AppState, event: &StoredEvent) -> Result<Value, Problem> {
    let integration = match &event.integration_id {
        Some(id) => integration(app, id).await?,
        None => None,
    };
    let told = words::of_event(event, integration.as_deref());
    let integration_id = event.integration_id.as_deref();
    Ok(document(
        "event",
        told,
        json!({"event": event_document::without_body(event), "integration_id": integration_id}),
    ))
}

async fn of_integration(app: &AppState, integration: &Integration) -> Result<Value, Problem> {
    let id = &integration.record.integration_id;
    let report = report(app, integration).await;
    let told = words::of_integration(integration, &report, !app.serving.addresses.ingress.is_empty());
    let rows: Vec<Value> = latest_rows(app, id).await?.iter().map(row).collect();
    let latest = json!({
        "integration_id": id,
        "readiness": report.readiness,
        "refusals": app.intake.refusals.latest_of(id, LATEST_MAX),
        "rows": rows,
    });
    Ok(document("integration", told, latest))
}

/// The newest rows of an integration, newest first, as far back as one page examines.
async fn latest_rows(app: &AppState, id: &str) -> Result<Vec<StoredEvent>, Problem> {
    let filter = EventFilter { integration_id: Some(id.to_owned()), ..EventFilter::default() };
    let reader = app.actors.reader.clone();
    let page = blocking(move || reader.page(&filter, Cursor::Newest, LATEST_MAX)).await?;
    Ok(page.events.into_iter().rev().collect())
}

fn row(event: &StoredEvent) -> Value {
    let outcome = match event.kind {
        EventKind::Webhook => "accepted",
        EventKind::System => event.name.strip_prefix("webhook.").unwrap_or(&event.name),
    };
    json!({
        "seq": event.seq,
        "event_id": event.event_id,
        "recorded_at_unix_ms": event.recorded_at,
        "outcome": outcome,
        "summary": event.summary,
    })
}

fn document(about: &str, told: Explanation, particulars: Value) -> Value {
    let Explanation { happened, why, next } = told;
    let mut document = json!({"about": about, "happened": happened, "why": why, "next": next});
    if let (Some(document), Value::Object(particulars)) = (document.as_object_mut(), particulars) {
        document.extend(particulars);
    }
    document
}
