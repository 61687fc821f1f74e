//! What a verification reports, at its edges.

use std::fs;
use std::ops::ControlFlow;

use super::sealing::{Open, open, random};
use super::*;
use crate::journal::signing::store::store;
use crate::journal::signing::unsigned_leaves::Leaves;

fn verified_from(place: &Place, from: u64) -> VerifyReport {
    let scope = Scope { from, ..Scope::default() };
    verify_with(&place.files(), &scope, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn told(place: &Place) -> Vec<String> {
    place.problems().into_iter().map(|problem| format!("{}: {}", problem.seq, problem.problem)).collect()
}

#[test]
fn the_verdict_says_all_that_was_found() {
    let place = Place::new();
    open(&place).grow(3).seal().grow(1);
    let report = verify(&place.files()).unwrap();
    let verdict = report.to_json(Duration::from_millis(7));
    let expected = serde_json::json!({
        "verified": true, "events": 4, "head_seq": 4, "head_hash": place.reader().head().unwrap().hash,
        "checkpoints": 2, "checkpoint_size": 3, "first_bad_seq": null, "missing": 0, "problems": [],
        "problems_total": 0, "elapsed_ms": 7,
    });
    assert_eq!(verdict, expected);
    tamper(&place, "UPDATE journal_events SET summary = 'x' WHERE seq = 2");
    let verdict = verify(&place.files()).unwrap().to_json(Duration::ZERO);
    assert_eq!((&verdict["verified"], &verdict["first_bad_seq"]), (&false.into(), &2.into()));
    assert_eq!(verdict["problems"][0]["seq"], 2);
}

#[test]
fn what_concerns_the_file_is_no_bad_event() {
    let place = Place::new();
    open(&place).grow(3);
    place.intruder().execute_batch("DROP TRIGGER journal_events_no_update").unwrap();
    let report = verify(&place.files()).unwrap();
    assert_eq!((report.is_ok(), report.first_bad_seq()), (false, None), "{report:?}");
}

#[test]
fn a_journal_without_events_verifies_without_its_anchor() {
    let place = Place::new();
    drop(place.writer());
    fs::remove_file(place.files().anchor).unwrap();
    assert_eq!(told(&place), [""; 0]);
    stored(append_one(&mut place.writer(), system("a"), NOW));
    fs::remove_file(place.files().anchor).unwrap();
    assert_eq!(told(&place), ["0: its anchor is missing"]);
}

#[test]
fn a_checkpoint_file_that_may_not_be_read_is_not_called_missing() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    open(&place).grow(3).seal();
    fs::set_permissions(place.files().checkpoint(), fs::Permissions::from_mode(0o644)).unwrap();
    let told = told(&place);
    assert!(
        told[0].starts_with("0: its checkpoint file cannot be read: ") && told[0].contains("chmod 600"),
        "{told:?}"
    );
}

#[test]
fn a_part_tells_the_newest_event_and_the_checkpoints_that_concern_it() {
    let place = Place::new();
    open(&place).grow(300).seal().grow(300).seal().grow(10);
    let head = place.reader().head().unwrap();
    // What no checkpoint covers yet concerns all of them.
    for (from, checkpoints) in [(0, 3), (1, 3), (2, 3), (300, 3), (301, 2), (600, 2), (601, 3), (900, 3)] {
        let report = verified_from(&place, from);
        assert_eq!((report.head_seq, report.head_hash), (head.seq, head.hash), "{from}");
        assert_eq!(report.checkpoints, checkpoints, "{from}");
    }
}

#[test]
fn a_part_may_begin_far_behind_the_newest_checkpoint() {
    let place = Place::new();
    open(&place).grow(300).seal().grow(900);
    for from in [301, 512, 513, 1_025, 1_200] {
        let report = verified_from(&place, from);
        assert!(report.is_ok(), "{from}: {report:?}");
        assert_eq!(report.events, 1_201 - from, "{from}");
    }
}

#[test]
fn every_event_means_every_checkpoint_too() {
    let place = Place::new();
    open(&place).grow(3).seal();
    tamper(
        &place,
        "UPDATE journal_checkpoints SET number = 3 WHERE number = 2; \
         INSERT INTO journal_checkpoints VALUES (2, 0, 'plain', 'forged')",
    );
    for from in [0, 1] {
        let report = verified_from(&place, from);
        assert!(report.problems[0].problem.starts_with("checkpoint 2 is not valid"), "{report:?}");
    }
}

#[test]
fn another_log_may_not_begin_unless_a_loss_was_accepted() {
    let place = Place::new();
    let mut journal = open(&place);
    journal.grow(3).seal();
    let Open { mut writer, sealer } = journal;
    drop(sealer);
    let mut sealer = Sealer::begin_anew(&place.files(), random).unwrap();
    let sealed = sealer.seal(&Leaves::forgotten(3), NOW).unwrap().unwrap();
    store(&mut writer, &mut sealer, &sealed).unwrap();
    let problem = "3: checkpoint 3 is not valid: it begins another log, although no loss was accepted";
    assert_eq!(told(&place), [problem]);
}

#[test]
fn a_checkpoint_file_that_is_missing_or_of_another_journal_is_told() {
    let (place, other) = (Place::new(), Place::new());
    open(&place).grow(3).seal();
    open(&other).grow(3).seal();
    let kept = fs::read(place.files().checkpoint()).unwrap();
    fs::copy(other.files().checkpoint(), place.files().checkpoint()).unwrap();
    let foreign = told(&place);
    assert!(foreign.iter().any(|one| one.starts_with("3: checkpoint 3 is not valid")), "{foreign:?}");
    fs::remove_file(place.files().checkpoint()).unwrap();
    assert_eq!(told(&place), ["0: its checkpoint file is missing"]);
    crate::files::atomic_replace(&place.files().checkpoint(), &kept).unwrap();
    assert_eq!(told(&place), [""; 0]);
}

#[test]
fn the_subtree_that_the_newest_checkpoint_completes_is_compared() {
    let place = Place::new();
    open(&place).grow(512).seal();
    tamper(&place, "UPDATE journal_subtrees SET hash = zeroblob(32) WHERE place = 1");
    assert_eq!(told(&place), ["512: the stored subtree 8/1 does not match its events"]);
}

#[test]
fn a_verification_that_is_ended_early_leaves_no_connection_behind() {
    let place = Place::new();
    open(&place).grow(20_000).seal().writer.empty_wal().unwrap();
    // A few events are read sooner than SQLite has looked at all of the file.
    let scope = Scope { from: 20_000, ..Scope::default() };
    let report = verify_with(&place.files(), &scope, &mut |_| ControlFlow::Break(())).unwrap();
    assert!(report.is_partial);
    // SQLite does this for the only connection there is.
    let mode = place.intruder().pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0));
    assert_eq!(mode, Ok("delete".to_owned()));
}

#[test]
fn what_ends_one_check_does_not_end_the_verification() {
    let table = [
        (
            "UPDATE journal_events SET hash = zeroblob(3) WHERE seq = 600",
            1,
            "600: its columns cannot be read",
        ),
        ("UPDATE journal_subtrees SET hash = zeroblob(3)", 1, "0: a stored value cannot be read"),
        ("UPDATE journal_subtrees SET hash = zeroblob(3)", 300, "0: a stored value cannot be read"),
        ("DELETE FROM journal_subtrees", 300, "0: the stored tree does not cover all events"),
    ];
    for (edit, from, expected) in table {
        let place = Place::new();
        open(&place).grow(600).seal();
        tamper(&place, edit);
        let first = verified_from(&place, from).problems.remove(0);
        let first = format!("{}: {}", first.seq, first.problem);
        assert!(first.starts_with(expected), "{edit}: {first}");
    }
}

#[test]
fn a_page_that_cannot_be_read_is_told_and_the_rest_is_looked_at() {
    let place = Place::new();
    open(&place).grow(600).writer.empty_wal().unwrap();
    let whole = fs::read(place.path()).unwrap();
    let page_bytes = crate::limits::JOURNAL_PAGE_BYTES as usize;
    let mut unread = 0;
    for page in 1..whole.len() / page_bytes {
        let mut file = whole.clone();
        file[page * page_bytes..][..page_bytes].fill(0);
        fs::write(place.path(), &file).unwrap();
        // Without the pages of the schema nothing can be verified at all.
        let Ok(report) = verify(&place.files()) else { continue };
        assert!(!report.is_ok(), "page {page}");
        let is_unread = |one: &Discrepancy| one.problem.starts_with("SQLite cannot read further after seq");
        if report.problems.iter().any(is_unread) && is_newest(&place, 600) {
            unread += 1;
            assert_eq!(report.missing, 0, "page {page}: what cannot be read is not missing: {report:?}");
        }
    }
    assert!(unread > 0);
    fs::write(place.path(), whole).unwrap();
    assert_eq!(told(&place), [""; 0]);
}

#[test]
fn checkpoints_that_cannot_be_read_keep_nothing_else_from_being_verified() {
    let place = Place::new();
    let mut journal = open(&place);
    for _ in 0..300 {
        journal.grow(2).seal();
    }
    journal.writer.empty_wal().unwrap();
    drop(journal);
    tamper(&place, "UPDATE journal_events SET summary = 'x' WHERE seq = 590; DELETE FROM journal_facets");
    fs::remove_file(place.files().anchor).unwrap();
    // The first, the newest, and one that is read after others have been verified.
    for (number, verified) in [(1, 0), (301, 0), (290, 256)] {
        let note = "SELECT note FROM journal_checkpoints WHERE number = ?1";
        let kept: String = place.intruder().query_row(note, [number], |row| row.get(0)).unwrap();
        let set = |to: &str| {
            tamper(&place, &format!("UPDATE journal_checkpoints SET note = {to} WHERE number = {number}"));
        };
        set("CAST(x'ff' AS TEXT)");
        let report = verify(&place.files()).unwrap();
        assert_eq!((report.events, report.checkpoints), (600, verified), "{number}: {report:?}");
        let told: Vec<_> = report.problems.iter().map(|one| (one.seq, one.problem.as_str())).collect();
        let is_told = |seq, begin| told.iter().any(|(at, problem)| *at == seq && problem.starts_with(begin));
        assert!(is_told(0, "not all stored checkpoints can be verified"), "{number}: {told:?}");
        assert!(is_told(590, "its hash does not match"), "{number}: {told:?}");
        assert!(is_told(256, "the index of `"), "{number}: {told:?}");
        assert!(is_told(0, "its anchor is missing"), "{number}: {told:?}");
        set(&format!("'{kept}'"));
    }
}

#[test]
fn stored_subtrees_are_compared_up_to_the_newest_checkpoint_that_can_be_read() {
    let place = Place::new();
    open(&place).grow(300).seal().grow(300).seal();
    tamper(
        &place,
        "UPDATE journal_subtrees SET hash = zeroblob(32); \
         UPDATE journal_checkpoints SET note = CAST(x'ff' AS TEXT) WHERE number = 3",
    );
    let problems = place.problems();
    let told: Vec<_> = problems.iter().filter(|one| one.problem.contains("subtree")).collect();
    assert_eq!(told.iter().map(|one| one.seq).collect::<Vec<_>>(), [256], "{problems:?}");
}

#[test]
fn events_that_the_checkpoint_file_covers_are_missing_although_no_stored_checkpoint_can_be_read() {
    let place = Place::new();
    open(&place).grow(9).seal();
    tamper(
        &place,
        "DELETE FROM journal_events WHERE seq > 4; UPDATE journal_checkpoints SET note = CAST(x'ff' AS TEXT)",
    );
    fs::remove_file(place.files().anchor).unwrap();
    let report = verify(&place.files()).unwrap();
    assert_eq!((report.missing, report.events), (5, 4), "{report:?}");
}

/// Whether `seq` can be found, and as the newest event.
fn is_newest(place: &Place, seq: i64) -> bool {
    let newest = "SELECT max(seq) FROM journal_events";
    let db = rusqlite::Connection::open(place.path()).unwrap();
    db.query_row(newest, [], |row| row.get(0)) == Ok(seq)
}

/// Takes the newest checkpoint out of an index of its table, and out of nothing else.
fn forget_in_index(db: &Connection) {
    let index = "journal_checkpoints_by_size";
    let find = "SELECT rootpage, sql FROM sqlite_schema WHERE name = ?1";
    let (root, sql): (i64, String) =
        db.query_row(find, [index], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    db.execute_batch(&format!(
        "CREATE TEMP TABLE kept AS SELECT * FROM journal_checkpoints WHERE number = 2; \
         DELETE FROM journal_checkpoints WHERE number = 2; \
         PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = '{index}'; PRAGMA writable_schema = RESET; \
         INSERT INTO journal_checkpoints SELECT * FROM kept; \
         PRAGMA writable_schema = ON; \
         INSERT INTO sqlite_schema VALUES ('index', '{index}', 'journal_checkpoints', {root}, '{sql}'); \
         PRAGMA writable_schema = RESET"
    ))
    .unwrap();
}

#[test]
fn an_index_of_sqlite_that_does_not_agree_with_its_table_is_found() {
    let place = Place::new();
    open(&place).grow(3).seal();
    tamper_with(&place, forget_in_index);
    let told = told(&place);
    assert!(
        !told.is_empty() && told.iter().all(|one| one.ends_with("index journal_checkpoints_by_size")),
        "{told:?}"
    );
}

#[test]
fn a_verification_tells_how_far_it_is_and_ends_when_it_is_told_to() {
    let place = Place::new();
    open(&place).grow(2_500);
    let mut seen = Vec::new();
    let report = verify_with(&place.files(), &Scope::default(), &mut |progress| {
        seen.push((progress.seq, progress.head_seq));
        if seen.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert_eq!(seen, [(1_000, 2_500), (2_000, 2_500)]);
    assert!(report.unwrap().is_partial);
}
