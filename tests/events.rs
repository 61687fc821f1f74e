//! One event by itself, and a part of the journal.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Daemon, json, run, state_root, succeed};

/// Holds what a stream of text would take for a colour, and a number with a text of its own.
const VALID: &str = "{\"n\":1.50,\"text\":\"\u{9b}31m\"}";

#[test]
fn one_event_is_shown_by_its_seq_and_by_its_id_with_the_daemon_running_or_stopped() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let answer = daemon.github("push", "guid-1", VALID);
    let seq = answer.seq().to_string();
    let by_seq = json(root.path(), &["system", "event", "show", &seq]);
    assert_eq!((&by_seq["delivery_id"], &by_seq["envelope"]["event"]), (&json!("guid-1"), &json!("push")));
    let id = by_seq["event_id"].as_str().unwrap().to_owned();
    let line = succeed(root.path(), &["--json", "system", "event", "show", &id], b"");
    assert!(line.contains("\"n\":1.50"), "numbers keep their text: {line}");
    let text = succeed(root.path(), &["system", "event", "show", &id], b"");
    for said in ["guid-1", by_seq["body_sha256"].as_str().unwrap(), by_seq["leaf_hash"].as_str().unwrap()] {
        assert!(text.contains(said), "{said}: {text}");
    }
    daemon.kill();
    assert_eq!(json(root.path(), &["system", "event", "show", &id]), by_seq);
    for (unknown, said) in [("999999", "no event has seq 999999"), ("x", "by its seq or its id")] {
        let refused = run(root.path(), &["system", "event", "show", unknown], b"");
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8(refused.stderr).unwrap().contains(said), "{unknown}");
    }
}

#[test]
fn a_body_comes_out_byte_for_byte() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    for (delivery_id, body) in [("1", VALID), ("2", "{\"a\": [1, 2 ]}\r\n")] {
        let seq = daemon.github("push", delivery_id, body).seq();
        let out = run(root.path(), &["system", "event", "show", &seq.to_string(), "--body"], b"");
        assert_eq!(out.stdout, body.as_bytes());
        let event = json(root.path(), &["system", "event", "show", &seq.to_string()]);
        assert_eq!(event["body_sha256"], hex::encode(Sha256::digest(body)));
    }
}

#[test]
fn an_event_with_the_most_deeply_nested_body_is_shown() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let body = format!("{{\"k\":{}{}}}", "[".repeat(126), "]".repeat(126));
    let seq = daemon.github("push", "guid-1", &body).seq().to_string();
    assert!(succeed(root.path(), &["system", "event", "show", &seq], b"").contains("guid-1"));
    assert!(succeed(root.path(), &["--json", "system", "event", "show", &seq], b"").contains(&body));
}

#[test]
fn an_emitted_event_is_nested_no_deeper_than_what_lists_it_can_read() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let nested =
        |levels| format!(r#"{{"name":"a","details":{{"k":{}{}}}}}"#, "[".repeat(levels), "]".repeat(levels));
    let emit = |levels| {
        daemon.console(root.path(), "POST", "/console/v1/system/events/emit", nested(levels).as_bytes())
    };
    for levels in [64, 124] {
        let refused = emit(levels);
        assert_eq!((refused.status, &refused.json()["issues"][0]["pointer"]), (422, &json!("/details")));
    }
    assert_eq!(emit(63).status, 201);
    let listed = json(root.path(), &["system", "event", "list", "--name", "system.operator.a"]);
    let sent: Value = serde_json::from_str(&nested(63)).unwrap();
    assert_eq!(listed["events"][0]["details"], sent["details"]);
}

#[test]
fn an_emitted_event_is_kept_as_it_was_sent_or_refused() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let emit =
        |body: &str| daemon.console(root.path(), "POST", "/console/v1/system/events/emit", body.as_bytes());
    for (body, pointer, said) in [
        (r#"{"name":"a","name":"b"}"#, "/name", "duplicate key"),
        (r#"{"name":"a","details":{"k":1,"k":2}}"#, "/details/k", "duplicate key"),
        (
            r#"{"name":"a","details":{"n":[12345678901234567890123]}}"#,
            "/details/n/0",
            "rounded (write it as a string",
        ),
    ] {
        let refused = emit(body);
        assert_eq!((refused.status, &refused.json()["issues"][0]["pointer"]), (422, &json!(pointer)));
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(pointer) && detail.contains(said), "{detail}");
    }
    let sent = json!({"k": 1.5, "n": u64::MAX, "text": "12345678901234567890123"});
    let kept = emit(&json!({"name": "a", "details": sent}).to_string());
    assert_eq!(kept.status, 201, "{kept:?}");
    let seq = kept.json()["seq"].to_string();
    assert_eq!(json(root.path(), &["system", "event", "show", &seq])["details"], sent);
    for details in [r#"{"k":1,"k":2}"#, r#"{"k":12345678901234567890123}"#] {
        let refused = run(root.path(), &["system", "event", "emit", "a", "--details", details], b"");
        assert_eq!(refused.status.code(), Some(2));
        assert!(String::from_utf8(refused.stderr).unwrap().contains("`/k`"), "{details}");
    }
}

#[test]
fn a_part_of_the_journal_is_exported() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let first = daemon.github("push", "1", r#"{"n":1}"#).seq();
    succeed(root.path(), &["system", "event", "emit", "between"], b"");
    let second = daemon.github("push", "2", r#"{"n":2}"#).seq();
    let export = |args: &[&str]| -> Vec<u64> {
        let lines = succeed(root.path(), &[&["journal", "export"], args].concat(), b"");
        let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.map(|event| event["seq"].as_u64().unwrap()).collect()
    };
    let all = export(&[]);
    assert_eq!(export(&["--after", &first.to_string()])[0], first + 1);
    assert_eq!(export(&["--limit", "2"]), all[..2]);
    let of_gh = export(&["--integration", "gh"]);
    assert!(of_gh.contains(&first) && of_gh.contains(&second) && !of_gh.contains(&(first + 1)), "{of_gh:?}");
    let rest = ["--after", &first.to_string(), "--integration", "gh", "--limit", "1"];
    assert_eq!(export(&rest), [second]);
    assert!(export(&["--integration", "nobody"]).is_empty());
}

#[test]
fn nothing_goes_on_after_an_event_that_is_not_there() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let newest = daemon.github("push", "1", "{}").seq();
    let get = |path: String| daemon.console(root.path(), "GET", &format!("/console/v1{path}"), b"");
    for path in ["/system/events?after=", "/journal/export?after=", "/system/events/stream?after="] {
        let refused = get(format!("{path}{}", newest + 1_000));
        assert_eq!(
            (refused.status, refused.json()["code"].as_str()),
            (422, Some("invalid")),
            "{path}: {refused:?}"
        );
        assert!(refused.body.contains(&format!("the newest event has seq {newest}")), "{path}: {refused:?}");
    }
    for path in ["/system/events?after=", "/journal/export?after="] {
        assert_eq!(get(format!("{path}{newest}")).status, 200, "{path}: the newest one is there");
    }
    let polled = get(format!("/system/events?after={newest}")).json();
    assert_eq!((&polled["events"], &polled["next_after"]), (&json!([]), &json!(newest)));
    daemon.kill();
    for args in [&["journal", "export"][..], &["system", "event", "list"]] {
        let refused = run(root.path(), &[args, &["--after", "100000"]].concat(), b"");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(1), true), "{args:?}: {said}");
        assert!(said.contains("seqs are given out again"), "{args:?}: {said}");
    }
}
