//! The journal as a whole: verify and export.

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use futures_util::stream::try_unfold;
use palyra_actors::envelope;
use palyra_actors::journal::{Cursor, EventFilter, EventKind, JournalError, StoredEvent, verify};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::views;
use crate::http::Gate;
use crate::http::problem::{Kind, Problem};

/// Events read at a time for an export.
const EXPORT_PAGE_EVENTS: usize = 256;

/// `/journal`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/journal/verify", web::post().to(verify_all))
        .route("/journal/export", web::get().to(export));
}

async fn verify_all(gate: Data<Gate>) -> Result<HttpResponse, Problem> {
    let started = Instant::now();
    let files = gate.actors.journal_files.clone();
    let report = blocking(move || verify(&files)).await?;
    Ok(HttpResponse::Ok().json(json!({
        "verified": report.is_ok(),
        "events": report.events,
        "head_seq": report.head_seq,
        "head_hash": report.head_hash,
        "first_bad_seq": report.first_bad_seq(),
        "problems": report.problems,
        "problems_total": report.problems_total,
        "elapsed_ms": u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })))
}

/// One event a line, in pages: no read of the database is held open while the client reads.
async fn export(gate: Data<Gate>) -> HttpResponse {
    let lines = try_unfold((gate, 0_u64), |(gate, after)| async move {
        let reader = gate.actors.reader.clone();
        let cursor = Cursor::After(after);
        let read = move || reader.page(&EventFilter::default(), cursor, EXPORT_PAGE_EVENTS);
        let page = blocking(read).await?;
        let Some(last) = page.events.last().map(|event| event.seq) else { return Ok::<_, Problem>(None) };
        let lines: String = page.events.iter().map(line).collect();
        Ok(Some((Bytes::from(lines), (gate, last))))
    });
    HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines)
}

/// An event with its envelope, on one line. The envelope keeps the bytes it was sent with.
fn line(event: &StoredEvent) -> String {
    let mut view = views::event(event).to_string();
    if event.kind == EventKind::Webhook {
        let rendered = envelope::render(event).map(RawValue::from_string);
        let rendered =
            rendered.ok().and_then(Result::ok).map_or("null".to_owned(), |raw| raw.get().to_owned());
        view.pop();
        view.push_str(",\"envelope\":");
        view.push_str(&rendered);
        view.push('}');
    }
    view.push('\n');
    view
}

/// Runs a read of the journal where it may block.
///
/// # Errors
/// [`Kind::Unavailable`] with what the journal said.
pub async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, Problem> {
    let done = web::block(read).await;
    let result = done.map_err(|error| Problem::new(Kind::Unavailable).detail(error.to_string()))?;
    result.map_err(|error| match error {
        JournalError::PageLength { .. } => Problem::new(Kind::BadRequest).detail(error.to_string()),
        other => Problem::new(Kind::Unavailable).detail(other.to_string()),
    })
}
