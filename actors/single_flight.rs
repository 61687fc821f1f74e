//! Single-flight: callers that ask for the same key while it is being computed share one computation.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use tokio::sync::OnceCell;

/// One computation under way and the cell its result goes into. One of the callers computes; the others wait.
pub type SingleFlight<V> = Arc<OnceCell<V>>;

/// The computations under way, by key. An entry lives only as long as somebody waits for it, so the callers bound their
/// number.
#[derive(Debug)]
pub struct SingleFlights<K, V>(HashMap<K, Weak<OnceCell<V>>>);

impl<K, V> Default for SingleFlights<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash + Clone, V> SingleFlights<K, V> {
    /// Joins the computation of `key` that is under way, or starts one; says whether it is new. A finished one is never
    /// joined.
    pub fn join(&mut self, key: &K) -> (SingleFlight<V>, bool) {
        self.0.retain(|_, flight| flight.strong_count() > 0);
        let open = self.0.get(key).and_then(Weak::upgrade).filter(|flight| !flight.initialized());
        if let Some(open) = open {
            return (open, false);
        }
        let flight = SingleFlight::default();
        self.0.insert(key.clone(), Arc::downgrade(&flight));
        (flight, true)
    }

    /// Removes `flight` once it is finished. False if another caller removed it already, or [`Self::forget`] did.
    pub fn land(&mut self, key: &K, flight: &SingleFlight<V>) -> bool {
        let is_it = self.0.get(key).is_some_and(|open| open.as_ptr() == Arc::as_ptr(flight));
        is_it && self.0.remove(key).is_some()
    }

    /// Later callers will not join the computation of `key` that is under way, but start another.
    pub fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// Like [`SingleFlights::forget`], for every key.
    pub fn forget_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_what_is_under_way_joins_it_and_what_has_ended_is_joined_by_nobody() {
        let mut under_way = SingleFlights::<&str, u32>::default();
        let (first, is_new) = under_way.join(&"a");
        let (joined, joins) = under_way.join(&"a");
        assert!(is_new && !joins && Arc::ptr_eq(&first, &joined));
        assert!(under_way.join(&"b").1);
        first.set(1).unwrap();
        assert!(under_way.join(&"a").1);
    }

    #[test]
    fn a_flight_that_all_have_left_is_let_go_of() {
        let mut under_way = SingleFlights::<u32, u32>::default();
        for key in 0..100 {
            assert!(under_way.join(&key).1);
        }
        assert_eq!(under_way.0.len(), 1);
    }

    #[test]
    fn a_flight_lands_once_and_not_when_it_was_forgotten_or_another_has_begun() {
        let mut under_way = SingleFlights::<&str, u32>::default();
        let (flight, _) = under_way.join(&"a");
        assert!(under_way.land(&"a", &flight));
        assert!(!under_way.land(&"a", &flight));
        let (forgotten, _) = under_way.join(&"a");
        under_way.forget(&"a");
        let (other, is_new) = under_way.join(&"a");
        assert!(is_new && !under_way.land(&"a", &forgotten) && under_way.land(&"a", &other));
        let (last, _) = under_way.join(&"a");
        under_way.forget_all();
        assert!(!under_way.land(&"a", &last));
    }
}
