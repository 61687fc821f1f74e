//! `webhooks explain`: what became of a delivery or an integration, why, and what mends it.
//!
//! It is asked with whatever an operator has in hand: the id of an integration, the id that a refused delivery was answered
//! with, the seq or id of an event, or the provider's own id of a delivery.

mod words;

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Path, ServiceConfig};
use palyra_actors::ids::{EventId, nearest};
use palyra_actors::journal::{Cursor, EventFilter, EventKind, Page, StoredEvent};
use palyra_actors::registry::{Get, Integration, List};
use serde_json::{Value, json};

use self::words::Explanation;
use super::journal::blocking;
use super::webhooks::gone;
use super::{events, views};
use crate::http::Gate;
use crate::http::problem::{Kind, Problem};
use crate::http::refusals::{REFUSALS_MAX, Refusal};
use crate::readiness::report;

/// Refusals, and rows, that the explanation of an integration names at most.
const LATEST_MAX: usize = 10;
/// Pages that are looked through for a provider's own id of a delivery, from the newest back. Older: not found.
const PAGES_MAX: usize = 16;

/// `/explain`: below `/webhooks` it would stand where the ids of integrations do.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/explain/{subject}", web::get().to(explain));
}

async fn explain(gate: Data<Gate>, subject: Path<String>) -> Result<HttpResponse, Problem> {
    let document = match Subject::find(&gate, &subject).await? {
        Subject::Integration(integration) => of_integration(&gate, &integration).await?,
        Subject::Refusal(refusal) => of_refusal(&gate, &refusal).await?,
        Subject::Event(event) => of_event(&gate, &event).await?,
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
    /// The first of these that `named` names.
    async fn find(gate: &Gate, named: &str) -> Result<Self, Problem> {
        if let Some(integration) = integration(gate, named).await? {
            return Ok(Self::Integration(integration));
        }
        let id = EventId::parse(named);
        if let Some(refusal) = id.and_then(|id| gate.refusals.find(id)) {
            return Ok(Self::Refusal(refusal));
        }
        if id.is_some() || named.parse::<u64>().is_ok() {
            match events::find(gate, named.to_owned()).await {
                Err(problem) if problem.kind() == Kind::NotFound => {}
                found => return found.map(|event| Self::Event(Box::new(event))),
            }
        }
        match delivered(gate, named).await? {
            Some(event) => Ok(Self::Event(Box::new(event))),
            None => Err(unknown(gate, named).await?),
        }
    }
}

async fn integration(gate: &Gate, id: &str) -> Result<Option<Arc<Integration>>, Problem> {
    gate.actors.registry.ask(Get(id.to_owned())).await.map_err(gone)
}

/// The newest event of a delivery that its provider names so.
async fn delivered(gate: &Gate, delivery_id: &str) -> Result<Option<StoredEvent>, Problem> {
    let filter = EventFilter { contains: Some(delivery_id.to_owned()), ..EventFilter::default() };
    let mut cursor = Cursor::Newest;
    for _ in 0..PAGES_MAX {
        let page = page(gate, filter.clone(), cursor).await?;
        let mut newest_first = page.events.into_iter().rev();
        let found = newest_first.find(|event| event.delivery_id.as_deref() == Some(delivery_id));
        match (found, page.next_before) {
            (None, Some(before)) => cursor = Cursor::Before(before),
            (found, _) => return Ok(found),
        }
    }
    Ok(None)
}

async fn page(gate: &Gate, filter: EventFilter, cursor: Cursor) -> Result<Page, Problem> {
    let reader = gate.actors.reader.clone();
    blocking(move || reader.page(&filter, cursor, LATEST_MAX)).await
}

/// What names nothing that is known.
async fn unknown(gate: &Gate, named: &str) -> Result<Problem, Problem> {
    let all = gate.actors.registry.ask(List).await.map_err(gone)?;
    let near = nearest(named, all.iter().map(|one| one.record.integration_id.as_str()));
    let hint = near.map_or_else(not_kept, |near| format!("did you mean `{near}`?"));
    let shown: String = named.escape_debug().take(64).collect();
    let detail = format!(
        "`{shown}` names no integration (senders to one are answered 404), event, delivery or refusal"
    );
    Ok(Problem::new(Kind::NotFound).detail(detail).hint(Some(hint)))
}

fn not_kept() -> String {
    format!(
        "a refusal that left no row is known by the `Palyra-Refusal` of its answer alone, among the last {REFUSALS_MAX}, until the \
         daemon stops; `palyra webhooks explain ID` with the id of the integration lists those that are"
    )
}

async fn of_refusal(gate: &Gate, refusal: &Refusal) -> Result<Value, Problem> {
    let integration = integration(gate, &refusal.integration_id).await?;
    let told = words::of_refusal(refusal, integration.as_deref());
    Ok(document("refusal", told, json!({"refusal": refusal, "integration_id": refusal.integration_id})))
}

async fn of_event(gate: &Gate, event: &StoredEvent) -> Result<Value, Problem> {
    let integration = match &event.integration_id {
        Some(id) => integration(gate, id).await?,
        None => None,
    };
    let told = words::of_event(event, integration.as_deref());
    let integration_id = event.integration_id.as_deref();
    Ok(document("event", told, json!({"event": views::event(event), "integration_id": integration_id})))
}

async fn of_integration(gate: &Gate, integration: &Integration) -> Result<Value, Problem> {
    let id = &integration.record.integration_id;
    let report = report(gate, integration).await;
    let told = words::of_integration(integration, &report, !gate.addresses.ingress.is_empty());
    let rows: Vec<Value> = latest_rows(gate, id).await?.iter().map(row).collect();
    let latest = json!({
        "integration_id": id,
        "readiness": report.readiness,
        "refusals": gate.refusals.latest_of(id, LATEST_MAX),
        "rows": rows,
    });
    Ok(document("integration", told, latest))
}

/// The newest rows of an integration, the newest first, as far back as one page looks.
async fn latest_rows(gate: &Gate, id: &str) -> Result<Vec<StoredEvent>, Problem> {
    let filter = EventFilter { integration_id: Some(id.to_owned()), ..EventFilter::default() };
    let page = page(gate, filter, Cursor::Newest).await?;
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
