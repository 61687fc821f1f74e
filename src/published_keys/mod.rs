//! Keys that providers publish, fetched from pinned addresses and cached; bounded in number, size, time and rate.

mod again;
mod cache;
mod failure;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use palyra_actors::clock::UnixMs;
use palyra_actors::provider::{Profile, Published, Roots};
use palyra_actors::secret::SecretVersions;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use cache::{FETCHES_PER_MINUTE_MAX, Found, KeyCache, ProviderCaches};

pub use cache::Wanted;
pub use failure::FailedFetch;

/// Largest document, in bytes.
const DOCUMENT_BYTES_MAX: u64 = 64 * 1024;
/// Time limit of a fetch, from the first packet to the last byte.
const FETCH_DEADLINE: Duration = Duration::from_secs(5);
/// Concurrent fetches over all providers. One more is not started: the delivery is answered 503.
const FETCHES_MAX: usize = 16;

/// The published keys of all providers.
pub struct PublishedKeys {
    trust: Arc<Trust>,
    /// By provider; there are as many as profiles. The deliveries of one provider, genuine or not, do not use up the limits
    /// of another.
    caches: Mutex<HashMap<String, Arc<ProviderCaches>>>,
    fetches: Arc<Semaphore>,
}

/// The certificate authorities: for TLS connections, and for signing certificates that are fetched.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Roots,
    tls: RootCerts,
}

/// Why keys could not be fetched.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchFailed {
    /// The provider was asked and did not give any: from where, and why.
    #[error("{0}")]
    Provider(String),
    /// The provider was not asked: a limit of palyra's own is reached, or the fetch was broken off.
    #[error("{0}")]
    NotAsked(String),
}

/// Keys, or the reason why there are none.
type Keys = Result<Arc<SecretVersions>, FetchFailed>;

impl Trust {
    /// The root certificates of the web PKI.
    pub fn web() -> Self {
        Self { roots: Roots::web(), tls: RootCerts::WebPki }
    }

    /// The authorities in a PEM file; `None` if it contains none.
    pub fn from_pem(text: &[u8]) -> Option<Self> {
        let roots = Roots::from_pem(text)?;
        let certificates = parse_pem(text).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<Certificate<'static>> = certificates.collect();
        Some(Self { roots, tls: RootCerts::Specific(Arc::new(certificates)) })
    }
}

impl PublishedKeys {
    /// An empty cache.
    pub fn new(trust: Trust) -> Self {
        let fetches = Arc::new(Semaphore::new(FETCHES_MAX));
        Self { trust: Arc::new(trust), caches: Mutex::default(), fetches }
    }

    /// The keys of `provider` at `published`, from the cache or fetched. Ageing keys are returned at once and renewed in the
    /// background. A fetch is completed, and its result cached, even if this future is dropped. `may_wait` is called when
    /// this delivery would have to wait for a fetch that others started, including one of the same keys, whose result is
    /// shared.
    ///
    /// # Errors
    /// Why there are none, for the log.
    pub async fn get(
        &self,
        provider: &str,
        published: Published,
        now: UnixMs,
        may_wait: impl FnMut() -> bool,
    ) -> Keys {
        let caches = self.caches(provider);
        match caches.find(&published, Instant::now()) {
            Some(Found::Fresh(keys)) => return keys,
            Some(Found::Ageing(keys)) => {
                self.renew(provider, caches, published, now);
                return Ok(keys);
            }
            None => {}
        }
        self.fetched(provider, caches, published, Wanted::Fresh, now, may_wait).await
    }

    /// As [`PublishedKeys::get`], but instead of keys that are ageing, or not the ones `wanted`, it returns the result of
    /// their renewal. If their address was asked again lately, that is not repeated: it returns keys within their life all the
    /// same, or why it could not be asked.
    ///
    /// # Errors
    /// Why none could be fetched, for the log; ageing keys may still be used.
    pub async fn newest(
        &self,
        provider: &str,
        published: Published,
        wanted: Wanted,
        now: UnixMs,
        may_wait: impl FnMut() -> bool,
    ) -> Keys {
        let caches = self.caches(provider);
        match caches.find_wanted(&published, &wanted, Instant::now()) {
            Some(keys) => keys,
            None => self.fetched(provider, caches, published, wanted, now, may_wait).await,
        }
    }

    /// Whether `keys` are the cached and usable keys at `published`.
    pub fn uses(&self, provider: &str, published: &Published, keys: &Arc<SecretVersions>) -> bool {
        self.caches(provider).uses(published, keys, Instant::now())
    }

    /// The latest failure of those key sets of `profile` that could not be fetched the last time. Keys fetched before may still
    /// be in use.
    pub fn failed(&self, profile: &Profile) -> Option<FailedFetch> {
        let caches = self.caches(profile.name());
        let failed = profile.key_sets().filter_map(|published| caches.last_failures.of(&published));
        failed.max_by_key(|failed| failed.at)
    }

    /// The result of the fetch in progress, or of a new one.
    async fn fetched(
        &self,
        provider: &str,
        caches: Arc<ProviderCaches>,
        published: Published,
        wanted: Wanted,
        now: UnixMs,
        mut may_wait: impl FnMut() -> bool,
    ) -> Keys {
        let (flight, is_new) = caches.cache(&published).flight(&published);
        if !is_new && !may_wait() {
            return Err(too_many_wait(provider));
        }
        flight
            .get_or_init(|| self.fetch_in_turn(provider, caches, published, wanted, now, may_wait))
            .await
            .clone()
    }

    /// Renews ageing keys in the background, unless another fetch is running.
    fn renew(&self, provider: &str, caches: Arc<ProviderCaches>, published: Published, now: UnixMs) {
        let cache = caches.cache(&published);
        let Some(turn) = cache.turn_at_once() else { return };
        // They may have been renewed since they were found to be ageing.
        if !matches!(caches.find(&published, Instant::now()), Some(Found::Ageing(_))) {
            return;
        }
        if let Ok(room) = self.room(provider, &cache) {
            drop(self.begin_fetch(caches, published, now, (turn, room)));
        }
    }

    /// Fetches when it is this fetch's turn; `may_wait` is called if it has to wait for it.
    async fn fetch_in_turn(
        &self,
        provider: &str,
        caches: Arc<ProviderCaches>,
        published: Published,
        wanted: Wanted,
        now: UnixMs,
        may_wait: impl FnOnce() -> bool,
    ) -> Keys {
        let cache = caches.cache(&published);
        let turn = cache.turn(may_wait).await.ok_or_else(|| too_many_wait(provider))?;
        // Another delivery may have fetched them during the wait.
        if let Some(kept) = caches.find_wanted(&published, &wanted, Instant::now()) {
            return kept;
        }
        let room = self.room(provider, &cache)?;
        let fetched = self.begin_fetch(caches, published, now, (turn, room));
        fetched.await.map_err(|error| FetchFailed::NotAsked(error.to_string())).flatten()
    }

    /// Fetches on a thread of its own, whether or not anyone awaits the result. The turn and the permit are held until the
    /// result is cached.
    fn begin_fetch(
        &self,
        caches: Arc<ProviderCaches>,
        published: Published,
        now: UnixMs,
        held: (OwnedMutexGuard<()>, OwnedSemaphorePermit),
    ) -> JoinHandle<Keys> {
        let trust = Arc::clone(&self.trust);
        let at_hand = caches.find(&published, Instant::now());
        let is_asked_again = matches!(at_hand, Some(Found::Fresh(Ok(_)) | Found::Ageing(_)));
        spawn_blocking(move || {
            let _held = held;
            let keys = fetch(&trust, &published, now);
            caches.last_failures.record(&published, &keys, now);
            caches.cache(&published).add(published.clone(), keys.clone(), Instant::now());
            if is_asked_again {
                caches.asked_again.record(published, &keys, Instant::now());
            }
            keys
        })
    }

    /// Records that `keys` have verified a delivery of `provider`: from here on only other proven keys can evict them.
    pub fn have_verified(&self, provider: &str, keys: &Arc<SecretVersions>) {
        self.caches(provider).prove(keys);
    }

    fn caches(&self, provider: &str) -> Arc<ProviderCaches> {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        match caches.get(provider) {
            Some(own) => Arc::clone(own),
            None => Arc::clone(caches.entry(provider.to_owned()).or_default()),
        }
    }

    fn room(&self, provider: &str, cache: &KeyCache) -> Result<OwnedSemaphorePermit, FetchFailed> {
        if cache.fetches_too_often() {
            let why = format!(
                "the limit of {FETCHES_PER_MINUTE_MAX} key fetches a minute for `{provider}` is reached"
            );
            return Err(FetchFailed::NotAsked(why));
        }
        let room = Arc::clone(&self.fetches).try_acquire_owned();
        room.map_err(|_| {
            FetchFailed::NotAsked(format!("the limit of {FETCHES_MAX} key fetches at a time is reached"))
        })
    }
}

fn too_many_wait(provider: &str) -> FetchFailed {
    FetchFailed::NotAsked(format!("too many deliveries are waiting for keys of `{provider}`"))
}

/// No redirect is followed: only this address is pinned, not the one it redirects to.
fn fetch(trust: &Trust, published: &Published, now: UnixMs) -> Keys {
    let failed =
        |error: &dyn std::fmt::Display| FetchFailed::Provider(format!("{}: {error}", published.url()));
    let tls = TlsConfig::builder().root_certs(trust.tls.clone()).build();
    let config = ureq::Agent::config_builder()
        .https_only(true)
        .max_redirects(0)
        .timeout_global(Some(FETCH_DEADLINE))
        .tls_config(tls)
        .build();
    let mut answer =
        ureq::Agent::new_with_config(config).get(published.url()).call().map_err(|error| failed(&error))?;
    if answer.status() != 200 {
        return Err(failed(&format!("answered {}", answer.status())));
    }
    let text = answer.body_mut().with_config().limit(DOCUMENT_BYTES_MAX).read_to_vec();
    let keys = published.read(&text.map_err(|error| failed(&error))?, &trust.roots, now);
    keys.map(Arc::new).map_err(|error| {
        let url = published.url();
        FetchFailed::Provider(format!("the key server at {url} answered without a usable key: {error}"))
    })
}
