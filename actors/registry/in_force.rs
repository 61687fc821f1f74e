//! The integrations in force, for those who only read them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::Integration;

/// Integrations by their id.
pub(super) type ById = HashMap<String, Arc<Integration>>;

/// The integrations in force, as every thread may read them without a message. The registry publishes them anew with
/// every change; they stay as they are while it is rebuilt.
#[derive(Clone, Default)]
pub struct InForce(Arc<RwLock<Arc<ById>>>);

impl InForce {
    /// Finds an enabled integration that has a profile. Unknown and disabled ones are both `None`.
    pub fn lookup(&self, id: &str) -> Option<Arc<Integration>> {
        let by_id = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = by_id.get(id)?;
        is_in_force(found).then(|| Arc::clone(found))
    }

    /// Ids of all that [`InForce::lookup`] finds, in no order.
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
