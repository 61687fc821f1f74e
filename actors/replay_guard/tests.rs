//! What the replay guard promises: the table here, the actor around it in [`acting`].

mod acting;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, mpsc};

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::lease::{Grant, LeaseEnd};
use super::*;
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId, Receipt};
use crate::journal::{
    Append, Appended, HeldBecause, JournalError, KeyHolder, NewEvent, ReplayClaim, SystemEvent, Verdict,
};
use crate::limits::{LEASE_WAITERS_MAX, LEASES_MAX};
use crate::replies::{Fetched, Wakes};

const NOW: UnixMs = 1_700_000_000_000;
const LATER: UnixMs = NOW + 1_000;

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn claim(key: &str, body: &str, verdict: Verdict) -> ReplayClaim {
    ReplayClaim {
        key: digest(key),
        body: digest(body),
        verdict,
        expires_at: LATER,
        is_whole: false,
        retries_differ: false,
    }
}

fn receipt(seq: u64) -> Receipt {
    Receipt { event_id: EventId::new(NOW, 1), seq, leaf_hash: digest("leaf") }
}

fn delivery(claim: ReplayClaim) -> (Submit, Answer) {
    let (reply, answer) = Fetched::by_hand();
    let event = NewEvent::System(SystemEvent::new("a", "b"));
    (Submit { event, claim, reply, held_until_answered: Arc::new(()) }, answer)
}

type Answer = Fetched<Result<Appended, SubmitError>>;

/// What came of a delivery so far.
fn word(answer: &mut Answer) -> &'static str {
    match answer.try_recv() {
        Err(oneshot::error::TryRecvError::Empty) => "waits",
        Err(oneshot::error::TryRecvError::Closed) => "not known",
        Ok(Ok(Appended::Stored(_))) => "stored",
        Ok(Ok(Appended::Held { .. })) => "held",
        Ok(Err(SubmitError::Replay(_))) => "refused",
        Ok(Err(SubmitError::Journal(_))) => "failed",
    }
}

/// The table; the ends of leases and what is handed on to the journal lie in lists until the test says so.
struct Table {
    leases: Leases,
    ends: mpsc::Receiver<(Grant, LeaseEnd)>,
    journal: Vec<Append>,
    now: UnixMs,
}

impl Table {
    fn new() -> Self {
        let (sender, ends) = mpsc::channel();
        let tell: LeaseEnds = Arc::new(move |grant, end| drop(sender.send((grant, end))));
        Self { leases: Leases::new(tell, Seen::default()), ends, journal: Vec::new(), now: NOW }
    }

    fn submit(&mut self, key: &str, body: &str, verdict: Verdict) -> Answer {
        let (submit, answer) = delivery(claim(key, body, verdict));
        self.journal.extend(self.leases.submit(submit, self.now, &mut Wakes::default()));
        answer
    }

    fn accept(&mut self, key: &str, body: &str) -> Answer {
        self.submit(key, body, Verdict::Accepted)
    }

    /// The journal answers its oldest append.
    fn journal_answers(&mut self, outcome: Result<Appended, JournalError>) {
        self.journal.remove(0).reply.answer(outcome, &mut Wakes::default());
        self.settle_down();
    }

    fn journal_stores(&mut self, seq: u64) {
        self.journal_answers(Ok(Appended::Stored(receipt(seq))));
    }

    /// Passes the ends of leases to the table until there are no more.
    fn settle_down(&mut self) {
        while let Ok((grant, end)) = self.ends.try_recv() {
            self.journal.extend(self.leases.end(grant, end, self.now, &mut Wakes::default()));
        }
    }
}

#[test]
fn what_was_seen_lately_is_answered_unless_the_same_bytes_are_judged_higher() {
    let table = [
        (Verdict::Accepted, "x", Verdict::Accepted, "held"),
        (Verdict::Accepted, "x", Verdict::Filtered, "held"),
        (Verdict::Accepted, "y", Verdict::Accepted, "held"),
        (Verdict::Filtered, "x", Verdict::Filtered, "held"),
        (Verdict::Filtered, "x", Verdict::Accepted, "waits"),
        (Verdict::Filtered, "y", Verdict::Accepted, "held"),
        (Verdict::Rejected, "x", Verdict::Filtered, "waits"),
    ];
    for (first, body, second, expected) in table {
        let mut table = Table::new();
        table.submit("k", "x", first);
        table.journal_stores(1);
        let case = format!("{first:?}, then {second:?} with {body}");
        assert_eq!(word(&mut table.submit("k", body, second)), expected, "{case}");
        assert_eq!(table.journal.len(), usize::from(expected == "waits"), "{case}");
    }
}

#[test]
fn what_was_filtered_is_put_to_the_journal_again_whatever_its_bytes_if_retries_differ() {
    let mut table = Table::new();
    table.submit("k", "x", Verdict::Filtered);
    table.journal_stores(1);
    let mut submit = |verdict| {
        let (submit, mut answer) = delivery(ReplayClaim { retries_differ: true, ..claim("k", "y", verdict) });
        let appended = table.leases.submit(submit, table.now, &mut Wakes::default());
        (word(&mut answer), appended.is_some())
    };
    assert_eq!(submit(Verdict::Filtered), ("held", false));
    assert_eq!(submit(Verdict::Accepted), ("waits", true));
}

#[test]
fn what_the_guard_does_not_know_the_journal_decides() {
    let mut table = Table::new();
    let mut first = table.accept("k", "x");
    let holder = KeyHolder::of(&claim("k", "x", Verdict::Accepted), receipt(7));
    let because = HeldBecause::AlreadyAccepted;
    let told = Appended::Held { holder, because };
    table.journal_answers(Ok(told.clone()));
    assert!(matches!(first.try_recv(), Ok(Ok(held)) if held == told));
    assert!(matches!(table.accept("k", "x").try_recv(), Ok(Ok(held)) if held == told));
    let shown = table.leases.observe();
    assert_eq!((shown.recent_keys, shown.seen_total), (1, 1));
}

#[test]
fn copies_of_what_is_in_flight_wait_for_its_row() {
    let mut table = Table::new();
    let mut answers: Vec<Answer> = (0..3).map(|_| table.accept("k", "x")).collect();
    let mut other = table.accept("k", "y");
    assert_eq!((table.journal.len(), word(&mut answers[2])), (1, "waits"));
    table.journal_stores(1);
    assert_eq!(answers.iter_mut().map(word).collect::<Vec<_>>(), ["stored", "held", "held"]);
    assert_eq!(word(&mut other), "held");
}

#[test]
fn a_lease_that_came_to_nothing_goes_to_the_first_who_waits() {
    for outcome in [Some(Err(JournalError::Busy)), None] {
        let mut table = Table::new();
        let mut answers: Vec<Answer> = (0..3).map(|_| table.accept("k", "x")).collect();
        match outcome {
            Some(outcome) => table.journal_answers(outcome),
            // It panicked over the group.
            None => drop(table.journal.remove(0)),
        }
        table.settle_down();
        assert_eq!(table.leases.observe().released_total, 1);
        assert!(matches!(word(&mut answers[0]), "failed" | "not known"));
        assert_eq!((word(&mut answers[1]), table.journal.len()), ("waits", 1));
        table.journal_stores(1);
        assert_eq!(answers[1..].iter_mut().map(word).collect::<Vec<_>>(), ["stored", "held"]);
    }
}

#[test]
fn who_waited_and_went_away_holds_nobody_up() {
    let mut table = Table::new();
    let first = table.accept("k", "x");
    drop(table.accept("k", "x"));
    let mut last = table.accept("k", "x");
    table.journal_answers(Err(JournalError::Busy));
    table.journal_stores(1);
    assert_eq!(word(&mut last), "stored");
    drop(first);
}

#[test]
fn what_was_handed_on_is_settled_though_its_sender_went_away() {
    let mut table = Table::new();
    drop(table.accept("k", "x"));
    table.journal_stores(1);
    assert_eq!(table.leases.observe().leases, 0);
    assert_eq!(word(&mut table.accept("k", "x")), "held");
    assert_eq!(table.leases.observe().submitted_total, 1, "the copy was not handed on");
}

#[test]
fn a_lease_of_an_earlier_time_changes_nothing() {
    let mut table = Table::new();
    let _first = table.accept("k", "x");
    drop(table.journal.remove(0));
    let stale = table.ends.recv().unwrap();
    assert!(table.leases.end(stale.0, LeaseEnd::Released, NOW, &mut Wakes::default()).is_empty());
    let _second = table.accept("k", "x");
    let settled = LeaseEnd::Settled(KeyHolder::of(&claim("k", "z", Verdict::Accepted), receipt(1)));
    for end in [LeaseEnd::Released, settled] {
        assert!(table.leases.end(stale.0, end, NOW, &mut Wakes::default()).is_empty());
        assert_eq!(word(&mut table.accept("k", "x")), "waits", "the lease is still in flight");
    }
}

#[test]
fn a_key_is_forgotten_when_its_window_ends() {
    let mut table = Table::new();
    table.accept("k", "x");
    table.journal_stores(1);
    table.now = LATER - 1;
    assert_eq!(word(&mut table.accept("k", "x")), "held");
    table.now = LATER;
    assert_eq!(word(&mut table.accept("k", "x")), "waits", "the journal is asked");
}

#[test]
fn the_oldest_keys_are_let_go() {
    let mut recent = recent::RecentKeys::with_capacity(2);
    for key in ["a", "b", "a", "c"] {
        recent.remember(digest(key), KeyHolder::of(&claim(key, key, Verdict::Accepted), receipt(1)));
    }
    let known = ["a", "b", "c"].map(|key| recent.find(&digest(key), NOW).is_some());
    assert_eq!((known, recent.len()), ([false, true, true], 2));
}

#[test]
fn leases_and_waiters_are_bounded() {
    let mut table = Table::new();
    let leases: Vec<_> = (0..LEASES_MAX).map(|n| table.accept(&n.to_string(), "x")).collect();
    let mut refused = table.accept("one more", "x");
    assert!(matches!(refused.try_recv(), Ok(Err(SubmitError::Replay(ReplayError::TooManyLeases { .. })))));
    let waiters: Vec<_> = (0..LEASE_WAITERS_MAX).map(|_| table.accept("0", "x")).collect();
    let mut refused = table.accept("0", "x");
    assert!(matches!(refused.try_recv(), Ok(Err(SubmitError::Replay(ReplayError::TooManyWaiters { .. })))));
    assert_eq!(table.leases.observe().waiters, waiters.len());
    table.journal.clear();
    table.settle_down();
    assert_eq!(table.leases.observe().leases, 1, "the first who waited has it now");
    drop(leases);
}

proptest! {
    /// Deliveries come, are stored, fail or are given up in any order.
    #[test]
    fn each_key_is_stored_once_whatever_the_interleaving(
        steps in prop::collection::vec((0..4_u8, 0..3_usize, 0..2_usize), 1..120),
    ) {
        const KEYS: [&str; 3] = ["a", "b", "c"];
        const BODIES: [&str; 2] = ["x", "y"];
        let mut table = Table::new();
        let mut waiting: Vec<Answer> = Vec::new();
        let mut stored: HashMap<Digest, usize> = HashMap::new();
        for (step, key, body) in steps {
            match step {
                0 | 1 => waiting.push(table.accept(KEYS[key], BODIES[body])),
                2 if !waiting.is_empty() => drop(waiting.swap_remove(key % waiting.len())),
                3 if !table.journal.is_empty() => {
                    let append = table.journal.swap_remove(key % table.journal.len());
                    if body == 0 {
                        *stored.entry(append.claim.unwrap().key).or_default() += 1;
                        append.reply.answer(Ok(Appended::Stored(receipt(1))), &mut Wakes::default());
                    } else {
                        append.reply.answer(Err(JournalError::Busy), &mut Wakes::default());
                    }
                }
                _ => {}
            }
            table.settle_down();
            let keys: HashSet<_> = table.journal.iter().map(|append| append.claim.unwrap().key).collect();
            prop_assert_eq!(keys.len(), table.journal.len(), "two leases of one key");
        }
        prop_assert!(stored.values().all(|times| *times == 1), "{:?}", stored);
        while !table.journal.is_empty() {
            table.journal_stores(1);
        }
        prop_assert_eq!(table.leases.observe().leases, 0);
        prop_assert!(waiting.iter_mut().all(|answer| word(answer) != "waits"));
    }
}

#[test]
fn what_was_accepted_is_published_for_the_same_bytes_within_the_window() {
    let mut table = Table::new();
    let seen = Seen::default();
    table.leases = Leases::new(Arc::new(|_, _| {}), seen.clone());
    let known = |key: &str, body: &str, now| seen.accepted(&digest(key), &digest(body), now);
    for (key, verdict) in [("k", Verdict::Accepted), ("f", Verdict::Filtered)] {
        seen.lock().remember(digest(key), KeyHolder::of(&claim(key, "x", verdict), receipt(1)));
    }
    assert_eq!(known("k", "x", LATER - 1), Some(receipt(1)));
    assert_eq!((known("k", "x", LATER), known("k", "y", NOW), known("f", "x", NOW)), (None, None, None));
    assert_eq!(table.leases.observe().seen_total, 1);
}
