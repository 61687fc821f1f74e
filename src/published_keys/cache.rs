//! A bounded cache of one provider's keys, and the queue of deliveries that wait for a fetch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palyra_actors::provider::Published;
use palyra_actors::secret::SecretVersions;
use palyra_actors::single_flight::{SingleFlight, SingleFlights};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::Instant;

use super::Keys;
use super::again::AskedAgain;
use super::failure::LastFailures;
use crate::rates::Rates;

/// Addresses whose keys are cached; the entry that expires first is evicted for another.
const KEPT_MAX: usize = 32;
/// Deliveries that wait for their turn to fetch; one more does not wait.
const WAITING_MAX: usize = 32;
/// Documents of one cache of a provider that are fetched in a minute; above it, deliveries that need another fetch are
/// answered 503.
pub const FETCHES_PER_MINUTE_MAX: u32 = 30;
/// How long a failure is cached, so that an unreachable provider is not asked for every delivery.
const FAILURE_LIFE: Duration = Duration::from_secs(10);
/// How long keys that have verified a delivery remain usable after their life, in seconds, until they are renewed.
const GRACE_SECONDS: u64 = 10 * 60;

/// The caches of one provider. Keys that have verified a delivery are kept apart: an attacker who names arbitrary addresses
/// can neither evict them nor prevent their renewal.
pub struct ProviderCaches {
    new: Arc<KeyCache>,
    proven: Arc<KeyCache>,
    pub asked_again: AskedAgain,
    pub last_failures: LastFailures,
}

/// A cache of keys, with the queue for its fetches.
pub struct KeyCache {
    kept: Mutex<HashMap<Published, Kept>>,
    /// Fetches in progress that deliveries wait for, single-flight by address.
    under_way: Mutex<SingleFlights<Published, Keys>>,
    /// Held during a fetch: one document at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
    places: Semaphore,
    fetches: Rates<()>,
    /// How long its keys remain usable after their life.
    grace: Duration,
}

#[derive(Clone)]
struct Kept {
    keys: Keys,
    /// End of their life: from then on they should be renewed.
    renewed_from: Instant,
    /// From then on they are not used.
    until: Instant,
}

/// The keys that a delivery needs.
#[derive(Clone)]
pub enum Wanted {
    /// Those within their life.
    Fresh,
    /// Others than these, even if these are within their life. Their address is asked again once in a while.
    NewerThan(Arc<SecretVersions>),
}

/// The cached result for a document.
pub enum Found {
    /// Its keys, or the reason why there are none.
    Fresh(Keys),
    /// Keys that are due for renewal, and usable until then.
    Ageing(Arc<SecretVersions>),
}

impl ProviderCaches {
    /// The cached result for `published`, as long as it may be used.
    pub fn find(&self, published: &Published, now: Instant) -> Option<Found> {
        // In this order, because keys that have just been proven are in both for a moment.
        self.new.find(published, now).or_else(|| self.proven.find(published, now))
    }

    /// The cached result for `published` that makes a fetch unnecessary for `wanted`.
    pub fn find_wanted(&self, published: &Published, wanted: &Wanted, now: Instant) -> Option<Keys> {
        let Some(Found::Fresh(keys)) = self.find(published, now) else { return None };
        let is_outdated = |old| keys.as_ref().is_ok_and(|keys| Arc::ptr_eq(keys, old));
        match wanted {
            Wanted::NewerThan(old) if is_outdated(old) => {
                let asked = self.asked_again.lately(published, now)?;
                Some(asked.and(keys))
            }
            _ => Some(keys),
        }
    }

    /// Whether `keys` are the cached and usable keys of `published`.
    pub fn uses(&self, published: &Published, keys: &Arc<SecretVersions>, now: Instant) -> bool {
        matches!(
            self.find(published, now),
            Some(Found::Fresh(Ok(used)) | Found::Ageing(used)) if Arc::ptr_eq(&used, keys)
        )
    }

    /// The cache that the keys at `published` belong to.
    pub fn cache(&self, published: &Published) -> Arc<KeyCache> {
        let is_proven = self.proven.lock().contains_key(published);
        Arc::clone(if is_proven { &self.proven } else { &self.new })
    }

    /// Moves `keys` to the proven ones, because they have verified a delivery.
    pub fn prove(&self, keys: &Arc<SecretVersions>) {
        if let Some((published, kept)) = self.new.find_kept(keys) {
            self.proven.insert(published.clone(), kept.keys, kept.renewed_from);
            self.new.lock().remove(&published);
        }
    }
}

impl Default for ProviderCaches {
    fn default() -> Self {
        let proven = KeyCache { grace: Duration::from_secs(GRACE_SECONDS), ..KeyCache::default() };
        Self {
            new: Arc::default(),
            proven: Arc::new(proven),
            asked_again: AskedAgain::default(),
            last_failures: LastFailures::default(),
        }
    }
}

impl Default for KeyCache {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            under_way: Mutex::default(),
            turn: Arc::default(),
            places: Semaphore::new(WAITING_MAX),
            fetches: Rates::per(Duration::from_secs(60)),
            grace: Duration::ZERO,
        }
    }
}

impl KeyCache {
    fn find(&self, published: &Published, now: Instant) -> Option<Found> {
        let cache = self.lock();
        let kept = cache.get(published).filter(|kept| now < kept.until)?;
        Some(match &kept.keys {
            Ok(keys) if now >= kept.renewed_from => Found::Ageing(Arc::clone(keys)),
            keys => Found::Fresh(keys.clone()),
        })
    }

    /// Joins the fetch of `published` in progress or starts one; also returns whether it is new.
    pub fn flight(&self, published: &Published) -> (SingleFlight<Keys>, bool) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).join(published)
    }

    /// Acquires the turn to fetch a document, waiting if necessary; `None` when it would have to wait but the queue is full,
    /// or `may_wait` returns false.
    pub async fn turn(&self, may_wait: impl FnOnce() -> bool) -> Option<OwnedMutexGuard<()>> {
        if let Some(turn) = self.turn_at_once() {
            return Some(turn);
        }
        let _place = self.places.try_acquire().ok().filter(|_| may_wait())?;
        Some(Arc::clone(&self.turn).lock_owned().await)
    }

    /// Acquires the turn to fetch a document, if it is free.
    pub fn turn_at_once(&self) -> Option<OwnedMutexGuard<()>> {
        Arc::clone(&self.turn).try_lock_owned().ok()
    }

    /// Counts a fetch and returns whether there are too many.
    pub fn fetches_too_often(&self) -> bool {
        self.fetches.exceeds((), FETCHES_PER_MINUTE_MAX, Instant::now())
    }

    /// Caches the result of a fetch. When it failed, keys that are still usable stay, and are renewed later.
    pub fn add(&self, published: Published, keys: Keys, now: Instant) {
        match &keys {
            Ok(_) => {
                let renewed_from = now + life(&published);
                self.insert(published, keys, renewed_from);
            }
            Err(error) if self.put_off(&published, now) => {
                tracing::warn!(%error, "keys could not be refreshed; the cached ones are used meanwhile");
            }
            Err(_) => self.insert(published, keys, now + failure_life()),
        }
    }

    /// Postpones the renewal of keys that are still usable. Returns false if there are none.
    fn put_off(&self, published: &Published, now: Instant) -> bool {
        let mut cache = self.lock();
        let used = cache.get_mut(published).filter(|kept| kept.keys.is_ok() && now < kept.until);
        used.map(|kept| kept.renewed_from = kept.renewed_from.max(now + failure_life())).is_some()
    }

    fn insert(&self, published: Published, keys: Keys, renewed_from: Instant) {
        let grace = if keys.is_ok() { self.grace } else { Duration::ZERO };
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX && !kept.contains_key(&published) {
            let first =
                kept.iter().min_by_key(|(_, kept)| kept.until).map(|(published, _)| published.clone());
            first.map(|first| kept.remove(&first));
        }
        kept.insert(published, Kept { keys, renewed_from, until: renewed_from + grace });
    }

    fn find_kept(&self, keys: &Arc<SecretVersions>) -> Option<(Published, Kept)> {
        let is_it = |kept: &Kept| kept.keys.as_ref().is_ok_and(|own| Arc::ptr_eq(own, keys));
        let cache = self.lock();
        let (published, kept) = cache.iter().find(|(_, kept)| is_it(kept))?;
        Some((published.clone(), kept.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Published, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn life(published: &Published) -> Duration {
    fail::fail_point!("published::life_ends_soon", |ms| {
        Duration::from_millis(ms.and_then(|ms| ms.parse().ok()).unwrap_or(1_000))
    });
    Duration::from_secs(published.life_seconds())
}

/// How long a failure counts.
pub fn failure_life() -> Duration {
    fail::fail_point!("published::failure_ends_soon", |_| Duration::from_millis(1));
    FAILURE_LIFE
}

#[cfg(test)]
mod tests {
    use palyra_actors::provider::{Body, Catalogue, ContentKind, Parameters, Profile, Request};
    use palyra_actors::secret::{Secret, SecretVersion};

    use super::super::FetchFailed;
    use super::*;

    fn address(profile: &Profile, name: &str) -> Published {
        let url = format!("https://sns.eu-west-1.amazonaws.com/{name}.pem");
        let body = format!(r#"{{"Type":"Notification","SignatureVersion":"2","SigningCertURL":"{url}"}}"#);
        let (headers, parameters) = (Vec::new(), Parameters::new());
        let body = Body::new(body.into_bytes(), ContentKind::Json);
        let request =
            Request { method: "POST", url: "/", headers: &headers, body: &body, parameters: &parameters };
        profile.published(&request).unwrap().unwrap()
    }

    fn keys() -> Arc<SecretVersions> {
        let version = SecretVersion { version: 1, secret: Secret::new(b"key".to_vec()) };
        Arc::new(SecretVersions::new(vec![version]).unwrap())
    }

    #[test]
    fn keys_that_have_verified_are_put_out_by_no_others() {
        let (caches, keys, catalogue) = (ProviderCaches::default(), keys(), Catalogue::built_in().unwrap());
        let (profile, now) = (catalogue.get("aws-sns").unwrap(), Instant::now());
        let genuine = address(profile, "genuine");
        caches.cache(&genuine).add(genuine.clone(), Ok(Arc::clone(&keys)), now);
        caches.prove(&keys);
        for number in 0..4 * KEPT_MAX {
            let other = address(profile, &number.to_string());
            caches.cache(&other).add(other, Ok(self::keys()), now);
        }
        assert!(caches.find(&genuine, now).is_some());
        assert_eq!((caches.new.lock().len(), caches.proven.lock().len()), (KEPT_MAX, 1));
        caches.cache(&genuine).add(genuine.clone(), Err(FetchFailed::Provider("away".to_owned())), now);
        assert!(Arc::ptr_eq(&caches.cache(&genuine), &caches.proven), "whatever is fetched of it next");
    }

    /// The state of `published` in the caches: nothing, `fresh`, `ageing` or `failed`.
    fn found(caches: &ProviderCaches, published: &Published, now: Instant) -> &'static str {
        match caches.find(published, now) {
            None => "nothing",
            Some(Found::Fresh(Ok(_))) => "fresh",
            Some(Found::Fresh(Err(_))) => "failed",
            Some(Found::Ageing(_)) => "ageing",
        }
    }

    #[test]
    fn keys_that_have_verified_are_used_beyond_their_life_while_others_cannot_be_had_and_not_for_ever() {
        let (caches, keys, catalogue) = (ProviderCaches::default(), keys(), Catalogue::built_in().unwrap());
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let at = address(catalogue.get("aws-sns").unwrap(), "a");
        let add = |keys: Keys, now| caches.cache(&at).add(at.clone(), keys, now);
        let away = || Err(FetchFailed::Provider("away".to_owned()));
        let end = start + Duration::from_secs(at.life_seconds());
        let last = end + Duration::from_secs(GRACE_SECONDS);

        add(Ok(Arc::clone(&keys)), start);
        assert_eq!(found(&caches, &at, end - second), "fresh");
        assert_eq!(found(&caches, &at, end), "nothing", "they have verified nothing");
        caches.prove(&keys);
        assert_eq!(
            [end - second, end, last].map(|now| found(&caches, &at, now)),
            ["fresh", "ageing", "nothing"]
        );
        assert_eq!([end - second, end, last].map(|now| caches.uses(&at, &keys, now)), [true, true, false]);
        assert!(!caches.uses(&at, &self::keys(), end), "others");
        add(away(), end);
        assert_eq!(found(&caches, &at, end), "fresh", "the next try is put off");
        assert_eq!(found(&caches, &at, end + FAILURE_LIFE), "ageing");
        add(away(), last - second);
        assert_eq!(found(&caches, &at, last), "nothing", "a try that failed does not prolong them");
        add(away(), last);
        assert_eq!(found(&caches, &at, last), "failed");
        add(Ok(self::keys()), last + FAILURE_LIFE);
        assert_eq!(found(&caches, &at, last + FAILURE_LIFE), "fresh");
    }

    #[test]
    fn keys_within_their_life_are_asked_for_again_once_a_minute_or_soon_after_a_failure_which_does_not_shorten_it()
     {
        let (caches, old, catalogue) = (ProviderCaches::default(), keys(), Catalogue::built_in().unwrap());
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let at = address(catalogue.get("aws-sns").unwrap(), "a");
        let add = |keys: Keys, now| caches.cache(&at).add(at.clone(), keys, now);
        let newer = Wanted::NewerThan(Arc::clone(&old));
        let found = |wanted: &Wanted, now| caches.find_wanted(&at, wanted, now).map(|keys| keys.is_ok());
        add(Ok(Arc::clone(&old)), start);
        caches.prove(&old);
        assert_eq!([&Wanted::Fresh, &newer].map(|wanted| found(wanted, start)), [Some(true), None]);
        let away = Err(FetchFailed::Provider("away".to_owned()));
        add(away.clone(), start);
        caches.asked_again.record(at.clone(), &away, start);
        assert_eq!([start, start + 9 * second].map(|now| found(&newer, now)), [Some(false); 2]);
        assert_eq!(found(&Wanted::Fresh, start), Some(true), "to those that need no others");
        let again = start + FAILURE_LIFE;
        assert_eq!(found(&newer, again), None);
        assert_eq!(self::found(&caches, &at, again), "fresh");
        caches.asked_again.record(at.clone(), &Ok(Arc::clone(&old)), again);
        assert_eq!([again, again + 59 * second].map(|now| found(&newer, now)), [Some(true); 2]);
        assert_eq!(found(&newer, again + 60 * second), None);
        caches.asked_again.record(at.clone(), &away, again + 60 * second);
        add(Ok(keys()), again + 60 * second);
        assert_eq!(found(&newer, again + 60 * second), Some(true), "they are others");
    }

    #[test]
    fn the_last_failure_of_a_key_set_is_told_until_that_set_is_fetched() {
        let (caches, catalogue) = (ProviderCaches::default(), Catalogue::built_in().unwrap());
        let set = catalogue.get("google-pubsub").unwrap().key_sets().next().unwrap();
        let certificate = address(catalogue.get("aws-sns").unwrap(), "a");
        let away = |at: u64| Err(FetchFailed::Provider(format!("away at {at}")));
        let told = |of: &Published| caches.last_failures.of(of).map(|failed| (failed.at, failed.why));
        for (of, keys, at, expected) in [
            (&certificate, away(1), 1, None),
            (&set, Err(FetchFailed::NotAsked("busy".to_owned())), 2, None),
            (&set, away(3), 3, Some(3)),
            (&set, away(4), 4, Some(4)),
            (&set, Err(FetchFailed::NotAsked("busy".to_owned())), 5, Some(4)),
            (&certificate, Ok(keys()), 6, Some(4)),
            (&set, Ok(keys()), 7, None),
        ] {
            caches.last_failures.record(of, &keys, at);
            assert_eq!(told(&set), expected.map(|at| (at, format!("away at {at}"))), "{at}");
            assert_eq!(told(&certificate), None, "{at}: anybody can name one that does not exist");
        }
    }

    #[tokio::test]
    async fn whoever_may_not_wait_or_finds_no_place_is_told_at_once() {
        let cache = Arc::new(KeyCache::default());
        let turn = cache.turn(|| panic!("nobody is before it")).await.unwrap();
        assert!(cache.turn(|| false).await.is_none());
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| cache.turn(|| true)).collect();
        let mut waiting: Vec<_> = waiting.into_iter().map(Box::pin).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(cache.turn(|| true).await.is_none());
        drop(turn);
        assert!(waiting.remove(0).await.is_some());
    }
}
