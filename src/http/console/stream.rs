//! `GET /system/events/stream`: events as they are committed, as server-sent events.

use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::try_unfold;
use palyra_actors::journal::StoredEvent;
use palyra_actors::journal::{Cursor, EventFilter};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout};

use super::journal::{blocking, refuse_beyond_the_newest};
use super::query::{Query, maybe_whole};
use crate::event_document;
use crate::http::problem::{Kind, Problem};
use crate::service::AppState;

/// Interval of keep-alive comments. A client that has disconnected is noticed by the first or second of them, and its place
/// is released.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How often an idle stream checks whether the daemon is stopping.
const GLANCE: Duration = Duration::from_millis(500);
/// How long a stream stays open. The limit releases the place of a client that does not read: while there are few events,
/// the kernel buffers all of them, so such a client cannot be detected.
const OPEN: Duration = Duration::from_secs(60 * 60);
/// Most events sent at a time.
const BATCH_EVENTS: usize = 100;
/// The header with the `id` of the last frame a client received. The SSE standard has clients send it when they reconnect.
const LAST_EVENT_ID: &str = "last-event-id";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowQuery {
    #[serde(default, deserialize_with = "maybe_whole")]
    after: Option<u64>,
}

struct Stream {
    app: Data<AppState>,
    after: u64,
    head: watch::Receiver<u64>,
    quiet: Duration,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

/// Streams the events after the one in `Last-Event-ID`, which a reconnecting client sends, or else after `after`; without
/// either, those after the newest event.
pub async fn follow(
    app: Data<AppState>,
    query: Query<FollowQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let place = std::sync::Arc::clone(&app.console.streams).try_acquire_owned();
    let place =
        place.map_err(|_| Problem::new(Kind::Overloaded).detail("too many event streams are open"))?;
    let head = app.actors.head.clone();
    let asked = last_event_id(&request)?.or(query.after);
    refuse_beyond_the_newest(&app, asked).await?;
    let after = asked.unwrap_or(*head.borrow());
    let stream =
        Stream { app, after, head, quiet: Duration::ZERO, until: Instant::now() + open_for(), _place: place };
    let chunks = try_unfold(stream, |stream| async { stream.next().await.inspect_err(tell_why) });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(chunks))
}

/// Logs the reason, because the client only sees that the stream broke off.
fn tell_why(problem: &Problem) {
    tracing::error!(%problem, "an event stream ended early");
}

fn last_event_id(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(id) = request.headers().get(LAST_EVENT_ID) else { return Ok(None) };
    let seq = id.to_str().ok().and_then(|id| id.parse().ok());
    let malformed = || Problem::new(Kind::BadRequest).detail("Last-Event-ID must be the seq of an event");
    seq.map(Some).ok_or_else(malformed)
}

fn open_for() -> Duration {
    fail::fail_point!("console::stream_ends_soon", |seconds| {
        Duration::from_secs(seconds.and_then(|seconds| seconds.parse().ok()).unwrap_or(1))
    });
    OPEN
}

impl Stream {
    /// The next chunk; `None` once the stream has been open long enough or the daemon is stopping.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, Problem> {
        while !self.app.is_stopping() && Instant::now() < self.until {
            if let Some(chunk) = self.batch().await? {
                self.quiet = Duration::ZERO;
                return Ok(Some((chunk, self)));
            }
            if self.quiet >= KEEP_ALIVE {
                self.quiet = Duration::ZERO;
                return Ok(Some((Bytes::from_static(b": keep-alive\n\n"), self)));
            }
            match timeout(GLANCE, self.head.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(None),
                Err(_) => self.quiet += GLANCE,
            }
        }
        Ok(None)
    }

    async fn batch(&mut self) -> Result<Option<Bytes>, Problem> {
        if *self.head.borrow_and_update() <= self.after {
            return Ok(None);
        }
        let (reader, cursor) = (self.app.actors.reader.clone(), Cursor::After(self.after));
        let batch = blocking(move || {
            let events = reader.page(&EventFilter::default(), cursor, BATCH_EVENTS)?.events;
            Ok(events.last().map(|last| (last.seq, events.iter().map(frame).collect::<String>())))
        });
        let Some((last, frames)) = batch.await? else { return Ok(None) };
        self.after = last;
        Ok(Some(Bytes::from(frames)))
    }
}

/// One frame. The document is a single line of JSON, so no value can forge a frame.
fn frame(event: &StoredEvent) -> String {
    let view = event_document::without_body(event);
    let kind = view.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default();
    format!("id: {}\nevent: {kind}\ndata: {view}\n\n", event.seq)
}
