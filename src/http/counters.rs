//! What the listeners did, in numbers: the one source of `system insights`, and of the summary rows for deliveries nobody
//! could authenticate and requests without the console's token.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use palyra_actors::journal::{Severity, SystemEvent};
use serde_json::{Value, json};

/// Counts since the daemon started, and the refusals not yet summed up in the journal.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    outcomes: BTreeMap<&'static str, u64>,
    unauthenticated: BTreeMap<&'static str, u64>,
    unauthorized: BTreeMap<&'static str, u64>,
    unsummed: BTreeMap<(String, &'static str), u64>,
    unsummed_of_console: BTreeMap<&'static str, u64>,
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

    /// Counts a request of the console without its token. Bounded by the reasons there are.
    pub fn refuse_at_console(&self, reason: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.unauthorized.entry(reason).or_default() += 1;
        *counts.unsummed_of_console.entry(reason).or_default() += 1;
    }

    /// Sums up the refusals counted since the last call: one event for each integration and reason, one for the console.
    pub fn sum_up(&self) -> Vec<SystemEvent> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let deliveries = std::mem::take(&mut counts.unsummed);
        let of_console = std::mem::take(&mut counts.unsummed_of_console);
        drop(counts);
        let deliveries = deliveries.into_iter();
        let deliveries = deliveries.map(|((id, reason), count)| unauthenticated(id, reason, count));
        deliveries.chain((!of_console.is_empty()).then(|| unauthorized(&of_console))).collect()
    }

    /// All counts of deliveries.
    pub fn deliveries(&self) -> Value {
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

    /// All counts of the console.
    pub fn console(&self) -> Value {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        json!({"unauthorized": counts.unauthorized})
    }
}

fn unauthenticated(integration_id: String, reason: &'static str, count: u64) -> SystemEvent {
    let refused = if count == 1 { "1 delivery was".to_owned() } else { format!("{count} deliveries were") };
    SystemEvent::new("webhook.unauthenticated", format!("{refused} refused: {reason}"))
        .severity(Severity::Warn)
        .about(integration_id)
        .detail("reason", reason)
        .detail("count", count)
}

fn unauthorized(reasons: &BTreeMap<&'static str, u64>) -> SystemEvent {
    let count: u64 = reasons.values().sum();
    let requests = if count == 1 { "1 request".to_owned() } else { format!("{count} requests") };
    SystemEvent::new("console.unauthorized", format!("{requests} came without the console's token"))
        .severity(Severity::Warn)
        .detail("reasons", json!(reasons))
        .detail("count", count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_refusal_is_told_of_as_one_and_more_as_many() {
        let summary = |count| unauthenticated("gh".to_owned(), "stale_timestamp", count).summary;
        assert_eq!(summary(1), "1 delivery was refused: stale_timestamp");
        assert_eq!(summary(2), "2 deliveries were refused: stale_timestamp");
    }
}
