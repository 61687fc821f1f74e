//! When key servers were asked again while there were keys at hand.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palyra_actors::provider::Published;
use tokio::time::Instant;

/// How long keys within their life are not asked for again, so that strangers who name or use keys that nobody publishes
/// cause one fetch a minute.
const PAUSE: Duration = Duration::from_secs(60);

/// The addresses that were asked again, and when that ended. Each is kept for [`PAUSE`], and fetches are limited per minute.
#[derive(Default)]
pub struct AskedAgain(Mutex<HashMap<Published, Instant>>);

impl AskedAgain {
    /// Whether `published` may be asked again although the keys at hand are within their life.
    pub fn allows(&self, published: &Published, now: Instant) -> bool {
        self.lock().get(published).is_none_or(|ended| now.duration_since(*ended) >= PAUSE)
    }

    /// Records that `published` has been asked again.
    pub fn record(&self, published: Published, now: Instant) {
        let mut asked = self.lock();
        asked.retain(|_, ended| now.duration_since(*ended) < PAUSE);
        asked.insert(published, now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Published, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
