//! When key servers were asked again while there were keys at hand, and with what success.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palyra_actors::provider::Published;
use tokio::time::Instant;

use super::cache::failure_life;
use super::{FetchFailed, Keys};

/// How long keys within their life are not asked for again once they were fetched, so that strangers who name or use keys that
/// nobody publishes cause one fetch a minute.
const PAUSE: Duration = Duration::from_secs(60);

/// The addresses that were asked again. Each is kept for [`PAUSE`], or as long as a failure, and fetches are limited per
/// minute.
#[derive(Default)]
pub struct AskedAgain(Mutex<HashMap<Published, Asked>>);

struct Asked {
    outcome: Result<(), FetchFailed>,
    /// From then on, the address may be asked again.
    until: Instant,
}

impl AskedAgain {
    /// How it ended when `published` was last asked again; `None` if it may be asked once more.
    pub fn lately(&self, published: &Published, now: Instant) -> Option<Result<(), FetchFailed>> {
        let asked = self.lock();
        asked.get(published).filter(|asked| now < asked.until).map(|asked| asked.outcome.clone())
    }

    /// Records that `published` has been asked again, with this result.
    pub fn record(&self, published: Published, keys: &Keys, now: Instant) {
        let outcome = keys.as_ref().map(drop).map_err(Clone::clone);
        let until = now + if outcome.is_ok() { PAUSE } else { failure_life() };
        let mut asked = self.lock();
        asked.retain(|_, asked| now < asked.until);
        asked.insert(published, Asked { outcome, until });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Published, Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
