//! The two listeners.
//!
//! They are built on `actix-http` rather than `HttpServer`, which offers no control over the limits of a connection, nor
//! over `Expect: 100-continue`: a sender that waits for it should be refused before it sends a body that would be discarded.

use std::fmt::Debug;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::BoxBody;
use actix_http::error::DispatchError;
use actix_http::{HttpMessage, HttpServiceBuilder, KeepAlive, Protocol, Request, Response};
use actix_rt::net::TcpStream;
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, Error};
use tokio::time::Instant;

use crate::http::connection::deadlines::{Deadlines, NextHead, TimedConnection};
use crate::http::connection::idle::{Member, WorkerConnections};
use crate::http::connection::unread::close_after_answer;
use crate::http::ingress::{self, Head};
use crate::http::{console, hook_id, ingress_routes};
use crate::service::AppState;
use crate::service::connections::{ConnectionLimits, OpenConnection};
use crate::settings::Settings;

/// Time a closing connection is given to read what was last written to it.
const DISCONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// Resolution of the clock that actix-http checks its time-outs by; a time-out may come this much early.
const CLOCK_TICK: Duration = Duration::from_millis(500);
/// Worker threads of the console.
pub const CONSOLE_WORKERS: usize = 1;
/// Threads of each worker for blocking work: journal reads and fetches of published keys. More work is queued. No such work
/// may wait for other such work, or the pool could deadlock.
const BLOCKING_THREADS_PER_WORKER_MAX: usize = 32;

/// Threads of a listener with so many workers: one more accepts connections.
pub fn threads_of(workers: usize) -> usize {
    workers.saturating_add(1)
}

/// Serves deliveries on `listener`.
///
/// # Errors
/// When the listener cannot be taken over.
pub fn serve_ingress(
    app: &Arc<AppState>,
    limits: ConnectionLimits,
    listener: TcpListener,
) -> std::io::Result<Server> {
    let data = Data::from(Arc::clone(app));
    let settings = app.settings.clone();
    let builder = threads(settings.workers, limits.per_worker, &settings);
    let draining = builder.graceful_shutdown_signal();
    let builder = builder.listen("ingress", listener, move || {
        let (data, expected, draining) = (data.clone(), data.clone(), draining.clone());
        let connections = data.serving.ingress_connections.clone();
        let app = App::new().app_data(data).configure(ingress_routes).wrap(from_fn(close_after_answer));
        let app = app.into_factory().map_err(|error: Error| error.error_response());
        // The connection's own deadline closes it when it is idle: that of actix-http does not look for a request first.
        let http = timed(&settings, draining)
            .keep_alive(KeepAlive::Os)
            .expect(fn_service(move |request| continue_or_refuse(expected.clone(), request)))
            .finish(map_config(app, |_| AppConfig::default()));
        let deadlines = Deadlines {
            to_write: settings.idle_deadline,
            to_read_head: Some(NextHead {
                to_begin: settings.idle_deadline,
                to_end: settings.idle_deadline + settings.head_deadline,
            }),
            hears_leaving: false,
        };
        let of_worker = WorkerConnections::new(limits.before_idle_give_way());
        fn_service(move |io| {
            with_deadlines(io, deadlines, connections.open(), Some(of_worker.enter(Instant::now())))
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// A server with that many threads and connections. Signals are handled by the daemon, not by the server.
fn threads(workers: usize, connections_per_worker: usize, settings: &Settings) -> ServerBuilder {
    Server::build()
        .workers(workers)
        .max_concurrent_connections(connections_per_worker)
        .worker_max_blocking_threads(BLOCKING_THREADS_PER_WORKER_MAX)
        .shutdown_timeout(settings.drain_deadline.as_secs())
        .disable_signals()
}

/// The HTTP service with its time-outs. Idle connections are closed once the server is `draining`.
fn timed<S>(settings: &Settings, draining: GracefulShutdownSignal) -> HttpServiceBuilder<TimedConnection, S>
where
    S: ServiceFactory<Request, Config = ()>,
    S::Error: Into<Response<BoxBody>> + 'static,
    S::InitError: Debug,
    <S::Service as Service<Request>>::Future: 'static,
{
    HttpServiceBuilder::default()
        .client_request_timeout(settings.head_deadline + CLOCK_TICK)
        .client_disconnect_timeout(DISCONNECT_DEADLINE)
        .graceful_shutdown_signal(move || {
            let draining = draining.clone();
            async move { draining.notified().await }
        })
}

/// Wraps a connection with its deadlines; it fails when one passes, or when its place is needed for another.
async fn with_deadlines(
    io: TcpStream,
    deadlines: Deadlines,
    open: OpenConnection,
    member: Option<Member>,
) -> Result<Connection, DispatchError> {
    let peer = io.peer_addr().ok();
    Ok((TimedConnection::new(io, deadlines, open, member), Protocol::Http1, peer))
}

/// The input of the HTTP service.
type Connection = (TimedConnection, Protocol, Option<SocketAddr>);

/// Handles `Expect: 100-continue`: a request that can be refused by its head alone gets the refusal instead of `100
/// Continue`.
async fn continue_or_refuse(app: Data<AppState>, request: Request) -> Result<Request, Response<BoxBody>> {
    let Some(id) = hook_id(request.uri()) else { return Ok(request) };
    let (uri, headers) = (request.uri(), request.headers());
    let head = Head::made_of(request.method(), uri, headers, request.peer_addr());
    match ingress::expect(&app, head, id).await {
        Ok(()) => Ok(request),
        Err(problem) => Err(app.respond_and_count(id, &problem).into()),
    }
}

/// Serves the admin API on `listener`.
///
/// # Errors
/// When the listener cannot be taken over.
pub fn serve_console(
    app: &Arc<AppState>,
    limits: ConnectionLimits,
    token: &console::Token,
    listener: TcpListener,
) -> std::io::Result<Server> {
    let (data, token) = (Data::from(Arc::clone(app)), token.clone());
    let settings = app.settings.clone();
    let builder = threads(CONSOLE_WORKERS, limits.console, &settings);
    let draining = builder.graceful_shutdown_signal();
    let builder = builder.listen("console", listener, move || {
        let (data, draining) = (data.clone(), draining.clone());
        let connections = data.serving.console_connections.clone();
        let app = App::new().app_data(data).configure(|config| console::routes(config, &token));
        let app =
            app.wrap(from_fn(console::close_to_strangers)).wrap(from_fn(close_after_answer)).into_factory();
        let app = app.map_err(|error: Error| error.error_response());
        let http = timed(&settings, draining)
            .keep_alive(settings.idle_deadline + CLOCK_TICK)
            .on_connect_ext(|io: &TimedConnection, data| drop(data.insert(io.asker())))
            .finish(map_config(app, |_| AppConfig::default()));
        // Streams and exports may take any time, so there is no deadline for the next head.
        let deadlines =
            Deadlines { to_write: settings.idle_deadline, to_read_head: None, hears_leaving: true };
        fn_service(move |io| with_deadlines(io, deadlines, connections.open(), None)).and_then(http)
    })?;
    Ok(builder.run())
}
