//! The registry as it is shared: read at any time, changed by one at a time.

use std::panic::resume_unwind;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use super::{Registry, RegistryError};

/// The registry in force, and the line of those who change it. It outlives an actor that is rebuilt: a change of the one
/// before goes on.
#[derive(Debug)]
pub struct SharedRegistry {
    in_force: RwLock<Arc<Registry>>,
    /// Held by the change that is under way. Those that wait get it in the order they came.
    turn: Arc<Mutex<()>>,
}

impl SharedRegistry {
    /// As it was opened.
    pub fn new(registry: Registry) -> Self {
        Self { in_force: RwLock::new(Arc::new(registry)), turn: Arc::default() }
    }

    /// As it is now. A change that is under way is not waited for.
    pub(super) fn now(&self) -> Arc<Registry> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a change where blocking is allowed, when it is its turn. One that panics is passed over: who waits for it gets no
    /// answer.
    pub(super) fn change<T: Send + 'static>(
        self: Arc<Self>,
        change: impl FnOnce(&mut Registry) -> Result<T, RegistryError> + Send + 'static,
    ) -> impl Future<Output = Result<T, RegistryError>> {
        let turn = self.turn();
        let change = move |_held: OwnedMutexGuard<()>| {
            fail::fail_point!("registry::change");
            let mut registry = Registry::clone(&self.now());
            let changed = change(&mut registry);
            // Even one that failed may have reached the disk, or found out that the files have a fault.
            *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(registry);
            fail::fail_point!("registry::changed");
            changed
        };
        async {
            let held = turn.await;
            let changed = spawn_blocking(|| change(held)).await;
            changed.unwrap_or_else(|panicked| resume_unwind(panicked.into_panic()))
        }
    }

    /// Waits until the changes that were asked for before have ended.
    pub(super) fn idle(&self) -> impl Future<Output = ()> + use<> {
        self.turn().map(drop)
    }

    /// A place in the line, which is taken before this is awaited.
    fn turn(&self) -> impl Future<Output = OwnedMutexGuard<()>> + use<> {
        let mut turn = Box::pin(Arc::clone(&self.turn).lock_owned());
        let at_once = turn.as_mut().now_or_never();
        async {
            match at_once {
                Some(held) => held,
                None => turn.await,
            }
        }
    }
}
