//! Somebody sends a captured delivery before its sender does, in a form in which it cannot be taken: that keeps the genuine one
//! out of nothing, and leaves no more rows however often it is done.

use palyra_actors::clock::{Clock as _, SystemClock};
use palyra_actors::ids::Digest;

use crate::support::{
    Daemon, SECRET, events, events_named, github_signature, hmac_hex, raw, state_root, statuses, succeed,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[test]
fn a_form_that_is_sent_as_json_is_415_without_a_row_and_is_taken_as_a_form_afterwards() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let body = b"payload=%7B%22repository%22%3A%7B%22full_name%22%3A%22octo%2Fhello%22%7D%7D";
    let signature = github_signature(SECRET, body);
    let post = |typed: &str| {
        let headers =
            [("Content-Type", typed), ("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &signature)];
        daemon.post("gh", &headers, body).status
    };
    assert_eq!(post(JSON), 415);
    assert!(events_named(root.path(), "webhook.rejected").is_empty());
    assert_eq!([post(FORM), post(JSON), post(FORM)], [202, 415, 200]);
}

#[test]
fn a_command_that_is_sent_as_json_is_taken_as_a_form_afterwards() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/key"], b"shhh");
    succeed(root.path(), &["webhooks", "add", "in", "slack", "--secret-ref", "global/key"], b"");
    let daemon = Daemon::start(root.path());
    let (at, body) = ((SystemClock.now_unix_ms() / 1_000).to_string(), "command=%2Fdeploy&team_id=T1");
    let signature = format!("v0={}", hmac_hex(b"shhh", format!("v0:{at}:{body}").as_bytes()));
    let post = |typed: &str| {
        let headers =
            [("Content-Type", typed), ("X-Slack-Request-Timestamp", &at), ("X-Slack-Signature", &signature)];
        daemon.post("in", &headers, body.as_bytes()).status
    };
    assert_eq!([post(JSON), post(FORM)], [415, 202]);
}

/// A delivery of HubSpot, signed with what stands before the body, of which the first `moved` bytes are moved to its URL.
fn cut(daemon: &Daemon, moved: usize) -> u16 {
    let (target, body) = ("/hooks/in?a=1", "[[[[[[[[[[1]]]]]]]]]]");
    let signed = format!("shhhPOSThttps://hooks.example{target}{body}");
    let (to_url, body) = body.split_at(moved);
    let request = format!(
        "POST {target}{to_url} HTTP/1.1\r\nHost: hooks.example\r\nConnection: close\r\nContent-Type: {JSON}\r\n\
         Content-Length: {}\r\nX-HubSpot-Signature: {}\r\n\r\n{body}",
        body.len(),
        Digest::of(signed.as_bytes())
    );
    statuses(&raw(&daemon.ingress, request.as_bytes())).last().copied().unwrap()
}

#[test]
fn bytes_that_are_moved_from_a_body_to_its_url_keep_it_out_of_nothing_and_make_one_row_of_each_kind() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/key"], b"shhh");
    succeed(root.path(), &["webhooks", "add", "in", "hubspot-v2", "--secret-ref", "global/key"], b"");
    let daemon = Daemon::start(root.path());
    assert_eq!(cut(&daemon, 1), 400, "no JSON is left");
    let before = (2..10).map(|moved| cut(&daemon, moved)).collect::<Vec<_>>();
    assert!(before.iter().all(|status| matches!(status, 400 | 409)), "{before:?}");
    assert_eq!(cut(&daemon, 0), 202, "the genuine one");
    let after = (1..10).map(|moved| cut(&daemon, moved)).collect::<Vec<_>>();
    assert_eq!(after, [409; 9]);
    assert_eq!(cut(&daemon, 0), 200);
    let rows = |name: &str| events_named(root.path(), name).len();
    assert_eq!([rows("webhook.rejected"), rows("delivery"), rows("webhook.conflict")], [1, 1, 1]);
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
fn a_name_that_is_not_signed_and_cannot_be_one_keeps_a_delivery_out_of_nothing() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let body = r#"{"ref":"main"}"#;
    for (name, rejected) in [("x".repeat(129), 1), ("y".repeat(200), 1)] {
        assert_eq!(daemon.github(&name, "1", body).status, 422);
        assert_eq!(events_named(root.path(), "webhook.rejected").len(), rejected);
    }
    daemon.kill();
    let daemon = Daemon::start(root.path());
    let taken = daemon.github("push", "1", body);
    assert_eq!((taken.status, taken.outcome().as_str()), (202, "accepted"));
    assert_eq!(daemon.github(&"x".repeat(129), "1", body).outcome(), "duplicate");
    assert_eq!(daemon.github("push", "1", body).seq(), taken.seq());
    let of_it = events(root.path()).into_iter().filter(|row| row["integration_id"] == "gh");
    assert_eq!(of_it.filter(|row| row["name"] != "registry.webhook.create").count(), 2);
}
