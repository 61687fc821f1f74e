//! What opening refuses, and how much of the journal it looks at.

use std::path::Path;
use std::sync::Mutex;
use std::{fs, io};

use fail::FailScenario;

use super::*;
use crate::journal::opening::connection;
use crate::journal::opening::failing_disk;
use crate::journal::opening::open::{self, tail_start};
use crate::limits::OPEN_CHECK_LINKS_MAX;

fn refusal(place: &Place) -> JournalError {
    Writer::open(&place.files(), || 7, false, NOW).unwrap_err()
}

#[test]
fn a_journal_without_events_opens_without_its_anchor() {
    let place = Place::new();
    drop(place.writer());
    fs::remove_file(place.files().anchor).unwrap();
    assert_eq!(place.writer().head().seq, 0);
}

#[test]
fn a_state_root_that_is_not_there_is_told_of_as_such() {
    let place = Place::new();
    let files = JournalFiles::in_folder(&place.folder.path().join("nowhere"));
    let refusal = Writer::open(&files, || 7, false, NOW).unwrap_err();
    assert!(
        matches!(refusal, JournalError::Open { problem: "its file cannot be accessed", .. }),
        "{refusal}"
    );
}

#[test]
fn a_full_disk_is_not_told_as_a_file_that_is_not_there() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
        let refusal = open::file_error(Path::new("/root/anchor/journal"))(kind.into());
        assert!(refusal.is_for_want_of_room());
        assert!(refusal.to_string().contains("cannot be written, because the disk is full"), "{refusal}");
    }
    let refusal = open::file_error(Path::new("/root/journal.db"))(io::ErrorKind::FileTooLarge.into());
    assert!(refusal.is_for_want_of_room() && refusal.to_string().contains("limit of file size"), "{refusal}");
}

#[test]
fn only_the_newest_links_are_checked_at_the_start() {
    let place = Place::new();
    let events = OPEN_CHECK_LINKS_MAX as u64 + 2;
    place.writer().append((0..events).map(|_| system("a")).collect(), NOW).unwrap();
    let change = |seq| tamper(&place, &format!("UPDATE journal_events SET summary = 'x' WHERE seq = {seq}"));
    change(2);
    assert_eq!(place.writer().head().seq, events, "verify finds what is older");
    assert_eq!(place.problems().first().map(|problem| problem.seq), Some(2));
    change(3);
    assert!(matches!(refusal(&place), JournalError::Corrupt { seq: 3, .. }));
}

#[test]
fn the_newest_part_ends_with_its_links_or_its_bytes() {
    let place = Place::new();
    let body = "\"12345678\"";
    let rows = (0..10).map(|_| NewRow { event: NewEvent::Webhook(webhook(body)), claim: None });
    place.writer().append(rows.collect(), NOW).unwrap();
    let db = place.intruder();
    let table = [
        (3, 1_000, 8),
        (100, 1_000, 1),
        (100, 0, 10),
        (100, 9, 10),
        (100, 10, 9),
        (100, 19, 9),
        (100, 20, 8),
    ];
    for (links, bytes, first) in table {
        assert_eq!(tail_start(&db, links, bytes).unwrap(), first, "{links} links, {bytes} bytes");
    }
}

#[test]
fn an_index_of_replay_keys_that_lacks_its_newest_run_is_refused() {
    let place = Place::new();
    let events = 2 * crate::journal::index::keys::RUN_EVENTS;
    place.writer().append((0..events).map(|_| system("a")).collect(), NOW).unwrap();
    tamper(&place, "DELETE FROM replay_runs WHERE run = 1");
    assert!(
        matches!(refusal(&place), JournalError::Corrupt { seq: 0, problem } if problem.contains("newest run"))
    );
}

#[test]
fn a_block_and_a_run_that_were_begun_before_a_restart_are_indexed_whole() {
    let place = Place::new();
    let row = |n: u64| match n % 5 {
        0 => delivery(&n.to_string(), "x", Verdict::Accepted),
        name => system(&format!("name-{name}")),
    };
    place.writer().append((0..300).map(row).collect(), NOW).unwrap();
    place.writer().append((300..600).map(row).collect(), NOW).unwrap();
    assert_eq!(place.problems(), []);
}

#[test]
fn what_a_reader_keeps_in_the_log_is_written_to_the_disk_again_at_a_start() {
    let place = Place::new();
    stored(append_one(&mut place.writer(), system("a"), NOW));
    let log = place.folder.path().join("journal.db-wal");
    let begun = |is_read: bool| {
        let reader = place.intruder();
        reader.execute_batch(if is_read { "BEGIN" } else { "" }).unwrap();
        reader.query_row("SELECT count(*) FROM journal_events", [], |_| Ok(())).unwrap();
        let mut writer = place.writer();
        stored(append_one(&mut writer, system("b"), NOW));
        drop(writer);
        let (before, long_ago) = (fs::read(&log).unwrap(), std::time::SystemTime::UNIX_EPOCH);
        fs::File::options().write(true).open(&log).unwrap().set_modified(long_ago).unwrap();
        let opened = place.writer();
        assert_eq!(fs::read(&log).unwrap(), before);
        let is_written = fs::metadata(&log).unwrap().modified().unwrap() != long_ago;
        drop(opened);
        is_written
    };
    assert_eq!((begun(false), begun(true)), (false, true));
}

#[test]
fn a_disk_that_cannot_be_read_is_not_told_as_damage() {
    let error = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
    let told = connection::damaged(Path::new("/data/journal.db"));
    let failed = told(error(rusqlite::ffi::SQLITE_IOERR));
    assert_eq!((failed.is_fault_of_the_disk(), failed.is_for_damage()), (true, false), "{failed}");
    let damaged = || told(error(rusqlite::ffi::SQLITE_CORRUPT));
    assert_eq!((damaged().is_fault_of_the_disk(), damaged().is_for_damage()), (false, true));
    // To read it from its beginning is an error of the system, as on a disk that fails.
    let unreadable = Path::new("/proc/self/mem");
    let doubted = failing_disk::doubt(unreadable, damaged());
    assert!(matches!(&doubted, JournalError::Disk { path, .. } if path == unreadable), "{doubted}");
    let place = Place::new();
    drop(place.writer());
    assert!(failing_disk::doubt(&place.path(), damaged()).is_for_damage(), "all of it can be read");
}

#[test]
fn only_what_sqlite_finds_damaged_is_told_as_damage() {
    use rusqlite::ffi::{
        SQLITE_BUSY, SQLITE_CORRUPT, SQLITE_LOCKED, SQLITE_NOMEM, SQLITE_NOTADB, SQLITE_TOOBIG,
    };
    let told = connection::damaged(Path::new("/data/journal.db"));
    for (code, is_damage) in [
        (SQLITE_CORRUPT, true),
        (SQLITE_NOTADB, true),
        (SQLITE_TOOBIG, true),
        (SQLITE_BUSY, false),
        (SQLITE_LOCKED, false),
        (SQLITE_NOMEM, false),
    ] {
        let error = told(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
        assert_eq!(matches!(error, JournalError::Corrupt { .. }), is_damage, "{code}: {error}");
        assert_eq!(error.is_for_want_of_resources(), code == SQLITE_NOMEM, "{error}");
    }
    assert!(matches!(told(rusqlite::Error::QueryReturnedNoRows), JournalError::Corrupt { .. }));
}

#[test]
fn a_start_does_not_read_all_of_a_large_damaged_journal_to_find_out_about_its_disk() {
    let unreadable = Path::new("/proc/self/mem");
    let damaged = || JournalError::Corrupt { seq: 9, problem: "it was changed".to_owned() };
    let doubted = failing_disk::doubt_within(unreadable, damaged(), Duration::ZERO);
    assert!(matches!(doubted, JournalError::Disk { .. }), "{doubted}");
    // To read a hole of a tebibyte takes minutes.
    let place = Place::new();
    fs::File::create(place.path()).unwrap().set_len(1 << 40).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let path = place.path();
    let time = Duration::from_millis(100);
    std::thread::spawn(move || tell.send(failing_disk::doubt_within(&path, damaged(), time)));
    let told = told.recv_timeout(Duration::from_secs(30)).expect("it reads on");
    assert!(told.is_for_damage(), "{told}");
}

/// Opens the journal while a predecessor writes this many events more, each just before its signing lock is taken.
fn opened_beside_one_that_writes(place: &Place, events: usize) -> Result<Writer, JournalError> {
    let scenario = FailScenario::setup();
    let (before, left) = (place.writer(), events);
    let (before, here) = (Mutex::new((before, left)), std::thread::current().id());
    let writes = move || {
        // Other tests open other journals meanwhile.
        if std::thread::current().id() == here {
            let mut before = before.lock().unwrap();
            if before.1 > 0 {
                before.0.append(vec![system("last")], NOW).unwrap();
                before.1 -= 1;
            }
        }
    };
    fail::cfg_callback("journal::before_signing_lock", writes).unwrap();
    let opened = Writer::open(&place.files(), || 7, false, NOW);
    scenario.teardown();
    opened
}

#[test]
fn what_an_ending_process_writes_until_it_gives_the_signing_lock_up_is_not_missed() {
    let place = Place::new();
    let mut opened = opened_beside_one_that_writes(&place, 1).unwrap();
    assert_eq!(opened.head().seq, 1);
    opened.append(vec![system("next")], NOW).unwrap();
    assert_eq!(place.problems(), []);
}

#[test]
fn a_journal_that_another_process_goes_on_writing_to_is_refused_and_left_as_it_is() {
    let place = Place::new();
    let refused = opened_beside_one_that_writes(&place, 3).unwrap_err();
    assert!(refused.to_string().contains("another process writes to it"), "{refused}");
    assert_eq!(place.writer().head().seq, 2);
    assert_eq!(place.problems(), []);
}
