//! Keys that providers publish, fetched from pinned addresses and kept: bounded in number, size, time and rate.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web;
use palyra_actors::clock::UnixMs;
use palyra_actors::provider::{Published, Roots};
use palyra_actors::secret::SecretVersions;
use tokio::time::Instant;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::throttle::Rates;

/// Addresses whose keys are kept; the one that ends first leaves for another.
const KEPT_MAX: usize = 64;
/// Largest document that is read.
const DOCUMENT_BYTES_MAX: u64 = 64 * 1024;
/// From the first packet to the last byte.
const FETCH_DEADLINE: Duration = Duration::from_secs(5);
/// Documents fetched in a minute for one provider; over it its deliveries that need another are answered 503.
const FETCHES_PER_MINUTE_MAX: u32 = 30;
/// How long a failure is kept, so that a provider that is away is not asked by every delivery.
const FAILURE_LIFE: Duration = Duration::from_secs(10);

/// The keys of providers.
pub struct PublishedKeys {
    trust: Arc<Trust>,
    kept: Arc<KeptKeys>,
    /// One document is fetched at a time, so that many deliveries ask for it once.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// By provider: what a delivery of one asks for, genuine or not, costs another nothing.
    fetches: Rates<String>,
}

#[derive(Default)]
struct KeptKeys(Mutex<HashMap<Published, Kept>>);

/// Authorities, for the connection and for the certificates that come over it.
#[derive(Debug, Clone)]
pub struct Trust {
    roots: Roots,
    tls: RootCerts,
}

/// Keys that could not be had: from where, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct FetchFailed(String);

/// Keys, or why there are none.
type Keys = Result<Arc<SecretVersions>, FetchFailed>;

#[derive(Clone)]
struct Kept {
    until: Instant,
    keys: Keys,
}

impl Trust {
    /// The authorities of the web.
    pub fn web() -> Self {
        Self { roots: Roots::web(), tls: RootCerts::WebPki }
    }

    /// The authorities in a PEM file; `None` when there is none in it.
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
    /// None kept yet.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust: Arc::new(trust),
            kept: Arc::default(),
            turn: Arc::default(),
            fetches: Rates::per(Duration::from_secs(60)),
        }
    }

    /// The keys of `provider` at `published`: kept ones, or fetched now. A fetch goes on to its end, and what came of it is
    /// kept, even if this future is dropped.
    ///
    /// # Errors
    /// Why there are none, for the log.
    pub async fn get(&self, provider: &str, published: Published, now: UnixMs) -> Keys {
        if let Some(kept) = self.kept.get(&published) {
            return kept;
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Another delivery may have fetched them while this one waited.
        if let Some(kept) = self.kept.get(&published) {
            return kept;
        }
        if self.fetches.exceeds(provider.to_owned(), FETCHES_PER_MINUTE_MAX, Instant::now()) {
            let why = format!(
                "more than {FETCHES_PER_MINUTE_MAX} documents of keys would be fetched in a minute for `{provider}`"
            );
            return Err(FetchFailed(why));
        }
        let (trust, kept) = (Arc::clone(&self.trust), Arc::clone(&self.kept));
        let fetched = web::block(move || {
            let _turn = turn;
            let keys = fetch(&trust, &published, now);
            kept.add(published, keys.clone());
            keys
        });
        fetched.await.map_err(|error| FetchFailed(error.to_string())).flatten()
    }
}

impl KeptKeys {
    fn get(&self, published: &Published) -> Option<Keys> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(published).filter(|kept| Instant::now() < kept.until).map(|kept| kept.keys.clone())
    }

    fn add(&self, published: Published, keys: Keys) {
        let life = match keys {
            Ok(_) => Duration::from_secs(published.life_seconds()),
            Err(_) => FAILURE_LIFE,
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX && !kept.contains_key(&published) {
            let first =
                kept.iter().min_by_key(|(_, kept)| kept.until).map(|(published, _)| published.clone());
            first.map(|first| kept.remove(&first));
        }
        kept.insert(published, Kept { until: Instant::now() + life, keys });
    }
}

/// No redirect is followed: the address is pinned, not what it points to.
fn fetch(trust: &Trust, published: &Published, now: UnixMs) -> Keys {
    let failed = |error: &dyn std::fmt::Display| FetchFailed(format!("{}: {error}", published.url()));
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
    keys.map(Arc::new).map_err(|error| failed(&error))
}
