//! The journal as a whole: verify, export, checkpoints and proofs.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Bytes, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::try_unfold;
use palyra_actors::causes::in_full;
use palyra_actors::ids::EventId;
use palyra_actors::journal::{Cursor, EventFilter, JournalError, Scope, Seal, SignedCheckpoint, verify_with};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::query::{Query, maybe_whole, whole};
use crate::event_document;
use crate::http::connection::asker::Asker;
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;

/// Events read at a time during an export.
const EXPORT_PAGE_EVENTS: usize = 256;
/// Time for the last line of an export to be sent before the connection is aborted; unsent data would be lost.
const LAST_WORDS_LEAD: Duration = Duration::from_millis(200);

/// `/journal`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/journal/verify", web::post().to(verify_all))
        .route("/journal/export", web::get().to(export))
        .route("/journal/checkpoint", web::get().to(newest_checkpoint))
        .route("/journal/checkpoint", web::post().to(sign_checkpoint))
        .route("/journal/proof/{event}", web::get().to(prove))
        .route("/journal/consistency", web::get().to(prove_consistency));
}

/// One verification at a time, because each reads the whole journal. It ends early when the daemon stops or the client
/// disconnects.
async fn verify_all(app: Data<AppState>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let started = Instant::now();
    let place = Arc::clone(&app.console.verifying).try_acquire_owned();
    let place =
        place.map_err(|_| Problem::new(Kind::Overloaded).detail("a verification is already running"))?;
    let asker = request.conn_data::<Asker>().cloned().unwrap_or_default();
    let (files, for_thread) = (app.actors.journal_files.clone(), app.clone());
    let report = blocking(move || {
        let _place = place;
        verify_with(&files, &Scope::default(), &mut |_| go_on(&asker, &for_thread))
    });
    let report = report.await?;
    if report.is_partial {
        return Err(Problem::new(Kind::Unavailable).detail("the verification was stopped before it finished"));
    }
    Ok(HttpResponse::Ok().json(report.to_json(started.elapsed())))
}

fn go_on(asker: &Asker, app: &AppState) -> ControlFlow<()> {
    fail::fail_point!("console::verify");
    if asker.is_gone() || app.is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

async fn newest_checkpoint(app: Data<AppState>) -> Result<HttpResponse, Problem> {
    newest(&app).await.map(|newest| HttpResponse::Ok().json(checkpoint_view(&newest)))
}

/// Signs a checkpoint over all events so far, then answers with it.
async fn sign_checkpoint(app: Data<AppState>) -> Result<HttpResponse, Problem> {
    seal(&app).await?;
    newest_checkpoint(app).await
}

async fn prove(app: Data<AppState>, event: Path<String>) -> Result<HttpResponse, Problem> {
    let seq = place(&app, event.into_inner()).await?;
    if seq <= head(&app).await? && seq > newest(&app).await?.checkpoint.size {
        seal(&app).await?;
    }
    let reader = app.actors.reader.clone();
    let proof = blocking(move || reader.prove(seq)).await?;
    Ok(HttpResponse::Ok().json(proof))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsistencyQuery {
    #[serde(deserialize_with = "whole")]
    old: u64,
    #[serde(deserialize_with = "whole")]
    new: u64,
}

async fn prove_consistency(
    app: Data<AppState>,
    query: Query<ConsistencyQuery>,
) -> Result<HttpResponse, Problem> {
    let ConsistencyQuery { old, new } = query.into_inner();
    if old > new {
        return Err(Problem::new(Kind::BadRequest).detail("`old` is larger than `new`"));
    }
    let reader = app.actors.reader.clone();
    let proof = blocking(move || reader.prove_consistency(old, new)).await?;
    Ok(HttpResponse::Ok().json(proof))
}

/// The seq of an event that is named by its seq or its id.
///
/// # Errors
/// [`Kind::BadRequest`] for text that is neither, [`Kind::NotFound`] for an id that no event has.
pub async fn place(app: &AppState, event: String) -> Result<u64, Problem> {
    if let Ok(seq) = event.parse() {
        return Ok(seq);
    }
    let malformed = || Problem::new(Kind::BadRequest).detail("name an event by its seq or its id");
    let id = EventId::parse(&event).ok_or_else(malformed)?;
    let reader = app.actors.reader.clone();
    blocking(move || reader.place_of(id)).await
}

async fn head(app: &AppState) -> Result<u64, Problem> {
    let reader = app.actors.reader.clone();
    blocking(move || reader.head()).await.map(|head| head.seq)
}

/// Refuses to continue after a seq that does not exist yet: the journal has lost that event or is a different one, and the
/// client would skip the events that get the seqs up to it. The newest seq itself is accepted.
///
/// # Errors
/// [`Kind::Invalid`].
pub async fn refuse_beyond_the_newest(app: &AppState, after: Option<u64>) -> Result<(), Problem> {
    let Some(after) = after.filter(|after| *after > 0) else { return Ok(()) };
    let newest = head(app).await?;
    if after <= newest {
        return Ok(());
    }
    let hint = "after a restore seqs are given out again: find your last event by its event id, and continue after its present seq; if it is \
         gone, continue after the newest event that you and the journal both have";
    let detail = format!("`after` is {after}, but the newest event has seq {newest}");
    Err(Problem::new(Kind::Invalid).detail(detail).hint(Some(hint.to_owned())))
}

async fn newest(app: &AppState) -> Result<SignedCheckpoint, Problem> {
    let reader = app.actors.reader.clone();
    let newest = blocking(move || reader.checkpoint()).await?;
    newest.ok_or_else(|| Problem::new(Kind::NotFound).detail("the journal has no checkpoint yet"))
}

async fn seal(app: &AppState) -> Result<(), Problem> {
    let sealed = app.actors.journal.door.ask(Seal).await.map_err(JournalError::from).flatten();
    sealed.map_err(|error| problem(&error))
}

fn checkpoint_view(newest: &SignedCheckpoint) -> Value {
    let checkpoint = &newest.checkpoint;
    json!({
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root,
        "epoch": checkpoint.epoch,
        "public_key": newest.root_key.to_string(),
        "checkpoint": newest.note,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    #[serde(default, deserialize_with = "maybe_whole")]
    after: Option<u64>,
    #[serde(default, deserialize_with = "maybe_whole")]
    limit: Option<u64>,
    integration: Option<String>,
}

/// Streams one event per line, in pages, so that no database read stays open while the client reads. A daemon that stops
/// aborts the connection, so that nobody takes a part for the whole. If an event cannot be read, a last line says why,
/// `{"problem": …}`, and the connection is aborted too.
async fn export(app: Data<AppState>, query: Query<ExportQuery>) -> Result<HttpResponse, Problem> {
    let ExportQuery { after, limit, integration } = query.into_inner();
    refuse_beyond_the_newest(&app, after).await?;
    let filter = EventFilter { integration_id: integration, ..EventFilter::default() };
    let export = Export { app, filter, after: after.unwrap_or(0), left: limit.unwrap_or(u64::MAX) };
    let lines = try_unfold(Some(export), |export| async {
        match export {
            Some(export) => export.next_or_why_not().await,
            None => Err(broken_off().await),
        }
    });
    Ok(HttpResponse::Ok().content_type("application/x-ndjson").streaming(lines))
}

/// Aborts an export after the last line has had time to be sent.
async fn broken_off() -> Problem {
    tokio::time::sleep(LAST_WORDS_LEAD).await;
    Problem::new(Kind::Unavailable)
}

/// The remainder of an export.
struct Export {
    app: Data<AppState>,
    filter: EventFilter,
    /// Events up to this seq were written, or not requested.
    after: u64,
    /// Most events that may still be written.
    left: u64,
}

impl Export {
    /// The next lines, or a line that says why there are no more.
    async fn next_or_why_not(self) -> Result<Option<(Bytes, Option<Self>)>, Problem> {
        let app = self.app.clone();
        match self.next().await {
            Err(problem) if !app.is_stopping() => {
                tracing::error!(%problem, "an export ended early");
                let last = json!({"problem": problem.document()}).to_string() + "\n";
                Ok(Some((Bytes::from(last), None)))
            }
            next => Ok(next?.map(|(lines, export)| (lines, Some(export)))),
        }
    }

    /// The next lines; `None` at the end. Empty pages are skipped, because an empty chunk would end the response.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Problem> {
        while self.left > 0 {
            if self.app.is_stopping() {
                return Err(Problem::new(Kind::Unavailable));
            }
            let (lines, count, next_after) = self.page().await?;
            let before = self.after;
            self.after = next_after.unwrap_or(before).max(before);
            self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
            if count > 0 {
                return Ok(Some((Bytes::from(lines), self)));
            }
            if self.after == before {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// The lines of a page, their number, and the cursor for the next page.
    async fn page(&self) -> Result<(String, usize, Option<u64>), Problem> {
        let (reader, filter) = (self.app.actors.reader.clone(), self.filter.clone());
        let cursor = Cursor::After(self.after);
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX).min(EXPORT_PAGE_EVENTS);
        let page = blocking(move || {
            let page = reader.page(&filter, cursor, limit)?;
            let lines = page.events.iter().map(|event| event_document::whole(event) + "\n").collect();
            Ok((lines, page.events.len(), page.next_after))
        });
        page.await
    }
}

/// Runs a read of the journal, and the work on its result, on a thread where it may block.
///
/// # Errors
/// [`Kind::Unavailable`] with the error of the journal.
pub async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, Problem> {
    let done = web::block(read).await;
    let result = done.map_err(|error| Problem::unavailable(&error))?;
    result.map_err(|error| problem(&error))
}

fn problem(error: &JournalError) -> Problem {
    let kind = match error {
        JournalError::PageLength { .. } => {
            return Problem::new(Kind::BadRequest).detail(format!("`limit`: {error}"));
        }
        JournalError::NotThere(_) => Kind::NotFound,
        _ => Kind::Unavailable,
    };
    Problem::new(kind).detail(in_full(error))
}
