//! Which delivery holds a replay key: the rule that decides whether a later delivery takes the key over.
//!
//! It is applied in three places: by the replay guard to the keys it remembers, by the writer within the transaction that
//! appends the delivery, and, through [`HeldBecause`], by the code that answers the sender.

use std::convert::Infallible;

use serde::Serialize;

use crate::clock::UnixMs;
use crate::ids::{Digest, Receipt};

/// The outcome for an authentic delivery. The variants are ordered by rank: a higher one takes the key over from a lower
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Authentic, but its envelope violates the schema or its body is not JSON.
    Rejected,
    /// Authentic and well formed, but excluded by an allow list.
    Filtered,
    /// It has the id of an earlier delivery but another body, or the same body under other names.
    Conflict,
    /// Stored in the journal with its body.
    Accepted,
}

/// The replay key an authentic delivery takes, in the transaction that stores its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayClaim {
    /// Identifies the delivery.
    pub key: Digest,
    /// SHA-256 of its body.
    pub body: Digest,
    pub verdict: Verdict,
    /// End of the window in which the key is remembered.
    pub expires_at: UnixMs,
    /// Whether the signature covers every byte of the body, so that nobody can have replaced it. Not stored: a claim read
    /// from the file says `false`.
    pub is_whole: bool,
    /// Whether the provider rewrites its retries, so that a different body under the same key is another attempt at the
    /// same delivery, accepted in place of one that was filtered. Whoever captured such a delivery can change what its
    /// signature does not cover and send it first; the same holds for the first delivery under a key. Not stored either.
    pub retries_differ: bool,
}

/// The row a replay key points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    pub verdict: Verdict,
    /// SHA-256 of its body.
    pub body: Digest,
    pub receipt: Receipt,
    /// End of its window.
    pub expires_at: UnixMs,
}

/// Whether a claim gets a key that another delivery holds within its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    TakesOver,
    /// The holder keeps it.
    Held(HeldBecause),
}

/// Why a key stays with its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeldBecause {
    /// The same delivery was accepted before.
    AlreadyAccepted,
    /// The same delivery was rejected or filtered before, and the verdict is no higher this time.
    AlreadyJudged,
    /// The holder has another body, which an attacker may have substituted.
    OtherBody,
    /// The holder has another event name or source. These may come from unsigned headers: whoever captured a filtered
    /// delivery could send it again under allowed names.
    OtherNames,
}

impl ReplayClaim {
    /// Decides whether this claim takes the key over from `holder`. A higher verdict takes the key from a lower one if
    /// both are the same delivery: the names are the same, and the body is the same, signed as a whole, or may be written
    /// anew in each attempt. A rejected holder never keeps the key, because an attacker may have sent a spoilt copy first.
    /// `names_agree` is called only where its answer matters, and says whether the delivery has the holder's event and
    /// source.
    ///
    /// # Errors
    /// Those of `names_agree`.
    pub(super) fn decide<E>(
        &self,
        holder: &KeyHolder,
        names_agree: impl FnOnce() -> Result<bool, E>,
    ) -> Result<Decision, E> {
        let is_other_delivery = self.body != holder.body && !self.retries_differ;
        let held = if self.verdict <= holder.verdict {
            match holder.verdict {
                _ if is_other_delivery => HeldBecause::OtherBody,
                Verdict::Accepted => HeldBecause::AlreadyAccepted,
                _ => HeldBecause::AlreadyJudged,
            }
        } else if holder.verdict == Verdict::Rejected {
            return Ok(Decision::TakesOver);
        } else if is_other_delivery && !self.is_whole {
            HeldBecause::OtherBody
        } else if names_agree()? {
            return Ok(Decision::TakesOver);
        } else if is_other_delivery {
            HeldBecause::OtherBody
        } else {
            HeldBecause::OtherNames
        };
        Ok(Decision::Held(held))
    }

    /// Why `holder` keeps the key whatever the names of the two deliveries are; `None` if the claim may take it over,
    /// which only the journal can decide.
    pub(crate) fn is_kept_out_by(&self, holder: &KeyHolder) -> Option<HeldBecause> {
        match self.decide(holder, || Ok::<_, Infallible>(true)) {
            Ok(Decision::TakesOver) => None,
            Ok(Decision::Held(because)) => Some(because),
        }
    }
}

impl KeyHolder {
    /// The key holder that an event with `claim` becomes once it is stored.
    pub(crate) fn of(claim: &ReplayClaim, receipt: Receipt) -> Self {
        Self { verdict: claim.verdict, body: claim.body, receipt, expires_at: claim.expires_at }
    }
}

#[cfg(test)]
mod tests {
    use super::Decision::{Held, TakesOver};
    use super::HeldBecause::{AlreadyAccepted, AlreadyJudged, OtherBody, OtherNames};
    use super::Verdict::{Accepted, Conflict, Filtered, Rejected};
    use super::*;
    use crate::ids::EventId;

    const VERDICTS: [Verdict; 4] = [Rejected, Filtered, Conflict, Accepted];

    /// What a decision depends on besides the two verdicts.
    #[derive(Debug, Clone, Copy)]
    struct Case {
        same_body: bool,
        is_whole: bool,
        retries_differ: bool,
        same_names: bool,
    }

    impl Case {
        fn all() -> impl Iterator<Item = Self> {
            (0..16).map(|bits| {
                let [same_body, is_whole, retries_differ, same_names] =
                    [1, 2, 4, 8].map(|bit| bits & bit != 0);
                Self { same_body, is_whole, retries_differ, same_names }
            })
        }

        fn decide(self, claimed: Verdict, held: Verdict) -> Decision {
            self.asking(claimed, held, || Ok(self.same_names)).unwrap()
        }

        fn asking(
            self,
            verdict: Verdict,
            held: Verdict,
            names_agree: impl FnOnce() -> Result<bool, ()>,
        ) -> Result<Decision, ()> {
            let Self { is_whole, retries_differ, .. } = self;
            let (key, body, other) = (Digest([1; 32]), Digest([2; 32]), Digest([3; 32]));
            let claim = ReplayClaim { key, body, verdict, expires_at: 2, is_whole, retries_differ };
            let receipt = Receipt { event_id: EventId::new(1, 1), seq: 1, leaf_hash: key };
            let held_body = if self.same_body { body } else { other };
            claim.decide(&KeyHolder { verdict: held, body: held_body, receipt, expires_at: 2 }, names_agree)
        }
    }

    /// The decision in each case, for every pair of verdicts for which `compare` returns true.
    fn table(
        compare: impl Fn(Verdict, Verdict) -> bool,
        expected: impl Fn(Case, Verdict) -> Decision,
    ) -> usize {
        let pairs = VERDICTS.into_iter().flat_map(|claimed| VERDICTS.map(|held| (claimed, held)));
        let pairs: Vec<_> = pairs.filter(|(claimed, held)| compare(*claimed, *held)).collect();
        for (claimed, held) in &pairs {
            for case in Case::all() {
                let decided = case.decide(*claimed, *held);
                assert_eq!(decided, expected(case, *held), "{claimed:?} over {held:?}: {case:?}");
            }
        }
        pairs.len()
    }

    #[test]
    fn what_is_judged_no_higher_is_held_by_the_same_delivery_or_by_one_with_another_body() {
        let pairs = table(
            |claimed, held| claimed <= held,
            |case, held| match (case.same_body || case.retries_differ, held) {
                (false, _) => Held(OtherBody),
                (true, Accepted) => Held(AlreadyAccepted),
                (true, _) => Held(AlreadyJudged),
            },
        );
        assert_eq!(pairs, 10);
    }

    #[test]
    fn what_was_rejected_keeps_out_nothing_that_is_judged_higher() {
        let pairs = table(|claimed, held| claimed > held && held == Rejected, |_, _| TakesOver);
        assert_eq!(pairs, 3);
    }

    #[test]
    fn what_is_judged_higher_takes_over_if_it_is_the_same_delivery() {
        let pairs = table(
            |claimed, held| claimed > held && held != Rejected,
            |case, _| match (case.same_body || case.retries_differ, case.is_whole, case.same_names) {
                (true, _, true) | (false, true, true) => TakesOver,
                (true, _, false) => Held(OtherNames),
                (false, false, _) | (false, true, false) => Held(OtherBody),
            },
        );
        assert_eq!(pairs, 3);
    }

    #[test]
    fn names_are_asked_for_only_where_they_decide() {
        let asks = |case: Case, claimed, held| case.asking(claimed, held, || Err(())).is_err();
        for (claimed, held) in VERDICTS.into_iter().flat_map(|claimed| VERDICTS.map(|held| (claimed, held))) {
            for case in Case::all() {
                let is_same = case.same_body || case.is_whole || case.retries_differ;
                let expected = claimed > held && held != Rejected && is_same;
                assert_eq!(asks(case, claimed, held), expected, "{claimed:?} over {held:?}: {case:?}");
            }
        }
    }
}
