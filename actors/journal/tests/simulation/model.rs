//! What was promised, and whether it holds.

use std::collections::HashMap;

use super::*;

/// Window of every replay key.
pub(super) const WINDOW_MS: u64 = 2 * 24 * HOUR_MS;

/// Everything senders were told.
///
/// A window is over for good once the clock has passed its end: that the clock is set back later does not bring it back.
#[derive(Default)]
pub(super) struct Model {
    /// The latest the clock has ever shown.
    latest: UnixMs,
    /// Every receipt that was given, by its seq.
    receipts: HashMap<u64, Receipt>,
    /// The acceptances under a key: body, receipt, end of the window.
    accepted: HashMap<Digest, Vec<(Digest, Receipt, UnixMs)>>,
}

impl Model {
    /// The clock shows `now`.
    pub(super) fn at(&mut self, now: UnixMs) {
        self.latest = self.latest.max(now);
    }

    /// A row is durable, whether or not its sender still waits for the answer.
    pub(super) fn stored(&mut self, claim: &ReplayClaim, receipt: &Receipt) {
        let other = self.receipts.insert(receipt.seq, receipt.clone());
        assert_eq!(other, None, "two deliveries got the same place");
        if claim.verdict == Verdict::Accepted {
            if let Some((_, first, ends)) = self.accepted.get(&claim.key).and_then(|all| all.last()) {
                assert!(*ends <= self.latest, "{claim:?} was accepted as {first:?} and again as {receipt:?}");
            }
            let ends = claim.expires_at;
            self.accepted.entry(claim.key).or_default().push((claim.body, receipt.clone(), ends));
        }
    }

    /// 200 with the first receipt.
    pub(super) fn duplicate(&mut self, sent: Sent, receipt: &Receipt) {
        self.answered_again(receipt);
        let known = self.accepted.get(&sent.key()).and_then(|all| all.last());
        if let Some((body, first, ends)) = known.filter(|(_, _, ends)| *ends > self.latest) {
            assert_eq!((sent.digest(), receipt), (*body, first), "until {ends}");
        }
    }

    /// Whatever is told of a row is told the same again.
    pub(super) fn answered_again(&mut self, receipt: &Receipt) {
        let first = self.receipts.entry(receipt.seq).or_insert_with(|| receipt.clone());
        assert_eq!(first, receipt);
    }

    /// Everything that was answered is there, and nothing is there twice.
    pub(super) fn check(&self, journal: &JournalReader) {
        for receipt in self.receipts.values() {
            let event = journal.event(receipt.seq).unwrap();
            let found = event.map(|event| (event.event_id, event.hash));
            assert_eq!(found, Some((receipt.event_id, receipt.leaf_hash)), "seq {}", receipt.seq);
        }
        let mut held: HashMap<Digest, UnixMs> = HashMap::new();
        let head = journal.head().unwrap().seq;
        for seq in 1..=head {
            let event = journal.event(seq).unwrap().unwrap();
            let Some(claim) = event.claim.filter(|_| event.kind == EventKind::Webhook) else { continue };
            if let Some(ends) = held.insert(claim.key, claim.expires_at) {
                assert!(
                    ends <= event.recorded_at,
                    "seq {seq} was accepted within the window of an earlier one"
                );
            }
        }
    }
}
