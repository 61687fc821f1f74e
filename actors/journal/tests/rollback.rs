//! What a hash chain alone cannot detect: that its newest part was cut off, or that the whole journal is an old copy.

use std::fs;

use super::*;

/// A journal of `events` events, each committed by itself.
fn grown(place: &Place, events: u64) {
    let mut writer = place.writer();
    for at in 0..events {
        stored(append_one(&mut writer, system("grown"), NOW + at));
    }
}

fn remove(place: &Place, names: &[&str]) {
    for name in names {
        drop(fs::remove_file(place.folder.path().join(name)));
    }
}

fn copy(place: &Place) -> Vec<u8> {
    let db = place.intruder();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    fs::read(place.path()).unwrap()
}

fn refusal(place: &Place) -> JournalError {
    Writer::open(&place.files(), || 7, false, NOW).unwrap_err()
}

#[track_caller]
fn assert_behind(place: &Place, from: u64, count: u64) {
    let told = verify(&place.files()).map(|report| report.first_bad_seq());
    assert!(told.is_err() || told.unwrap() == Some(from), "verify tells the first missing event");
    match refusal(place) {
        JournalError::Behind { first_missing, missing, .. } => {
            assert_eq!((first_missing, missing), (from, count))
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_deleted_write_ahead_log_is_noticed() {
    let place = Place::new();
    grown(&place, 3);
    copy(&place);
    let mut writer = place.writer();
    stored(append_one(&mut writer, system("late"), NOW + 9));
    // As a crash leaves it: nothing is moved into the database.
    let wal = fs::read(place.folder.path().join("journal.db-wal")).unwrap();
    let database = fs::read(place.path()).unwrap();
    drop(writer);
    fs::write(place.path(), database).unwrap();
    remove(&place, &["journal.db-wal", "journal.db-shm"]);
    assert!(!wal.is_empty());
    assert_behind(&place, 4, 1);
}

#[test]
fn an_older_copy_is_noticed() {
    let place = Place::new();
    grown(&place, 3);
    let old = copy(&place);
    grown(&place, 7);
    copy(&place);
    fs::write(place.path(), old).unwrap();
    remove(&place, &["journal.db-wal", "journal.db-shm"]);
    assert_behind(&place, 4, 7);
}

#[test]
fn a_cut_tail_is_noticed() {
    let place = Place::new();
    grown(&place, 5);
    let db = place.intruder();
    db.execute_batch("DROP TRIGGER journal_events_no_delete; DELETE FROM journal_events WHERE seq > 3;")
        .unwrap();
    let trigger = include_str!("../format/schema.sql")
        .split("\n\n")
        .find(|part| part.contains("events_no_delete"))
        .unwrap();
    db.execute_batch(trigger).unwrap();
    drop(db);
    assert_behind(&place, 4, 2);
}

#[test]
fn a_database_that_is_gone_is_noticed() {
    let place = Place::new();
    grown(&place, 5);
    remove(&place, &["journal.db", "journal.db-wal", "journal.db-shm"]);
    assert_behind(&place, 1, 5);
}

#[test]
fn an_anchor_that_is_gone_or_changed_is_noticed() {
    let place = Place::new();
    grown(&place, 5);
    let whole = fs::read(place.files().anchor).unwrap();
    let flipped = |bit: usize| {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    let without_one = [&whole[64..], &[0; 64]].concat();
    for bytes in
        [Vec::new(), whole[..64].to_vec(), without_one.clone(), flipped(3), flipped(whole.len() * 8 - 1)]
    {
        fs::write(place.files().anchor, &bytes).unwrap();
        let (told, behind) = (place.problems(), refusal_or_open(&place));
        // A whole record that was taken out says less, nothing wrong.
        assert_eq!(told.is_empty(), bytes == without_one, "{told:?}");
        assert_eq!(behind.is_none(), told.is_empty(), "{behind:?}");
        fs::write(place.files().anchor, &whole).unwrap();
    }
    remove(&place, &["anchor/journal"]);
    assert!(matches!(refusal(&place), JournalError::Lost { .. }));
    assert_eq!(place.problems().len(), 1);
}

fn refusal_or_open(place: &Place) -> Option<JournalError> {
    Writer::open(&place.files(), || 7, false, NOW).err()
}

#[test]
fn an_event_that_the_anchor_names_otherwise_is_noticed() {
    let place = Place::new();
    let other = Place::new();
    grown(&place, 5);
    let mut writer = other.writer();
    for at in 0..5 {
        stored(append_one(&mut writer, system("another"), NOW + at));
    }
    drop(writer);
    fs::write(place.path(), copy(&other)).unwrap();
    remove(&place, &["journal.db-wal", "journal.db-shm"]);
    assert!(matches!(refusal(&place), JournalError::Corrupt { seq: 5, .. }));
    assert!(place.problems().iter().any(|problem| problem.problem.contains("anchor")));
}

#[test]
fn a_loss_can_be_accepted_once_and_is_journaled() {
    let place = Place::new();
    grown(&place, 3);
    let old = copy(&place);
    grown(&place, 4);
    copy(&place);
    fs::write(place.path(), old).unwrap();
    remove(&place, &["journal.db-wal", "journal.db-shm"]);
    drop(Writer::open(&place.files(), || 7, true, NOW).unwrap());
    assert!(matches!(refusal(&place), JournalError::Behind { .. }), "it was not journaled yet");
    let mut writer = Writer::open(&place.files(), || 7, true, NOW).unwrap();
    writer.record_rollback(NOW + 50).unwrap();
    drop(writer);
    let newest = place.reader().page(&EventFilter::default(), Cursor::Newest, 1).unwrap().events.remove(0);
    assert_eq!((newest.seq, newest.name.as_str()), (4, "journal.rollback.accepted"));
    assert!(newest.summary.starts_with("4 missing events"), "{}", newest.summary);
    assert_eq!(place.writer().head().seq, 4, "from now on it is as it should be");
    assert_eq!(place.problems(), Vec::new());
}

#[test]
fn a_crash_between_commit_and_anchor_is_no_loss() {
    let place = Place::new();
    grown(&place, 3);
    let before = fs::read(place.files().anchor).unwrap();
    grown(&place, 2);
    fs::write(place.files().anchor, before).unwrap();
    assert_eq!(place.problems(), Vec::new());
    assert_eq!(place.writer().head().seq, 5);
}

#[test]
fn an_anchor_that_cannot_be_written_poisons_the_journal() {
    let place = Place::new();
    let mut writer = place.writer();
    stored(append_one(&mut writer, system("first"), NOW));
    fs::remove_file(place.files().anchor).unwrap();
    let refused = writer.append(vec![system("second")], NOW).unwrap_err();
    assert!(matches!(refused, JournalError::Poisoned { .. }), "{refused}");
    let file = place.files().anchor.display().to_string();
    assert!(
        refused.to_string().contains(&format!("the anchor {file} cannot be written: it is gone")),
        "{refused}"
    );
    assert!(matches!(writer.append(vec![system("third")], NOW), Err(JournalError::Poisoned { .. })));
}

#[test]
fn the_anchor_keeps_its_size_and_goes_on_when_it_is_full() {
    let place = Place::new();
    let mut writer = place.writer();
    let size = || fs::metadata(place.files().anchor).unwrap().len();
    let before = size();
    for at in 0..before / 64 + 10 {
        stored(append_one(&mut writer, system("many"), NOW + at));
        assert_eq!(size(), before);
    }
    assert_eq!(place.problems(), Vec::new());
    drop(writer);
    assert_eq!(place.writer().head().seq, before / 64 + 10);
}
