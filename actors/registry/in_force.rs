//! The integrations in force, for code that only reads them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::Integration;

/// Integrations by id.
pub(super) type ById = HashMap<String, Arc<Integration>>;

/// The integrations in force, readable from any thread without a message to the actor. The registry replaces them with
/// every change; they stay available while the registry is restarted.
#[derive(Clone, Default)]
pub struct InForce(Arc<RwLock<Arc<ById>>>);

impl InForce {
    /// Finds an enabled integration that has a profile. `None` for unknown and for disabled ones.
    pub fn lookup(&self, id: &str) -> Option<Arc<Integration>> {
        let by_id = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = by_id.get(id)?;
        is_in_force(found).then(|| Arc::clone(found))
    }

    /// Ids of all integrations that [`InForce::lookup`] finds, in no particular order.
    pub fn ids(&self) -> Vec<String> {
        let by_id = self.0.read().unwrap_or_else(PoisonError::into_inner);
        by_id.iter().filter(|(_, found)| is_in_force(found)).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn publish(&self, by_id: Arc<ById>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = by_id;
    }
}

fn is_in_force(integration: &Integration) -> bool {
    integration.record.enabled && integration.profile.is_some()
}

impl fmt::Debug for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InForce")
    }
}
