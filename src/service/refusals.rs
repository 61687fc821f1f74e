//! Recent refusals that leave no row, kept in memory only, so that `webhooks explain` can show the operator the reason: an
//! unauthenticated delivery writes nothing durable.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use palyra_actors::clock::UnixMs;
use palyra_actors::ids::EventId;
use serde::{Serialize, Serializer};

use super::answers::Kind;
use super::cause::Cause;

/// Number of refusals kept. One more replaces the oldest refusal of the integration that has the most, so that a flood at
/// one integration hides nothing of the others.
pub const REFUSALS_MAX: usize = 1_024;
/// Longest detail; longer ones are cut.
pub const DETAIL_BYTES_MAX: usize = 240;

/// A delivery that was refused without a row. Nothing that its sender wrote is kept.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// The id in the answer.
    pub id: EventId,
    /// When it was refused.
    #[serde(rename = "refused_at_unix_ms")]
    pub at: UnixMs,
    /// The integration, which existed at that time.
    pub integration_id: String,
    /// The kind of answer; `status` and `code` of the document.
    #[serde(flatten, serialize_with = "status_and_code")]
    pub kind: Kind,
    /// Why, in one word; `None` where the code says it all.
    #[serde(rename = "reason")]
    pub cause: Option<Cause>,
    /// Details, in palyra's own words.
    pub detail: Option<String>,
}

fn status_and_code<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Answered {
        status: u16,
        code: &'static str,
    }
    let (status, code, _) = kind.entry();
    Answered { status: status.as_u16(), code }.serialize(serializer)
}

/// The refusals that are kept.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    latest: VecDeque<Refusal>,
    by_integration: HashMap<String, usize>,
}

impl Refusals {
    /// Adds a refusal.
    pub fn keep(&self, refusal: Refusal) {
        let mut kept = self.kept();
        if kept.latest.len() >= REFUSALS_MAX {
            kept.make_room();
        }
        *kept.by_integration.entry(refusal.integration_id.clone()).or_default() += 1;
        kept.latest.push_back(refusal);
    }

    /// The refusal with that id, if it is still kept.
    pub fn find(&self, id: EventId) -> Option<Refusal> {
        self.kept().latest.iter().rev().find(|refusal| refusal.id == id).cloned()
    }

    /// At most `most` refusals of an integration, newest first.
    pub fn latest_of(&self, integration_id: &str, most: usize) -> Vec<Refusal> {
        let kept = self.kept();
        let own = kept.latest.iter().rev().filter(|refusal| refusal.integration_id == integration_id);
        own.take(most).cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Removes the oldest refusal of the integration that has the most.
    fn make_room(&mut self) {
        let most = self.by_integration.iter().max_by_key(|(_, count)| **count).map(|(id, _)| id.clone());
        let Some(crowding) = most else { return };
        let oldest = self.latest.iter().position(|refusal| refusal.integration_id == crowding);
        self.latest.remove(oldest.unwrap_or(0));
        if let Some(count) = self.by_integration.get_mut(&crowding) {
            *count -= 1;
        }
        self.by_integration.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use palyra_actors::provider::Reason;

    use super::*;

    fn refusal(integration_id: &str, number: u64) -> Refusal {
        Refusal {
            id: EventId::new(number, 0),
            at: number,
            integration_id: integration_id.to_owned(),
            kind: Kind::Unauthenticated,
            cause: Some(Cause::Unauthentic(Reason::BadSignature)),
            detail: None,
        }
    }

    fn times(refusals: &[Refusal]) -> Vec<u64> {
        refusals.iter().map(|refusal| refusal.at).collect()
    }

    #[test]
    fn a_refusal_is_found_by_its_id_and_the_newest_of_an_integration_come_first() {
        let refusals = Refusals::default();
        (1..=3).for_each(|number| refusals.keep(refusal("gh", number)));
        refusals.keep(refusal("lab", 4));
        assert_eq!(times(&refusals.latest_of("gh", 2)), [3, 2]);
        assert_eq!(refusals.find(EventId::new(4, 0)).unwrap().integration_id, "lab");
        assert!(refusals.find(EventId::new(5, 0)).is_none());
    }

    #[test]
    fn a_refusal_is_shown_with_status_code_and_reason_of_its_answer() {
        let shown = serde_json::to_value(refusal("gh", 1)).unwrap();
        assert_eq!(
            (&shown["status"], &shown["code"], &shown["reason"]),
            (&401.into(), &"unauthenticated".into(), &"bad_signature".into())
        );
    }

    #[test]
    fn a_flood_at_one_integration_keeps_what_was_refused_at_another() {
        let refusals = Refusals::default();
        refusals.keep(refusal("lab", 0));
        (1..=3 * REFUSALS_MAX as u64).for_each(|number| refusals.keep(refusal("gh", number)));
        let kept = refusals.latest_of("gh", usize::MAX);
        assert_eq!(kept.len(), REFUSALS_MAX - 1);
        assert_eq!((kept[0].at, kept.last().unwrap().at), (3 * 1_024, 2 * 1_024 + 2));
        assert_eq!(times(&refusals.latest_of("lab", usize::MAX)), [0]);
    }

    #[test]
    fn what_is_counted_is_what_is_kept_however_many_integrations_there_are() {
        let refusals = Refusals::default();
        for number in 0..2 * REFUSALS_MAX as u64 {
            refusals.keep(refusal(&format!("i{number}"), number));
        }
        let kept = refusals.kept();
        assert_eq!((kept.latest.len(), kept.by_integration.len()), (REFUSALS_MAX, REFUSALS_MAX));
        assert_eq!(kept.by_integration.values().sum::<usize>(), REFUSALS_MAX);
    }
}
