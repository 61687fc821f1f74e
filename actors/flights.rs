//! Work that is done once for all who ask for it at the same time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use tokio::sync::OnceCell;

/// Work that is under way. All who ask for the same meanwhile wait for what comes of it; one of them does it.
pub type Flight<V> = Arc<OnceCell<V>>;

/// What is under way, by what is asked for. It is bounded by those who wait: what all have left is let go of.
#[derive(Debug)]
pub struct Flights<K, V>(HashMap<K, Weak<OnceCell<V>>>);

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash + Clone, V> Flights<K, V> {
    /// The flight of `key` that is under way, or a new one, and whether it is new. One that has ended is joined by nobody.
    pub fn join(&mut self, key: &K) -> (Flight<V>, bool) {
        self.0.retain(|_, flight| flight.strong_count() > 0);
        let open = self.0.get(key).and_then(Weak::upgrade).filter(|flight| !flight.initialized());
        if let Some(open) = open {
            return (open, false);
        }
        let flight = Flight::default();
        self.0.insert(key.clone(), Arc::downgrade(&flight));
        (flight, true)
    }

    /// Closes `flight`. False where another has done so, or it was forgotten meanwhile.
    pub fn land(&mut self, key: &K, flight: &Flight<V>) -> bool {
        let is_it = self.0.get(key).is_some_and(|open| open.as_ptr() == Arc::as_ptr(flight));
        is_it && self.0.remove(key).is_some()
    }

    /// Who asks from now on does not join the flight of `key` that is under way.
    pub fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// As [`Flights::forget`], of each.
    pub fn forget_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_what_is_under_way_joins_it_and_what_has_ended_is_joined_by_nobody() {
        let mut flights = Flights::<&str, u32>::default();
        let (first, is_new) = flights.join(&"a");
        let (joined, joins) = flights.join(&"a");
        assert!(is_new && !joins && Arc::ptr_eq(&first, &joined));
        assert!(flights.join(&"b").1);
        first.set(1).unwrap();
        assert!(flights.join(&"a").1);
    }

    #[test]
    fn a_flight_that_all_have_left_is_let_go_of() {
        let mut flights = Flights::<u32, u32>::default();
        for key in 0..100 {
            assert!(flights.join(&key).1);
        }
        assert_eq!(flights.0.len(), 1);
    }

    #[test]
    fn a_flight_lands_once_and_not_when_it_was_forgotten_or_another_has_begun() {
        let mut flights = Flights::<&str, u32>::default();
        let (flight, _) = flights.join(&"a");
        assert!(flights.land(&"a", &flight));
        assert!(!flights.land(&"a", &flight));
        let (forgotten, _) = flights.join(&"a");
        flights.forget(&"a");
        let (other, is_new) = flights.join(&"a");
        assert!(is_new && !flights.land(&"a", &forgotten) && flights.land(&"a", &other));
        let (last, _) = flights.join(&"a");
        flights.forget_all();
        assert!(!flights.land(&"a", &last));
    }
}
