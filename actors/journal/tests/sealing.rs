//! Signed checkpoints: what they prove, and what no attacker without the key, or with only today's key, gets past.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::params;

use super::*;
use crate::clock::ManualClock;
use crate::journal::format::entry::GENESIS;
use crate::journal::format::row;
use crate::journal::signing::store::store_and_tell;
use crate::journal::signing::unsigned_leaves::Leaves;
use crate::journal::writing::anchor;
use crate::limits::{EPOCH_EVENTS, EPOCH_MS};
use crate::tlog::VerifierKey;

/// Random bits that never come twice.
pub(super) fn random() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    u128::from_be_bytes(
        Digest::of(&NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes()).0[..16].try_into().unwrap(),
    )
}

/// A journal that is open, as the actor has it.
pub(super) struct Open {
    pub(super) writer: Writer,
    pub(super) sealer: Sealer,
}

pub(super) fn config(place: &Place, now: UnixMs, accept_rollback: bool) -> JournalConfig {
    let (files, head) = (place.files(), watch::Sender::new(0));
    JournalConfig { files, accept_rollback, clock: ManualClock::at(now), random, head }
}

pub(super) fn try_open(place: &Place, now: UnixMs, accept_rollback: bool) -> Result<Open, JournalError> {
    let config = config(place, now, accept_rollback);
    let mut writer = Writer::open(&config.files, config.random, accept_rollback, now)?;
    let sealer = open_sealer(&config, &mut writer)?;
    Ok(Open { writer, sealer })
}

pub(super) fn open(place: &Place) -> Open {
    try_open(place, NOW, false).unwrap()
}

impl Open {
    pub(super) fn grow(&mut self, events: u64) -> &mut Self {
        let rows = (0..events).map(|n| delivery(&format!("{n}-{:x}", random()), "{}", Verdict::Accepted));
        for chunk in rows.collect::<Vec<_>>().chunks(256) {
            self.writer.append(chunk.to_vec(), NOW).unwrap();
        }
        self
    }

    pub(super) fn seal_at(&mut self, now: UnixMs) -> &mut Self {
        let sealed = self.sealer.seal(&self.writer.take_leaves(), now).unwrap();
        sealed
            .into_iter()
            .for_each(|sealed| store_and_tell(&mut self.writer, &mut self.sealer, &sealed, now).unwrap());
        self
    }

    pub(super) fn seal(&mut self) -> &mut Self {
        self.seal_at(NOW)
    }
}

pub(super) fn root_key(place: &Place) -> VerifierKey {
    place.reader().checkpoint().unwrap().unwrap().root_key
}

fn verified(place: &Place, public_key: &VerifierKey) -> VerifyReport {
    let scope = Scope { public_key: Some(public_key.clone()), ..Scope::default() };
    verify_with(&place.files(), &scope, &mut |_| std::ops::ControlFlow::Continue(())).unwrap()
}

pub(super) fn first_problem(place: &Place) -> String {
    let problems = place.problems();
    problems.first().map(|problem| format!("{}: {}", problem.seq, problem.problem)).unwrap_or_default()
}

/// Changes the rows from `seq` on and hashes them all again, the anchor included: everything but the signatures.
pub(super) fn rewrite(place: &Place, seq: u64, change: impl Fn(&mut row::Columns<'_>)) {
    let mut head = row::Head { seq: 0, hash: GENESIS, recorded_at: 0 };
    tamper_with(place, |db| {
        let select = format!("SELECT {} FROM journal_events ORDER BY seq", row::COLUMNS);
        let mut statement = db.prepare(&select).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let mut columns = row::Columns::read(row).unwrap();
            if columns.seq as u64 >= seq {
                change(&mut columns);
            }
            columns.link(&head);
            let update = "UPDATE journal_events SET summary = ?1, prev_hash = ?2, hash = ?3 WHERE seq = ?4";
            db.execute(update, params![columns.summary, columns.prev_hash.0, columns.hash.0, columns.seq])
                .unwrap();
            head = columns.as_head();
        }
        let mut frontier = crate::tlog::Frontier::default();
        let mut hashes = db.prepare("SELECT hash FROM journal_events ORDER BY seq").unwrap();
        for hash in hashes.query_map([], |row| row::digest(row, 0)).unwrap() {
            frontier.push(hash.unwrap(), |full| {
                let update = "UPDATE journal_subtrees SET hash = ?1 WHERE level = ?2 AND place = ?3";
                db.execute(update, params![full.hash.0, full.level, full.place as i64]).unwrap();
            });
        }
    });
    anchor::Anchor::begin(&place.files().anchor, head).unwrap();
}

#[test]
fn a_journal_is_signed_from_its_first_start_on_and_proves_every_event() {
    let place = Place::new();
    open(&place).grow(300).seal().grow(300).seal();
    let key = root_key(&place);
    let report = verified(&place, &key);
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.checkpoints, report.checkpoint_size, report.events), (3, 600, 600));
    let reader = place.reader();
    for seq in [1, 2, 255, 256, 257, 299, 300, 301, 512, 513, 600] {
        let (entry, checkpoint) = reader.prove(seq).unwrap().check(&key).unwrap();
        let (proven, event) = (ProvenEvent::read(&entry).unwrap(), reader.event(seq).unwrap().unwrap());
        assert_eq!((proven.seq, proven.event_id.as_str()), (seq, event.event_id.to_string().as_str()));
        assert_eq!(proven.body_sha256, Digest::of(&event.body));
        assert_eq!(checkpoint.size, if seq <= 300 { 300 } else { 600 }, "the first that covers it");
    }
    assert!(matches!(reader.prove(601), Err(JournalError::NotThere(_))));
    for (old, new) in [(0, 300), (0, 600), (300, 600), (600, 600)] {
        assert!(reader.prove_consistency(old, new).unwrap().check(&key).is_ok(), "{old} {new}");
    }
    assert!(matches!(reader.prove_consistency(299, 600), Err(JournalError::NotThere(_))));
}

#[test]
fn an_event_is_found_by_its_id_even_if_the_clock_was_set_back() {
    let place = Place::new();
    let mut journal = open(&place);
    stored(append_one(&mut journal.writer, system("first"), NOW));
    let late = stored(append_one(&mut journal.writer, system("second"), NOW - 5_000));
    assert_eq!(place.reader().place_of(late.event_id).unwrap(), 2);
    let unknown = crate::ids::EventId::new(NOW, 99);
    assert!(matches!(place.reader().place_of(unknown), Err(JournalError::NotThere(_))));
}

#[test]
fn nothing_is_signed_twice_and_a_restart_goes_on_with_the_same_log() {
    let place = Place::new();
    open(&place).grow(3).seal().seal();
    let before = place.reader().checkpoint().unwrap().unwrap();
    drop(open(&place));
    assert_eq!(place.reader().checkpoint().unwrap().unwrap(), before);
    open(&place).grow(1).seal();
    assert_eq!(root_key(&place), before.root_key);
    assert_eq!(verified(&place, &before.root_key).checkpoints, 3);
}

#[test]
fn a_checkpoint_that_was_signed_before_a_crash_is_stored_after_it() {
    // At the first start, in the middle of an epoch, and at its end.
    for (events, now) in [(0, NOW), (3, NOW), (3, NOW + EPOCH_MS)] {
        let place = Place::new();
        if events > 0 {
            let mut journal = open(&place);
            journal.grow(events);
            assert!(
                journal.sealer.seal(&Leaves::forgotten(events), now).unwrap().is_some(),
                "signed, and then the crash"
            );
        } else {
            let writer = Writer::open(&place.files(), random, false, NOW).unwrap();
            let (mut sealer, _) = Sealer::open(&place.files(), writer.head(), random).unwrap();
            assert!(sealer.seal(&Leaves::default(), now).unwrap().is_some());
        }
        let note = fs::read_to_string(place.files().checkpoint()).unwrap();
        assert_eq!(place.problems(), [], "it verifies as it is");
        try_open(&place, now, false).unwrap().grow(2).seal_at(now);
        assert_eq!(place.problems(), []);
        let kept: i64 = place
            .intruder()
            .query_row("SELECT count(*) FROM journal_checkpoints WHERE note = ?1", [&note], |row| row.get(0))
            .unwrap();
        assert_eq!(kept, 1, "{events} {now}");
    }
}

#[test]
fn at_the_end_of_an_epoch_its_key_vouches_for_the_next_and_is_gone() {
    let place = Place::new();
    let mut journal = open(&place);
    let key = root_key(&place);
    let mut seeds = Vec::new();
    for epoch in 0..4 {
        seeds.push(fs::read(place.folder.path().join("journal.key")).unwrap());
        journal.grow(5).seal_at(NOW + epoch * EPOCH_MS + 1).seal_at(NOW + (epoch + 1) * EPOCH_MS + 1);
    }
    let now = fs::read(place.folder.path().join("journal.key")).unwrap();
    assert!(seeds.iter().all(|seed| *seed != now));
    assert_eq!(fs::exists(place.folder.path().join("journal.key.next")).ok(), Some(false));
    assert!(verified(&place, &key).is_ok(), "{:?}", verified(&place, &key));
    let ended = place
        .reader()
        .page(
            &EventFilter { name: Some("journal.epoch.ended".to_owned()), ..Default::default() },
            Cursor::After(0),
            100,
        )
        .unwrap();
    assert_eq!(ended.events.len(), 4, "each is told to whoever takes events out");
    drop(journal);
    try_open(&place, NOW + 5 * EPOCH_MS, false).unwrap().grow(1).seal_at(NOW + 5 * EPOCH_MS);
    let last = place.reader().head().unwrap().seq;
    assert!((1..=last).all(|seq| place.reader().prove(seq).unwrap().check(&key).is_ok()));
    assert!(verified(&place, &key).is_ok());
}

#[test]
fn an_epoch_ends_after_so_many_events_too() {
    let place = Place::new();
    let journal = open(&place);
    assert!(!journal.sealer.is_epoch_over(EPOCH_EVENTS - 1, NOW));
    assert!(journal.sealer.is_epoch_over(EPOCH_EVENTS, NOW));
    assert!(
        !journal.sealer.is_epoch_over(0, NOW + EPOCH_MS - 1)
            && journal.sealer.is_epoch_over(0, NOW + EPOCH_MS)
    );
    assert!(
        !journal.sealer.is_epoch_over(0, NOW - EPOCH_MS + 1),
        "a clock that is set back a little ends nothing"
    );
    assert!(
        journal.sealer.is_epoch_over(0, NOW - EPOCH_MS),
        "a key made while the clock was ahead does not stay"
    );
}

#[test]
fn who_hashes_everything_again_is_found_by_the_signed_roots() {
    let place = Place::new();
    open(&place).grow(300).seal().grow(300).seal();
    rewrite(&place, 17, |columns| columns.summary = "nothing happened".into());
    assert_eq!(first_problem(&place), "300: the events up to here are not the ones that checkpoint 2 covers");
    assert!(matches!(try_open(&place, NOW, false), Err(JournalError::Corrupt { .. })), "nor does it open");
    assert!(matches!(try_open(&place, NOW, true), Err(JournalError::Corrupt { .. })), "whatever is accepted");
}

#[test]
fn who_steals_todays_key_cannot_rewrite_an_epoch_that_has_ended() {
    let place = Place::new();
    let mut journal = open(&place);
    for epoch in 0..3 {
        journal.grow(4).seal_at(NOW + (epoch + 1) * EPOCH_MS + epoch);
    }
    let key = root_key(&place);
    drop(journal);
    // With the present key: history is rewritten and every checkpoint of the present epoch is signed anew.
    let present: i64 = place
        .intruder()
        .query_row("SELECT max(number) FROM journal_checkpoints WHERE kind = 'handover'", [], |row| {
            row.get(0)
        })
        .unwrap();
    rewrite(&place, 2, |columns| columns.summary = "nothing happened".into());
    tamper(&place, &format!("DELETE FROM journal_checkpoints WHERE number > {present}"));
    let report = verified(&place, &key);
    assert!(!report.is_ok());
    assert_eq!(report.first_bad_seq(), Some(4), "{report:?}");
    assert!(try_open(&place, NOW, false).is_err());
}

#[test]
fn an_old_copy_with_its_own_anchor_is_found_by_the_checkpoint_file() {
    let place = Place::new();
    open(&place).grow(5).seal();
    let (old, old_anchor) = (whole(&place), fs::read(place.files().anchor).unwrap());
    let old_key = root_key(&place);
    open(&place).grow(7).seal();
    whole(&place);
    fs::write(place.path(), old).unwrap();
    fs::write(place.files().anchor, old_anchor).unwrap();
    for name in ["journal.db-wal", "journal.db-shm"] {
        drop(fs::remove_file(place.folder.path().join(name)));
    }
    let report = verify(&place.files()).unwrap();
    assert_eq!((report.first_bad_seq(), report.missing), (Some(6), 7), "{report:?}");
    let refusal = try_open(&place, NOW, false).map(drop).unwrap_err();
    assert!(matches!(refusal, JournalError::Behind { first_missing: 6, missing: 7, .. }), "{refusal}");
    // Accepted, another log begins: for this one something else was signed already.
    try_open(&place, NOW, true).unwrap().grow(2).seal();
    assert_ne!(root_key(&place).name(), old_key.name());
    let told = "SELECT 1 FROM journal_events WHERE summary = '7 missing events were accepted'";
    place.intruder().query_row(told, [], |_| Ok(())).unwrap();
    assert_eq!(place.problems(), []);
    assert!(verified(&place, &root_key(&place)).is_ok());
    assert!(!verified(&place, &old_key).is_ok(), "the old key does not vouch for it");
    drop(open(&place));
}

/// The database with its log moved into it.
pub(super) fn whole(place: &Place) -> Vec<u8> {
    place.intruder().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    fs::read(place.path()).unwrap()
}

#[test]
fn a_missing_key_or_checkpoint_file_is_refused_until_it_is_accepted() {
    for name in ["journal.key", "anchor/checkpoint"] {
        let place = Place::new();
        open(&place).grow(3).seal();
        let key = root_key(&place);
        fs::remove_file(place.folder.path().join(name)).unwrap();
        assert!(matches!(try_open(&place, NOW, false), Err(JournalError::Lost { .. })), "{name}");
        drop(try_open(&place, NOW, true).unwrap());
        drop(open(&place));
        assert_eq!(place.problems(), [], "{name}");
        let told = &verified(&place, &key).problems[0].problem;
        assert!(told.starts_with("another log began after 4 events, "), "{told}");
        assert!(verified(&place, &root_key(&place)).is_ok());
    }
}

#[test]
fn every_flipped_bit_of_the_checkpoint_file_is_found() {
    let place = Place::new();
    open(&place).grow(3).seal();
    let file = fs::read(place.files().checkpoint()).unwrap();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(place.files().checkpoint(), &flipped).unwrap();
        assert_ne!(place.problems(), [], "bit {bit}");
        assert!(try_open(&place, NOW, false).is_err(), "bit {bit}");
    }
    fs::write(place.files().checkpoint(), &file).unwrap();
    assert_eq!(place.problems(), []);
}

#[test]
fn edits_of_checkpoints_and_subtrees_are_found() {
    let edits = [
        "DELETE FROM journal_checkpoints",
        "DELETE FROM journal_checkpoints WHERE number = 1",
        "DELETE FROM journal_checkpoints WHERE number = 2",
        "DELETE FROM journal_checkpoints WHERE number = 3",
        "UPDATE journal_checkpoints SET size = 599 WHERE number = 3",
        "UPDATE journal_checkpoints SET size = 601 WHERE number = 1",
        "UPDATE journal_checkpoints SET size = 601 WHERE number = 2",
        "UPDATE journal_checkpoints SET size = 601 WHERE number = 3",
        "UPDATE journal_checkpoints SET kind = 'plain' WHERE number = 1",
        "UPDATE journal_checkpoints SET kind = 'handover' WHERE number = 2",
        "UPDATE journal_checkpoints SET kind = 'root' WHERE number = 2",
        "UPDATE journal_checkpoints SET note = replace(note, '300', '301') WHERE number = 2",
        "UPDATE journal_checkpoints SET note = (SELECT note FROM journal_checkpoints WHERE number = 3) WHERE number = 2",
        "UPDATE journal_checkpoints SET number = 9 - number",
        "INSERT INTO journal_checkpoints SELECT 4, size, kind, note FROM journal_checkpoints WHERE number = 2",
        "INSERT INTO journal_checkpoints SELECT 4, 700, kind, note FROM journal_checkpoints WHERE number = 3",
        "DELETE FROM journal_subtrees WHERE place = 0",
        "DELETE FROM journal_subtrees",
        "UPDATE journal_subtrees SET hash = zeroblob(32) WHERE place = 1",
        "UPDATE journal_subtrees SET place = 5 WHERE place = 1",
        "INSERT INTO journal_subtrees VALUES (8, 2, zeroblob(32))",
        "INSERT INTO journal_subtrees VALUES (16, 0, zeroblob(32))",
    ];
    for edit in edits {
        let place = Place::new();
        open(&place).grow(300).seal().grow(300).seal();
        tamper(&place, edit);
        assert_ne!(place.problems(), [], "{edit}");
    }
}

#[test]
fn a_part_of_the_journal_can_be_verified() {
    let place = Place::new();
    open(&place).grow(300).seal().grow(300).seal().grow(10);
    let from = |seq| {
        let scope = Scope { from: seq, public_key: Some(root_key(&place)), is_copy: false };
        verify_with(&place.files(), &scope, &mut |_| std::ops::ControlFlow::Continue(())).unwrap()
    };
    for (seq, events) in
        [(0, 610), (1, 610), (2, 609), (257, 354), (300, 311), (301, 310), (601, 10), (611, 0), (900, 0)]
    {
        let report = from(seq);
        assert!(report.is_ok(), "{seq}: {report:?}");
        assert_eq!((report.events, report.head_seq), (events, 610), "{seq}");
    }
    tamper(&place, "UPDATE journal_events SET body = x'7b7c' WHERE seq = 8");
    assert_eq!(from(1).first_bad_seq(), Some(8));
    assert!(from(9).is_ok(), "what comes before is taken at its hash");
    tamper(&place, "UPDATE journal_events SET hash = zeroblob(32) WHERE seq = 8");
    assert!(!from(9).is_ok(), "and the hash has to be the one that was signed");
}
