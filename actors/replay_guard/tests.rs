//! What the replay guard promises: the table here, the actor around it in [`acting`].

mod acting;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId, Receipt};
use crate::journal::{JournalError, KeyHolder, Verdict};
use crate::limits::{LEASE_WAITERS_MAX, LEASES_MAX};

const NOW: UnixMs = 1_700_000_000_000;
const LATER: UnixMs = NOW + 1_000;

/// An index in memory, and whether it is broken.
#[derive(Clone, Default)]
struct Index(Arc<Mutex<HashMap<Digest, KeyHolder>>>, Arc<Mutex<bool>>);

impl Index {
    fn hold(&self, key: Digest, holder: KeyHolder) {
        self.0.lock().unwrap().insert(key, holder);
    }

    fn breaks(&self) {
        *self.1.lock().unwrap() = true;
    }
}

impl KeyIndex for Index {
    fn find(&self, key: &Digest, now: UnixMs) -> Result<Option<KeyHolder>, JournalError> {
        if *self.1.lock().unwrap() {
            return Err(JournalError::ReadersBusy);
        }
        Ok(self.0.lock().unwrap().get(key).filter(|holder| holder.expires_at > now).cloned())
    }
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn holder(verdict: Verdict, body: &str) -> KeyHolder {
    let receipt = Receipt { event_id: EventId::new(NOW, 1), seq: 1, leaf_hash: digest("leaf") };
    KeyHolder { verdict, body: digest(body), receipt, expires_at: LATER }
}

fn ask(key: &str, body: &str) -> Reserve {
    Reserve { key: digest(key), body: digest(body) }
}

type Answer = oneshot::Receiver<Result<Reservation, ReplayError>>;

/// The table with its leases' ends in a list, to be brought to it when the test says so.
struct Table {
    leases: Leases,
    ends: std::sync::mpsc::Receiver<(Grant, LeaseEnd)>,
    index: Index,
    now: UnixMs,
}

impl Table {
    fn new() -> Self {
        let (sender, ends) = std::sync::mpsc::channel();
        let index = Index::default();
        let tell: LeaseEnds = Arc::new(move |grant, end| drop(sender.send((grant, end))));
        Self { leases: Leases::new(Box::new(index.clone()), tell), ends, index, now: NOW }
    }

    fn ask(&mut self, key: &str, body: &str) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.leases.reserve(ask(key, body), reply, self.now);
        answer
    }

    /// Asks, when the answer has to come at once.
    fn get(&mut self, key: &str, body: &str) -> Reservation {
        self.ask(key, body).try_recv().unwrap().unwrap()
    }

    fn fresh(&mut self, key: &str, body: &str) -> Lease {
        match self.get(key, body) {
            Reservation::Fresh(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    /// Brings the ends of leases to the table until there are no more.
    fn settle_down(&mut self) {
        while let Ok((grant, end)) = self.ends.try_recv() {
            self.leases.end(grant, end, self.now);
        }
    }
}

fn word(reservation: &Reservation) -> &'static str {
    match reservation {
        Reservation::Fresh(_) => "fresh",
        Reservation::Rejudge { .. } => "rejudge",
        Reservation::Duplicate(_) => "duplicate",
        Reservation::Conflict { lease: Some(_), .. } => "new conflict",
        Reservation::Conflict { lease: None, .. } => "known conflict",
    }
}

#[test]
fn what_was_seen_decides_the_answer_whether_from_memory_or_from_the_index() {
    let table = [
        (Verdict::Accepted, "x", "duplicate"),
        (Verdict::Filtered, "x", "rejudge"),
        (Verdict::Rejected, "x", "rejudge"),
        (Verdict::Accepted, "y", "new conflict"),
        (Verdict::Filtered, "y", "new conflict"),
        (Verdict::Rejected, "y", "new conflict"),
    ];
    for (verdict, body, expected) in table {
        let mut remembered = Table::new();
        remembered.fresh("k", "x").settle(holder(verdict, "x"));
        remembered.settle_down();
        assert_eq!(word(&remembered.get("k", body)), expected, "{verdict:?} {body} from memory");

        let mut indexed = Table::new();
        indexed.index.hold(digest("k"), holder(verdict, "x"));
        assert_eq!(word(&indexed.get("k", body)), expected, "{verdict:?} {body} from the index");
    }
}

#[test]
fn a_conflict_is_journaled_once_for_each_body() {
    let mut table = Table::new();
    table.index.hold(digest("k"), holder(Verdict::Accepted, "x"));
    for body in ["y", "z"] {
        let Reservation::Conflict { first, lease: Some(lease) } = table.get("k", body) else {
            panic!("{body}")
        };
        assert_eq!(first, holder(Verdict::Accepted, "x").receipt);
        assert_eq!(lease.key(), conflict_key(digest("k"), digest(body)));
        let mut copy = table.ask("k", body);
        assert!(copy.try_recv().is_err(), "it waits for the row of the conflict");
        lease.settle(holder(Verdict::Conflict, body));
        table.settle_down();
        assert_eq!(word(&copy.try_recv().unwrap().unwrap()), "known conflict");
        assert_eq!(word(&table.get("k", body)), "known conflict");
    }
    assert_eq!(word(&table.get("k", "x")), "duplicate");
}

#[test]
fn a_lease_that_is_dropped_goes_to_the_first_who_waits() {
    let mut table = Table::new();
    let lease = table.fresh("k", "x");
    let (mut second, mut third) = (table.ask("k", "x"), table.ask("k", "x"));
    drop(lease);
    table.settle_down();
    let Ok(Ok(Reservation::Fresh(lease))) = second.try_recv() else { panic!("the second does not have it") };
    assert!(third.try_recv().is_err());
    lease.settle(holder(Verdict::Accepted, "x"));
    table.settle_down();
    assert_eq!(word(&third.try_recv().unwrap().unwrap()), "duplicate");
    assert_eq!(table.leases.observe().released_total, 1);
}

#[test]
fn who_waited_and_went_away_holds_nobody_up() {
    let mut table = Table::new();
    let lease = table.fresh("k", "x");
    drop(table.ask("k", "x"));
    let mut last = table.ask("k", "x");
    drop(lease);
    table.settle_down();
    assert_eq!(word(&last.try_recv().unwrap().unwrap()), "fresh");
}

#[test]
fn an_answer_nobody_takes_frees_its_key() {
    let mut table = Table::new();
    drop(table.ask("k", "x"));
    table.settle_down();
    assert_eq!(table.leases.observe().leases, 0);
    assert_eq!(word(&table.get("k", "x")), "fresh");
}

#[test]
fn who_waits_with_other_bytes_is_in_conflict_once_the_first_is_stored() {
    let mut table = Table::new();
    let lease = table.fresh("k", "x");
    let mut other = table.ask("k", "y");
    assert!(other.try_recv().is_err());
    lease.settle(holder(Verdict::Accepted, "x"));
    table.settle_down();
    assert_eq!(word(&other.try_recv().unwrap().unwrap()), "new conflict");
}

#[test]
fn a_lease_of_an_earlier_time_changes_nothing() {
    let mut table = Table::new();
    drop(table.fresh("k", "x"));
    let stale = table.ends.recv().unwrap();
    table.leases.end(stale.0, stale.1, NOW);
    let lease = table.fresh("k", "x");
    table.leases.end(stale.0, LeaseEnd::Released, NOW);
    table.leases.end(stale.0, LeaseEnd::Settled(holder(Verdict::Accepted, "z")), NOW);
    let mut copy = table.ask("k", "x");
    assert!(copy.try_recv().is_err(), "the lease is still in flight");
    drop(lease);
}

#[test]
fn a_key_is_forgotten_when_its_window_ends() {
    let mut table = Table::new();
    table.fresh("k", "x").settle(holder(Verdict::Accepted, "x"));
    table.settle_down();
    table.now = LATER - 1;
    assert_eq!(word(&table.get("k", "x")), "duplicate");
    table.now = LATER;
    assert_eq!(word(&table.get("k", "x")), "fresh");
}

#[test]
fn what_memory_lets_go_the_index_still_knows() {
    let mut recent = recent::RecentKeys::with_capacity(2);
    for key in ["a", "b", "a", "c"] {
        recent.remember(digest(key), holder(Verdict::Accepted, key));
    }
    let known = ["a", "b", "c"].map(|key| recent.find(&digest(key), NOW).is_some());
    assert_eq!((known, recent.len()), ([false, true, true], 2));

    let mut table = Table::new();
    table.index.hold(digest("a"), holder(Verdict::Accepted, "x"));
    assert_eq!(word(&table.get("a", "x")), "duplicate");
    assert_eq!(word(&table.get("a", "x")), "duplicate");
    assert_eq!(table.leases.observe().index_lookups_total, 1);
}

#[test]
fn an_index_that_cannot_be_read_lets_nothing_through() {
    let mut table = Table::new();
    let lease = table.fresh("k", "x");
    let mut copy = table.ask("k", "x");
    table.index.breaks();
    assert!(matches!(table.ask("other", "x").try_recv(), Ok(Err(ReplayError::Index(_)))));
    drop(lease);
    table.settle_down();
    assert!(matches!(copy.try_recv(), Ok(Err(ReplayError::Index(_)))));
    assert_eq!(table.leases.observe().leases, 0);
}

#[test]
fn leases_and_waiters_are_bounded() {
    let mut table = Table::new();
    let leases: Vec<_> = (0..LEASES_MAX).map(|n| table.fresh(&n.to_string(), "x")).collect();
    assert!(matches!(table.ask("one more", "x").try_recv(), Ok(Err(ReplayError::TooManyLeases { .. }))));
    let waiters: Vec<_> = (0..LEASE_WAITERS_MAX).map(|_| table.ask("0", "x")).collect();
    assert!(matches!(table.ask("0", "x").try_recv(), Ok(Err(ReplayError::TooManyWaiters { .. }))));
    assert_eq!(table.leases.observe().waiters, waiters.len());
    drop(leases);
    table.settle_down();
    assert_eq!(table.leases.observe().leases, 1, "the first who waited has it now");
}

proptest! {
    /// Deliveries come, are judged in any order, stored or given up; the index is the journal.
    #[test]
    fn each_key_is_stored_once_whatever_the_interleaving(
        steps in prop::collection::vec((0..4_u8, 0..3_usize, 0..2_usize), 1..120),
    ) {
        const KEYS: [&str; 3] = ["a", "b", "c"];
        const BODIES: [&str; 2] = ["x", "y"];
        let mut table = Table::new();
        let mut waiting: Vec<(Answer, &str, &str)> = Vec::new();
        let mut held: Vec<(Lease, &str)> = Vec::new();
        let mut stored: HashMap<Digest, usize> = HashMap::new();
        for (step, key, body) in steps {
            match step {
                0 | 1 => waiting.push((table.ask(KEYS[key], BODIES[body]), KEYS[key], BODIES[body])),
                2 if !held.is_empty() => drop(held.swap_remove(key % held.len())),
                3 if !held.is_empty() => {
                    let (lease, body) = held.swap_remove(key % held.len());
                    *stored.entry(lease.key()).or_default() += 1;
                    table.index.hold(lease.key(), holder(Verdict::Accepted, body));
                    lease.settle(holder(Verdict::Accepted, body));
                }
                _ => {}
            }
            table.settle_down();
            waiting.retain_mut(|(answer, _, body)| match answer.try_recv() {
                Ok(Ok(Reservation::Fresh(lease) | Reservation::Conflict { lease: Some(lease), .. })) => {
                    held.push((lease, body));
                    false
                }
                Ok(_) => false,
                Err(_) => true,
            });
            let keys: std::collections::HashSet<_> = held.iter().map(|(lease, _)| lease.key()).collect();
            prop_assert_eq!(keys.len(), held.len(), "two leases of one key");
        }
        prop_assert!(stored.values().all(|times| *times == 1), "{:?}", stored);
        drop(held);
        table.settle_down();
        let answered = waiting.iter_mut().filter_map(|(answer, ..)| answer.try_recv().ok()).count();
        prop_assert!(table.leases.observe().leases <= answered);
    }
}
