//! Whether the client of a connection still waits for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is set once the other end has closed its half of the connection, or the connection has ended.
#[derive(Debug, Clone, Default)]
pub struct Asker(Arc<AtomicBool>);

impl Asker {
    /// Whether nobody waits for an answer.
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Marks the other end as gone.
    pub fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
