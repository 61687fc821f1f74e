//! Bodies that have to be waited for: so many, and so many bytes of them, at a time.
//!
//! Where there is no room for another, the one that is waited for longest gives way. A sender that means to send its body is
//! seldom that; who holds places for their own sake is, however many of them there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::problem::{Kind, Problem};

/// The places of unfinished bodies.
#[derive(Debug)]
pub struct Unfinished {
    bodies_max: usize,
    units_max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    entered_total: u64,
    /// In the order in which they came.
    bodies: BTreeMap<u64, Waiter>,
    units: usize,
}

#[derive(Debug)]
struct Waiter {
    units: usize,
    /// Dropped with it, which tells whoever waits that it has given way.
    _keep: oneshot::Sender<()>,
}

impl Unfinished {
    /// Places for so many bodies that hold so many units of bytes.
    pub fn new(bodies_max: usize, units_max: usize) -> Self {
        Self { bodies_max, units_max, waiting: Mutex::default() }
    }

    /// A place for one more, which holds no units yet.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] where there is no place at all.
    pub fn enter(self: &Arc<Self>) -> Result<Place, Problem> {
        let mut waiting = self.lock();
        let number = waiting.entered_total;
        waiting.entered_total += 1;
        waiting.make_room(number, |waiting| waiting.bodies.len() < self.bodies_max)?;
        let (keep, kept) = oneshot::channel();
        waiting.bodies.insert(number, Waiter { units: 0, _keep: keep });
        Ok(Place { of: Arc::clone(self), number, kept })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Has those that are waited for longest give way, but for number `but`, until there is enough.
    fn make_room(&mut self, but: u64, is_enough: impl Fn(&Self) -> bool) -> Result<(), Problem> {
        while !is_enough(self) {
            let longest = self.bodies.keys().copied().find(|number| *number != but);
            self.remove(longest.ok_or_else(|| Problem::new(Kind::Overloaded))?);
        }
        Ok(())
    }

    fn remove(&mut self, number: u64) {
        if let Some(body) = self.bodies.remove(&number) {
            self.units -= body.units;
        }
    }
}

/// The place of one body, until it is dropped.
#[derive(Debug)]
pub struct Place {
    of: Arc<Unfinished>,
    number: u64,
    kept: oneshot::Receiver<()>,
}

impl Place {
    /// Holds so many units in all, if those who came before leave them or give way.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] when there are not so many, or it has given way itself.
    pub fn hold(&self, units: usize) -> Result<(), Problem> {
        let waiting = &mut *self.of.lock();
        let held = waiting.bodies.get(&self.number).map(|body| body.units);
        let more = units.saturating_sub(held.ok_or_else(|| Problem::new(Kind::Overloaded))?);
        waiting.make_room(self.number, |waiting| waiting.units + more <= self.of.units_max)?;
        if let Some(body) = waiting.bodies.get_mut(&self.number) {
            body.units += more;
            waiting.units += more;
        }
        Ok(())
    }

    /// Ends when it has given way.
    pub async fn given_way(&mut self) {
        // Nothing is ever sent; the sender is dropped.
        drop((&mut self.kept).await);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn has_given_way(place: &mut Place) -> bool {
        place.given_way().now_or_never().is_some()
    }

    #[test]
    fn the_body_that_is_waited_for_longest_gives_its_place_to_the_next() {
        let unfinished = Arc::new(Unfinished::new(2, 10));
        let mut places: Vec<_> = (0..4).map(|_| unfinished.enter().unwrap()).collect();
        assert_eq!(places.iter_mut().map(has_given_way).collect::<Vec<_>>(), [true, true, false, false]);
        places.remove(2);
        let _next = unfinished.enter().unwrap();
        assert!(!has_given_way(&mut places[2]));
    }

    #[test]
    fn and_its_bytes() {
        let unfinished = Arc::new(Unfinished::new(3, 10));
        let mut places: Vec<_> = (0..3).map(|_| unfinished.enter().unwrap()).collect();
        places[0].hold(4).unwrap();
        places[1].hold(6).unwrap();
        places[2].hold(4).unwrap();
        assert_eq!(places.iter_mut().map(has_given_way).collect::<Vec<_>>(), [true, false, false]);
        places[0].hold(5).unwrap_err();
        places[1].hold(6).unwrap();
        places[1].hold(11).unwrap_err();
        drop(places);
        unfinished.enter().unwrap().hold(10).unwrap();
    }

    #[test]
    fn where_there_are_no_places_nobody_has_one() {
        assert!(Arc::new(Unfinished::new(0, 10)).enter().is_err());
    }
}
