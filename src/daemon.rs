//! The daemon: takes the state root, starts the actors, serves, and stops everything in reverse order.

pub mod actors;
mod end;
mod held;
mod journaling;
mod listening;
pub mod registry_file;
pub mod signals;
mod stopper;

use std::future::pending;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_rt::System;
use palyra_actors::causes::in_full;
use palyra_actors::clock::{NoHttpDate, SharedClock, SystemClock};
use palyra_actors::connectors::{Roster, heartbeat};
use palyra_actors::files;
use palyra_actors::supervision::Supervisor;
use serde_json::json;
use tokio::time::{Instant, interval, timeout};

use crate::exit::Exit;
use crate::http::connection::server;
use crate::http::console::Token;
use crate::logging;
use crate::service::connections::ConnectionLimits;
use crate::service::probe::reasons_not_ready;
use crate::service::{Addresses, AppState, readiness, reloading, verification};
use crate::settings::{Flags, Settings};
use crate::state_root::{Possession, Reserve, Role, Runtime, StateRoot, StateRootError};
use crate::threads;
use crate::version;
use actors::Plan;
use end::End;
use held::{Closed, Held};
use journaling::Journaling;
use listening::{Bound, Listeners};
use signals::{Asked, Signals, finished_before};
use stopper::{CLOSE_DEADLINE, Stopper};

/// Time the actors are given at a start to answer and to make their first commit; a busy disk may need long.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Least time that work which outlives its client is given at a stop, however long the clients took.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);
/// Interval at which the system clock is checked, the same as that of actix-http.
const CLOCK_INTERVAL: Duration = Duration::from_millis(500);

/// Threads of the actors: two that they share, and the anchor's.
const ACTOR_THREADS: usize = 3;
/// Threads at once for work that blocks or must not delay a stop, at a start and while little happens.
const SPARE_THREADS: usize = 3;

/// Runs the daemon until it is asked to stop or cannot continue.
///
/// # Errors
/// When it cannot start.
pub fn run(root: StateRoot, flags: Flags, verbose: u8) -> anyhow::Result<Exit> {
    System::new().block_on(async move {
        let mut signals = Signals::listen()?;
        let Some(begun) = finished_before(signals.stop(), begin(root, flags, verbose)).await else {
            tracing::warn!("asked to stop before it served");
            return Ok(Exit::Ok);
        };
        match begun? {
            Ok(daemon) => daemon.serve(signals).await,
            Err(failed) => Err(failed.close(signals.stop()).await),
        }
    })
}

/// Prints on stdout that the daemon serves, and at which addresses. Nobody has to read it.
async fn print_ready(app: Arc<AppState>) {
    let line = ready_line(&app.serving.addresses, app.settings.ready_json);
    let printed = threads::on_its_own(move || writeln!(std::io::stdout(), "{line}")).await;
    if let Err(error) = printed.and_then(|written| Ok(written?)) {
        tracing::warn!(%error, "the line with the addresses could not be written to stdout");
    }
}

fn ready_line(Addresses { ingress, console }: &Addresses, as_json: bool) -> String {
    if as_json {
        return json!({"status": "ready", "ingress": ingress, "console": console}).to_string();
    }
    format!("ready ingress={ingress} console={console}")
}

async fn begin(root: StateRoot, flags: Flags, verbose: u8) -> anyhow::Result<Result<Daemon, FailedStart>> {
    let taken = root.clone();
    // Runs on its own thread because it may wait for a command that holds the lock.
    let possession = threads::on_its_own(move || taken.take(Role::Daemon)).await??;
    let settings = Settings::load(&root.settings_file(), flags)?;
    logging::for_daemon(verbose, settings.log_json).map_err(threads::Refused)?;
    version::warn_of_test_build();
    if let Some(told) = possession.told_if_it_was_open() {
        tracing::warn!("{told}");
    }
    possession.warn_of_foreign_files();
    Daemon::try_start(possession, settings, Serve::Both).await
}

/// Which listeners a daemon opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// Ingress and console.
    Both,
    /// The console alone, on a free loopback port: for a command while no daemon runs.
    ConsoleOnly,
    /// As [`Serve::ConsoleOnly`], for a command that uses no integration: a lost `webhooks.toml` is no obstacle to it.
    ConsoleWithoutIntegrations,
}

/// A daemon that serves.
pub struct Daemon {
    /// The state that its listeners share.
    pub app: Arc<AppState>,
    /// `None` for the console of a command. The disk space is released while the root is still locked.
    reserve: Option<Reserve>,
    possession: Held,
    supervisor: Supervisor,
    stopper: Stopper,
    listeners: Listeners,
}

impl Daemon {
    /// Starts the actors and opens the listeners; when it returns, deliveries are accepted. When it fails, the actors have been
    /// closed, and the state root is free. If one hangs for longer than [`CLOSE_DEADLINE`], it stays locked until the process
    /// ends.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(possession: Possession, settings: Settings, serve: Serve) -> anyhow::Result<Self> {
        match Self::try_start(possession, settings, serve).await? {
            Ok(daemon) => Ok(daemon),
            Err(failed) => Err(failed.close(pending()).await),
        }
    }

    /// As [`Daemon::start`], but if it fails after actors were started, the caller has to close them.
    async fn try_start(
        possession: Possession,
        mut settings: Settings,
        serve: Serve,
    ) -> anyhow::Result<Result<Self, FailedStart>> {
        threads::check(threads_needed(&settings, serve))?;
        let reserve = (serve == Serve::Both).then(|| possession.reserve()).transpose()?;
        let token = Token::new(&possession.token()?);
        settings.check_anchor_dir()?;
        StateRoot::check_anchor(settings.anchor_dir.as_deref())?;
        match serve {
            Serve::Both => settings.check_addresses()?,
            _ => settings.console = SocketAddr::from(([127, 0, 0, 1], 0)),
        }
        let plan = plan(possession.root(), &settings, serve)?;
        let bound = Bound::to((serve == Serve::Both).then_some(settings.ingress), settings.console)?;
        let anchor_dir = files::folder_of(&plan.journal.anchor);
        files::remove_unfinished(anchor_dir)
            .map_err(|source| StateRootError::Io { path: anchor_dir.to_owned(), source })?;
        let stopper = Stopper::new()?;
        // From here on, there are threads that may write to it.
        let possession = Held::until_the_end(possession);
        let (app, supervisor, listeners) = match open(&plan, settings, bound, &token, &stopper).await {
            Ok(opened) => opened,
            Err(error) => {
                return Ok(Err(FailedStart { error, started: Started::Actors(stopper, possession) }));
            }
        };
        let daemon = Self { app, reserve, possession, supervisor, stopper, listeners };
        Ok(match daemon.announce(serve) {
            Ok(()) => Ok(daemon),
            Err(error) => Err(FailedStart { error, started: Started::Daemon(Box::new(daemon)) }),
        })
    }

    fn announce(&self, serve: Serve) -> anyhow::Result<()> {
        if serve != Serve::Both {
            return Ok(());
        }
        let addresses = &self.app.serving.addresses;
        self.possession.announce(&Runtime {
            pid: std::process::id(),
            ingress: addresses.ingress.clone(),
            console: addresses.console.clone(),
            started_at_unix_ms: self.app.serving.started_at,
        })?;
        Ok(())
    }

    async fn serve(self, mut signals: Signals) -> anyhow::Result<Exit> {
        let Self { app, reserve, possession, supervisor, stopper, mut listeners } = self;
        tell_public_key(&app);
        reloading::tell_hidden_profiles(&app).await;
        let journaling = Journaling::start(&app);
        // Behind the journaling, so that the start is journaled before anything that waits for the line.
        actix_rt::spawn(print_ready(Arc::clone(&app)));
        let readiness = actix_rt::spawn(readiness::watch(Arc::clone(&app)));
        let verification = actix_rt::spawn(verification::run(Arc::clone(&app)));
        let supervision = actix_rt::spawn(supervisor.run());
        let end = tokio::select! {
            () = until_told_to_stop(&mut signals, &app) => End::Asked,
            escalation = supervision => match escalation {
                Ok(escalation) => End::Escalated(escalation),
                Err(error) => End::Unsupervised(error.to_string()),
            },
            listener = listeners.ended() => End::Unserved(listener),
            wrong = wrong_clock() => End::Untimely(wrong),
        };
        readiness.abort();
        verification.abort();
        drop(reserve);
        // Commands must not find the address any more: the console is about to stop.
        possession.withdraw();
        let stop = shut_down(&app, listeners, journaling, stopper, &end);
        let Some(closed) = finished_before(signals.stop(), stop).await else {
            tracing::warn!("asked to stop a second time: stopping at once");
            return Ok(end.exit());
        };
        Ok(if closed.give_up(possession) { end.exit() } else { Exit::Internal })
    }

    /// Stops a daemon that served one command, or that could not be announced. Unfinished work is given [`CLOSE_DEADLINE`].
    /// Returns whether all of it was finished by then.
    pub async fn close(self) -> bool {
        // The journal's last commit may need the room.
        drop(self.reserve);
        let mut is_finished = self.listeners.stop_within(CLOSE_DEADLINE).await;
        is_finished &= self.app.changes.under_way.ended_within(CLOSE_DEADLINE).await;
        self.stopper.close(None).await.and(is_finished).give_up(self.possession);
        is_finished
    }
}

/// A start that failed when actors were running.
struct FailedStart {
    error: anyhow::Error,
    started: Started,
}

/// What a failed start has to close.
enum Started {
    /// Some of the actors, and the state root, which stays locked until they are closed.
    Actors(Stopper, Held),
    /// A daemon whose addresses could not be written down.
    Daemon(Box<Daemon>),
}

impl FailedStart {
    /// Closes what was started, unless `hurry` resolves before, and returns why the start failed. Whoever waits for that waits
    /// no longer for actors that hang; they end with the process.
    async fn close(self, hurry: impl Future<Output = ()>) -> anyhow::Error {
        if finished_before(hurry, self.started.close()).await.is_none() {
            tracing::warn!("asked to stop while a failed start was ending: stopping at once");
        }
        self.error
    }
}

/// Threads that have to be startable for a daemon to serve.
fn threads_needed(settings: &Settings, serve: Serve) -> usize {
    let of_ingress = if serve == Serve::Both { server::threads_of(settings.workers) } else { 0 };
    ACTOR_THREADS + of_ingress + server::threads_of(server::CONSOLE_WORKERS) + SPARE_THREADS
}

impl Started {
    async fn close(self) {
        match self {
            Self::Actors(stopper, possession) => {
                if let Ok(closed) = timeout(CLOSE_DEADLINE, stopper.close(None)).await {
                    closed.give_up(possession);
                }
            }
            Self::Daemon(daemon) => drop(daemon.close().await),
        }
    }
}

/// What the actors of this daemon are started with.
fn plan(root: &StateRoot, settings: &Settings, serve: Serve) -> anyhow::Result<Plan> {
    let clock: SharedClock = Arc::new(SystemClock);
    let roster = Roster::default();
    if serve == Serve::Both {
        roster.add("heartbeat", heartbeat::factory(settings.heartbeat_interval, Arc::clone(&clock)))?;
    }
    Ok(Plan {
        root: root.clone(),
        journal: root.journal_files(settings.anchor_dir.as_deref()),
        accept_rollback: settings.accept_rollback,
        clock,
        payload_bytes_cap: settings.payload_bytes_cap,
        needs_registry_file: serve != Serve::ConsoleWithoutIntegrations,
        roster,
    })
}

/// Starts the actors, proves that they work together, and serves at the bound addresses. After an error, `stopper` has to
/// close what was started.
async fn open(
    plan: &Plan,
    settings: Settings,
    bound: Bound,
    token: &Token,
    stopper: &Stopper,
) -> anyhow::Result<(Arc<AppState>, Supervisor, Listeners)> {
    let (actors, supervisor) = actors::start(plan, stopper).await?;
    let app = AppState::new(actors, settings, Arc::clone(&plan.clock), bound.addresses()?);
    prove_ready(&app).await?;
    let limits = ConnectionLimits::make(app.settings.workers);
    let ingress = bound.ingress.map(|listener| server::serve_ingress(&app, limits, listener)).transpose()?;
    let console = server::serve_console(&app, limits, token, bound.console)?;
    Ok((app, supervisor, Listeners::run(ingress, console)))
}

/// Resolves when the system clock stands before 1970 or after 9999.
async fn wrong_clock() -> NoHttpDate {
    let mut looks = interval(CLOCK_INTERVAL);
    loop {
        looks.tick().await;
        if let Err(wrong) = SystemClock::check() {
            return wrong;
        }
    }
}

/// Reports not ready, stops accepting, finishes the work in flight, then closes the actors.
async fn shut_down(
    app: &Arc<AppState>,
    listeners: Listeners,
    journaling: Journaling,
    stopper: Stopper,
    end: &End,
) -> Closed {
    if let Some(why) = end.fault() {
        tracing::error!(why, "the daemon cannot continue and stops");
    }
    app.serving.stopping.store(true, Ordering::SeqCst);
    let asked_at = Instant::now();
    let mut is_finished = listeners.stop_within(app.settings.drain_deadline).await;
    let left = app.settings.drain_deadline.saturating_sub(asked_at.elapsed());
    let rest = async {
        app.changes.under_way.ended().await;
        // Wait for actors that are being restarted, so that they can be closed and the journal can be written to.
        app.actors.board.settled().await;
    };
    is_finished &= timeout(left.max(LEAST_PATIENCE), rest).await.is_ok();
    app.changes.under_way.begin_nothing();
    if !is_finished {
        tracing::warn!("some requests in flight were not finished in time");
    }
    journaling.end().await;
    // After a fault, an actor may still be starting on a thread that nobody waits for.
    stopper.close(Some(end.event())).await.and(is_finished && end.fault().is_none())
}

/// The parts were started but do not work together.
#[derive(Debug, thiserror::Error)]
#[error("the daemon started but cannot accept deliveries: {}", .0.join("; "))]
pub struct NotReady(Vec<String>);

/// Probes every actor on the path once, including a commit, before the first request can arrive.
async fn prove_ready(app: &AppState) -> anyhow::Result<()> {
    let reasons = reasons_not_ready(app, START_DEADLINE).await;
    if reasons.is_empty() {
        return Ok(());
    }
    Err(NotReady(reasons).into())
}

/// Logged at every start, because the key is only useful to those who keep a copy elsewhere.
fn tell_public_key(app: &AppState) {
    match app.actors.reader.checkpoint() {
        Ok(Some(newest)) => {
            let (public_key, events) = (newest.root_key, newest.checkpoint.size);
            tracing::info!(%public_key, events, "the journal is signed; keep its public key on another machine");
        }
        Ok(None) => tracing::warn!("the journal has no checkpoint"),
        Err(error) => tracing::warn!(error = %in_full(&error), "the journal's checkpoint cannot be read"),
    }
}

/// Reloads the registry on every `SIGHUP`, until it is time to stop.
async fn until_told_to_stop(signals: &mut Signals, app: &Arc<AppState>) {
    while signals.next().await == Asked::Reload {
        tokio::select! {
            // The result is logged and journaled by the reload itself.
            _ = reloading::reload(app, "palyra") => {}
            () = signals.stop() => return,
        }
    }
}
