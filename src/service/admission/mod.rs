//! Bounds the work in progress: permits for deliveries in flight, and for the bytes of their bodies.

mod unfinished;

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use unfinished::{Slot, Unfinished};

/// Body bytes are counted in units of this size; a part of a unit counts as a whole one.
const UNIT_BYTES: usize = 1_024;

/// A budget is exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is in flight")]
pub struct Overloaded;

/// The budgets. When one is exhausted, a delivery is answered 503 at once; there is no queue.
///
/// A body that did not arrive together with its head is unfinished until its last byte is there. Unfinished bodies, however
/// many, leave a quarter of the places and of the bytes to the others.
#[derive(Debug)]
pub struct Admission {
    deliveries: Arc<Semaphore>,
    body_units: Arc<Semaphore>,
    /// At most three quarters of the places and bytes, but always enough for the largest body.
    unfinished: Arc<Unfinished>,
    /// At most half of the deliveries.
    waiting_for_keys: Arc<Semaphore>,
    deliveries_max: usize,
}

impl Admission {
    /// Lets in `deliveries_max` deliveries and `body_bytes_max` bytes of bodies at a time, of which the largest may have
    /// `largest_body_bytes`.
    pub fn new(deliveries_max: usize, body_bytes_max: usize, largest_body_bytes: usize) -> Self {
        let units = body_bytes_max.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        let unfinished_units = most_of(units).max(largest_body_bytes.div_ceil(UNIT_BYTES)).min(units);
        let budget = |permits| Arc::new(Semaphore::new(permits));
        Self {
            deliveries: budget(deliveries_max),
            body_units: budget(units),
            unfinished: Arc::new(Unfinished::new(most_of(deliveries_max), unfinished_units)),
            waiting_for_keys: budget(deliveries_max.div_ceil(2)),
            deliveries_max,
        }
    }

    /// Admits one delivery. The permit must be held as long as the work lasts.
    ///
    /// # Errors
    /// [`Overloaded`].
    pub fn enter(&self) -> Result<Permit, Overloaded> {
        Ok(Permit {
            _delivery: take(&self.deliveries, 1)?,
            body: None,
            body_units: Arc::clone(&self.body_units),
            slot: None,
            unfinished: Arc::clone(&self.unfinished),
            waits_for_keys: None,
            waiting_for_keys: Arc::clone(&self.waiting_for_keys),
        })
    }

    /// Number of deliveries in flight.
    pub fn in_flight(&self) -> usize {
        self.deliveries_max.saturating_sub(self.deliveries.available_permits())
    }
}

fn most_of(all: usize) -> usize {
    all.saturating_sub(all / 4)
}

fn take(budget: &Arc<Semaphore>, permits: u32) -> Result<OwnedSemaphorePermit, Overloaded> {
    Arc::clone(budget).try_acquire_many_owned(permits).map_err(|_| Overloaded)
}

/// The right of one delivery to be in flight, and the body bytes it holds.
#[derive(Debug)]
pub struct Permit {
    _delivery: OwnedSemaphorePermit,
    body: Option<OwnedSemaphorePermit>,
    body_units: Arc<Semaphore>,
    slot: Option<Slot>,
    unfinished: Arc<Unfinished>,
    waits_for_keys: Option<OwnedSemaphorePermit>,
    waiting_for_keys: Arc<Semaphore>,
}

impl Permit {
    /// Whether the delivery may wait for keys that are being fetched; not when half of all places are taken by waiting
    /// deliveries.
    pub fn may_wait_for_keys(&mut self) -> bool {
        self.waits_for_keys = self.waits_for_keys.take().or_else(|| take(&self.waiting_for_keys, 1).ok());
        self.waits_for_keys.is_some()
    }

    /// Reserves budget so that `bytes` bytes of body are covered: as they arrive, not as they are declared.
    ///
    /// # Errors
    /// [`Overloaded`] when all deliveries together hold too many bytes.
    pub fn cover(&mut self, bytes: usize, now: Instant) -> Result<(), Overloaded> {
        let units = bytes.div_ceil(UNIT_BYTES);
        let held = self.body.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if units <= held {
            return Ok(());
        }
        if let Some(slot) = &self.slot {
            slot.hold(units, now)?;
        }
        let missing = u32::try_from(units - held).map_err(|_| Overloaded)?;
        let more = take(&self.body_units, missing)?;
        match &mut self.body {
            Some(held) => held.merge(more),
            None => self.body = Some(more),
        }
        Ok(())
    }

    /// The place of this body among the unfinished ones; it is charged with the bytes covered.
    ///
    /// # Errors
    /// [`Overloaded`] when the unfinished bodies have used up their share.
    pub fn be_unfinished(&mut self, now: Instant) -> Result<&mut Slot, Overloaded> {
        let slot = match self.slot.take() {
            Some(slot) => slot,
            None => self.unfinished.enter(now)?,
        };
        slot.hold(self.body.as_ref().map_or(0, OwnedSemaphorePermit::num_permits), now)?;
        Ok(self.slot.insert(slot))
    }

    /// Gives the place back: the body is complete.
    pub fn be_whole(&mut self) {
        self.slot = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_body_may_have_all_the_bytes_there_are_and_no_unit_more() {
        for bytes_max in [UNIT_BYTES, UNIT_BYTES + 1, 10 * UNIT_BYTES - 1] {
            let admission = Admission::new(2, bytes_max, bytes_max);
            let mut permit = admission.enter().unwrap();
            permit.cover(bytes_max, Instant::now()).unwrap();
            permit.cover(bytes_max + UNIT_BYTES, Instant::now()).unwrap_err();
            admission.enter().unwrap().cover(1, Instant::now()).unwrap_err();
            drop(permit);
            admission.enter().unwrap().cover(1, Instant::now()).unwrap();
        }
    }

    #[test]
    fn unfinished_bodies_leave_places_and_bytes_to_the_others() {
        let admission = Admission::new(8, 8 * UNIT_BYTES, 2 * UNIT_BYTES);
        let unfinished = || {
            let mut permit = admission.enter().unwrap();
            permit.be_unfinished(Instant::now()).unwrap();
            permit.cover(1, Instant::now()).map(|()| permit)
        };
        let six: Vec<_> = (0..6).map(|_| unfinished().unwrap()).collect();
        let mut others = [admission.enter().unwrap(), admission.enter().unwrap()];
        others.iter_mut().for_each(|permit| permit.cover(UNIT_BYTES, Instant::now()).unwrap());
        admission.enter().unwrap_err();
        drop((six, others));
        assert_eq!(admission.in_flight(), 0);
    }

    #[test]
    fn an_unfinished_body_may_be_the_largest_there_is() {
        let admission = Admission::new(2, 4 * UNIT_BYTES, 4 * UNIT_BYTES);
        let mut permit = admission.enter().unwrap();
        permit.be_unfinished(Instant::now()).unwrap();
        permit.cover(4 * UNIT_BYTES, Instant::now()).unwrap();
    }

    #[test]
    fn a_whole_body_gives_way_to_nobody() {
        let admission = Admission::new(4, 4 * UNIT_BYTES, UNIT_BYTES);
        let mut whole = admission.enter().unwrap();
        whole.be_unfinished(Instant::now()).unwrap();
        whole.cover(UNIT_BYTES, Instant::now()).unwrap();
        whole.be_whole();
        let mut rest: Vec<_> = (0..3).map(|_| admission.enter().unwrap()).collect();
        rest.iter_mut().for_each(|permit| {
            permit.be_unfinished(Instant::now()).unwrap();
            permit.cover(UNIT_BYTES, Instant::now()).unwrap();
        });
        whole.cover(UNIT_BYTES, Instant::now()).unwrap();
    }
}
