//! A bounded number of one provider's keys, and the line of deliveries that wait for more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palyra_actors::provider::Published;
use palyra_actors::secret::SecretVersions;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::Instant;

use super::Keys;
use crate::http::throttle::Rates;

/// Addresses whose keys are kept; the one that ends first leaves for another.
const KEPT_MAX: usize = 32;
/// Deliveries that wait for their turn; one more does not wait.
const WAITING_MAX: usize = 32;
/// Documents fetched in a minute; over it deliveries that need another are answered 503.
pub const FETCHES_PER_MINUTE_MAX: u32 = 30;
/// How long a failure is kept, so that a provider that is away is not asked by every delivery.
const FAILURE_LIFE: Duration = Duration::from_secs(10);

/// The keys of one provider, those that have verified a delivery apart: whoever names addresses at will puts none of
/// these out, and keeps nobody from fetching them again.
#[derive(Default)]
pub struct Shelves {
    new: Arc<Shelf>,
    proven: Arc<Shelf>,
}

/// Some keys, and the line of those who wait for more.
pub struct Shelf {
    kept: Mutex<HashMap<Published, Kept>>,
    /// One document is fetched at a time, so that many deliveries ask for it once.
    turn: Arc<tokio::sync::Mutex<()>>,
    places: Semaphore,
    fetches: Rates<()>,
}

#[derive(Clone)]
struct Kept {
    until: Instant,
    keys: Keys,
}

impl Shelves {
    /// What is kept of `published`, as long as it lives.
    pub fn get(&self, published: &Published) -> Option<Keys> {
        // In this order: what is proven meanwhile is on both for a moment.
        self.new.get(published).or_else(|| self.proven.get(published))
    }

    /// Where the keys at `published` are, or are to be.
    pub fn shelf(&self, published: &Published) -> Arc<Shelf> {
        let is_proven = self.proven.lock().contains_key(published);
        Arc::clone(if is_proven { &self.proven } else { &self.new })
    }

    /// `keys` have verified a delivery.
    pub fn prove(&self, keys: &Arc<SecretVersions>) {
        if let Some((published, kept)) = self.new.find(keys) {
            self.proven.insert(published.clone(), kept);
            self.new.lock().remove(&published);
        }
    }
}

impl Default for Shelf {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            turn: Arc::default(),
            places: Semaphore::new(WAITING_MAX),
            fetches: Rates::per(Duration::from_secs(60)),
        }
    }
}

impl Shelf {
    fn get(&self, published: &Published) -> Option<Keys> {
        let kept = self.lock();
        kept.get(published).filter(|kept| Instant::now() < kept.until).map(|kept| kept.keys.clone())
    }

    /// The turn to fetch a document, at once or after a wait; `None` when it would have to wait and there is no place, or
    /// it may not.
    pub async fn turn(&self, may_wait: impl FnOnce() -> bool) -> Option<OwnedMutexGuard<()>> {
        let turn = Arc::clone(&self.turn);
        if let Ok(turn) = Arc::clone(&turn).try_lock_owned() {
            return Some(turn);
        }
        let _place = self.places.try_acquire().ok().filter(|_| may_wait())?;
        Some(turn.lock_owned().await)
    }

    /// Counts a fetch, and says whether there are too many.
    pub fn fetches_too_often(&self) -> bool {
        self.fetches.exceeds((), FETCHES_PER_MINUTE_MAX, Instant::now())
    }

    /// Keeps what was fetched.
    pub fn add(&self, published: Published, keys: Keys) {
        let life = match keys {
            Ok(_) => Duration::from_secs(published.life_seconds()),
            Err(_) => FAILURE_LIFE,
        };
        self.insert(published, Kept { until: Instant::now() + life, keys });
    }

    fn insert(&self, published: Published, new: Kept) {
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX && !kept.contains_key(&published) {
            let first =
                kept.iter().min_by_key(|(_, kept)| kept.until).map(|(published, _)| published.clone());
            first.map(|first| kept.remove(&first));
        }
        kept.insert(published, new);
    }

    fn find(&self, keys: &Arc<SecretVersions>) -> Option<(Published, Kept)> {
        let is_it = |kept: &Kept| kept.keys.as_ref().is_ok_and(|own| Arc::ptr_eq(own, keys));
        let shelf = self.lock();
        let (published, kept) = shelf.iter().find(|(_, kept)| is_it(kept))?;
        Some((published.clone(), kept.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Published, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let (shelves, keys, catalogue) = (Shelves::default(), keys(), Catalogue::built_in().unwrap());
        let profile = catalogue.get("aws-sns").unwrap();
        let genuine = address(profile, "genuine");
        shelves.shelf(&genuine).add(genuine.clone(), Ok(Arc::clone(&keys)));
        shelves.prove(&keys);
        for number in 0..4 * KEPT_MAX {
            let other = address(profile, &number.to_string());
            shelves.shelf(&other).add(other, Ok(self::keys()));
        }
        assert!(shelves.get(&genuine).is_some());
        assert_eq!((shelves.new.lock().len(), shelves.proven.lock().len()), (KEPT_MAX, 1));
        shelves.shelf(&genuine).add(genuine.clone(), Err(FetchFailed("away".to_owned())));
        assert!(Arc::ptr_eq(&shelves.shelf(&genuine), &shelves.proven), "whatever is fetched of it next");
    }

    #[tokio::test]
    async fn whoever_may_not_wait_or_finds_no_place_is_told_at_once() {
        let shelf = Arc::new(Shelf::default());
        let turn = shelf.turn(|| panic!("nobody is before it")).await.unwrap();
        assert!(shelf.turn(|| false).await.is_none());
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| shelf.turn(|| true)).collect();
        let mut waiting: Vec<_> = waiting.into_iter().map(Box::pin).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(shelf.turn(|| true).await.is_none());
        drop(turn);
        assert!(waiting.remove(0).await.is_some());
    }
}
