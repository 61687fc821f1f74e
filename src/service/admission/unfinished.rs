//! Bounds the bodies that have not fully arrived: their number, and the bytes they hold.
//!
//! When there is no place for another one, a slow body is cancelled: the one that has not grown for the longest time or, if
//! all grow, the one that began last, so that long transfers can complete. Bodies sent slowly just to hold places are slow,
//! however many there are; a body that comes in a few packets is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Overloaded;

/// A body that is still incomplete after this time is slow.
const SLOW_AFTER: Duration = Duration::from_secs(1);
/// A slow body that has not grown by a unit for this time is stalled.
const STILL_AFTER: Duration = Duration::from_secs(1);

/// The places for unfinished bodies.
#[derive(Debug)]
pub struct Unfinished {
    bodies_max: usize,
    units_max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    entered_total: u64,
    /// By number, in order of arrival.
    bodies: BTreeMap<u64, Waiter>,
    units: usize,
}

#[derive(Debug)]
struct Waiter {
    units: usize,
    entered_at: Instant,
    grew_at: Instant,
    /// Dropped with this entry, which tells the reader of the body that it has been cancelled.
    _keep: oneshot::Sender<()>,
}

impl Unfinished {
    /// Places for `bodies_max` bodies that together hold at most `units_max` units of bytes.
    pub fn new(bodies_max: usize, units_max: usize) -> Self {
        Self { bodies_max, units_max, waiting: Mutex::default() }
    }

    /// Takes a place for one more body, which holds no units yet.
    ///
    /// # Errors
    /// [`Overloaded`] when there are no places at all.
    pub fn enter(self: &Arc<Self>, now: Instant) -> Result<Slot, Overloaded> {
        let mut waiting = self.lock();
        let number = waiting.entered_total;
        waiting.entered_total += 1;
        waiting.make_room(number, now, |waiting| waiting.bodies.len() < self.bodies_max)?;
        let (keep, kept) = oneshot::channel();
        waiting.bodies.insert(number, Waiter { units: 0, entered_at: now, grew_at: now, _keep: keep });
        Ok(Slot { of: Arc::clone(self), number, kept })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Cancels other bodies than number `but` until `is_enough` holds.
    fn make_room(
        &mut self,
        but: u64,
        now: Instant,
        is_enough: impl Fn(&Self) -> bool,
    ) -> Result<(), Overloaded> {
        while !is_enough(self) {
            let next = self.next_to_go(but, now);
            self.remove(next.ok_or(Overloaded)?);
        }
        Ok(())
    }

    /// The next body to cancel. If none is slow, it is the one that began first.
    fn next_to_go(&self, but: u64, now: Instant) -> Option<u64> {
        let others = || self.bodies.iter().filter(|(number, _)| **number != but);
        let slow = || others().filter(|(_, body)| now.duration_since(body.entered_at) >= SLOW_AFTER);
        let still = slow().filter(|(_, body)| now.duration_since(body.grew_at) >= STILL_AFTER);
        let next = still.min_by_key(|(_, body)| body.grew_at);
        next.or_else(|| slow().next_back()).or_else(|| others().next()).map(|(number, _)| *number)
    }

    fn remove(&mut self, number: u64) {
        if let Some(body) = self.bodies.remove(&number) {
            self.units -= body.units;
        }
    }
}

/// The place of one body, given back when dropped.
#[derive(Debug)]
pub struct Slot {
    of: Arc<Unfinished>,
    number: u64,
    kept: oneshot::Receiver<()>,
}

impl Slot {
    /// Raises the units held to `units` in all; cancels other bodies if needed.
    ///
    /// # Errors
    /// [`Overloaded`] when there are not enough units, or when this body has been cancelled.
    pub fn hold(&self, units: usize, now: Instant) -> Result<(), Overloaded> {
        let waiting = &mut *self.of.lock();
        let held = waiting.bodies.get(&self.number).map(|body| body.units);
        let more = units.saturating_sub(held.ok_or(Overloaded)?);
        waiting.make_room(self.number, now, |waiting| waiting.units + more <= self.of.units_max)?;
        if let Some(body) = waiting.bodies.get_mut(&self.number).filter(|_| more > 0) {
            body.units += more;
            body.grew_at = now;
            waiting.units += more;
        }
        Ok(())
    }

    /// Resolves when this body has been cancelled to make room.
    pub async fn given_way(&mut self) {
        // Nothing is ever sent; the channel closes when the sender is dropped.
        drop((&mut self.kept).await);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.of.lock().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn has_given_way(place: &mut Slot) -> bool {
        place.given_way().now_or_never().is_some()
    }

    fn given_way(places: &mut [Slot]) -> Vec<bool> {
        places.iter_mut().map(has_given_way).collect()
    }

    #[test]
    fn among_bodies_that_have_just_begun_the_first_gives_its_place_to_the_next() {
        let (unfinished, now) = (Arc::new(Unfinished::new(2, 10)), Instant::now());
        let mut places: Vec<_> = (0..4).map(|_| unfinished.enter(now).unwrap()).collect();
        assert_eq!(given_way(&mut places), [true, true, false, false]);
        places.remove(2);
        let _next = unfinished.enter(now).unwrap();
        assert!(!has_given_way(&mut places[2]));
    }

    #[test]
    fn a_body_that_stands_still_gives_way_before_those_that_grow_and_of_these_the_one_begun_last() {
        let (unfinished, start) = (Arc::new(Unfinished::new(4, 100)), Instant::now());
        let at = |tenths: u64| start + Duration::from_millis(100 * tenths);
        let mut places: Vec<_> = (0..4).map(|n| unfinished.enter(at(n)).unwrap()).collect();
        places[0].hold(1, at(15)).unwrap();
        places[1].hold(1, at(1)).unwrap();
        places[2].hold(1, at(15)).unwrap();
        places[3].hold(1, at(15)).unwrap();
        places.push(unfinished.enter(at(20)).unwrap());
        assert_eq!(given_way(&mut places), [false, true, false, false, false], "it stands still");
        places.remove(1);
        places.push(unfinished.enter(at(21)).unwrap());
        assert_eq!(given_way(&mut places), [false, false, true, false, false], "it became slow last");
    }

    #[test]
    fn bytes_are_made_room_for_as_places_are() {
        let (unfinished, now) = (Arc::new(Unfinished::new(3, 10)), Instant::now());
        let mut places: Vec<_> = (0..3).map(|_| unfinished.enter(now).unwrap()).collect();
        places[0].hold(4, now).unwrap();
        places[1].hold(6, now).unwrap();
        places[2].hold(4, now).unwrap();
        assert_eq!(given_way(&mut places), [true, false, false]);
        places[0].hold(5, now).unwrap_err();
        places[1].hold(6, now).unwrap();
        places[1].hold(11, now).unwrap_err();
        drop(places);
        unfinished.enter(now).unwrap().hold(10, now).unwrap();
    }

    #[test]
    fn where_there_are_no_places_nobody_has_one() {
        assert!(Arc::new(Unfinished::new(0, 10)).enter(Instant::now()).is_err());
    }
}
