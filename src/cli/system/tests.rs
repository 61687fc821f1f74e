use serde_json::{Value, json};

use crate::cli::testing::{Stub, answer, cut_off, palyra, palyra_with, raw};

fn event(seq: u64) -> Value {
    json!({
        "seq": seq, "event_id": "01J", "kind": "webhook", "name": "push", "severity": "info", "source": "octo/repo",
        "integration_id": "github", "recorded_at": "2026-07-01T12:00:00Z", "summary": format!("push {seq}")
    })
}

fn page(seqs: &[u64], next_after: Option<u64>, next_before: Option<u64>) -> String {
    let events: Vec<Value> = seqs.iter().map(|seq| event(*seq)).collect();
    answer(200, &json!({"events": events, "next_after": next_after, "next_before": next_before}))
}

fn stream(seqs: &[u64]) -> String {
    seqs.iter()
        .map(|seq| format!(": keep-alive\n\nid: {seq}\nevent: webhook\ndata: {}\n\n", event(*seq)))
        .collect()
}

#[test]
fn the_heartbeat_is_a_summary_that_names_what_is_wrong() {
    let heartbeat = json!({
        "status": "degraded", "version": "0.1.0", "pid": 7, "started_at_unix_ms": 1_782_903_600_000_u64, "uptime_seconds": 3_600,
        "ingress": "http://127.0.0.1:7142", "console": "http://127.0.0.1:7143", "ready": false,
        "reasons": ["the journal is poisoned"], "journal": {"head_seq": 12, "head_hash": "ab", "poisoned": "disk I/O error"}
    });
    let ran = palyra("system status", &Stub::answering([answer(200, &heartbeat)]));
    assert_eq!(ran.code, 1, "a script is told too");
    assert_eq!(
        ran.stdout,
        "\
status   degraded
ready    NO
reason   the journal is poisoned
version  0.1.0
process  7
up       1h (since 2026-07-01T11:00:00Z)
ingress  http://127.0.0.1:7142
console  http://127.0.0.1:7143
events   12 (head ab)
journal  no longer writes: disk I/O error
"
    );
}

#[test]
fn presence_lists_actors_and_connectors_in_one_table() {
    let presence = json!({
        "actors": [{"name": "journal", "state": "running", "started_at_unix_ms": 0, "restarts": 0, "last_exit": null}],
        "connectors": [{"name": "heartbeat", "state": "backing_off", "started_at_unix_ms": 0, "restarts": 2, "last_exit": "panicked"}]
    });
    let ran = palyra("system presence", &Stub::answering([answer(200, &presence)]));
    assert_eq!(
        ran.stdout,
        "\
part       name       state        since                 restarts  last end
actor      journal    running      1970-01-01T00:00:00Z         0  -
connector  heartbeat  backing_off  1970-01-01T00:00:00Z         2  panicked
"
    );
}

#[test]
fn insights_are_told_part_by_part() {
    let insights = json!({
        "deliveries": {"accepted": 3, "unauthenticated": {"bad_signature": 2}, "conflict": 0},
        "registry": {"loaded_at_unix_ms": 0, "stale": null},
        "diagnostics": {"total": 2, "enabled": 1, "by_readiness": {"ready": 1}, "by_provider": {"github": 2},
            "problems": [{"integration_id": "x", "readiness": "secret_not_found", "issues": ["a", "b"]}]}
    });
    let ran = palyra("system insights", &Stub::answering([answer(200, &insights)]));
    assert_eq!(
        ran.stdout,
        "\
Deliveries
  accepted                       3
  conflict                       0
  unauthenticated.bad signature  2

Registry
  loaded at  1970-01-01T00:00:00Z
  stale      -

Integrations
  total    2
  enabled  1
  ready    1
  github   2

id  readiness         issues
x   secret_not_found  a, b
"
    );
}

#[test]
fn metrics_are_printed_as_they_are_served_or_as_one_text_of_a_document() {
    let page = "# HELP a_total Help \\\\\n# TYPE a_total counter\na_total{b=\"\\\"\"} 1\n";
    let served = || Stub::answering([raw(200, "content-type: text/plain; version=0.0.4", page)]);
    assert_eq!(palyra("system metrics", &served()).stdout, page);
    assert_eq!(palyra("--json system metrics", &served()).json(), json!({ "metrics": page }));
}

#[test]
fn events_are_a_table_with_the_newest_last() {
    let ran = palyra("system event list --limit 2", &Stub::answering([page(&[9, 10], Some(10), Some(9))]));
    assert_eq!(
        ran.stdout,
        "\
seq  recorded at           kind     name  source     integration  summary
  9  2026-07-01T12:00:00Z  webhook  push  octo/repo  github       push 9
 10  2026-07-01T12:00:00Z  webhook  push  octo/repo  github       push 10
"
    );
    assert_eq!(ran.stderr, "for older events: --before 9\n");
}

#[test]
fn every_filter_reaches_the_console() {
    let stub = Stub::answering([page(&[], None, None)]);
    let line = "system event list --limit 5 --before 9 --kind system --name a.b --integration i --severity error --since 15m --contains x/y";
    palyra(line, &stub);
    assert_eq!(
        stub.asked()[0].line,
        "GET /console/v1/system/events?limit=5&before=9&kind=system&name=a.b&integration=i&severity=error&since=1782906300000&contains=x%2Fy"
    );
}

#[test]
fn pages_are_followed_until_the_limit_and_told_as_one_document() {
    let stub = Stub::answering([
        page(&[9], Some(10), Some(8)),
        page(&[], Some(7), Some(5)),
        page(&[3], Some(4), None),
    ]);
    let ran = palyra("--json system event list --limit 10", &stub);
    assert_eq!(ran.json(), json!({"events": [event(3), event(9)], "next_after": 10, "next_before": null}));
    let lines: Vec<String> = stub.asked().into_iter().map(|asked| asked.line).collect();
    assert!(lines[1].ends_with("limit=9&before=8") && lines[2].ends_with("limit=9&before=5"), "{lines:?}");
}

#[test]
fn an_event_is_emitted_with_what_was_typed() {
    let stub = Stub::answering([answer(201, &json!({"event_id": "01J", "seq": 4, "leaf_hash": "ab"}))]);
    let words = [
        "system",
        "event",
        "emit",
        "deploy",
        "--message",
        "it is live",
        "--tag",
        "a",
        "--details",
        "{\"v\":4}",
    ];
    let ran = palyra_with(&words, b"", &stub);
    assert_eq!(
        stub.asked()[0].json(),
        json!({"name": "deploy", "message": "it is live", "severity": "info", "tags": ["a"], "details": {"v": 4}})
    );
    assert_eq!(ran.stdout, "recorded as seq 4, event id 01J\n");
}

#[test]
fn tail_prints_the_latest_events_one_a_line() {
    let ran = palyra("system event tail", &Stub::answering([page(&[1, 2], Some(2), None)]));
    assert_eq!(ran.stdout.lines().count(), 2);
    assert!(ran.stdout.starts_with("       1  2026-07-01T12:00:00Z  webhook  push "), "{}", ran.stdout);
    let ran = palyra("--json system event tail", &Stub::answering([page(&[1, 2], Some(2), None)]));
    let seqs: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].clone()).collect();
    assert_eq!(seqs, [1, 2]);
}

#[test]
fn follow_takes_a_lost_stream_up_where_it_broke_off_and_repeats_nothing() {
    let busy = raw(503, "retry-after: 1", "");
    let stub = Stub::answering([
        page(&[1], Some(1), None),
        cut_off(&stream(&[2, 3])),
        busy,
        raw(200, "content-type: text/event-stream", &stream(&[3, 4])),
    ]);
    let ran = palyra("--json system event tail --follow", &stub);
    let seqs: Vec<Value> =
        ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].clone()).collect();
    assert_eq!(seqs, [1, 2, 3, 4]);
    let afters: Vec<String> =
        stub.asked().iter().skip(1).map(|asked| asked.line.rsplit('=').next().unwrap().to_owned()).collect();
    assert_eq!(afters, ["1", "3", "3"]);
    assert_eq!(ran.code, 69, "a daemon that stays away ends it: {}", ran.stderr);
}

#[test]
fn a_stream_that_the_daemon_ends_in_good_order_is_followed_by_the_next_without_a_word() {
    let ended = |seqs: &[u64]| raw(200, "content-type: text/event-stream", &stream(seqs));
    let stub = Stub::answering([page(&[1], Some(1), None), ended(&[2]), ended(&[3])]);
    let ran = palyra("system event tail --follow", &stub);
    assert_eq!(stub.asked().last().unwrap().line, "GET /console/v1/system/events/stream?after=2");
    // The first that is worth a word is that nobody answers any more, by a refusal or a reset.
    let first = ran.stderr.lines().next().unwrap();
    assert!(first.contains("trying again in 1 s"), "{first}");
    assert!(!ran.stderr.contains("closed the event stream"), "{}", ran.stderr);
}

#[test]
fn streams_that_begin_and_bring_nothing_are_given_up() {
    let broken = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let answers = std::iter::once(page(&[1], Some(1), None)).chain(vec![broken; 20]);
    let stub = Stub::answering(answers);
    let ran = palyra("system event tail --follow", &stub);
    assert_eq!((ran.code, stub.asked().len()), (69, 1 + 11));
}

#[test]
fn a_refused_token_ends_follow_at_once() {
    let stub = Stub::answering([
        page(&[], None, None),
        answer(401, &json!({"title": "unauthorized", "code": "unauthorized"})),
    ]);
    let ran = palyra("system event tail --follow", &stub);
    assert_eq!((ran.code, stub.asked().len()), (1, 2));
}

#[test]
fn foreign_text_in_an_event_cannot_forge_a_line() {
    let mut forged = event(1);
    for name in ["name", "source", "summary", "integration_id", "recorded_at", "kind"] {
        forged[name] = "a\n      99  forged\u{1b}[2K\u{202e}".into();
    }
    let document = json!({"events": [forged], "next_after": 1, "next_before": null});
    for line in ["system event list", "system event tail"] {
        let ran = palyra(line, &Stub::answering([answer(200, &document)]));
        let rows = ran.stdout.lines().filter(|line| !line.starts_with("seq")).count();
        assert!(rows == 1 && !ran.stdout.contains(['\u{1b}', '\u{202e}']), "{line}: {:?}", ran.stdout);
    }
}
