//! Which edits are prevented, and that all others are detected.

use super::*;
use crate::journal::format::entry::leaf_hash;
use crate::journal::format::row;

/// Three deliveries, a system event between them.
fn filled() -> Place {
    let place = Place::new();
    let mut writer = place.writer();
    stored(append_one(&mut writer, delivery("k1", "{\"a\":1}", Verdict::Accepted), NOW));
    stored(append_one(&mut writer, system("in-between"), NOW));
    stored(append_one(&mut writer, delivery("k2", "x", Verdict::Filtered), NOW));
    stored(append_one(&mut writer, delivery("k3", "{\"a\":2}", Verdict::Accepted), NOW));
    writer.empty_wal().unwrap();
    place
}

#[test]
fn an_untouched_journal_verifies() {
    let report = verify(&filled().files()).unwrap();
    assert!(report.is_ok(), "{report:?}");
    assert_eq!((report.events, report.head_seq), (4, 4));
}

#[test]
fn a_seq_at_either_end_of_the_integers_is_found_like_any_other() {
    for seq in [i64::MIN, i64::MAX] {
        let place = filled();
        tamper(&place, &format!("UPDATE journal_events SET seq = {seq} WHERE seq = 3"));
        assert_ne!(place.problems(), [], "{seq}");
        assert!(Writer::open(&place.files(), || 7, false, NOW).is_err(), "{seq}");
    }
}

#[test]
fn sql_cannot_change_the_past() {
    let place = filled();
    let values = "event_id, kind, name, severity, principal, source, integration_id, provider, delivery_id, \
         key_version, occurred_at, recorded_at, summary, tags, replay_key, replay_body, replay_verdict, \
         replay_expires_at, body_format, prev_hash, hash, body";
    let replace =
        "INSERT OR REPLACE INTO journal_events SELECT * FROM journal_events WHERE seq = 2".to_owned();
    let copy = |seq: i64| {
        format!(
            "INSERT INTO journal_events (seq, {values}) SELECT {seq}, {values} FROM journal_events WHERE seq = 2"
        )
    };
    let upsert = format!(
        "{} ON CONFLICT (seq) DO UPDATE SET name = 'x'",
        copy(2).replace("seq = 2", "seq = 2 AND true")
    );
    let table = [
        "UPDATE journal_events SET name = 'x' WHERE seq = 2".to_owned(),
        "DELETE FROM journal_events WHERE seq = 4".to_owned(),
        "INSERT INTO replay_keys VALUES (1, x'01')".to_owned(),
        replace,
        copy(6),
        copy(5),
        upsert,
    ];
    for sql in &table {
        assert!(place.intruder().execute_batch(sql).is_err(), "by another connection: {sql}");
        assert!(place.writer().db().execute_batch(sql).is_err(), "by the writer's: {sql}");
    }
    assert_eq!(place.problems(), []);
}

#[test]
fn the_writers_connection_can_do_nothing_but_append() {
    let place = filled();
    let mut writer = place.writer();
    let refused = [
        "DROP TRIGGER journal_events_no_update",
        "DROP TABLE journal_events",
        "DROP INDEX journal_checkpoints_by_size",
        "ALTER TABLE journal_events ADD COLUMN x",
        "CREATE TABLE t (x)",
        "CREATE TEMP TRIGGER t BEFORE INSERT ON journal_events BEGIN SELECT 1; END",
        "ATTACH ':memory:' AS other",
        "PRAGMA recursive_triggers = OFF",
        "PRAGMA synchronous = OFF",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 3",
        "PRAGMA writable_schema = ON",
        "DELETE FROM journal_events",
        "UPDATE journal_events SET name = 'x'",
        "SAVEPOINT s",
        "SELECT load_extension('x')",
    ];
    for sql in refused {
        assert!(writer.db().execute_batch(sql).is_err(), "{sql}");
    }
    stored(append_one(&mut writer, system("a"), NOW));
    assert_eq!(place.problems(), []);
}

#[test]
fn an_edit_of_any_column_is_found_where_it_is() {
    let edits = [
        "event_id = lower(event_id)",
        "event_id = '01ARZ3NDEKTSV4RRFFQ69G5FAV'",
        "kind = 'system'",
        "name = 'pull'",
        "severity = 'warn'",
        "principal = 'console'",
        "source = 'octo/dog'",
        "integration_id = NULL",
        "integration_id = 'other'",
        "provider = NULL",
        "delivery_id = 'd-2'",
        "key_version = NULL",
        "key_version = 2",
        "occurred_at = occurred_at + 1",
        "recorded_at = recorded_at + 1",
        "summary = ''",
        "tags = '[ ]'",
        "replay_key = NULL",
        "replay_key = zeroblob(32)",
        "replay_body = zeroblob(32)",
        "replay_verdict = 'filtered'",
        "replay_expires_at = 0",
        "replay_key = NULL, replay_body = NULL, replay_verdict = NULL, replay_expires_at = NULL",
        "body_format = 'json_array'",
        "prev_hash = hash",
        "hash = zeroblob(32)",
        "body = x'7b7d'",
        "seq = 9",
    ];
    for edit in edits {
        for seq in [1_u64, 4] {
            let place = filled();
            tamper(&place, &format!("UPDATE journal_events SET {edit} WHERE seq = {seq}"));
            let report = verify(&place.files()).unwrap();
            assert_eq!(report.first_bad_seq(), Some(seq), "{edit}: {report:?}");
            assert!(
                Writer::open(&place.files(), || 0, false, NOW).is_err(),
                "{edit} at {seq}: opened all the same"
            );
        }
    }
}

/// Enough deliveries for blocks and runs to be complete.
fn indexed() -> Place {
    let place = Place::new();
    let rows = (0..600).map(|n| delivery(&n.to_string(), "{}", Verdict::Accepted)).collect();
    let mut writer = place.writer();
    writer.append(rows, NOW).unwrap();
    writer.empty_wal().unwrap();
    place
}

#[test]
fn edits_of_the_indexes_are_stopped_by_the_guards_and_found_without_them() {
    let edits = [
        "DELETE FROM replay_keys WHERE place = (SELECT max(place) FROM replay_keys)",
        "UPDATE replay_keys SET entries = zeroblob(10) WHERE place = (SELECT min(place) FROM replay_keys)",
        "UPDATE replay_keys SET place = 255 WHERE place = (SELECT min(place) FROM replay_keys)",
        "UPDATE replay_runs SET expires_at = 0 WHERE run = 1",
        "DELETE FROM replay_runs WHERE run = 0",
        "UPDATE journal_facets SET bits = zeroblob(32) WHERE block = 1",
        "UPDATE journal_facets SET value = 'pull' WHERE value = 'push'",
        "DELETE FROM journal_facets WHERE facet = 'kind'",
    ];
    let additions = [
        "INSERT INTO replay_keys VALUES (1000000, zeroblob(10))",
        "INSERT INTO replay_runs VALUES (70, 5)",
        "INSERT INTO journal_facets VALUES ('name', 'pull', 0, zeroblob(32))",
        "INSERT INTO journal_facets VALUES ('name', 'pull', 70, zeroblob(32))",
    ];
    for edit in edits {
        assert!(indexed().intruder().execute_batch(edit).is_err(), "{edit}");
    }
    for edit in edits.into_iter().chain(additions) {
        let place = indexed();
        tamper(&place, edit);
        assert_ne!(place.problems(), [], "{edit}");
    }
    assert_eq!(indexed().problems(), []);
}

#[test]
fn rows_taken_out_put_in_or_swapped_are_found() {
    let table = [
        ("DELETE FROM journal_events WHERE seq = 2", 2),
        ("DELETE FROM journal_events WHERE seq = 1", 1),
        (
            "DELETE FROM journal_events WHERE seq = 2; UPDATE journal_events SET seq = seq - 1 WHERE seq > 2",
            2,
        ),
        (
            "UPDATE journal_events SET seq = -2 WHERE seq = 2; UPDATE journal_events SET seq = 2 WHERE seq = 3; \
          UPDATE journal_events SET seq = 3 WHERE seq = -2",
            2,
        ),
    ];
    for (edit, first) in table {
        let place = filled();
        tamper(&place, edit);
        assert_eq!(verify(&place.files()).unwrap().first_bad_seq(), Some(first), "{edit}");
    }
}

#[test]
fn a_flipped_bit_in_what_is_stored_is_found() {
    let event = filled().reader().event(1).unwrap().unwrap();
    let claim = event.claim.unwrap();
    let stored: [&[u8]; 6] =
        [b"{\"a\":1}", b"{\"a\":2}", b"octo/cat", b"webhook.filtered", b"in-between", &claim.key.0];
    for needle in stored {
        let place = filled();
        let mut file = std::fs::read(place.path()).unwrap();
        let spots: Vec<_> = (0..file.len()).filter(|at| file[*at..].starts_with(needle)).collect();
        assert!(!spots.is_empty(), "{needle:?}");
        for at in spots {
            file[at] ^= 1;
            std::fs::write(place.path(), &file).unwrap();
            assert!(!verify(&place.files()).is_ok_and(|report| report.is_ok()), "{needle:?} at {at}");
            file[at] ^= 1;
        }
    }
}

#[test]
fn a_damaged_file_is_told_of_whatever_byte_it_hits() {
    let place = filled();
    let whole = std::fs::read(place.path()).unwrap();
    let mut found = 0;
    for at in (0..whole.len()).step_by(509) {
        let mut file = whole.clone();
        file[at] ^= 0xff;
        std::fs::write(place.path(), &file).unwrap();
        found += usize::from(!verify(&place.files()).is_ok_and(|report| report.is_ok()));
        drop(Writer::open(&place.files(), || 7, false, NOW));
        std::fs::write(place.path(), &whole).unwrap();
    }
    assert!(found > 0);
    assert!(verify(&place.files()).unwrap().is_ok());
}

#[test]
fn a_guard_that_was_dropped_is_found() {
    let place = filled();
    place.intruder().execute_batch("DROP TRIGGER journal_events_no_update").unwrap();
    assert!(matches!(
        Writer::open(&place.files(), || 0, false, NOW),
        Err(JournalError::Corrupt { seq: 0, .. })
    ));
    assert!(place.problems().iter().any(|problem| problem.problem.contains("journal_events_no_update")));
}

#[test]
fn the_list_of_problems_is_bounded_but_all_are_counted() {
    let place = Place::new();
    let mut writer = place.writer();
    writer.append((0..250).map(|_| system("a")).collect(), NOW).unwrap();
    drop(writer);
    tamper(&place, "UPDATE journal_events SET summary = 'x'");
    let report = verify(&place.files()).unwrap();
    assert_eq!((report.problems.len(), report.problems_total), (crate::limits::VERIFY_PROBLEMS_MAX, 250));
}

#[test]
fn the_leaf_hash_is_the_one_of_the_documented_layout() {
    // Computed by hand from docs/journal-format.md, not by this code.
    let columns = row::Columns {
        seq: 1,
        event_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
        kind: "webhook".into(),
        name: "push".into(),
        severity: "info".into(),
        principal: "integration:gh".into(),
        source: "octo/cat".into(),
        integration_id: Some("gh".into()),
        provider: Some("github".into()),
        delivery_id: None,
        key_version: Some(2),
        occurred_at: 1_700_000_000_000,
        recorded_at: 1_700_000_000_001,
        summary: "push from octo/cat".into(),
        tags: "[]".into(),
        claim: Some(row::ClaimColumns {
            key: Digest([0x11; 32]),
            body: Digest::of(b"{}"),
            verdict: "accepted".into(),
            expires_at: 1_700_000_600_000,
        }),
        body_format: "json".into(),
        prev_hash: Digest([0; 32]),
        hash: Digest([0; 32]),
        body: b"{}"[..].into(),
        body_digest: Digest::of(b"{}"),
    };
    let expected = "805bb5d5b0000deb9d4c047f271e9e90ada17f85abe1bb473ced172b5b2c4871";
    assert_eq!(leaf_hash(&columns).to_string(), expected);
}
