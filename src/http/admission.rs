//! How much work is let in: permits for deliveries in flight, and for the bytes of their bodies.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Kind, Problem};

/// Body bytes are counted in units of this many, begun ones as whole.
const UNIT_BYTES: usize = 1_024;

/// The budgets. Whoever finds one empty is answered 503 at once; nobody waits in line.
#[derive(Debug)]
pub struct Admission {
    deliveries: Arc<Semaphore>,
    body_units: Arc<Semaphore>,
    /// For half of the deliveries.
    slow_ones: Arc<Semaphore>,
    deliveries_max: usize,
}

impl Admission {
    /// Lets in `deliveries_max` deliveries and `body_bytes_max` bytes of bodies at a time.
    pub fn new(deliveries_max: usize, body_bytes_max: usize) -> Self {
        let units = body_bytes_max.div_ceil(UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            deliveries: Arc::new(Semaphore::new(deliveries_max)),
            body_units: Arc::new(Semaphore::new(units)),
            slow_ones: Arc::new(Semaphore::new(deliveries_max.div_ceil(2))),
            deliveries_max,
        }
    }

    /// Lets one delivery in. The permit is to live as long as the work.
    ///
    /// # Errors
    /// [`Kind::Overloaded`].
    pub fn enter(&self) -> Result<Permit, Problem> {
        let delivery = Arc::clone(&self.deliveries).try_acquire_owned();
        let delivery = delivery.map_err(|_| Problem::new(Kind::Overloaded))?;
        let (body_units, slow_ones) = (Arc::clone(&self.body_units), Arc::clone(&self.slow_ones));
        Ok(Permit { _delivery: delivery, body: None, units: 0, body_units, slow: None, slow_ones })
    }

    /// Deliveries in flight now.
    pub fn in_flight(&self) -> usize {
        self.deliveries_max.saturating_sub(self.deliveries.available_permits())
    }
}

/// The right of one delivery to be in flight, and the body bytes it holds.
#[derive(Debug)]
pub struct Permit {
    _delivery: OwnedSemaphorePermit,
    body: Option<OwnedSemaphorePermit>,
    units: usize,
    body_units: Arc<Semaphore>,
    slow: Option<OwnedSemaphorePermit>,
    slow_ones: Arc<Semaphore>,
}

impl Permit {
    /// Whether it may take long.
    pub fn may_be_slow(&self) -> bool {
        self.slow.is_some()
    }

    /// Lets it take long: its body, or its wait for keys.
    ///
    /// # Errors
    /// [`Kind::RequestTimeout`] while half of all deliveries that may be in flight are slow ones.
    pub fn be_slow(&mut self) -> Result<(), Problem> {
        if self.may_be_slow() {
            return Ok(());
        }
        let slow = Arc::clone(&self.slow_ones).try_acquire_owned();
        self.slow = Some(slow.map_err(|_| Problem::new(Kind::RequestTimeout))?);
        Ok(())
    }

    /// Makes sure that `bytes` bytes of body are covered, as they arrive rather than as they are declared.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] when all deliveries together hold too many.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Problem> {
        let missing = bytes.div_ceil(UNIT_BYTES).saturating_sub(self.units);
        if missing == 0 {
            return Ok(());
        }
        let units = u32::try_from(missing).map_err(|_| Problem::new(Kind::Overloaded))?;
        let more = Arc::clone(&self.body_units).try_acquire_many_owned(units);
        let more = more.map_err(|_| Problem::new(Kind::Overloaded))?;
        match &mut self.body {
            Some(held) => held.merge(more),
            None => self.body = Some(more),
        }
        self.units += missing;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_body_may_have_all_the_bytes_there_are_and_no_unit_more() {
        for bytes_max in [UNIT_BYTES, UNIT_BYTES + 1, 10 * UNIT_BYTES - 1] {
            let admission = Admission::new(2, bytes_max);
            let mut permit = admission.enter().unwrap();
            permit.cover(bytes_max).unwrap();
            permit.cover(bytes_max + UNIT_BYTES).unwrap_err();
            admission.enter().unwrap().cover(1).unwrap_err();
            drop(permit);
            admission.enter().unwrap().cover(1).unwrap();
        }
    }
}
