//! Events: list, show and emit.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use palyra_actors::causes::in_full;
use palyra_actors::clock::UnixMs;
use palyra_actors::journal::{
    Cursor, EventFilter, EventKind, JournalError, Page, Severity, StoredEvent, operator_event,
};
use palyra_actors::limits::PAGE_EVENTS_DEFAULT;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::journal::blocking;
use super::query::{Query, maybe_whole, moment};
use super::{journal, stream};
use crate::event_document;
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;

/// `/system/events`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/system/events", web::get().to(list))
        .route("/system/events/emit", web::post().to(emit))
        .route("/system/events/stream", web::get().to(stream::follow))
        .route("/system/events/{event}", web::get().to(show))
        .route("/system/events/{event}/body", web::get().to(body));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default, deserialize_with = "maybe_whole")]
    limit: Option<usize>,
    #[serde(default, deserialize_with = "maybe_whole")]
    after: Option<u64>,
    #[serde(default, deserialize_with = "maybe_whole")]
    before: Option<u64>,
    kind: Option<EventKind>,
    name: Option<String>,
    integration: Option<String>,
    severity: Option<Severity>,
    #[serde(default, deserialize_with = "moment")]
    since: Option<UnixMs>,
    contains: Option<String>,
}

async fn list(app: Data<AppState>, query: Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let cursor = match (query.after, query.before) {
        (Some(_), Some(_)) => {
            return Err(Problem::new(Kind::BadRequest).detail("give `after` or `before`, not both"));
        }
        (Some(after), None) => Cursor::After(after),
        (None, Some(before)) => Cursor::Before(before),
        (None, None) => Cursor::Newest,
    };
    journal::refuse_beyond_the_newest(&app, query.after).await?;
    let limit = query.limit.unwrap_or(PAGE_EVENTS_DEFAULT);
    let filter = EventFilter {
        kind: query.kind,
        name: query.name,
        integration_id: query.integration,
        severity: query.severity,
        since: query.since,
        contains: query.contains,
        ..EventFilter::default()
    };
    let reader = app.actors.reader.clone();
    let page = blocking(move || Ok(page_view(&reader.page(&filter, cursor, limit)?))).await?;
    Ok(HttpResponse::Ok().json(page))
}

fn page_view(page: &Page) -> Value {
    let events: Vec<Value> = page.events.iter().map(event_document::without_body).collect();
    json!({"events": events, "next_after": page.next_after, "next_before": page.next_before})
}

async fn show(app: Data<AppState>, event: Path<String>) -> Result<HttpResponse, Problem> {
    let shown = view(&app, event.into_inner(), |event| event_document::whole(&event)).await?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(shown))
}

/// The bytes that `body_sha256` is computed over, exactly as received.
async fn body(app: Data<AppState>, event: Path<String>) -> Result<HttpResponse, Problem> {
    let event = find(&app, event.into_inner()).await?;
    Ok(HttpResponse::Ok().content_type(ContentType::octet_stream()).body(event.body))
}

/// Finds an event by its seq or id.
///
/// # Errors
/// [`Kind::NotFound`]; [`Kind::BadRequest`] for text that is neither a seq nor an id.
pub async fn find(app: &AppState, event: String) -> Result<StoredEvent, Problem> {
    view(app, event, |event| event).await
}

/// Applies `seen` to that event, on a thread where it may block.
async fn view<T: Send + 'static>(
    app: &AppState,
    event: String,
    seen: impl FnOnce(StoredEvent) -> T + Send + 'static,
) -> Result<T, Problem> {
    let seq = journal::place(app, event).await?;
    let reader = app.actors.reader.clone();
    let found = blocking(move || Ok(reader.event(seq)?.map(seen))).await?;
    found.ok_or_else(|| Problem::new(Kind::NotFound).detail(format!("no event has seq {seq}")))
}

async fn emit(app: Data<AppState>, body: Json<Box<RawValue>>) -> Result<HttpResponse, Problem> {
    let event = operator_event(body.get()).map_err(|issues| {
        let first = issues.first().map(|issue| format!("{}: {}", issue.pointer, issue.message));
        Problem::new(Kind::Invalid).detail(first.unwrap_or_default()).schema_issues(&issues)
    })?;
    // An event that was handed over will be journaled even if the client disconnects, so a stop has to wait for it.
    let journal = app.actors.journal.clone();
    let append = move || async move { journal.append_system(event.by("console")).await };
    let receipt = app.changes.under_way.to_the_end(append).await?.map_err(|error| {
        let kind = match error {
            JournalError::Invalid { .. } => Kind::Invalid,
            _ => Kind::Unavailable,
        };
        Problem::new(kind).detail(in_full(&error)).hint(how_to_find_out(&error))
    })?;
    Ok(HttpResponse::Created().json(receipt))
}

/// An emitted event has no replay key, so emitting it again would store it twice.
fn how_to_find_out(error: &JournalError) -> Option<String> {
    let is_unknown = matches!(error, JournalError::Unknown);
    is_unknown.then(|| {
        "check with `palyra system event list` whether it was stored before you emit it again".to_owned()
    })
}
