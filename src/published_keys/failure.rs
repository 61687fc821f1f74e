//! The last fetch of a provider's key set, if it failed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use palyra_actors::clock::UnixMs;
use palyra_actors::provider::Published;

use super::{FetchFailed, Keys};

/// A fetch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedFetch {
    /// When the keys were asked for.
    pub at: UnixMs,
    /// From where, and why there are none.
    pub why: String,
}

/// The latest failed fetch of one provider, until the same keys are fetched. Only key sets count, whose address is that of the
/// profile: anybody may send a delivery that names the address of a certificate that does not exist.
#[derive(Default)]
pub struct LastFailure(Mutex<Option<(Published, FailedFetch)>>);

impl LastFailure {
    /// Records how a fetch of `published` ended. A fetch that was not made says nothing about the provider.
    pub fn record(&self, published: &Published, keys: &Keys, at: UnixMs) {
        let mut latest = self.lock();
        match keys {
            Err(FetchFailed::Provider(why)) if published.is_key_set() => {
                *latest = Some((published.clone(), FailedFetch { at, why: why.clone() }));
            }
            Ok(_) if latest.as_ref().is_some_and(|(of, _)| of == published) => *latest = None,
            _ => {}
        }
    }

    /// The latest fetch of `published`, if it failed.
    pub fn of(&self, published: &Published) -> Option<FailedFetch> {
        self.lock().as_ref().filter(|(of, _)| of == published).map(|(_, failed)| failed.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Published, FailedFetch)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
