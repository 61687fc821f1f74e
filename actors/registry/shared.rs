//! The registry as it is shared: readable at any time, changed by one caller at a time.

use std::panic::resume_unwind;
use std::sync::{Arc, PoisonError, RwLock};

use futures_util::FutureExt as _;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use super::{Registry, RegistryError};

/// The registry in force, and the queue of changes. It outlives the actor: a change that is running when the actor is
/// restarted is completed.
#[derive(Debug)]
pub struct SharedRegistry {
    in_force: RwLock<Arc<Registry>>,
    /// Held by the running change. Waiting changes get it in the order of their requests.
    turn: Arc<Mutex<()>>,
}

impl SharedRegistry {
    pub fn new(registry: Registry) -> Self {
        Self { in_force: RwLock::new(Arc::new(registry)), turn: Arc::default() }
    }

    /// The current state. It does not wait for a running change.
    pub(super) fn now(&self) -> Arc<Registry> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a change on a thread for blocking work, when its turn has come. If the change panics, it is skipped, and its
    /// caller gets no answer.
    pub(super) fn change<T: Send + 'static>(
        self: Arc<Self>,
        change: impl FnOnce(&mut Registry) -> Result<T, RegistryError> + Send + 'static,
    ) -> impl Future<Output = Result<T, RegistryError>> {
        let turn = self.turn();
        let change = move |_held: OwnedMutexGuard<()>| {
            fail::fail_point!("registry::change");
            let mut registry = Registry::clone(&self.now());
            let changed = change(&mut registry);
            // Even a failed change may have reached the disk, or have found a fault in the files.
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

    /// Waits until all changes requested before have ended.
    pub(super) fn idle(&self) -> impl Future<Output = ()> + use<> {
        self.turn().map(drop)
    }

    /// A place in the queue. It is reserved by the call, before the result is awaited.
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
