//! A delivery that its provider sends again, written anew: under the id that its signature fixes.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use palyra_actors::clock::{Clock as _, SystemClock};

use serde_json::Value;

use crate::support::{Answer, Daemon, events_named, hmac_hex, own_profile, state_root, succeed};

const KEY: &[u8] = b"shhh";

fn daemon(root: &Path, provider: &str, more: &[&str]) -> Daemon {
    succeed(root, &["vault", "put", "global/key"], KEY);
    let add = ["webhooks", "add", "in", provider, "--secret-ref", "global/key"];
    succeed(root, &[&add[..], more].concat(), b"");
    Daemon::start(root)
}

fn post(daemon: &Daemon, signature: (&str, &str), body: &str) -> Answer {
    daemon.post("in", &[("Content-Type", "application/json"), signature], body.as_bytes())
}

fn notion(daemon: &Daemon, attempt: u32) -> Answer {
    let body =
        format!(r#"{{"id":"n1","type":"page.created","workspace_id":"w","attempt_number":{attempt}}}"#);
    let signature = format!("sha256={}", hmac_hex(KEY, body.as_bytes()));
    post(daemon, ("X-Notion-Signature", &signature), &body)
}

fn heroku(daemon: &Daemon, attempt: &str) -> Answer {
    let body = format!(
        r#"{{"action":"update","resource":"dyno","data":{{}},"webhook_metadata":{{"attempt":{{"id":"{attempt}"}},"delivery":{{"id":"d1"}}}}}}"#
    );
    let signature = STANDARD.encode(hex::decode(hmac_hex(KEY, body.as_bytes())).unwrap());
    post(daemon, ("Heroku-Webhook-Hmac-SHA256", &signature), &body)
}

fn stripe(daemon: &Daemon, body: &str) -> Answer {
    let at = SystemClock.now_unix_ms() / 1_000;
    let signature = format!("t={at},v1={}", hmac_hex(KEY, format!("{at}.{body}").as_bytes()));
    post(daemon, ("Stripe-Signature", &signature), body)
}

#[test]
fn a_retry_whose_body_says_which_attempt_it_is_is_a_duplicate_with_the_first_receipt() {
    let root = state_root();
    let daemon = daemon(root.path(), "notion", &[]);
    let first = notion(&daemon, 1);
    assert_eq!(first.outcome(), "accepted");
    for attempt in [2, 3, 1] {
        let retry = notion(&daemon, attempt);
        assert_eq!((retry.status, retry.outcome().as_str(), retry.seq()), (200, "duplicate", first.seq()));
    }
    daemon.kill();
    let retry = notion(&Daemon::start(root.path()), 4);
    assert_eq!((retry.outcome().as_str(), retry.seq()), ("duplicate", first.seq()), "after a restart");
    assert_eq!(events_named(root.path(), "page.created").len(), 1);
    assert!(events_named(root.path(), "webhook.conflict").is_empty());
}

#[test]
fn a_retry_of_what_was_left_out_is_left_out_without_a_row_and_taken_once_the_operator_wants_it() {
    let root = state_root();
    let daemon = daemon(root.path(), "heroku", &["--allow-event", "dyno.create"]);
    let first = heroku(&daemon, "a1");
    assert_eq!(first.outcome(), "filtered");
    assert_eq!(
        (heroku(&daemon, "a2").outcome().as_str(), heroku(&daemon, "a3").seq()),
        ("filtered", first.seq())
    );
    assert_eq!(events_named(root.path(), "webhook.filtered").len(), 1);
    succeed(root.path(), &["webhooks", "set", "in", "--allow-event", "dyno.update"], b"");
    let taken = heroku(&daemon, "a4");
    assert_eq!((taken.status, taken.outcome().as_str()), (202, "accepted"));
    assert_eq!(
        (heroku(&daemon, "a5").outcome().as_str(), heroku(&daemon, "a1").seq()),
        ("duplicate", taken.seq())
    );
    assert!(events_named(root.path(), "webhook.conflict").is_empty());
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
fn another_body_under_a_signed_id_is_taken_where_the_first_was_left_out_and_a_conflict_where_it_was_taken() {
    let root = state_root();
    let daemon = daemon(root.path(), "stripe", &["--allow-event", "invoice.void"]);
    let body = |n: u32| format!(r#"{{"id":"evt_1","type":"invoice.paid","account":"acct_1","n":{n}}}"#);
    assert_eq!(stripe(&daemon, &body(1)).outcome(), "filtered");
    succeed(root.path(), &["webhooks", "set", "in", "--allow-event", "invoice.paid"], b"");
    let other = body(2).replace("acct_1", "acct_2");
    assert_eq!(stripe(&daemon, &other).status, 409, "from another source");
    assert_eq!(stripe(&daemon, &body(2)).outcome(), "accepted");
    assert_eq!(stripe(&daemon, &body(1)).status, 409);
    assert_eq!(events_named(root.path(), "invoice.paid").len(), 1);
}

/// A genuine notification of Adyen, which can be sent with another of the dates that its signature does not cover.
struct Adyen(Value);

impl Adyen {
    /// A daemon that accepts only `event`, or any if that is empty, and the notification.
    fn daemon(root: &Path, event: &str) -> (Daemon, Self) {
        let text = std::fs::read_to_string("tests/vectors/adyen.jsonl").unwrap();
        let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        succeed(root, &["vault", "put", "global/key"], line["secret"].as_str().unwrap().as_bytes());
        let add = ["webhooks", "add", "in", "adyen", "--secret-ref", "global/key"];
        let allowed: &[&str] = if event.is_empty() { &[] } else { &["--allow-event", event] };
        succeed(root, &[&add[..], allowed].concat(), b"");
        let body = STANDARD.decode(line["body_base64"].as_str().unwrap()).unwrap();
        (Daemon::start(root), Self(serde_json::from_slice(&body).unwrap()))
    }

    fn item(&mut self) -> &mut Value {
        &mut self.0["notificationItems"][0]["NotificationRequestItem"]
    }

    fn post(&mut self, daemon: &Daemon, date: &str) -> Answer {
        self.item()["eventDate"] = date.into();
        daemon.post("in", &[("Content-Type", "application/json")], self.0.to_string().as_bytes())
    }
}

#[test]
fn a_notification_of_adyen_that_comes_again_with_a_later_date_is_a_duplicate() {
    let root = state_root();
    let (daemon, mut adyen) = Adyen::daemon(root.path(), "");
    let first = adyen.post(&daemon, "2026-01-02T03:04:05+01:00");
    assert_eq!((first.status, first.outcome().as_str()), (202, "accepted"));
    let again = adyen.post(&daemon, "2026-01-02T03:04:08+01:00");
    assert_eq!((again.status, again.outcome().as_str(), again.seq()), (200, "duplicate", first.seq()));
    assert!(events_named(root.path(), "webhook.conflict").is_empty());
}

#[test]
fn a_notification_of_adyen_that_was_left_out_is_taken_later_although_its_date_is_another() {
    let root = state_root();
    let (mut daemon, mut adyen) = Adyen::daemon(root.path(), "OTHER");
    let event = adyen.item()["eventCode"].as_str().unwrap().to_owned();
    assert_eq!(adyen.post(&daemon, "2026-01-02T03:04:05+01:00").outcome(), "filtered");
    succeed(root.path(), &["webhooks", "set", "in", "--allow-event", &event], b"");
    let taken = adyen.post(&daemon, "2026-01-02T03:09:05+01:00");
    assert_eq!((taken.status, taken.outcome().as_str()), (202, "accepted"));
    daemon.kill();
    daemon = Daemon::start(root.path());
    let again = adyen.post(&daemon, "2026-01-02T03:14:05+01:00");
    assert_eq!((again.status, again.outcome().as_str(), again.seq()), (200, "duplicate", taken.seq()));
    assert_eq!(events_named(root.path(), &event).len(), 1);
    assert!(events_named(root.path(), "webhook.conflict").is_empty());
    succeed(root.path(), &["journal", "verify"], b"");
}

/// A provider that vouches for its deliveries by a token alone and counts their attempts in the body.
const COUNTING: &str = r#"
version = 1
name = "counting"
title = "Counting"
docs = "https://example.test/"
content = ["json"]

[[auth]]
[auth.token]
from = { header = "Authorization" }
scheme = "bearer"

[event]
default = "delivery"

[delivery_id]
from = [{ json = "/id" }]
retries_differ = true
"#;

#[test]
fn an_attempt_that_only_a_token_vouches_for_is_a_duplicate_and_one_that_nothing_vouches_for_a_conflict() {
    let root = state_root();
    own_profile(root.path(), "counting", COUNTING);
    let daemon = daemon(root.path(), "counting", &[]);
    let open = ["webhooks", "add", "open", "counting", "--allow-unsigned"];
    succeed(root.path(), &open, b"");
    let post = |to: &str, attempt: u32| {
        let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer shhh")];
        daemon.post(to, &headers, format!(r#"{{"id":"m1","attempt":{attempt}}}"#).as_bytes()).status
    };
    assert_eq!([post("in", 1), post("in", 2), post("in", 1)], [202, 200, 200]);
    assert_eq!([post("open", 1), post("open", 2), post("open", 1)], [202, 409, 200]);
    assert_eq!(events_named(root.path(), "delivery").len(), 2);
}

#[test]
fn an_attempt_under_a_token_is_taken_after_one_that_was_left_out_if_its_source_is_the_same() {
    let root = state_root();
    own_profile(
        root.path(),
        "counting",
        &format!("{COUNTING}\n[source]\nfrom = [{{ json = \"/source\" }}]\n"),
    );
    let daemon = daemon(root.path(), "counting", &["--allow-event", "other"]);
    let post = |source: &str, attempt: u32| {
        let headers = [("Content-Type", "application/json"), ("Authorization", "Bearer shhh")];
        let body = format!(r#"{{"id":"m1","source":"{source}","attempt":{attempt}}}"#);
        daemon.post("in", &headers, body.as_bytes())
    };
    assert_eq!(post("a", 1).outcome(), "filtered");
    succeed(root.path(), &["webhooks", "set", "in", "--allow-event", "delivery"], b"");
    let other = post("b", 2);
    assert_eq!((other.status, other.outcome().as_str()), (409, "conflict"));
    let [conflict] = &events_named(root.path(), "webhook.conflict")[..] else { panic!("one conflict") };
    assert!(conflict.to_string().contains("has another event or source"), "{conflict}");
    assert_eq!([post("a", 3).outcome(), post("a", 4).outcome()], ["accepted", "duplicate"]);
}
