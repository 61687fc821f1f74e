//! Whether whoever asks for something still waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the other end of a connection is still there: it may have closed its half, or the connection may be over.
#[derive(Debug, Clone, Default)]
pub struct Asker(Arc<AtomicBool>);

impl Asker {
    /// Whether nobody waits for an answer any more.
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// It has gone.
    pub fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
