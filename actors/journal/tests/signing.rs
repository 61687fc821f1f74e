//! When a checkpoint is due, who waits for one, and what prevents one from being signed.

use std::fs::{self, File, TryLockError};

use rusqlite::ffi;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::sealing::{Open, first_problem, open, rewrite, try_open};
use super::*;
use crate::journal::signing::resume::lock;
use crate::journal::signing::sealer::SealError;
use crate::journal::signing::store::store;
use crate::journal::signing::unsigned_leaves::Leaves;
use crate::limits::{CHECKPOINT_BYTES, CHECKPOINT_EVENTS, EPOCH_MS};

/// A journal in its second epoch, whose newest checkpoint covers three events, and the one of the handover after it.
fn in_its_second_epoch(place: &Place) -> SealSchedule {
    let mut journal = open(place);
    journal.grow(3).seal_at(NOW + EPOCH_MS);
    let Open { writer, sealer } = journal;
    drop(writer);
    SealSchedule::new(sealer)
}

#[test]
fn while_a_checkpoint_is_signed_the_one_before_is_the_newest_and_nothing_is_due() {
    let place = Place::new();
    let mut seals = in_its_second_epoch(&place);
    seals.count(CHECKPOINT_BYTES);
    assert_eq!((seals.newest(), seals.is_signing()), ((3, 1), false));
    let sealer = seals.take_sealer().unwrap();
    assert!(seals.is_signing() && seals.take_sealer().is_none());
    assert_eq!(seals.newest(), (3, 1));
    assert!(!seals.is_due(u64::MAX) && !seals.has_anything_to_sign(u64::MAX, u64::MAX));
    seals.returned(sealer);
    assert!(!seals.is_signing() && !seals.is_due(3), "its bytes are those of that checkpoint");
}

#[test]
fn a_checkpoint_is_due_after_so_many_events_or_bytes() {
    let place = Place::new();
    let mut seals = in_its_second_epoch(&place);
    assert!(!seals.is_due(3 + CHECKPOINT_EVENTS - 1));
    assert!(seals.is_due(3 + CHECKPOINT_EVENTS));
    seals.count(CHECKPOINT_BYTES - 1);
    assert!(!seals.is_due(3));
    seals.count(1);
    assert!(seals.is_due(3));
}

#[test]
fn one_more_event_or_the_end_of_an_epoch_is_something_to_sign() {
    let place = Place::new();
    let seals = in_its_second_epoch(&place);
    let table = [(3, EPOCH_MS, false), (4, EPOCH_MS, true), (3, 2 * EPOCH_MS, true), (2, 1, false)];
    for (events, later, expected) in table {
        assert_eq!(seals.has_anything_to_sign(events, NOW + later), expected, "{events} {later}");
    }
}

#[test]
fn who_waits_is_answered_once_so_much_is_covered_and_stored() {
    let place = Place::new();
    let mut seals = in_its_second_epoch(&place);
    let ask = |events, seals: &mut SealSchedule| {
        let (reply, answer) = oneshot::channel();
        seals.wait_for(events, reply);
        answer
    };
    let mut answers = [2, 3, 4].map(|events| ask(events, &mut seals));
    assert!(seals.answer(&Ok(())), "one waits on");
    let mut told = || answers.each_mut().map(|answer| answer.try_recv());
    assert!(matches!(told(), [Ok(Ok(())), Ok(Ok(())), Err(TryRecvError::Empty)]));
    let sealer = seals.take_sealer();
    let mut early = ask(0, &mut seals);
    assert!(seals.answer(&Ok(())) && early.try_recv().is_err(), "nobody is answered while one is signed");
    assert!(!seals.answer(&Err(JournalError::Busy)), "everybody is once nothing is signed any more");
    assert!(matches!(early.try_recv(), Ok(Err(JournalError::Busy))));
    assert!(sealer.is_some());
}

#[test]
fn what_sqlite_says_is_told_apart() {
    let of = |code| SealError::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
    for code in [ffi::SQLITE_BUSY, ffi::SQLITE_LOCKED] {
        assert!(matches!(of(code), SealError::Busy), "{code}");
        assert!(matches!(JournalError::from(of(code)), JournalError::Busy), "{code}");
    }
    for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
        assert!(matches!(of(code), SealError::Corrupt { seq: 0, .. }), "{code}");
    }
    assert!(matches!(of(ffi::SQLITE_IOERR), SealError::Io(_)));
}

#[test]
fn an_event_that_is_missing_is_named() {
    let place = Place::new();
    let mut journal = open(&place);
    journal.grow(5);
    match journal.sealer.seal(&Leaves::forgotten(7), NOW) {
        Err(SealError::Corrupt { seq, problem }) => assert_eq!((seq, problem.as_str()), (6, "missing")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_folder_of_the_checkpoint_file_is_locked_as_long_as_one_may_sign() {
    let place = Place::new();
    let journal = open(&place);
    let folder = File::open(place.folder.path().join("anchor")).unwrap();
    assert!(matches!(folder.try_lock(), Err(TryLockError::WouldBlock)));
    drop(journal);
    folder.try_lock().unwrap();
}

#[test]
fn a_checkpoint_file_that_cannot_be_read_does_not_pass_for_none() {
    let place = Place::new();
    let head = place.writer().head();
    fs::remove_file(place.files().checkpoint()).unwrap();
    fs::create_dir(place.files().checkpoint()).unwrap();
    assert!(Sealer::open(&place.files(), head, || 7).is_err());
}

#[test]
fn a_signing_key_that_cannot_be_read_does_not_pass_for_a_missing_one() {
    let place = Place::new();
    drop(open(&place));
    let (key, head) = (place.folder.path().join("journal.key"), place.writer().head());
    fs::remove_file(&key).unwrap();
    let opened = || Sealer::open(&place.files(), head, || 7).map(drop);
    assert!(matches!(opened(), Err(JournalError::Lost { .. })));
    fs::create_dir(key).unwrap();
    assert!(matches!(opened(), Err(JournalError::Open { .. })));
}

/// A journal whose event 8 was changed after it was committed, and not signed for yet.
fn changed_before_signed(place: &Place) -> Open {
    let mut journal = open(place);
    journal.grow(5).seal().grow(5);
    tamper(place, "UPDATE journal_events SET summary = 'nothing happened' WHERE seq = 8");
    journal
}

#[test]
fn a_changed_row_that_is_read_is_not_signed() {
    let place = Place::new();
    match changed_before_signed(&place).sealer.seal(&Leaves::forgotten(10), NOW) {
        Err(SealError::Corrupt { seq, .. }) => assert_eq!(seq, 8),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_signed_is_what_was_committed_whatever_became_of_the_row() {
    let place = Place::new();
    changed_before_signed(&place).seal();
    assert!(first_problem(&place).starts_with("8: "), "{}", first_problem(&place));
    rewrite(&place, 8, |_| {});
    assert_ne!(place.problems(), [], "the whole history hashed again, but not signed");
}

fn actor(place: &Place) -> JournalActor {
    let config = JournalConfig {
        files: place.files(),
        accept_rollback: false,
        clock: crate::clock::ManualClock::at(NOW),
        random: super::sealing::random,
        head: watch::Sender::new(0),
    };
    JournalActor::open(config, WatchGuard::unwatched()).unwrap()
}

/// Signs a checkpoint at `now`, and stores it if that can be.
fn sign(actor: &mut JournalActor, now: UnixMs) {
    let mut sealer = actor.seals.take_sealer().unwrap();
    let sealed = sealer.seal(&actor.writer.take_leaves(), now);
    actor.seals.returned(sealer);
    actor.seals.take_in(sealed, &mut actor.writer, &actor.config.head, now);
}

#[test]
fn who_waits_for_a_checkpoint_is_told_when_another_process_keeps_it_from_being_stored() {
    let place = Place::new();
    let mut actor = actor(&place);
    stored(append_one(&mut actor.writer, system("a"), NOW));
    let (reply, mut answer) = oneshot::channel();
    actor.seals.wait_for(1, reply);
    actor.writer.db().busy_timeout(std::time::Duration::ZERO).unwrap();
    let intruder = place.intruder();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    sign(&mut actor, NOW);
    assert!(matches!(answer.try_recv(), Ok(Err(JournalError::Busy))));
    intruder.execute_batch("ROLLBACK").unwrap();
    actor.store();
    assert_eq!(actor.seals.newest(), (1, 0), "what was signed is stored all the same");
}

#[test]
fn the_end_of_an_epoch_that_a_crash_left_untold_is_told_once_at_the_next_start() {
    let place = Place::new();
    let mut journal = open(&place);
    journal.grow(4);
    let ended = journal.sealer.seal(&journal.writer.take_leaves(), NOW + EPOCH_MS).unwrap().unwrap();
    store(&mut journal.writer, &mut journal.sealer, &ended).unwrap();
    drop(journal);
    for _ in 0..2 {
        drop(try_open(&place, NOW + EPOCH_MS, false).unwrap());
        let filter = EventFilter { name: Some("journal.epoch.ended".to_owned()), ..Default::default() };
        let told = place.reader().page(&filter, Cursor::Newest, 10).unwrap().events;
        assert_eq!(told.len(), 1);
        assert!(String::from_utf8_lossy(&told[0].body).contains("palyra.journal/"), "with the checkpoint");
    }
    assert_eq!(place.problems(), []);
}

#[test]
fn a_folder_that_another_process_keeps_locked_is_not_waited_for_without_end() {
    let place = Place::new();
    drop(open(&place));
    let folder = File::open(place.files().anchor.parent().unwrap()).unwrap();
    folder.lock().unwrap();
    let refused = lock(&place.files(), std::time::Duration::ZERO).unwrap_err().to_string();
    assert!(refused.contains("another process has locked this folder"), "{refused}");
    folder.unlock().unwrap();
    lock(&place.files(), std::time::Duration::ZERO).unwrap();
}

#[test]
fn bytes_that_come_while_a_checkpoint_is_signed_count_for_the_next_one() {
    let place = Place::new();
    let mut actor = actor(&place);
    let away = actor.seals.take_sealer().unwrap();
    actor.seals.count(CHECKPOINT_BYTES);
    assert!(actor.seals.take_sealer().is_none());
    actor.seals.returned(away);
    assert!(actor.seals.is_due(0));
}

#[test]
fn an_epoch_whose_end_cannot_be_journaled_at_once_is_stored_once_and_told_later() {
    let place = Place::new();
    let mut actor = actor(&place);
    stored(append_one(&mut actor.writer, system("a"), NOW));
    actor.writer.db().busy_timeout(std::time::Duration::ZERO).unwrap();
    let intruder = place.intruder();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    sign(&mut actor, NOW + EPOCH_MS + 1);
    intruder.execute_batch("ROLLBACK").unwrap();
    actor.seals.store_checkpoint(&mut actor.writer).unwrap();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    actor.store();
    intruder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(actor.writer.head().seq, 1);
    actor.store();
    actor.store();
    drop(actor);
    let told = place.writer().head().seq;
    assert_eq!((told, place.problems()), (2, vec![]));
    drop(open(&place));
}

#[test]
fn a_tree_that_reaches_beyond_its_checkpoints_is_damage_and_no_start_goes_on_with_it() {
    let edits = [
        "DELETE FROM journal_checkpoints WHERE number = 3",
        "INSERT INTO journal_subtrees VALUES (8, 2, zeroblob(32))",
        "INSERT INTO journal_subtrees VALUES (16, 0, zeroblob(32))",
    ];
    for (edit, accept_rollback) in edits.into_iter().flat_map(|edit| [(edit, false), (edit, true)]) {
        let place = Place::new();
        open(&place).grow(300).seal().grow(300).seal();
        tamper(&place, edit);
        let refused = try_open(&place, NOW, accept_rollback).map(drop).unwrap_err();
        assert!(refused.is_for_damage(), "{edit}: {refused}");
    }
}
