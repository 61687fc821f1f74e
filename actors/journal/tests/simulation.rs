//! Replay guard and journal together, under every accident at once, by chance: a seed gives a whole history.
//!
//! Nothing here has a thread, a clock or a socket: deliveries take the steps of the ingress in an order the dice choose,
//! groups are committed when the dice say so, and the disk is what the dice leave of it after a crash. The short form
//! runs with the other tests; `just simulate` runs 10,000 seeds.

mod disk;
mod model;

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::sealing::Open;
use super::sweeps::{Dice, scaled};
use super::*;
use crate::clock::ManualClock;
use crate::provider::Verified;
use crate::replay_guard::lease::{Grant, LeaseEnd};
use crate::replay_guard::leases::Leases;
use crate::replay_guard::{Seen, Submit, SubmitError};
use crate::replies::{Fetched, Wakes};
use disk::{Image, Order};
use model::{Model, WINDOW_MS};

/// Steps of a history.
fn steps() -> u64 {
    scaled(120, 500)
}
/// Deliveries are chosen among so few that they meet.
const IDS: u64 = 12;
const HOUR_MS: u64 = 3_600_000;
/// Each delivery is signed as a whole.
const SIGNED: Verified =
    Verified { key_version: Some(1), signed_digest: None, covers_content: true, covers_bytes: true };

thread_local! {
    static RANDOM: Cell<u64> = const { Cell::new(0) };
}

/// Random bits of this thread's history alone, so that a seed gives the same event ids and keys again.
fn random() -> u128 {
    RANDOM.with(|state| {
        state.set(state.get() + 1);
        u128::from_be_bytes(Digest::of(&state.get().to_be_bytes()).0[..16].try_into().unwrap())
    })
}

/// One request that waits for its answer.
struct Request {
    sent: Sent,
    verdict: Verdict,
    answer: Fetched<Result<Appended, SubmitError>>,
}

/// What a sender sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    id: u64,
    body: u64,
}

impl Sent {
    fn key(self) -> Digest {
        Digest::of(&self.id.to_be_bytes())
    }

    fn text(self) -> String {
        format!("{{\"id\":{},\"body\":{}}}", self.id, self.body)
    }

    fn digest(self) -> Digest {
        Digest::of(self.text().as_bytes())
    }
}

struct World {
    dice: Dice,
    now: UnixMs,
    place: Place,
    journal: Open,
    leases: Leases,
    ended: Arc<Mutex<Vec<(Grant, LeaseEnd)>>>,
    requests: Vec<Request>,
    /// The mailbox of the journal.
    mailbox: Vec<Append>,
    model: Model,
    /// Whether the operator's allow list lets events through now.
    allows: bool,
    crashes: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        RANDOM.set(seed << 32);
        let place = Place::new();
        let journal = reopen(&place, NOW);
        let ended = Arc::default();
        let leases = guard(&ended);
        let (dice, model) = (Dice(seed), Model::default());
        Self {
            dice,
            now: NOW,
            place,
            journal,
            leases,
            ended,
            requests: Vec::new(),
            mailbox: Vec::new(),
            model,
            allows: true,
            crashes: 0,
        }
    }

    fn step(&mut self) {
        self.model.at(self.now);
        match self.dice.below(100) {
            0..50 => self.send(),
            50..85 => self.commit(),
            85..89 => self.seal(),
            89..92 => self.pass_time(),
            92..94 => self.allows = !self.allows,
            94..96 => self.lose_interest(),
            96..97 => self.lose_a_file_for_a_while(),
            97..98 => self.restart_the_guard(),
            _ => self.crash_in_a_commit(),
        }
        self.tell_of_ends();
        self.hear();
    }

    /// A new request: the id is an old one more often than not, the body sometimes another.
    fn send(&mut self) {
        let sent = Sent { id: self.dice.below(IDS), body: u64::from(self.dice.below(8) == 0) };
        self.submit(sent, if self.allows { Verdict::Accepted } else { Verdict::Filtered });
    }

    fn submit(&mut self, sent: Sent, verdict: Verdict) {
        let key = match verdict {
            Verdict::Conflict => SIGNED.conflict_key(sent.key(), sent.digest()),
            _ => sent.key(),
        };
        let expires_at = self.now + WINDOW_MS;
        let claim = ReplayClaim {
            key,
            body: sent.digest(),
            verdict,
            expires_at,
            is_whole: SIGNED.covers_bytes,
            retries_differ: false,
        };
        let (reply, answer) = Fetched::by_hand();
        let event = delivery("", &sent.text(), verdict).event;
        self.mailbox.extend(self.leases.submit(
            Submit { event, claim, reply, held_until_answered: Arc::new(()) },
            self.now,
            &mut Wakes::default(),
        ));
        self.requests.push(Request { sent, verdict, answer });
    }

    /// Whoever has been answered hears it at once: what is true of an answer is true when it is given.
    fn hear(&mut self) {
        for mut request in std::mem::take(&mut self.requests) {
            match request.answer.try_recv() {
                Ok(Ok(appended)) => self.answer(request.sent, request.verdict, appended),
                Err(oneshot::error::TryRecvError::Empty) => self.requests.push(request),
                // 503.
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => {}
            }
        }
    }

    /// What the sender is told.
    fn answer(&mut self, sent: Sent, verdict: Verdict, appended: Appended) {
        match appended {
            Appended::Stored(receipt) => self.model.answered_again(&receipt),
            Appended::Held { holder, .. } if verdict == Verdict::Conflict => {
                self.model.answered_again(&holder.receipt)
            }
            Appended::Held { holder, because } => match because {
                HeldBecause::AlreadyAccepted => self.model.duplicate(sent, &holder.receipt),
                HeldBecause::AlreadyJudged => self.model.answered_again(&holder.receipt),
                HeldBecause::OtherBody | HeldBecause::OtherNames => self.submit(sent, Verdict::Conflict),
            },
        }
    }

    /// Appends that wait, in an order the dice choose; a full mailbox turns some away.
    fn take_group(&mut self) -> Vec<Append> {
        let mut waiting = std::mem::take(&mut self.mailbox);
        let room = 1 + self.dice.below(6) as usize;
        waiting.truncate(room);
        waiting
    }

    fn commit(&mut self) {
        let group = self.take_group();
        let rows = group.iter().map(|append| NewRow { event: append.event.clone(), claim: append.claim });
        let outcomes = self.journal.writer.append(rows.collect(), self.now).unwrap();
        for (append, outcome) in group.into_iter().zip(outcomes) {
            if let (Ok(Appended::Stored(receipt)), Some(claim)) = (&outcome, &append.claim) {
                self.model.stored(claim, receipt);
            }
            append.reply.answer(outcome, &mut Wakes::default());
        }
    }

    fn seal(&mut self) {
        self.journal.seal_at(self.now);
    }

    /// The clock goes on, or is set forward or back by up to an hour; now and then whole windows pass.
    fn pass_time(&mut self) {
        self.now = match self.dice.below(10) {
            0 => self.now + WINDOW_MS + self.dice.below(HOUR_MS),
            1..=4 => self.now.saturating_sub(self.dice.below(HOUR_MS)),
            _ => self.now + self.dice.below(HOUR_MS),
        };
    }

    /// A sender or its handler gives up: whatever it held is dropped.
    fn lose_interest(&mut self) {
        if !self.requests.is_empty() {
            let chosen = self.dice.below(self.requests.len() as u64) as usize;
            drop(self.requests.swap_remove(chosen));
        }
    }

    /// A write fails: nothing is acknowledged from then on, and what it left behind is found out at the next start.
    fn lose_a_file_for_a_while(&mut self) {
        let (anchor, away) = (self.place.files().anchor, self.place.folder.path().join("away"));
        std::fs::rename(&anchor, &away).unwrap();
        let group = self.take_group();
        let failed = self.journal.writer.append(rows_of(&group), self.now);
        assert!(matches!(failed, Err(JournalError::Poisoned { .. })), "{failed:?}");
        for _ in 0..3 {
            let later = self.journal.writer.append(vec![system("later")], self.now);
            assert!(matches!(later, Err(JournalError::Poisoned { .. })), "poisoned for good");
        }
        drop(group);
        std::fs::rename(&away, &anchor).unwrap();
        self.place = Image::of(&self.place).onto_a_new_disk();
        self.start_again();
    }

    /// What it handed on already goes its way.
    fn restart_the_guard(&mut self) {
        self.leases = guard(&self.ended);
    }

    /// The power fails in the middle of a commit or of a checkpoint; nobody was answered.
    fn crash_in_a_commit(&mut self) {
        let before = Image::of(&self.place);
        let order = if self.dice.below(3) > 0 {
            let group = self.take_group();
            self.journal.writer.append(rows_of(&group), self.now).unwrap();
            drop(group);
            Order::Commit
        } else {
            self.now += self.dice.below(2) * crate::limits::EPOCH_MS;
            self.model.at(self.now);
            self.seal();
            Order::Checkpoint
        };
        let left = Image::of(&self.place).cut(&before, order, &mut self.dice);
        self.crashes += 1;
        self.place = left.onto_a_new_disk();
        self.start_again();
    }

    /// A process that starts finds nothing but the disk.
    fn start_again(&mut self) {
        self.requests.clear();
        self.mailbox.clear();
        self.journal = reopen(&self.place, self.now);
        self.leases = guard(&self.ended);
        self.check();
    }

    fn tell_of_ends(&mut self) {
        loop {
            let ended = std::mem::take(&mut *self.ended.lock().unwrap());
            if ended.is_empty() {
                return;
            }
            for (grant, end) in ended {
                self.mailbox.extend(self.leases.end(grant, end, self.now, &mut Wakes::default()));
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.place.problems(), []);
        self.model.check(&self.place.reader());
    }
}

fn reopen(place: &Place, now: UnixMs) -> Open {
    let (files, clock, head) = (place.files(), ManualClock::at(now), watch::Sender::new(0));
    let config = JournalConfig { files, accept_rollback: false, clock, random, head };
    let mut writer = Writer::open(&config.files, random, false, now).unwrap();
    let sealer = open_sealer(&config, &mut writer).unwrap();
    Open { writer, sealer }
}

fn rows_of(group: &[Append]) -> Vec<NewRow> {
    let rows = group.iter().map(|append| NewRow { event: append.event.clone(), claim: append.claim });
    rows.chain([system("last")]).collect()
}

fn guard(ended: &Arc<Mutex<Vec<(Grant, LeaseEnd)>>>) -> Leases {
    let ended = Arc::clone(ended);
    let tell = move |grant, end| ended.lock().unwrap().push((grant, end));
    Leases::new(Arc::new(tell), Seen::default())
}

/// Runs the history of a seed; gives its last hash and how often it crashed.
fn history(seed: u64) -> (Digest, u64) {
    let mut world = World::new(seed);
    for _ in 0..steps() {
        world.step();
    }
    world.check();
    (world.journal.writer.head().hash, world.crashes)
}

#[test]
fn no_history_of_accidents_breaks_a_promise() {
    let seeds = scaled(30, 10_000);
    let from = std::env::var("PALYRA_TEST_SEED").ok().map_or(1, |seed| seed.parse().unwrap());
    let crashes: u64 = std::thread::scope(|scope| {
        let run = |half: u64| {
            scope.spawn(move || {
                let mine = (from..from + seeds).filter(move |seed| seed % 2 == half);
                mine.map(|seed| {
                    if seed.is_multiple_of(1_000) {
                        println!("seed {seed}");
                    }
                    let outcome = std::panic::catch_unwind(|| history(seed).1);
                    outcome.unwrap_or_else(|_| panic!("PALYRA_TEST_SEED={seed} breaks a promise"))
                })
                .sum::<u64>()
            })
        };
        [run(0), run(1)].into_iter().map(|half| half.join().unwrap()).sum()
    });
    println!("{seeds} histories of {} steps, {crashes} crashes", steps());
    assert!(crashes > seeds, "{crashes}");
}

#[test]
fn a_seed_gives_the_same_history_again() {
    for seed in 1..4 {
        assert_eq!(history(seed), history(seed));
    }
}

#[test]
fn a_history_in_which_acknowledged_events_are_lost_would_be_seen() {
    let mut seen = 0;
    for seed in 1..20 {
        let mut world = World::new(seed);
        for _ in 0..40 {
            world.step();
        }
        // The planted fault: the newest row is gone, and anchor and checkpoints with it.
        let head = world.place.reader().head().unwrap().seq;
        tamper(&world.place, &format!("DELETE FROM journal_events WHERE seq = {head}"));
        let check = std::panic::AssertUnwindSafe(|| world.model.check(&world.place.reader()));
        seen += u64::from(std::panic::catch_unwind(check).is_err());
    }
    assert!(seen > 5, "{seen}");
}
