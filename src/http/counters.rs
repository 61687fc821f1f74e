//! What the ingress did, in numbers: the one source of `system insights`, and of the summary rows for
//! deliveries nobody could authenticate.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// Counts since the daemon started, and the refusals not yet summed up in the journal.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    outcomes: BTreeMap<&'static str, u64>,
    unauthenticated: BTreeMap<&'static str, u64>,
    unsummed: BTreeMap<(String, &'static str), u64>,
}

/// Refusals of one integration for one reason since the last summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// The integration.
    pub integration_id: String,
    /// Why they were refused.
    pub reason: &'static str,
    /// How many.
    pub count: u64,
}

impl Counters {
    /// Counts an answer by its outcome.
    pub fn count(&self, outcome: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.outcomes.entry(outcome).or_default() += 1;
    }

    /// Counts a delivery that did not authenticate. Bounded by the integrations that exist and the reasons there are.
    pub fn refuse(&self, integration_id: &str, reason: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.unauthenticated.entry(reason).or_default() += 1;
        *counts.unsummed.entry((integration_id.to_owned(), reason)).or_default() += 1;
    }

    /// Takes the refusals counted since the last call.
    pub fn take_refusals(&self) -> Vec<Refusals> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unsummed = std::mem::take(&mut counts.unsummed);
        let each = unsummed.into_iter();
        each.map(|((integration_id, reason), count)| Refusals { integration_id, reason, count }).collect()
    }

    /// All counts.
    pub fn snapshot(&self) -> Value {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut deliveries = json!(counts.outcomes);
        if let Some(members) = deliveries.as_object_mut() {
            for outcome in ["accepted", "duplicate", "filtered", "rejected", "conflict"] {
                members.entry(outcome).or_insert(json!(0));
            }
            members.insert("unauthenticated".to_owned(), json!(counts.unauthenticated));
        }
        deliveries
    }
}
