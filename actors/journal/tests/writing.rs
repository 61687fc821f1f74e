//! Appending, opening, failing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rusqlite::limits::Limit;

use super::*;
use crate::limits::{EVENT_DETAILS_BYTES_MAX, EVENT_DETAILS_LEVELS_MAX};

#[test]
fn an_event_reads_back_as_it_was_appended() {
    let place = Place::new();
    let mut writer = place.writer();
    let receipt = stored(append_one(&mut writer, delivery("k", "{\"a\":1}", Verdict::Accepted), NOW));
    let event = place.reader().event(1).unwrap().unwrap();
    assert_eq!((event.seq, event.event_id, event.hash), (1, receipt.event_id, receipt.leaf_hash));
    assert_eq!(event.body, b"{\"a\":1}");
    assert_eq!(
        (event.kind, event.name.as_str(), event.source.as_str()),
        (EventKind::Webhook, "push", "octo/cat")
    );
    assert_eq!((event.occurred_at, event.recorded_at), (NOW - 5, NOW));
    assert_eq!(event.claim, Some(claim("k", "{\"a\":1}", Verdict::Accepted)));
    assert_eq!(event.summary, "push from octo/cat");
}

#[test]
fn a_row_that_is_refused_fails_alone_and_leaves_no_gap() {
    let place = Place::new();
    let mut writer = place.writer();
    let mut outcomes = writer.append(vec![system("a"), system("NOT a name"), system("b")], NOW).unwrap();
    let (last, refused, first) = (outcomes.pop().unwrap(), outcomes.pop().unwrap(), outcomes.pop().unwrap());
    assert!(matches!(refused, Err(JournalError::Invalid { field: "name", .. })));
    assert_eq!((stored(first).seq, stored(last).seq), (1, 2));
    assert_eq!(place.problems(), []);
}

#[test]
fn what_the_journal_says_of_itself_is_stored_or_nothing_is() {
    let place = Place::new();
    let mut writer = place.writer();
    let told = |bytes| SystemEvent::new("journal.rollback.accepted", "some").detail("why", "x".repeat(bytes));
    writer.append_own(told(10), NOW).unwrap();
    let refused = writer.append_own(told(EVENT_DETAILS_BYTES_MAX), NOW).unwrap_err();
    assert!(refused.to_string().contains("details must be at most"), "{refused}");
    assert!(matches!(writer.append_own(told(10), NOW), Err(JournalError::Poisoned { .. })));
    assert_eq!(writer.head().seq, 1);
}

#[test]
fn a_row_that_sqlite_refuses_for_what_it_holds_fails_alone_too() {
    let place = Place::new();
    let mut writer = place.writer();
    writer.db().set_limit(Limit::SQLITE_LIMIT_LENGTH, 10_000).unwrap();
    let large = NewRow { event: NewEvent::Webhook(webhook(&"x".repeat(20_000))), claim: None };
    let mut outcomes = writer.append(vec![large, system("a")], NOW).unwrap();
    assert_eq!(stored(outcomes.pop().unwrap()).seq, 1);
    assert!(matches!(outcomes.pop(), Some(Err(JournalError::Invalid { field: "row", .. }))));
    assert_eq!(place.problems(), []);
}

#[test]
fn a_group_counts_once_and_only_if_something_of_it_was_stored() {
    let place = Place::new();
    let mut writer = place.writer();
    let copy = || delivery("k", "x", Verdict::Accepted);
    let table = [
        (vec![copy(), copy(), system("a")], (2, 1, 1)),
        (vec![copy()], (2, 1, 2)),
        (vec![system("NOT a name")], (2, 1, 2)),
        (vec![system("b")], (3, 2, 2)),
    ];
    for (rows, expected) in table {
        writer.append(rows, NOW).unwrap();
        let shown = writer.observe();
        assert_eq!((shown.appended_total, shown.groups_total, shown.held_total), expected);
    }
}

fn nested(levels: usize) -> serde_json::Value {
    (0..levels).fold(0.into(), |inner, _| serde_json::json!([inner]))
}

#[test]
fn events_out_of_bounds_are_refused_with_the_field() {
    let sys = |change: fn(&mut SystemEvent)| {
        let mut event = SystemEvent::new("a", "b");
        change(&mut event);
        NewRow { event: NewEvent::System(event), claim: None }
    };
    let hook = |change: fn(&mut WebhookEvent), claim| {
        let mut event = webhook("{}");
        change(&mut event);
        NewRow { event: NewEvent::Webhook(event), claim }
    };
    let table = [
        ("name", sys(|event| event.name = "x".repeat(81))),
        ("name", sys(|event| event.name.clear())),
        ("principal", sys(|event| event.principal.clear())),
        ("source", sys(|event| event.source = "é".repeat(129))),
        ("integration_id", sys(|event| event.integration_id = Some("A".to_owned()))),
        ("provider", sys(|event| event.provider = Some("-".to_owned()))),
        ("delivery_id", sys(|event| event.delivery_id = Some("x".repeat(257)))),
        ("summary", sys(|event| event.summary = "x".repeat(241))),
        ("tags", sys(|event| event.tags = vec!["t".to_owned(); 17])),
        ("tags", sys(|event| event.tags = vec!["t".repeat(65)])),
        ("details", sys(|event| drop(event.details.insert("k".to_owned(), "x".repeat(8_192).into())))),
        (
            "details",
            sys(|event| drop(event.details.insert("k".to_owned(), nested(EVENT_DETAILS_LEVELS_MAX)))),
        ),
        ("name", hook(|event| event.name.clear(), None)),
        ("source", hook(|event| event.source = "x".repeat(129), None)),
        ("integration_id", hook(|event| event.integration_id.clear(), None)),
        ("provider", hook(|event| event.provider = "Git Hub".to_owned(), None)),
        ("body", hook(|event| event.body_format = BodyFormat::None, None)),
        ("claim", hook(|_| (), Some(claim("k", "other", Verdict::Accepted)))),
        ("claim", hook(|_| (), Some(claim("k", "{}", Verdict::Filtered)))),
        ("claim", NewRow { claim: Some(claim("k", "{}", Verdict::Accepted)), ..system("a") }),
    ];
    let place = Place::new();
    let mut writer = place.writer();
    for (expected, row) in table {
        match append_one(&mut writer, row, NOW) {
            Err(JournalError::Invalid { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(writer.head().seq, 0);
}

#[test]
fn recorded_at_never_goes_back_when_the_clock_does() {
    let place = Place::new();
    let mut writer = place.writer();
    stored(append_one(&mut writer, system("a"), NOW));
    stored(append_one(&mut writer, system("b"), NOW - 60_000));
    let event = place.reader().event(2).unwrap().unwrap();
    assert_eq!((event.occurred_at, event.recorded_at), (NOW - 60_000, NOW));
    assert_eq!(place.problems(), []);
}

#[test]
fn a_reopened_journal_goes_on_where_it_stopped() {
    let place = Place::new();
    let mut writer = place.writer();
    let rows = (0..1_200).map(|_| system("a")).collect();
    assert!(writer.append(rows, NOW).unwrap().iter().all(Result::is_ok));
    let head = writer.head();
    writer.empty_wal().unwrap();
    drop(writer);
    let mut writer = place.writer();
    assert_eq!(writer.head(), head);
    assert_eq!(stored(append_one(&mut writer, system("b"), NOW)).seq, 1_201);
    assert_eq!(place.reader().head().unwrap(), writer.head());
    assert_eq!(place.problems(), []);
}

#[test]
fn the_files_belong_to_their_owner_alone() {
    let place = Place::new();
    let mut writer = place.writer();
    stored(append_one(&mut writer, system("a"), NOW));
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let mode = fs::metadata(place.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn durability_is_read_back_not_assumed() {
    let place = Place::new();
    let snapshot = place.writer().observe();
    assert_eq!((snapshot.journal_mode.as_str(), snapshot.synchronous), ("wal", 2));
    assert!(rusqlite::version_number() >= 3_051_003);
}

#[test]
fn files_that_are_no_journal_are_refused_and_left_alone() {
    let place = Place::new();
    fs::write(place.path(), b"not a database, but long enough to look like one ...............").unwrap();
    let before = fs::read(place.path()).unwrap();
    assert!(matches!(Writer::open(&place.files(), || 0, false, NOW), Err(JournalError::Open { .. })));
    assert_eq!(fs::read(place.path()).unwrap(), before);

    let place = Place::new();
    place.intruder().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(Writer::open(&place.files(), || 0, false, NOW), Err(JournalError::Open { .. })));

    let place = Place::new();
    drop(place.writer());
    place.intruder().pragma_update(None, "user_version", 3).unwrap();
    assert!(matches!(
        Writer::open(&place.files(), || 0, false, NOW),
        Err(JournalError::Newer { found: 3, known: 2 })
    ));
    assert!(matches!(JournalReader::open(&place.path()), Err(JournalError::Newer { .. })));
    place.intruder().pragma_update(None, "user_version", 1).unwrap();
    let older = Writer::open(&place.files(), || 0, false, NOW).unwrap_err();
    assert!(older.to_string().contains("older"), "{older}");

    let place = Place::new();
    std::os::unix::fs::symlink(place.folder.path().join("elsewhere"), place.path()).unwrap();
    assert!(matches!(Writer::open(&place.files(), || 0, false, NOW), Err(JournalError::Open { .. })));
    assert!(matches!(JournalReader::open(&place.path()), Err(JournalError::Open { .. })));
}

#[test]
fn a_full_disk_poisons_the_writer_for_good() {
    let place = Place::new();
    let mut writer = place.writer();
    stored(append_one(&mut writer, system("a"), NOW));
    let unconfined: Option<fn(rusqlite::hooks::AuthContext<'_>) -> rusqlite::hooks::Authorization> = None;
    writer.db().authorizer(unconfined).unwrap();
    let pages: i64 = writer.db().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let set = format!("PRAGMA max_page_count = {pages}");
    writer.db().query_row(&set, [], |_| Ok(())).unwrap();

    let large = NewRow { event: NewEvent::Webhook(webhook(&"x".repeat(100_000))), claim: None };
    let rows = vec![system("b"), large];
    assert!(matches!(writer.append(rows, NOW), Err(JournalError::Poisoned { .. })));
    writer.db().query_row("PRAGMA max_page_count = 1000000", [], |_| Ok(())).unwrap();
    assert!(matches!(writer.append(vec![system("c")], NOW), Err(JournalError::Poisoned { .. })));
    assert!(matches!(writer.probe(NOW), Err(JournalError::Poisoned { .. })));
    assert!(writer.poisoned().is_some());
    drop(writer);
    assert_eq!(place.writer().head().seq, 1);
    assert_eq!(place.problems(), []);
}

#[test]
fn a_journal_locked_by_another_process_recovers_when_it_lets_go() {
    let place = Place::new();
    let mut writer = place.writer();
    writer.db().busy_timeout(std::time::Duration::ZERO).unwrap();
    let intruder = place.intruder();
    intruder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(writer.append(vec![system("a")], NOW), Err(JournalError::Busy)));
    assert!(matches!(writer.probe(NOW), Err(JournalError::Busy)));
    intruder.execute_batch("ROLLBACK").unwrap();
    assert_eq!(stored(append_one(&mut writer, system("a"), NOW)).seq, 1);
}

#[test]
fn a_file_deleted_or_replaced_under_the_writer_is_seen_before_anybody_is_answered() {
    for name in ["journal.db", "journal.db-wal"] {
        for replace in [false, true] {
            let place = Place::new();
            let mut writer = place.writer();
            stored(append_one(&mut writer, system("a"), NOW));
            let file = place.folder.path().join(name);
            if replace {
                let copy = place.folder.path().join("copy");
                fs::copy(&file, &copy).unwrap();
                fs::rename(copy, &file).unwrap();
            } else {
                fs::remove_file(&file).unwrap();
            }
            let result = writer.append(vec![system("b")], NOW);
            assert!(matches!(result, Err(JournalError::Poisoned { .. })), "{name} {replace}: {result:?}");
        }
    }
}

#[test]
fn a_row_by_another_writer_poisons_instead_of_forking_the_chain() {
    let place = Place::new();
    let (mut ours, mut theirs) = (place.writer(), place.writer());
    stored(append_one(&mut theirs, system("a"), NOW));
    assert!(matches!(ours.append(vec![system("b")], NOW), Err(JournalError::Poisoned { .. })));
    assert_eq!(place.problems(), []);
}

#[test]
fn a_probe_commits_and_changes_nothing() {
    let place = Place::new();
    let mut writer = place.writer();
    let before = writer.observe();
    writer.probe(NOW).unwrap();
    assert!(writer.observe().wal_bytes > before.wal_bytes);
    let after_one = writer.observe().wal_bytes;
    writer.probe(NOW + 999).unwrap();
    assert_eq!(writer.observe().wal_bytes, after_one, "a fresh commit proves it already");
    writer.probe(NOW + 1_000).unwrap();
    assert!(writer.observe().wal_bytes > after_one, "it is not fresh for ever");
    assert_eq!(writer.head().seq, 0);
    assert_eq!(place.problems(), []);
}

#[test]
fn operators_events_are_checked_by_the_schema_and_the_bounds() {
    use serde_json::json;
    let read = |json: serde_json::Value| operator_event(&json.to_string());
    let event =
        read(json!({"name": "deploy", "severity": "warn", "tags": ["a"], "details": {"v": 1}})).unwrap();
    let told = [&event.name, &event.summary, &event.source, &event.principal];
    assert_eq!(told, ["system.operator.deploy", "deploy", "operator", "palyra"]);
    assert_eq!((event.severity, event.tags.len(), event.details.len()), (Severity::Warn, 1, 1));
    let longest = read(json!({"name": "x".repeat(64), "message": "m".repeat(240)})).unwrap();
    assert!(bounds::check(&NewEvent::System(longest), None).is_ok());
    let table = [
        ("", json!("deploy")),
        ("", json!({"message": "m"})),
        ("", json!({"name": "a", "extra": 1})),
        ("/name", json!({"name": "Deploy"})),
        ("/name", json!({"name": "a\n"})),
        ("/name", json!({"name": "x".repeat(65)})),
        ("/message", json!({"name": "a", "message": "m".repeat(241)})),
        ("/message", json!({"name": "a", "message": "é".repeat(121)})),
        ("/severity", json!({"name": "a", "severity": "fatal"})),
        ("/tags", json!({"name": "a", "tags": vec!["t"; 17]})),
        ("/tags/0", json!({"name": "a", "tags": [""]})),
        ("/tags/1", json!({"name": "a", "tags": ["t", "t".repeat(65)]})),
        ("/tags/1", json!({"name": "a", "tags": ["t", "é".repeat(33)]})),
        ("/details", json!({"name": "a", "details": []})),
        ("/details", json!({"name": "a", "details": {"k": "x".repeat(8_192)}})),
    ];
    for (pointer, json) in table {
        let issues = read(json).unwrap_err();
        assert_eq!(issues.first().unwrap().pointer, pointer, "{issues:?}");
    }
}
