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
use crate::replay_guard::lease::{Grant, LeaseEnd};
use crate::replay_guard::leases::Leases;
use crate::replay_guard::{Lease, ReplayError, Reservation, Reserve, supersedes};
use disk::{Image, Order};
use model::{Model, WINDOW_MS};

/// Steps of a history.
fn steps() -> u64 {
    scaled(120, 500)
}
/// Deliveries are chosen among so few that they meet.
const IDS: u64 = 12;
const HOUR_MS: u64 = 3_600_000;

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

/// One request on its way.
enum Request {
    /// Waits for the answer to its reservation.
    Reserving(Sent, oneshot::Receiver<Result<Reservation, ReplayError>>),
    /// Waits in the mailbox of the journal.
    Appending(Sent, Verdict, Lease),
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
        let leases = guard(&place, &ended);
        let (dice, model) = (Dice(seed), Model::default());
        Self {
            dice,
            now: NOW,
            place,
            journal,
            leases,
            ended,
            requests: Vec::new(),
            model,
            allows: true,
            crashes: 0,
        }
    }

    fn step(&mut self) {
        self.model.at(self.now);
        match self.dice.below(100) {
            0..35 => self.send(),
            35..65 => self.go_on(),
            65..85 => self.commit(),
            85..89 => self.seal(),
            89..92 => self.pass_time(),
            92..94 => self.allows = !self.allows,
            94..96 => self.lose_interest(),
            96..97 => self.lose_a_file_for_a_while(),
            97..98 => self.restart_the_guard(),
            _ => self.crash_in_a_commit(),
        }
        self.tell_of_ends();
    }

    /// A new request: the id is an old one more often than not, the body sometimes another.
    fn send(&mut self) {
        let sent = Sent { id: self.dice.below(IDS), body: u64::from(self.dice.below(8) == 0) };
        let (reply, answer) = oneshot::channel();
        self.leases.reserve(Reserve { key: sent.key(), body: sent.digest() }, reply, self.now);
        self.requests.push(Request::Reserving(sent, answer));
    }

    /// One of the requests takes its next step, if it can.
    fn go_on(&mut self) {
        if self.requests.is_empty() {
            return;
        }
        let chosen = self.dice.below(self.requests.len() as u64) as usize;
        match self.requests.swap_remove(chosen) {
            Request::Reserving(sent, mut answer) => match answer.try_recv() {
                Ok(reservation) => self.judge(sent, reservation),
                Err(oneshot::error::TryRecvError::Empty) => {
                    self.requests.push(Request::Reserving(sent, answer))
                }
                Err(oneshot::error::TryRecvError::Closed) => {}
            },
            appending => self.requests.push(appending),
        }
    }

    fn judge(&mut self, sent: Sent, reservation: Result<Reservation, ReplayError>) {
        let verdict = if self.allows { Verdict::Accepted } else { Verdict::Filtered };
        match reservation {
            Ok(Reservation::Fresh(lease)) => self.requests.push(Request::Appending(sent, verdict, lease)),
            Ok(Reservation::Rejudge { lease, holder }) if supersedes(verdict, holder.verdict) => {
                self.requests.push(Request::Appending(sent, verdict, lease));
            }
            Ok(Reservation::Rejudge { holder, .. }) => self.model.answered_again(&holder.receipt),
            Ok(Reservation::Duplicate(receipt)) => self.model.duplicate(sent, &receipt),
            Ok(Reservation::Conflict { lease: Some(lease), .. }) => {
                self.requests.push(Request::Appending(sent, Verdict::Conflict, lease));
            }
            // 409 without a row, or 503.
            Ok(Reservation::Conflict { lease: None, .. }) | Err(_) => {}
        }
    }

    /// Appends that wait, in an order the dice choose; a full mailbox turns some away.
    fn take_group(&mut self) -> (Vec<(Sent, Verdict, Lease)>, Vec<NewRow>) {
        let mut waiting = Vec::new();
        for request in std::mem::take(&mut self.requests) {
            match request {
                Request::Appending(sent, verdict, lease) => waiting.push((sent, verdict, lease)),
                reserving => self.requests.push(reserving),
            }
        }
        let room = 1 + self.dice.below(6) as usize;
        waiting.truncate(room);
        let expires_at = self.now + WINDOW_MS;
        let row = |(sent, verdict, lease): &(Sent, Verdict, Lease)| {
            let claim = ReplayClaim { key: lease.key(), body: sent.digest(), verdict: *verdict, expires_at };
            NewRow { claim: Some(claim), ..delivery("", &sent.text(), *verdict) }
        };
        let rows = waiting.iter().map(row).collect();
        (waiting, rows)
    }

    fn commit(&mut self) {
        let (waiting, rows) = self.take_group();
        let outcomes = self.journal.writer.append(rows, self.now).unwrap();
        for ((sent, verdict, lease), outcome) in waiting.into_iter().zip(outcomes) {
            match outcome.unwrap() {
                Appended::Stored(receipt) => {
                    let expires_at = self.now + WINDOW_MS;
                    self.model.stored(sent, verdict, &receipt, expires_at);
                    lease.settle(KeyHolder { verdict, body: sent.digest(), receipt, expires_at });
                }
                Appended::Held(holder) => {
                    self.model.held(sent, &holder);
                    lease.settle(holder);
                }
            }
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
        let (waiting, mut rows) = self.take_group();
        rows.push(system("last"));
        let failed = self.journal.writer.append(rows, self.now);
        assert!(matches!(failed, Err(JournalError::Poisoned { .. })), "{failed:?}");
        for _ in 0..3 {
            let later = self.journal.writer.append(vec![system("later")], self.now);
            assert!(matches!(later, Err(JournalError::Poisoned { .. })), "poisoned for good");
        }
        drop(waiting);
        std::fs::rename(&away, &anchor).unwrap();
        self.place = Image::of(&self.place).onto_a_new_disk();
        self.start_again();
    }

    fn restart_the_guard(&mut self) {
        self.requests.retain(|request| matches!(request, Request::Appending(..)));
        self.leases = guard(&self.place, &self.ended);
    }

    /// The power fails in the middle of a commit or of a checkpoint; nobody was answered.
    fn crash_in_a_commit(&mut self) {
        let before = Image::of(&self.place);
        let order = if self.dice.below(3) > 0 {
            let (waiting, mut rows) = self.take_group();
            rows.push(system("last"));
            self.journal.writer.append(rows, self.now).unwrap();
            drop(waiting);
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
        self.journal = reopen(&self.place, self.now);
        self.leases = guard(&self.place, &self.ended);
        self.check();
    }

    fn tell_of_ends(&mut self) {
        loop {
            let ended = std::mem::take(&mut *self.ended.lock().unwrap());
            if ended.is_empty() {
                return;
            }
            ended.into_iter().for_each(|(grant, end)| self.leases.end(grant, end, self.now));
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
    let mut writer = Writer::open(&config.files, random, false).unwrap();
    let sealer = open_sealer(&config, &mut writer).unwrap();
    Open { writer, sealer }
}

fn guard(place: &Place, ended: &Arc<Mutex<Vec<(Grant, LeaseEnd)>>>) -> Leases {
    let ended = Arc::clone(ended);
    let tell = move |grant, end| ended.lock().unwrap().push((grant, end));
    Leases::new(Box::new(place.reader()), Arc::new(tell))
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
