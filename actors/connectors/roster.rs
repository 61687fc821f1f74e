//! The registered connectors and their history. It outlives the incarnations of the supervisor.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::ConnectorError;
use super::messages::{ConnectorFactory, ConnectorPresence, ConnectorState, ConnectorsSnapshot};
use crate::clock::UnixMs;
use crate::ids::is_canonical_id;
use crate::journal::{JournalError, SystemEvent};
use crate::limits::{CONNECTORS_MAX, EMITS_IN_FLIGHT_MAX, EVENT_NAME_BYTES_MAX};
use crate::supervision::BackOff;

/// The registered connectors, shared by all incarnations of the supervisor of one daemon.
#[derive(Clone, Default)]
pub struct Roster(Arc<Mutex<BTreeMap<String, Entry>>>);

struct Entry {
    factory: Arc<Mutex<ConnectorFactory>>,
    emits: Arc<Semaphore>,
    back_off: BackOff,
    was_started: bool,
    /// Its sender is dropped when the newest incarnation has ended.
    life_of_newest: Option<watch::Receiver<()>>,
    presence: ConnectorPresence,
}

/// What a connector is started with.
pub struct Starting {
    pub factory: Arc<Mutex<ConnectorFactory>>,
    /// The permits for its events, which all its incarnations share.
    pub emits: Arc<Semaphore>,
    /// Kept by the incarnation until it ends.
    pub life: watch::Sender<()>,
}

impl Roster {
    /// Registers a connector without starting it.
    ///
    /// # Errors
    /// When the name is not valid or is taken, or there are too many connectors.
    pub fn add(&self, name: &str, factory: ConnectorFactory) -> Result<(), ConnectorError> {
        if !is_canonical_id(name) {
            return Err(ConnectorError::InvalidName(name.escape_debug().take(64).collect()));
        }
        let mut entries = self.entries();
        if entries.contains_key(name) {
            return Err(ConnectorError::Exists(name.to_owned()));
        }
        if entries.len() >= CONNECTORS_MAX {
            return Err(ConnectorError::TooMany { max: CONNECTORS_MAX });
        }
        entries.insert(name.to_owned(), Entry::new(name, factory));
        Ok(())
    }

    /// Names of the connectors a supervisor starts: all that were not closed on purpose.
    pub fn to_be_started(&self) -> Vec<String> {
        let entries = self.entries();
        let due = entries.iter().filter(|(_, entry)| !entry.was_closed());
        due.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a connector of that name is registered.
    pub fn has(&self, name: &str) -> bool {
        self.entries().contains_key(name)
    }

    /// Records that a connector starts at `unix_ms`, which is `now`.
    pub fn starting(&self, name: &str, unix_ms: UnixMs, now: Instant) -> Option<Starting> {
        let mut entries = self.entries();
        let entry = entries.get_mut(name)?;
        if entry.was_started {
            entry.presence.restarts += 1;
        }
        entry.was_started = true;
        entry.back_off.started(now);
        entry.presence.state = ConnectorState::Running;
        entry.presence.started_at_unix_ms = unix_ms;
        let (life, seen) = watch::channel(());
        entry.life_of_newest = Some(seen);
        Some(Starting { factory: Arc::clone(&entry.factory), emits: Arc::clone(&entry.emits), life })
    }

    /// Resolves when the incarnation has ended that was started last; `None` if none was.
    pub fn end_of_newest(&self, name: &str) -> Option<impl Future<Output = ()> + use<>> {
        let mut life = self.entries().get(name)?.life_of_newest.clone()?;
        // Nothing is sent. It fails when the sender is dropped.
        Some(async move { life.changed().await.unwrap_or_default() })
    }

    /// Records that a connector ended unintentionally. Returns how long to wait before it is restarted.
    pub fn ended(&self, name: &str, how: String, now: Instant) -> Option<Duration> {
        let mut entries = self.entries();
        let entry = entries.get_mut(name)?;
        entry.presence.state = ConnectorState::BackingOff;
        entry.presence.last_exit = Some(how);
        Some(entry.back_off.ended(now))
    }

    /// Records that a connector was closed on purpose.
    pub fn closed(&self, name: &str) {
        if let Some(entry) = self.entries().get_mut(name) {
            entry.presence.state = ConnectorState::Stopped;
        }
    }

    /// Resets a connector's failures, so that its next restart is quick.
    pub fn forgive(&self, name: &str) {
        if let Some(entry) = self.entries().get_mut(name) {
            entry.back_off = BackOff::default();
        }
    }

    /// Counts a committed event.
    pub fn emitted(&self, name: &str, now: UnixMs) {
        if let Some(entry) = self.entries().get_mut(name) {
            entry.presence.emitted_total += 1;
            entry.presence.last_emitted_at_unix_ms = Some(now);
        }
    }

    /// The state of every connector, sorted by name.
    pub fn presence(&self) -> Vec<ConnectorPresence> {
        self.entries().values().map(|entry| entry.presence.clone()).collect()
    }

    /// The totals over all connectors.
    pub fn snapshot(&self) -> ConnectorsSnapshot {
        let presence = self.presence();
        ConnectorsSnapshot {
            connectors: presence.len(),
            running: presence.iter().filter(|one| one.state == ConnectorState::Running).count(),
            emitted_total: presence.iter().map(|one| one.emitted_total).sum(),
            restarts_total: presence.iter().map(|one| one.restarts).sum(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn was_closed(&self) -> bool {
        self.was_started && self.presence.state == ConnectorState::Stopped
    }

    fn new(name: &str, factory: ConnectorFactory) -> Self {
        let presence = ConnectorPresence {
            name: name.to_owned(),
            state: ConnectorState::Stopped,
            started_at_unix_ms: 0,
            restarts: 0,
            last_exit: None,
            emitted_total: 0,
            last_emitted_at_unix_ms: None,
        };
        let factory = Arc::new(Mutex::new(factory));
        let emits = Arc::new(Semaphore::new(EMITS_IN_FLIGHT_MAX));
        Self {
            factory,
            emits,
            back_off: BackOff::default(),
            was_started: false,
            life_of_newest: None,
            presence,
        }
    }
}

/// The event as it is stored, with the connector's name as principal and source.
///
/// # Errors
/// [`JournalError::Invalid`] when its name is empty or longer than [`EVENT_NAME_BYTES_MAX`].
pub fn attributed_to(connector: &str, mut event: SystemEvent) -> Result<SystemEvent, JournalError> {
    if !(1..=EVENT_NAME_BYTES_MAX).contains(&event.name.len()) {
        return Err(JournalError::invalid("name", "must have 1 to 64 bytes"));
    }
    event.name = format!("connector.{}", event.name);
    event.principal = format!("connector:{connector}");
    event.source = connector.to_owned();
    Ok(event)
}
