//! Counts what the listeners did: the single source of `system insights`, of the metrics, and of the summary rows for
//! unauthenticated deliveries and for console requests without the token.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use palyra_actors::event_names;
use palyra_actors::journal::{Severity, SystemEvent};
use palyra_actors::limits::INTEGRATIONS_MAX;
use palyra_actors::provider::Reason;
use serde_json::{Value, json};

/// Integrations that are counted separately, including those removed since the start. Deliveries to any more are counted
/// under [`NONE`].
const COUNTED_MAX: usize = 4 * INTEGRATIONS_MAX;
/// The id under which deliveries to no known integration are counted.
pub const NONE: &str = "";
/// Answers that are shown with a count of 0 before they were first given.
const TOLD_FROM_THE_START: [&str; 8] = [
    "accepted",
    "duplicate",
    "filtered",
    "rejected",
    "conflict",
    "unauthenticated",
    "overloaded",
    "unavailable",
];

/// Counts since the daemon started, and the refusals not yet summed up in the journal.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    integrations: BTreeMap<String, Tally>,
    unauthorized: BTreeMap<&'static str, u64>,
    unsummed: BTreeMap<(String, &'static str), u64>,
    unsummed_of_console: BTreeMap<&'static str, u64>,
}

/// The refusals that one summary row reports.
#[derive(Debug)]
pub enum Summary {
    /// Unauthenticated deliveries of one integration, for one reason.
    Deliveries {
        /// The integration, or [`NONE`].
        integration_id: String,
        /// The reason, in one word.
        reason: &'static str,
        count: u64,
    },
    /// Console requests without the token, by reason.
    OfConsole(BTreeMap<&'static str, u64>),
}

impl Summary {
    /// The row to journal.
    pub fn event(&self) -> SystemEvent {
        match self {
            Self::Deliveries { integration_id, reason, count } => {
                unauthenticated(integration_id.clone(), reason, *count)
            }
            Self::OfConsole(reasons) => unauthorized(reasons),
        }
    }
}

/// The counts of one integration.
#[derive(Debug, Clone)]
pub struct Tally {
    /// By answer: an outcome, or the code of a problem.
    pub answers: BTreeMap<&'static str, u64>,
    /// Unauthenticated deliveries by reason, whatever they were answered.
    pub unauthenticated: BTreeMap<&'static str, u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let answers = TOLD_FROM_THE_START.map(|answer| (answer, 0)).into();
        Self { answers, unauthenticated: BTreeMap::new() }
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        for (own, others) in
            [(&mut self.answers, &other.answers), (&mut self.unauthenticated, &other.unauthenticated)]
        {
            others.iter().for_each(|(name, count)| *own.entry(name).or_default() += count);
        }
    }
}

impl Counts {
    /// Applies `add` to the counts of an integration. Allocates nothing for one that was counted before.
    fn tally(&mut self, integration_id: &str, add: impl FnOnce(&mut Tally)) {
        if let Some(tally) = self.integrations.get_mut(integration_id) {
            return add(tally);
        }
        let id = if self.integrations.len() < COUNTED_MAX { integration_id } else { NONE };
        add(self.integrations.entry(id.to_owned()).or_default());
    }
}

impl Counters {
    /// Counts an answer to a delivery, under the id of an existing integration or [`NONE`]; never under a name chosen by a
    /// stranger.
    pub fn count(&self, integration_id: &str, answer: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.tally(integration_id, |tally| *tally.answers.entry(answer).or_default() += 1);
    }

    /// Counts an unauthenticated delivery. Bounded by the number of integrations and of reasons.
    pub fn count_unauthentic(&self, integration_id: &str, reason: Reason) {
        let reason = reason.as_str();
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.tally(integration_id, |tally| *tally.unauthenticated.entry(reason).or_default() += 1);
        *counts.unsummed.entry((integration_id.to_owned(), reason)).or_default() += 1;
    }

    /// Counts a console request without the token. Bounded by the number of reasons.
    pub fn count_unauthorized(&self, reason: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.unauthorized.entry(reason).or_default() += 1;
        *counts.unsummed_of_console.entry(reason).or_default() += 1;
    }

    /// Takes the refusals counted since the last call: one summary for each integration and reason, one for the console.
    pub fn sum_up(&self) -> Vec<Summary> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let deliveries = std::mem::take(&mut counts.unsummed);
        let of_console = std::mem::take(&mut counts.unsummed_of_console);
        drop(counts);
        let deliveries = deliveries.into_iter();
        let deliveries = deliveries.map(|((integration_id, reason), count)| Summary::Deliveries {
            integration_id,
            reason,
            count,
        });
        deliveries.chain((!of_console.is_empty()).then_some(Summary::OfConsole(of_console))).collect()
    }

    /// Adds the counts of a summary that could not be journaled back, for the next one.
    pub fn put_back(&self, summary: Summary) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match summary {
            Summary::Deliveries { integration_id, reason, count } => {
                *counts.unsummed.entry((integration_id, reason)).or_default() += count;
            }
            Summary::OfConsole(reasons) => {
                let of_console = &mut counts.unsummed_of_console;
                reasons
                    .into_iter()
                    .for_each(|(reason, count)| *of_console.entry(reason).or_default() += count);
            }
        }
    }

    /// Number of refusals not yet summed up.
    pub fn untold(&self) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.unsummed.values().chain(counts.unsummed_of_console.values()).sum()
    }

    /// The counts of deliveries, by the id of their integration.
    pub fn deliveries(&self) -> BTreeMap<String, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).integrations.clone()
    }

    /// The counts of deliveries, summed over all integrations.
    pub fn deliveries_in_all(&self) -> Value {
        let mut all = Tally::default();
        self.deliveries().values().for_each(|tally| all.add(tally));
        let mut deliveries = json!(all.answers);
        if let Some(members) = deliveries.as_object_mut() {
            members.insert("unauthenticated".to_owned(), json!(all.unauthenticated));
        }
        deliveries
    }

    /// Console requests without the token, by reason.
    pub fn unauthorized(&self) -> BTreeMap<&'static str, u64> {
        let mut counted = BTreeMap::from([("missing_token", 0), ("wrong_token", 0)]);
        counted.extend(&self.0.lock().unwrap_or_else(PoisonError::into_inner).unauthorized);
        counted
    }
}

fn unauthenticated(integration_id: String, reason: &'static str, count: u64) -> SystemEvent {
    let refused = if count == 1 { "1 delivery was".to_owned() } else { format!("{count} deliveries were") };
    SystemEvent::new(event_names::UNAUTHENTICATED, format!("{refused} refused: {reason}"))
        .severity(Severity::Warn)
        .about(integration_id)
        .detail("reason", reason)
        .detail("count", count)
}

fn unauthorized(reasons: &BTreeMap<&'static str, u64>) -> SystemEvent {
    let count: u64 = reasons.values().sum();
    let requests = if count == 1 { "1 request".to_owned() } else { format!("{count} requests") };
    SystemEvent::new("console.unauthorized", format!("{requests} to the console had no valid token"))
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

    #[test]
    fn what_is_put_back_is_summed_up_with_what_came_meanwhile() {
        let counters = Counters::default();
        let refuse = || {
            counters.count_unauthentic("gh", Reason::BadSignature);
            counters.count_unauthorized("wrong_token");
        };
        refuse();
        let summaries = counters.sum_up();
        assert_eq!((summaries.len(), counters.untold(), counters.sum_up().len()), (2, 0, 0));
        refuse();
        summaries.into_iter().for_each(|summary| counters.put_back(summary));
        assert_eq!(counters.untold(), 4);
        let counts: Vec<_> =
            counters.sum_up().iter().map(|summary| summary.event().details["count"].clone()).collect();
        assert_eq!(counts, [2, 2]);
    }

    #[test]
    fn integrations_counted_apart_are_bounded_and_no_delivery_goes_uncounted() {
        let counters = Counters::default();
        for n in 0..COUNTED_MAX + 3 {
            counters.count(&n.to_string(), "accepted");
            counters.count_unauthentic(&n.to_string(), Reason::BadSignature);
        }
        counters.count("0", "accepted");
        let deliveries = counters.deliveries();
        assert_eq!(deliveries.len(), COUNTED_MAX + 1, "and one for those that found no place");
        assert_eq!((deliveries[NONE].answers["accepted"], deliveries["0"].answers["accepted"]), (3, 2));
        let in_all = counters.deliveries_in_all();
        assert_eq!(in_all["accepted"], COUNTED_MAX + 4);
        assert_eq!(in_all["unauthenticated"]["bad_signature"], COUNTED_MAX + 3);
    }
}
