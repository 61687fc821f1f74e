//! Resolves a reference to the versions of its secret: cached, read once for concurrent callers, journaled before the
//! answer.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::cache::SecretCache;
use super::messages::{Listed, SecretStatus, VaultSnapshot};
use super::{Store, VaultError, VaultRef};
use crate::causes::in_full;
use crate::clock::SharedClock;
use crate::journal::SystemEvent;
use crate::limits::SECRET_PROBE_SECONDS;
use crate::provider::Profile;
use crate::secret::SecretVersions;
use crate::single_flight::{SingleFlight, SingleFlights};

/// Journals reads of secrets.
pub trait Audit: Send + Sync + 'static {
    /// Journals `event`, which is durable when this returns `Ok`. The error text is for people.
    fn record(&self, event: SystemEvent) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
}

type Answer = Result<Arc<SecretVersions>, VaultError>;

/// A read that answers probes; `None` until it has ended.
type ProbeRead = watch::Receiver<Option<Answer>>;

/// The logic of the vault resolver. It outlives the actor: a running read or change continues when the actor is
/// restarted.
pub struct Resolver {
    store: Arc<Store>,
    clock: SharedClock,
    audit: Arc<dyn Audit>,
    cache: SecretCache,
    /// Lock order: this before the cache.
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Reads in progress.
    under_way: SingleFlights<VaultRef, Answer>,
    probe_reads: HashMap<VaultRef, ProbeRead>,
    reads_total: u64,
    failures_total: u64,
}

impl Memory {
    /// Removes a probe's read that has ended, unless the secret was changed and another read has started since.
    fn probe_read_ended(&mut self, vault_ref: &VaultRef, ended: &ProbeRead) {
        if self.probe_reads.get(vault_ref).is_some_and(|reading| reading.same_channel(ended)) {
            self.probe_reads.remove(vault_ref);
        }
    }
}

enum Known {
    Cached(Arc<SecretVersions>),
    UnderWay(SingleFlight<Answer>),
}

impl Resolver {
    /// A resolver of the secrets in `store`. Resolved secrets are kept in `cache`.
    pub fn new(store: Store, clock: SharedClock, audit: Arc<dyn Audit>, cache: SecretCache) -> Self {
        Self { store: Arc::new(store), clock, audit, cache, memory: Mutex::default() }
    }

    /// The versions of a secret.
    pub(super) async fn resolve(self: Arc<Self>, vault_ref: VaultRef) -> Answer {
        let flight = match self.look_up(&vault_ref) {
            Known::Cached(versions) => return Ok(versions),
            Known::UnderWay(flight) => flight,
        };
        let answer = flight.get_or_init(|| self.read_and_journal(&vault_ref)).await.clone();
        self.land(vault_ref, &flight, &answer);
        answer
    }

    /// Whether a secret can be resolved within the timeout, and used by `profile` now. What was read for that is wiped at
    /// once.
    pub(super) async fn probe(
        self: Arc<Self>,
        vault_ref: VaultRef,
        profile: Option<Arc<Profile>>,
    ) -> SecretStatus {
        match self.read_within_probe_deadline(&vault_ref).await {
            Ok(versions) => profile.map_or(SecretStatus::Found, |profile| {
                SecretStatus::of_versions(&profile, &versions, self.clock.now_unix_ms())
            }),
            Err(VaultError::NotFound(_)) => SecretStatus::NotFound,
            Err(error) => SecretStatus::Unavailable(in_full(&error)),
        }
    }

    async fn read_within_probe_deadline(self: &Arc<Self>, vault_ref: &VaultRef) -> Answer {
        let mut reading = self.probe_read(vault_ref);
        let ended = reading.wait_for(Option::is_some);
        let why = match timeout(Duration::from_secs(SECRET_PROBE_SECONDS), ended).await {
            Ok(answer) => match answer.ok().and_then(|answer| answer.clone()) {
                Some(answer) => return answer,
                None => "reading it was interrupted".to_owned(),
            },
            Err(_) => {
                format!(
                    "it could not be read within {SECRET_PROBE_SECONDS} s; check the disk or share it is on"
                )
            }
        };
        Err(VaultError::unavailable(vault_ref, why))
    }

    /// Joins the read of a secret that is in progress for probes, or starts one.
    fn probe_read(self: &Arc<Self>, vault_ref: &VaultRef) -> ProbeRead {
        let mut memory = self.memory();
        let begun = memory.probe_reads.get(vault_ref).filter(|reading| reading.has_changed().is_ok());
        if let Some(begun) = begun {
            return begun.clone();
        }
        let (answer, reading) = watch::channel(None);
        memory.probe_reads.insert(vault_ref.clone(), reading.clone());
        let (resolver, vault_ref, own) = (Arc::clone(self), vault_ref.clone(), reading.clone());
        spawn_blocking(move || {
            fail::fail_point!("vault::probe");
            let read = resolver.store.read(&vault_ref).map(Arc::new);
            resolver.memory().probe_read_ended(&vault_ref, &own);
            answer.send_replace(Some(read));
        });
        reading
    }

    /// Runs a change of the secret `vault_ref` on a thread for blocking work. It is completed even if nobody waits for
    /// it. Later reads of the secret get the new value.
    pub(super) async fn change<T: Send + 'static>(
        self: Arc<Self>,
        vault_ref: VaultRef,
        change: impl FnOnce(&Store, &VaultRef) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let unknown = VaultError::Unknown(vault_ref.clone());
        let changing = tokio::spawn(async move {
            let (store, changed_ref) = (Arc::clone(&self.store), vault_ref.clone());
            let changed = spawn_blocking(move || change(&store, &changed_ref)).await;
            // Even a failed change may have reached the disk, unless the secret is outside the vault.
            if !matches!(changed, Ok(Err(VaultError::Outside(_)))) {
                self.forget(&vault_ref);
            }
            changed
        });
        changing.await.flatten().unwrap_or(Err(unknown))
    }

    /// All secrets of the vault, without values.
    pub(super) async fn list(self: Arc<Self>) -> Result<Vec<Listed>, VaultError> {
        self.blocking(Store::list).await
    }

    /// Wipes a secret from memory. A read in progress is still answered, but its result is not cached.
    fn forget(&self, vault_ref: &VaultRef) {
        let mut memory = self.memory();
        memory.under_way.forget(vault_ref);
        memory.probe_reads.remove(vault_ref);
        self.cache.lock().remove(vault_ref);
    }

    /// Wipes all secrets from memory.
    pub(super) fn forget_all(&self) {
        let mut memory = self.memory();
        memory.under_way.forget_all();
        self.cache.lock().clear();
    }

    pub(super) fn snapshot(&self) -> VaultSnapshot {
        let memory = self.memory();
        let cache = self.cache.lock();
        VaultSnapshot {
            cached: cache.len(),
            cache_hits_total: cache.hits_total(),
            reads_total: memory.reads_total,
            failures_total: memory.failures_total,
        }
    }

    fn look_up(&self, vault_ref: &VaultRef) -> Known {
        let now = self.clock.now_unix_ms();
        let mut memory = self.memory();
        if let Some(versions) = self.cache.get(vault_ref, now) {
            return Known::Cached(versions);
        }
        Known::UnderWay(memory.under_way.join(vault_ref).0)
    }

    async fn read_and_journal(&self, vault_ref: &VaultRef) -> Answer {
        let answer = self.read_then_journal(vault_ref).await;
        let mut memory = self.memory();
        memory.reads_total += 1;
        memory.failures_total += u64::from(answer.is_err());
        answer
    }

    async fn read_then_journal(&self, vault_ref: &VaultRef) -> Answer {
        let versions = self.read(vault_ref).await?;
        let journaled = self.audit.record(read_event(vault_ref, &versions)).await;
        journaled.map_err(|reason| {
            VaultError::unavailable(vault_ref, format!("reading it could not be journaled: {reason}"))
        })?;
        Ok(Arc::new(versions))
    }

    async fn read(&self, vault_ref: &VaultRef) -> Result<SecretVersions, VaultError> {
        let read_ref = vault_ref.clone();
        self.blocking(move |store| store.read(&read_ref)).await
    }

    /// Runs `work` with the store on a thread for blocking work.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let store = Arc::clone(&self.store);
        let done = spawn_blocking(move || work(&store)).await;
        done.unwrap_or_else(|_| Err(broken_off()))
    }

    /// Completes a read: the first caller to get here caches the answer, unless the secret was changed meanwhile.
    fn land(&self, vault_ref: VaultRef, flight: &SingleFlight<Answer>, answer: &Answer) {
        let now = self.clock.now_unix_ms();
        let mut memory = self.memory();
        let has_landed = memory.under_way.land(&vault_ref, flight);
        if let Some(versions) = answer.as_ref().ok().filter(|_| has_landed) {
            self.cache.lock().insert(vault_ref, Arc::clone(versions), now);
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error after a panic. The message of the panic is not passed on, because it could contain anything.
fn broken_off() -> VaultError {
    io::Error::other("the work on the vault's files was interrupted").into()
}

fn read_event(vault_ref: &VaultRef, versions: &SecretVersions) -> SystemEvent {
    let version = versions.current().map_or(0, |current| current.version);
    SystemEvent::new("vault.secret.read", "a secret was read from storage")
        .detail("vault_ref", vault_ref.as_str())
        .detail("version", version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::secret::Secret;

    struct Silent;

    impl Audit for Silent {
        fn record(&self, _: SystemEvent) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
            Box::pin(async { Ok(()) })
        }
    }

    #[test]
    fn a_sounding_that_ended_lets_go_of_itself_alone() {
        let (vault_ref, mut memory) = (VaultRef::parse("global/a").unwrap(), Memory::default());
        let [(_one, first), (_two, second)] = [watch::channel(None), watch::channel(None)];
        memory.probe_reads.insert(vault_ref.clone(), second.clone());
        memory.probe_read_ended(&vault_ref, &first);
        assert_eq!(memory.probe_reads.len(), 1, "the one that took its place");
        memory.probe_read_ended(&vault_ref, &second);
        assert_eq!(memory.probe_reads.len(), 0);
    }

    #[tokio::test]
    async fn a_change_that_the_vault_cannot_make_leaves_the_sounding_that_is_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, pins) = (folder.path().join("vault"), folder.path().join("anchor/vault"));
        let clock = ManualClock::at(1_000);
        let store = Store::open(crate::vault::VaultConfig { dir, pins }, clock.clone()).unwrap();
        let opened = Resolver::new(store, clock, Arc::new(Silent), SecretCache::default());
        let (resolver, vault_ref) = (Arc::new(opened), VaultRef::parse("file:/share/hung").unwrap());
        let (_answer, reading) = watch::channel(None);
        resolver.memory().probe_reads.insert(vault_ref.clone(), reading);
        let put = |store: &Store, vault_ref: &VaultRef| store.put(vault_ref, Secret::new(b"v".to_vec()));
        let refused = Arc::clone(&resolver).change(vault_ref, put).await.unwrap_err();
        assert!(matches!(refused, VaultError::Outside(_)), "{refused}");
        assert_eq!(resolver.memory().probe_reads.len(), 1);
    }
}
