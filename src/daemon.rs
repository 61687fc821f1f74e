//! The daemon: takes the state root, starts the actors, serves, and stops in the reverse order.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_rt::System;
use actix_rt::task::JoinHandle;
use actix_server::{Server, ServerHandle};
use anyhow::Context as _;
use palyra_actors::clock::{BeforeEpoch, SharedClock, SystemClock};
use palyra_actors::connectors::{Roster, heartbeat};
use palyra_actors::files;
use palyra_actors::journal::{Severity, SystemEvent};
use palyra_actors::supervision::{Escalation, Supervisor};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::actors::{self, Actors, Plan, Stopper};
use crate::cli::CliError;
use crate::exit::Exit;
use crate::http::console::Token;
use crate::http::health::reasons_within;
use crate::http::room::Room;
use crate::http::{Addresses, Gate, server};
use crate::logging;
use crate::readiness;
use crate::reloading;
use crate::reserve::Reserve;
use crate::settings::{Flags, Settings};
use crate::signals::{Asked, Signals};
use crate::state_root::{Possession, Role, Runtime, StateRoot, StateRootError};
use crate::verification;
use crate::version::{self, VERSION};

/// Pause between two summaries of deliveries nobody could authenticate.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);
/// Time the actors are given at a start to answer and to commit for the first time: a disk that is busy may take long.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Pause between two looks at the clock: as often as HTTP looks at it.
const CLOCK_INTERVAL: Duration = Duration::from_millis(500);

/// Runs the daemon until it is told to stop, or cannot go on.
///
/// # Errors
/// When it cannot start.
pub fn run(root: StateRoot, flags: Flags, verbose: u8) -> anyhow::Result<Exit> {
    System::new().block_on(async move {
        let mut signals = Signals::listen()?;
        let daemon = tokio::select! {
            started = begin(root, flags, verbose) => started?,
            () = signals.stop() => {
                tracing::warn!("told to stop before it served");
                return Ok(Exit::Ok);
            }
        };
        let ready = ready_line(&daemon.gate.addresses, daemon.gate.settings.ready_json);
        if let Err(error) = writeln!(std::io::stdout(), "{ready}") {
            tracing::warn!(%error, "nobody reads where the daemon serves");
        }
        daemon.serve(signals).await
    })
}

/// What says on stdout that it serves, and where.
fn ready_line(Addresses { ingress, console }: &Addresses, as_json: bool) -> String {
    if as_json {
        return json!({"status": "ready", "ingress": ingress, "console": console}).to_string();
    }
    format!("ready ingress={ingress} console={console}")
}

async fn begin(root: StateRoot, flags: Flags, verbose: u8) -> anyhow::Result<Daemon> {
    let possession = take(root.clone()).await?;
    let settings = Settings::load(&root.settings_file(), flags)?;
    logging::for_daemon(verbose, settings.log_json);
    version::warn_of_test_build();
    possession.warn_of_foreign_files();
    Daemon::start(possession, settings, Serve::Both).await
}

/// Takes the root on a thread of its own, for a command may have to be waited for. One that is not waited for to its end
/// goes with the process.
async fn take(root: StateRoot) -> anyhow::Result<Possession> {
    let (taken, possession) = oneshot::channel();
    // Who waited may have given up.
    let work = move || drop(taken.send(root.take(Role::Daemon)));
    std::thread::Builder::new().spawn(work).context("the system gives the daemon no thread")?;
    Ok(possession.await??)
}

/// Connections that wait to be accepted, each listener; the kernel may allow fewer (`net.core.somaxconn`).
const BACKLOG_CONNECTIONS: i32 = 1_024;

/// Which listeners a daemon opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// Ingress and console.
    Both,
    /// The console alone, on a free port of loopback: for a command while no daemon runs.
    ConsoleOnly,
}

/// A daemon that serves.
pub struct Daemon {
    /// What its listeners share.
    pub gate: Arc<Gate>,
    possession: Possession,
    /// None for the console of a command.
    reserve: Option<Reserve>,
    supervisor: Supervisor,
    stopper: Stopper,
    ingress: Option<Listener>,
    console: Listener,
}

impl Daemon {
    /// Starts the actors and opens the listeners; when it returns, deliveries are taken in.
    ///
    /// # Errors
    /// What could not be started.
    pub async fn start(possession: Possession, mut settings: Settings, serve: Serve) -> anyhow::Result<Self> {
        let clock: SharedClock = Arc::new(SystemClock);
        let reserve = (serve == Serve::Both).then(|| possession.reserve()).transpose()?;
        let token = Token::new(&possession.token()?);
        settings.check_anchor_dir()?;
        let roster = Roster::default();
        if serve == Serve::Both {
            settings.check_addresses()?;
            roster.add("heartbeat", heartbeat::factory(settings.heartbeat_interval, Arc::clone(&clock)))?;
        } else {
            settings.console = SocketAddr::from(([127, 0, 0, 1], 0));
        }
        let plan = Plan {
            root: possession.root().clone(),
            journal: possession.root().journal_files(settings.anchor_dir.as_deref()),
            accept_rollback: settings.accept_rollback,
            clock: Arc::clone(&clock),
            payload_bytes_cap: settings.payload_bytes_cap,
            roster,
        };
        let ingress = (serve == Serve::Both).then(|| listen(settings.ingress, "ingress")).transpose()?;
        let console = listen(settings.console, "console")?;
        let anchor_dir = files::folder_of(&plan.journal.anchor);
        files::remove_unfinished(anchor_dir)
            .map_err(|source| StateRootError::Io { path: anchor_dir.to_owned(), source })?;
        let (actors, supervisor, stopper) = actors::start(&plan)?.into_parts();
        let addresses = Addresses {
            ingress: ingress.as_ref().map(base_url).transpose()?.unwrap_or_default(),
            console: base_url(&console)?,
        };
        let gate = Gate::new(actors, settings, clock, addresses);
        prove_ready(&gate).await?;
        let room = Room::make(gate.settings.workers);
        let ingress = ingress.map(|listener| server::serve_ingress(&gate, room, listener)).transpose()?;
        let ingress = ingress.map(Listener::run);
        let console = Listener::run(server::serve_console(&gate, room, &token, console)?);
        let daemon = Self { gate, possession, reserve, supervisor, stopper, ingress, console };
        if serve == Serve::Both {
            daemon.announce()?;
        }
        Ok(daemon)
    }

    fn announce(&self) -> anyhow::Result<()> {
        let addresses = &self.gate.addresses;
        self.possession.announce(&Runtime {
            pid: std::process::id(),
            ingress: addresses.ingress.clone(),
            console: addresses.console.clone(),
            started_at_unix_ms: self.gate.started_at,
        })?;
        Ok(())
    }

    async fn serve(self, mut signals: Signals) -> anyhow::Result<Exit> {
        let Self { gate, possession, reserve, supervisor, stopper, mut ingress, mut console } = self;
        tell_public_key(&gate);
        reloading::tell_hidden_profiles(&gate).await;
        let journaling = actix_rt::spawn(keep_journaling(Arc::clone(&gate)));
        let readiness = actix_rt::spawn(readiness::watch(Arc::clone(&gate)));
        let verification = actix_rt::spawn(verification::run(Arc::clone(&gate)));
        let supervision = actix_rt::spawn(supervisor.run());
        let end = tokio::select! {
            () = until_told_to_stop(&mut signals, &gate) => End::Asked,
            escalation = supervision => match escalation {
                Ok(escalation) => End::Escalated(escalation),
                Err(error) => End::Unsupervised(error.to_string()),
            },
            () = ended(ingress.as_mut()) => End::Unserved("ingress"),
            () = console.ended() => End::Unserved("console"),
            wrong = wrong_clock() => End::Untimely(wrong),
        };
        journaling.abort();
        readiness.abort();
        verification.abort();
        reserve.iter().for_each(Reserve::release);
        let listeners = ingress.iter().chain([&console]).map(|listener| listener.handle.clone()).collect();
        let is_journal_well = tokio::select! {
            is_well = shut_down(&gate, listeners, stopper, &end) => is_well,
            () = signals.stop() => {
                tracing::warn!("told to stop again: leaving at once");
                true
            }
        };
        possession.withdraw();
        Ok(if is_journal_well { end.exit() } else { Exit::Internal })
    }

    /// Stops a daemon that served one command.
    pub async fn close(self) {
        self.console.handle.stop(true).await;
        self.stopper.close(None).await;
    }
}

/// A listener and the server behind it.
struct Listener {
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
}

impl Listener {
    fn run(server: Server) -> Self {
        Self { handle: server.handle(), server: actix_rt::spawn(server) }
    }

    /// Waits until it serves no more, which it never does unasked as long as all is well.
    async fn ended(&mut self) {
        let how = (&mut self.server).await;
        tracing::error!(?how, "a listener serves no more");
    }
}

/// As [`Listener::ended`]; never where there is none.
async fn ended(listener: Option<&mut Listener>) {
    match listener {
        Some(listener) => listener.ended().await,
        None => std::future::pending().await,
    }
}

/// Waits until the clock of this machine stands before 1970.
async fn wrong_clock() -> BeforeEpoch {
    let mut looks = interval(CLOCK_INTERVAL);
    loop {
        looks.tick().await;
        if let Err(wrong) = SystemClock::check() {
            return wrong;
        }
    }
}

/// Why the daemon stops.
enum End {
    Asked,
    Escalated(Escalation),
    /// The supervision itself ended: why.
    Unsupervised(String),
    /// A listener ended by itself: which.
    Unserved(&'static str),
    /// What gives HTTP its time ends over such a clock, and no request is in time after that.
    Untimely(BeforeEpoch),
}

impl End {
    fn exit(&self) -> Exit {
        match self {
            Self::Asked => Exit::Ok,
            Self::Escalated(_) | Self::Unsupervised(_) | Self::Unserved(_) | Self::Untimely(_) => {
                Exit::Internal
            }
        }
    }

    /// Why it cannot go on; none where it could.
    fn fault(&self) -> Option<String> {
        match self {
            Self::Asked => None,
            Self::Escalated(why) => Some(why.to_string()),
            Self::Unsupervised(why) => Some(format!("the supervision of the actors ended: {why}")),
            Self::Unserved(listener) => Some(format!("the {listener} listener ended")),
            Self::Untimely(wrong) => Some(wrong.to_string()),
        }
    }

    fn event(&self) -> SystemEvent {
        match self.fault() {
            None => SystemEvent::new("system.daemon.stopped", "the daemon stopped as it was told to"),
            Some(why) => SystemEvent::new("system.daemon.stopped", "the daemon could not go on")
                .severity(Severity::Error)
                .detail("why", why),
        }
    }
}

/// Not ready, stop accepting, finish what is in flight, then the actors. Says whether the journal closed as it should.
async fn shut_down(gate: &Arc<Gate>, listeners: Vec<ServerHandle>, stopper: Stopper, end: &End) -> bool {
    if let Some(why) = end.fault() {
        tracing::error!(why, "the daemon cannot go on and stops");
    }
    gate.stopping.store(true, Ordering::SeqCst);
    let drain = async {
        for listener in listeners {
            listener.stop(true).await;
        }
    };
    if timeout(gate.settings.drain_deadline, drain).await.is_err() {
        tracing::warn!("not everything in flight was finished in time");
    }
    if timeout(actors::CLOSE_DEADLINE, journal_refusals(gate)).await.is_err() {
        tracing::warn!("the last refusals were not journaled in time");
    }
    stopper.close(Some(end.event())).await
}

/// Asks every actor on the path once, up to a commit, before anybody else does.
async fn prove_ready(gate: &Gate) -> anyhow::Result<()> {
    let reasons = reasons_within(START_DEADLINE, gate).await;
    if reasons.is_empty() {
        return Ok(());
    }
    let told = CliError::failed(format!("what was started does not work: {}", reasons.join("; ")));
    Err(told.hint("see whether the disk of the state root is busy or failing, then try again").into())
}

fn started_event(gate: &Gate) -> SystemEvent {
    SystemEvent::new("system.daemon.started", "the daemon takes deliveries in")
        .detail("version", VERSION)
        .detail("pid", std::process::id())
        .detail("ingress", gate.addresses.ingress.as_str())
        .detail("console", gate.addresses.console.as_str())
}

/// At every start: the key is of use only where somebody else has put it.
fn tell_public_key(gate: &Gate) {
    match gate.actors.reader.checkpoint() {
        Ok(Some(newest)) => {
            let (public_key, events) = (newest.root_key, newest.checkpoint.size);
            tracing::info!(%public_key, events, "the journal is signed; keep its public key on another machine");
        }
        Ok(None) => tracing::warn!("the journal has no checkpoint"),
        Err(error) => tracing::warn!(%error, "the journal's checkpoint cannot be read"),
    }
}

/// Journals an event of the daemon's own; one that cannot be journaled is logged.
pub async fn journal_lifecycle(actors: &Actors, event: SystemEvent) {
    if let Err(error) = actors.journal.append_system(event).await {
        tracing::error!(%error, "an event of the daemon's own was not journaled");
    }
}

/// Journals the start, and then, now and then, the deliveries nobody could authenticate: one row each integration and
/// reason.
async fn keep_journaling(gate: Arc<Gate>) {
    journal_lifecycle(&gate.actors, started_event(&gate)).await;
    let mut ticks = interval(SUMMARY_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        journal_refusals(&gate).await;
    }
}

async fn journal_refusals(gate: &Gate) {
    for event in gate.counters.sum_up() {
        journal_lifecycle(&gate.actors, event).await;
    }
}

fn listen(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("the {what} cannot listen on {address}"))?;
    // The standard library lets only 128 wait, which a burst of senders exceeds: those are then heard a second late.
    rustix::net::listen(&listener, BACKLOG_CONNECTIONS)?;
    Ok(listener)
}

fn base_url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// Reads the registry again whenever it is asked for, until it is time to stop.
async fn until_told_to_stop(signals: &mut Signals, gate: &Gate) {
    while signals.next().await == Asked::Reload {
        tokio::select! {
            // Whatever came of it is logged and journaled.
            _ = reloading::reload(gate, "palyra") => {}
            () = signals.stop() => return,
        }
    }
}
