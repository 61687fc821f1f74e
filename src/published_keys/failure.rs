//! The key sets of a provider whose last fetch failed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use palyra_actors::clock::UnixMs;
use palyra_actors::provider::Published;

use super::{FetchFailed, Keys};

/// Key sets of which a failure is kept, as many as a profile can have; the oldest gives way to another. A profile that was
/// replaced leaves some behind.
const KEPT_MAX: usize = 8;

/// A fetch that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedFetch {
    /// When the keys were asked for.
    pub at: UnixMs,
    /// From where, and why there are none.
    pub why: String,
}

/// The latest failed fetch of each key set of one provider, until the same keys are fetched. Only key sets count, whose
/// address is that of the profile: anybody may send a delivery that names the address of a certificate that does not exist.
#[derive(Default)]
pub struct LastFailures(Mutex<HashMap<Published, FailedFetch>>);

impl LastFailures {
    /// Records how a fetch of `published` ended. A fetch that was not made says nothing about the provider.
    pub fn record(&self, published: &Published, keys: &Keys, at: UnixMs) {
        let mut failed = self.lock();
        match keys {
            Err(FetchFailed::Provider(why)) if published.is_key_set() => {
                failed.insert(published.clone(), FailedFetch { at, why: why.clone() });
                if failed.len() > KEPT_MAX {
                    let oldest = failed.iter().min_by_key(|(_, failed)| failed.at).map(|(of, _)| of.clone());
                    oldest.map(|oldest| failed.remove(&oldest));
                }
            }
            Ok(_) => drop(failed.remove(published)),
            Err(_) => {}
        }
    }

    /// The latest fetch of `published`, if it failed.
    pub fn of(&self, published: &Published) -> Option<FailedFetch> {
        self.lock().get(published).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Published, FailedFetch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use palyra_actors::provider::read_profile;
    use palyra_actors::secret::{Secret, SecretVersion, SecretVersions};

    use super::*;

    #[test]
    fn of_several_key_sets_that_fail_the_success_of_one_hides_no_other_and_only_so_many_are_kept() {
        let failures = LastFailures::default();
        let own = include_str!("../../schemas/providers/google-pubsub.toml");
        let set = |number: u64| {
            let text = own.replace("oauth2/v3/certs", &number.to_string());
            read_profile("own.toml", &text).unwrap().key_sets().next().unwrap()
        };
        let told = |number| failures.of(&set(number)).map(|failed| failed.at);
        let version = SecretVersion { version: 1, secret: Secret::new(b"key".to_vec()) };
        let keys = Arc::new(SecretVersions::new(vec![version]).unwrap());
        for number in 1..=9 {
            let away = Err(FetchFailed::Provider("away".to_owned()));
            failures.record(&set(number), &away, number);
        }
        assert_eq!([1, 2, 9].map(told), [None, Some(2), Some(9)]);
        failures.record(&set(9), &Ok(keys), 10);
        assert_eq!([2, 8, 9].map(told), [Some(2), Some(8), None]);
    }
}
