//! Starts the five actors in order, restarts them when they fail, and hands out their doors.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use actix_rt::ArbiterHandle;
use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use palyra_actors::causes::in_full;
use palyra_actors::clock::SharedClock;
use palyra_actors::connectors::{ConnectorSupervisor, Roster};
use palyra_actors::event_names;
use palyra_actors::journal::{
    JournalConfig, JournalFiles, JournalHandle, JournalReader, OpenJournal, Severity, SystemEvent,
};
use palyra_actors::registry::{InForce, Registry, RegistryActor, RegistryConfig, SharedRegistry};
use palyra_actors::replay_guard::{ReplayGuardActor, Seen};
use palyra_actors::supervision::{PresenceBoard, Supervisor, WatchGuard};
use palyra_actors::vault::{Audit, Resolver, SecretCache, Store, VaultActor, VaultConfig, VaultError};
use tokio::sync::watch;

use super::registry_file;
use super::stopper::Stopper;
use crate::random::random_u128;
use crate::service::actors::Actors;
use crate::state_root::StateRoot;
use crate::threads;

/// What is needed to start the actors.
pub struct Plan {
    /// The state root, in which their files are.
    pub root: StateRoot,
    /// The files of the journal.
    pub journal: JournalFiles,
    /// Whether to accept a journal that is behind its anchor, and secrets that are older copies.
    pub accept_rollback: bool,
    pub clock: SharedClock,
    /// Cap on every integration's `max_payload_bytes`.
    pub payload_bytes_cap: u64,
    /// Whether `webhooks.toml` is needed: a lost one is refused then, and a new state root gets one.
    pub needs_registry_file: bool,
    /// The connectors that run from the start.
    pub roster: Roster,
}

/// Starts the five actors; the journal first, because all others write to it. Also returns their supervisor, which runs
/// until the process cannot continue. Those that were started before an error still run: `stopper` closes them.
///
/// # Errors
/// The error of the first actor that does not start, unwrapped.
pub async fn start(plan: &Plan, stopper: &Stopper) -> anyhow::Result<(Actors, Supervisor)> {
    let Stopper { doors, threads } = stopper;
    let board = PresenceBoard::default();
    let mut supervisor =
        Supervisor::new(Arc::clone(&plan.clock), board.clone(), restart_listener(doors.journal.clone()));
    let (head_sender, head) = watch::channel(0);
    start_journal(plan, &doors.journal, head_sender, &mut supervisor, threads.journal.handle()).await?;
    let actors = Actors {
        registry: doors.registry.clone(),
        vault: doors.vault.clone(),
        integrations: InForce::default(),
        keys: SecretCache::default(),
        seen: Seen::default(),
        replay_guard: doors.replay_guard.clone(),
        connectors: doors.connectors.clone(),
        journal_files: plan.journal.clone(),
        reader: JournalReader::open(&plan.journal.database)?,
        journal: doors.journal.clone(),
        head,
        board,
    };
    start_vault(plan, &actors, &mut supervisor, threads.control.handle()).await?;
    start_registry(plan, &actors, &mut supervisor, threads.control.handle()).await?;
    start_replay_guard(plan, &actors, &mut supervisor, threads.journal.handle()).await?;
    start_connectors(plan, &actors, &mut supervisor, threads.control.handle()).await?;
    Ok((actors, supervisor))
}

/// Opens the journal on a thread of its own: that may take seconds, and this thread must handle signals.
async fn start_journal(
    plan: &Plan,
    journal: &JournalHandle,
    head: watch::Sender<u64>,
    supervisor: &mut Supervisor,
    arbiter: ArbiterHandle,
) -> anyhow::Result<()> {
    let mut config = JournalConfig {
        files: plan.journal.clone(),
        accept_rollback: plan.accept_rollback,
        clock: Arc::clone(&plan.clock),
        random: random_u128,
        head,
    };
    let door = journal.door.clone();
    let open = move |watch: WatchGuard| {
        let (config_of_this, door, arbiter) = (config.clone(), door.clone(), arbiter.clone());
        // A rollback is accepted once, not again at every restart of the actor.
        config.accept_rollback = false;
        async move {
            let opened = threads::on_its_own(move || OpenJournal::open(config_of_this)).await??;
            let actor = opened.into_actor(watch);
            door.open(actix::Actor::start_in_arbiter(&arbiter, move |_| actor));
            Ok(())
        }
    };
    supervise(supervisor, "journal", open).await
}

async fn start_vault(
    plan: &Plan,
    actors: &Actors,
    supervisor: &mut Supervisor,
    arbiter: ArbiterHandle,
) -> anyhow::Result<()> {
    let store = open_vault(plan, &actors.journal).await?;
    let audit = Arc::new(JournalAudit(actors.journal.clone()));
    let resolver = Arc::new(Resolver::new(store, Arc::clone(&plan.clock), audit, actors.keys.clone()));
    let door = actors.vault.clone();
    let open = move |watch: WatchGuard| {
        let actor = VaultActor::new(Arc::clone(&resolver), watch);
        door.open(actix::Actor::start_in_arbiter(&arbiter, move |_| actor));
        ready(Ok(()))
    };
    supervise(supervisor, "vault", open).await
}

/// Opens the vault. If older copies of secrets are accepted, that is journaled first: what cannot be recorded must not
/// happen, and the daemon does not start then.
async fn open_vault(plan: &Plan, journal: &JournalHandle) -> anyhow::Result<Store> {
    let config =
        VaultConfig { dir: plan.root.vault_dir(), pins: plan.journal.anchor.with_file_name("vault") };
    let looked = Store::look(config, Arc::clone(&plan.clock))?;
    let behind = looked.behind();
    if !plan.accept_rollback || behind.is_empty() {
        return Ok(looked.open()?);
    }
    let journaled = journal.append_system(older_secrets_accepted(&behind)).await;
    journaled.context("older copies of secrets were not accepted, because that could not be journaled")?;
    let accepted = looked.accept();
    if let Err(error) = &accepted {
        journal.append_or_log(older_secrets_refused(error)).await;
    }
    Ok(accepted?)
}

async fn start_registry(
    plan: &Plan,
    actors: &Actors,
    supervisor: &mut Supervisor,
    arbiter: ArbiterHandle,
) -> anyhow::Result<()> {
    let config = RegistryConfig {
        file: plan.root.registry_file(),
        profiles_dir: plan.root.profiles_dir(),
        payload_bytes_cap: plan.payload_bytes_cap,
        published: actors.integrations.clone(),
    };
    if plan.needs_registry_file {
        registry_file::make_sure(&plan.root, &actors.reader)?;
    }
    let (door, clock) = (actors.registry.clone(), Arc::clone(&plan.clock));
    let registry = Arc::new(SharedRegistry::new(Registry::open(config, clock.now_unix_ms())?));
    let open = move |watch: WatchGuard| {
        let actor = RegistryActor::new(Arc::clone(&registry), Arc::clone(&clock), watch);
        door.open(actix::Actor::start_in_arbiter(&arbiter, move |_| actor));
        ready(Ok(()))
    };
    supervise(supervisor, "registry", open).await
}

async fn start_replay_guard(
    plan: &Plan,
    actors: &Actors,
    supervisor: &mut Supervisor,
    arbiter: ArbiterHandle,
) -> anyhow::Result<()> {
    let (door, journal) = (actors.replay_guard.door.clone(), actors.journal.clone());
    let (seen, clock) = (actors.seen.clone(), Arc::clone(&plan.clock));
    let open = move |watch: WatchGuard| {
        let (journal, clock) = (journal.clone(), Arc::clone(&clock));
        door.open(ReplayGuardActor::start(&arbiter, journal, seen.clone(), clock, watch));
        ready(Ok(()))
    };
    supervise(supervisor, "replay_guard", open).await
}

async fn start_connectors(
    plan: &Plan,
    actors: &Actors,
    supervisor: &mut Supervisor,
    arbiter: ArbiterHandle,
) -> anyhow::Result<()> {
    let (door, journal) = (actors.connectors.clone(), actors.journal.clone());
    let (roster, clock) = (plan.roster.clone(), Arc::clone(&plan.clock));
    let open = move |watch: WatchGuard| {
        let (roster, journal, clock, to_itself) =
            (roster.clone(), journal.clone(), Arc::clone(&clock), door.clone());
        let addr = actix::Actor::start_in_arbiter(&arbiter, move |_| {
            ConnectorSupervisor::new(roster, journal, clock, to_itself, watch)
        });
        door.open(addr);
        ready(Ok(()))
    };
    supervise(supervisor, "connectors", open).await
}

/// Starts an actor under supervision. The first error is returned unwrapped; later ones are only logged.
async fn supervise<F: Future<Output = anyhow::Result<()>> + 'static>(
    supervisor: &mut Supervisor,
    name: &str,
    mut open: impl FnMut(WatchGuard) -> F + 'static,
) -> anyhow::Result<()> {
    let first_error = Rc::new(RefCell::new(None));
    let kept = Rc::clone(&first_error);
    let factory = Box::new(move |watch| {
        let (opening, kept) = (open(watch), Rc::clone(&kept));
        let opened = opening.map(move |opened| {
            opened.map_err(|error| {
                let text = in_full(error.as_ref());
                kept.borrow_mut().get_or_insert(error);
                text
            })
        });
        opened.boxed_local()
    });
    let started = supervisor.start(name, factory).await;
    started.map_err(|text| first_error.borrow_mut().take().unwrap_or_else(|| anyhow::Error::msg(text)))
}

fn restart_listener(journal: JournalHandle) -> palyra_actors::supervision::RestartListener {
    Box::new(move |name, how| {
        let event =
            SystemEvent::new("supervision.actor.restarted", format!("actor `{name}` {how}, restarted"))
                .severity(Severity::Warn)
                .detail("actor", name)
                .detail("how_it_ended", how);
        journal_aside(&journal, event);
    })
}

/// Name of the event that is journaled before older copies of secrets are accepted.
const OLDER_SECRETS_ACCEPTED: &str = "vault.rollback.accepted";

fn older_secrets_accepted(accepted: &[String]) -> SystemEvent {
    SystemEvent::new(OLDER_SECRETS_ACCEPTED, "secrets whose files are older copies were accepted as they are")
        .severity(Severity::Warn)
        .names("accepted", accepted)
}

fn older_secrets_refused(error: &VaultError) -> SystemEvent {
    let name = event_names::ended(OLDER_SECRETS_ACCEPTED, event_names::REFUSED);
    SystemEvent::new(name, "older copies of secrets were not accepted after all")
        .severity(Severity::Warn)
        .detail("why", in_full(error))
}

/// Appends an event in the background; nobody waits for the result.
fn journal_aside(journal: &JournalHandle, event: SystemEvent) {
    let journal = journal.clone();
    actix_rt::spawn(async move { journal.append_or_log(event).await });
}

/// Journals every read of a secret.
struct JournalAudit(JournalHandle);

impl Audit for JournalAudit {
    fn record(&self, event: SystemEvent) -> BoxFuture<'static, Result<(), String>> {
        let journal = self.0.clone();
        Box::pin(async move { journal.append_system(event).await.map(drop).map_err(|error| in_full(&error)) })
    }
}
