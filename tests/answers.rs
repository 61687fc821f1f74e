//! The answers a sender gets, row by row.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{
    Answer, Daemon, SECRET, add_github, connect, events_named, eventually, github_head, github_signature,
    hmac_hex, last, raw, read_available, request, state_root, statuses, succeed, write_private,
};

const BODY: &str = r#"{"ref":"main"}"#;

/// A daemon with `gh`, and `setup` run before it starts.
fn daemon(root: &Path, setup: &[&[&str]]) -> Daemon {
    add_github(root);
    for args in setup {
        succeed(root, args, b"");
    }
    Daemon::start(root)
}

fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json()["code"], code);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let comes_again = answer.header("retry-after").is_some();
    assert_eq!(comes_again, matches!(status, 429 | 503), "{answer:?}");
}

/// Sets a field of the only integration, whatever it was.
fn set_field(root: &Path, field: &str, value: &str) {
    let path = root.join("webhooks.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let others = text.lines().filter(|line| !line.starts_with(field));
    let line = format!("{field} = {value}");
    write_private(&path, &others.chain([line.as_str()]).collect::<Vec<_>>().join("\n"));
}

#[test]
fn an_accepted_delivery_is_answered_with_its_receipt_and_again_as_a_duplicate() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    let first = daemon.github("push", "1", BODY);
    assert_eq!((first.status, first.outcome().as_str()), (202, "accepted"));
    let again = daemon.github("push", "1", BODY);
    assert_eq!((again.status, again.outcome().as_str()), (200, "duplicate"));
    assert_eq!(again.json()["receipt"], first.json()["receipt"]);
}

#[test]
fn a_captured_body_with_a_fresh_unsigned_id_is_still_a_duplicate() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    let first = daemon.github("push", "1", BODY);
    let replayed = daemon.github("push", "a fresh id", BODY);
    assert_eq!((replayed.status, replayed.seq()), (200, first.seq()));
}

#[test]
fn every_reason_to_doubt_a_signature_gets_the_same_401() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    let right = github_signature(SECRET, BODY.as_bytes());
    let wrong_key = github_signature("another secret", BODY.as_bytes());
    let upper = right.replace("sha256=", "SHA256=");
    let cut = &right[..40];
    let typed = ("Content-Type", "application/json");
    let refused: BTreeSet<String> = ["", "sha256=", cut, wrong_key.as_str(), upper.as_str(), "sha1=00"]
        .iter()
        .map(|signature| {
            let headers = [typed, ("X-Hub-Signature-256", *signature)];
            daemon.post("gh", &headers, BODY.as_bytes())
        })
        .chain([
            daemon.post("gh", &[typed], BODY.as_bytes()),
            daemon.post("gh", &[typed, ("X-Hub-Signature-256", &right)], br#"{"ref":"other"}"#),
            daemon.post(
                "gh",
                &[typed, ("X-Hub-Signature-256", &right), ("X-Hub-Signature-256", &right)],
                BODY.as_bytes(),
            ),
        ])
        .map(|answer| {
            assert_problem(&answer, 401, "unauthenticated");
            answer.body
        })
        .collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(events_named(root.path(), "push").is_empty());
}

#[test]
fn unknown_disabled_removed_and_odd_ids_get_the_same_404() {
    let root = state_root();
    let daemon = daemon(
        root.path(),
        &[
            &["webhooks", "add", "off", "github", "--secret-ref", "global/github", "--disabled"],
            &["webhooks", "add", "gone", "github", "--secret-ref", "global/github"],
            &["webhooks", "remove", "gone"],
        ],
    );
    let long = "a".repeat(300);
    let ids = ["off", "gone", "never", &long, "%2e%2e", "..%2f..", "%00", "a%20b", "gh%00", "%ff", "gh%2f"];
    let signature = github_signature(SECRET, BODY.as_bytes());
    let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", signature.as_str())];
    let bodies: BTreeSet<String> = ids
        .iter()
        .map(|id| {
            let answer = daemon.post(id, &headers, BODY.as_bytes());
            assert_problem(&answer, 404, "not_found");
            answer.body
        })
        .collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
}

#[test]
fn an_authentic_body_that_is_not_json_is_rejected_and_journaled_with_its_hash() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    let answers = [daemon.github("push", "1", "{not json"), daemon.github("push", "2", "{not json")];
    for answer in &answers {
        assert_problem(answer, 400, "not_json");
        assert_eq!(answer.outcome(), "rejected");
    }
    let rows = events_named(root.path(), "webhook.rejected");
    assert_eq!(rows.len(), 1, "the same bytes leave one row");
    let details = rows[0]["details"].to_string();
    let digest = {
        use sha2::Digest;
        hex::encode(sha2::Sha256::digest(b"{not json"))
    };
    assert!(details.contains(&digest), "{details}");
    assert!(!details.contains("not json\""), "the body is not kept: {details}");
    let summary = rows[0]["summary"].as_str().unwrap();
    assert!(summary.contains("line 1") || summary.contains("byte"), "it says where: {summary}");
}

#[test]
fn authentic_json_that_breaks_the_schema_is_rejected_with_pointers() {
    let root = state_root();
    let plain = ["webhooks", "add", "gt", "gitea", "--secret-ref", "global/github"];
    let daemon = daemon(root.path(), &[&plain]);
    let wide: String = (0..2_049).map(|n| format!("\"k{n}\":1,")).collect();
    let wide = format!("{{{}}}", wide.trim_end_matches(','));
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for body in [r#"{"a":1,"a":2}"#, wide.as_str(), "\"text\"", "12", deep.as_str()] {
        let signature = hmac_hex(SECRET.as_bytes(), body.as_bytes());
        let headers = [("Content-Type", "application/json"), ("X-Gitea-Signature", &signature)];
        let answer =
            daemon.post("gt", &[&headers[..], &[("X-Gitea-Event", "push")]].concat(), body.as_bytes());
        assert_problem(&answer, 422, "schema_violation");
        assert!(answer.json()["issues"][0]["pointer"].is_string(), "{answer:?}");
    }
    let rejected = events_named(root.path(), "webhook.rejected");
    assert_eq!(rejected.len(), 5);
    for row in rejected {
        let (summary, why) = (row["summary"].as_str().unwrap(), row["details"]["why"][0].as_str().unwrap());
        assert!(summary.ends_with(why) && summary.len() <= 240, "{summary}");
    }
}

#[test]
fn an_event_left_out_is_filtered_and_taken_once_it_is_allowed() {
    let root = state_root();
    let daemon = daemon(
        root.path(),
        &[
            &["webhooks", "remove", "gh"],
            &["webhooks", "add", "gh", "github", "--secret-ref", "global/github", "--allow-event", "push"],
        ],
    );
    let filtered = daemon.github("issues", "1", BODY);
    assert_eq!((filtered.status, filtered.outcome().as_str()), (202, "filtered"));
    assert_eq!(daemon.github("issues", "1", BODY).json(), filtered.json());
    let rows = events_named(root.path(), "webhook.filtered");
    assert_eq!(rows.len(), 1);
    assert!(rows[0]["summary"].as_str().unwrap().ends_with("allowed_events does not name this event"));

    let path = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    write_private(&path, &text.replace("[\"push\"]", "[\"push\", \"issues\"]"));
    daemon.signal("HUP");
    eventually("the registry is reloaded", || !events_named(root.path(), "registry.reloaded").is_empty());
    let accepted = daemon.github("issues", "1", BODY);
    assert_eq!((accepted.status, accepted.outcome().as_str()), (202, "accepted"));
    assert_ne!(accepted.seq(), filtered.seq());
    assert_eq!(daemon.github("issues", "1", BODY).status, 200);
}

#[test]
fn a_source_left_out_is_filtered_too_and_may_be_told_403() {
    let root = state_root();
    add_github(root.path());
    set_field(root.path(), "allowed_sources", "[\"octo/cat\"]");
    set_field(root.path(), "on_filtered", "\"reject\"");
    let daemon = Daemon::start(root.path());
    let right = daemon.github("push", "1", r#"{"repository":{"full_name":"octo/cat"}}"#);
    assert_eq!((right.status, right.outcome().as_str()), (202, "accepted"));
    let wrong = daemon.github("push", "2", r#"{"repository":{"full_name":"octo/dog"}}"#);
    assert_problem(&wrong, 403, "filtered");
    assert_eq!(wrong.outcome(), "filtered");
}

#[test]
fn a_body_over_the_limit_is_413_whether_it_is_declared_or_streamed() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
    assert_problem(&daemon.github("push", "1", &large), 413, "payload_too_large");

    let head = github_head("push", "1", large.as_bytes());
    let mut chunked =
        format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{head}\r\n")
            .into_bytes();
    chunked.extend(format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len()).bytes());
    assert_eq!(statuses(&raw(&daemon.ingress, &chunked)).first(), Some(&413));

    let exact = format!("{{\"a\":\"{}\"}}", "x".repeat(65_536 - 8));
    assert_eq!(exact.len(), 65_536);
    assert_eq!(daemon.github("push", "2", &exact).status, 202);
}

#[test]
fn a_body_that_stalls_or_trickles_is_408_and_frees_its_place() {
    let root = state_root();
    add_github(root.path());
    write_private(&root.path().join("palyra.toml"), "body_deadline_seconds = 1\nin_flight_max = 1\n");
    let daemon = Daemon::start(root.path());
    let head = github_head("push", "1", BODY.as_bytes());
    let mut stalled = connect(&daemon.ingress);
    let request = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n{head}\r\n{{");
    stalled.write_all(request.as_bytes()).unwrap();
    let begun = Instant::now();
    let answer = read_available(&mut stalled);
    assert_eq!(statuses(&answer), [408], "{answer}");
    assert!(answer.contains("request_timeout"));
    assert!(begun.elapsed() < Duration::from_secs(9), "sooner than by default: {:?}", begun.elapsed());
    assert_eq!(daemon.github("push", "2", BODY).status, 202, "the only permit is free again");
}

#[test]
fn a_head_that_never_ends_is_408() {
    let root = state_root();
    add_github(root.path());
    write_private(&root.path().join("palyra.toml"), "head_deadline_seconds = 1\n");
    let daemon = Daemon::start(root.path());
    let answer = raw(&daemon.ingress, b"POST /hooks/gh HTTP/1.1\r\nHost: x\r\n");
    assert_eq!(statuses(&answer), [408], "{answer}");
}

#[test]
fn one_delivery_more_than_fit_in_flight_is_503() {
    let root = state_root();
    add_github(root.path());
    write_private(&root.path().join("palyra.toml"), "in_flight_max = 1\n");
    let daemon = Daemon::start(root.path());
    let head = github_head("push", "1", BODY.as_bytes());
    let mut open = connect(&daemon.ingress);
    let begin = format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{head}\r\n", BODY.len());
    open.write_all(begin.as_bytes()).unwrap();
    let in_flight = || {
        daemon.console(root.path(), "GET", "/console/v1/system/heartbeat", b"").json()["in_flight"].clone()
    };
    eventually("the open delivery takes its permit", || in_flight() == 1);
    let refused = daemon.github("push", "2", r#"{"ref":"another"}"#);
    assert_problem(&refused, 503, "overloaded");
    let asks = begin.replace("Host: x", "Host: x\r\nExpect: 100-continue");
    let mut waits = connect(&daemon.ingress);
    waits.write_all(asks.as_bytes()).unwrap();
    let mut told = [0; 12];
    waits.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 503", "no body is asked for");
    open.write_all(BODY.as_bytes()).unwrap();
    assert_eq!(statuses(&read_available(&mut open)), [202], "the open one is finished all the same");
}

#[test]
fn encoded_and_foreign_content_is_415() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    let signature = github_signature(SECRET, BODY.as_bytes());
    for (name, value) in
        [("Content-Encoding", "gzip"), ("Content-Encoding", "br"), ("Content-Type", "application/xml")]
    {
        let headers = [(name, value), ("X-Hub-Signature-256", signature.as_str())];
        assert_problem(&daemon.post("gh", &headers, BODY.as_bytes()), 415, "unsupported_media_type");
    }
}

#[test]
fn another_method_is_405_and_another_path_404() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let answer = request(method, &format!("{}/hooks/gh", daemon.ingress), &[], b"");
        assert_problem(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    for path in ["/", "/hooks", "/hooks/", "/hooks/gh/x", "/console/v1/webhooks", "/admin"] {
        let answer = request("POST", &format!("{}{path}", daemon.ingress), &[], b"");
        assert_problem(&answer, 404, "not_found");
    }
}

#[test]
fn unsigned_deliveries_are_taken_where_asked_for_and_no_faster_than_their_rate() {
    let root = state_root();
    succeed(root.path(), &["webhooks", "add", "open", "github", "--allow-unsigned"], b"");
    set_field(root.path(), "unsigned_rate_per_second", "1");
    let daemon = Daemon::start(root.path());
    let headers = [("Content-Type", "application/json"), ("X-GitHub-Event", "push")];
    let post = |n: u32| daemon.post("open", &headers, format!("{{\"n\":{n}}}").as_bytes());
    assert_eq!(post(0).status, 202);
    let answers = std::thread::scope(|scope| {
        let posting: Vec<_> = (1..40).map(|n| scope.spawn(move || post(n))).collect();
        posting.into_iter().map(|posted| posted.join().unwrap()).collect::<Vec<Answer>>()
    });
    let refused = answers.iter().find(|answer| answer.status != 202).expect("40 at once");
    assert_problem(refused, 429, "too_many_requests");
}

#[test]
fn a_peer_with_too_many_bad_signatures_is_429_and_its_good_ones_are_still_taken() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    let signature = "0".repeat(64);
    let bad = format!(
        "POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
         X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={signature}\r\n\r\n{{}}"
    );
    let answers = statuses(&raw(&daemon.ingress, format!("{}{}", bad.repeat(305), last(&bad)).as_bytes()));
    assert_eq!(answers.iter().filter(|status| **status == 401).count(), 300);
    assert_eq!(answers.last(), Some(&429));
    assert_eq!(daemon.github("push", "1", BODY).status, 202);
    assert!(events_named(root.path(), "push").len() == 1);
}

#[test]
fn without_a_usable_secret_nothing_is_accepted() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    for file in std::fs::read_dir(root.path().join("vault")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "age") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let answer = daemon.github("push", "1", BODY);
    assert_problem(&answer, 503, "unavailable");
    succeed(root.path(), &["vault", "put", "global/github"], SECRET.as_bytes());
    assert_eq!(daemon.github("push", "1", BODY).status, 202, "the retry is taken once the secret is back");
}

#[test]
fn a_sender_that_waits_for_100_continue_is_refused_before_its_body() {
    let root = state_root();
    let daemon = daemon(root.path(), &[]);
    let ask = |headers: &str, id: &str| {
        let text = format!("POST /hooks/{id} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{headers}\r\n");
        raw(&daemon.ingress, text.as_bytes())
    };
    let length = format!("Content-Length: {}\r\n", BODY.len());
    let signed = github_head("push", "1", BODY.as_bytes());
    assert_eq!(statuses(&ask(&length, "gh")).first(), Some(&401));
    assert_eq!(statuses(&ask(&length, "nobody")).first(), Some(&404));
    assert_eq!(statuses(&ask(&format!("Content-Length: 70000\r\n{signed}"), "gh")).first(), Some(&413));
    assert_eq!(statuses(&ask(&format!("{length}{signed}"), "gh")).first(), Some(&100));
    let counts = daemon.console(root.path(), "GET", "/console/v1/system/insights", b"").json();
    assert_eq!(counts["deliveries"]["not_found"], 1, "{counts}");
}
