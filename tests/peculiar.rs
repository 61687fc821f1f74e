//! What single providers do that others do not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use palyra_actors::clock::{Clock as _, SystemClock};
use serde_json::json;

use crate::support::{Answer, Daemon, events_named, eventually, hmac_hex, json, state_root, succeed};

const KEY: &[u8] = b"shhh";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Integrations of these names, each of that provider.
fn daemon(root: &std::path::Path, integrations: &[(&str, &str)]) -> Daemon {
    succeed(root, &["vault", "put", "global/key"], KEY);
    for (id, provider) in integrations {
        succeed(root, &["webhooks", "add", id, provider, "--secret-ref", "global/key"], b"");
    }
    Daemon::start(root)
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.outcome())
}

#[test]
fn a_notification_that_says_only_that_something_changed_is_new_once_the_window_of_its_profile_is_over() {
    let root = state_root();
    let daemon = daemon(root.path(), &[("short", "dropbox"), ("long", "dropbox")]);
    succeed(root.path(), &["webhooks", "set", "long", "--replay-window-seconds", "600"], b"");
    let body = br#"{"list_folder":{"accounts":["dbid:A"]},"delta":{"users":[1]}}"#;
    let signature = hmac_hex(KEY, body);
    let post = |id: &str| told(&daemon.post(id, &[JSON, ("X-Dropbox-Signature", &signature)], body));
    let (accepted, duplicate) = ((200, "accepted".to_owned()), (200, "duplicate".to_owned()));
    assert_eq!([post("long"), post("short")], [accepted.clone(), accepted.clone()]);
    assert_eq!(post("long"), duplicate);
    eventually("its second is over", || post("short") == accepted);
    assert_eq!(post("long"), duplicate, "what the integration says goes first");
    assert_eq!(events_named(root.path(), "list_folder").len(), 3);
    let shown = json(root.path(), &["webhooks", "show", "short"]);
    assert_eq!(shown["replay_window_seconds"], json!(null));
    assert_eq!(shown["profile_replay_window_seconds"], 1);
}

#[test]
fn a_batch_that_holds_more_than_one_before_it_is_another_delivery() {
    let root = state_root();
    let daemon = daemon(root.path(), &[("auth0", "auth0"), ("graph", "microsoft-graph"), ("line", "line")]);
    let entries = |ids: &[&str]| {
        let entry = |id: &&str| json!({"id": id, "log_id": id, "webhookEventId": id, "clientState": "shhh"});
        json!(ids.iter().map(entry).collect::<Vec<_>>())
    };
    for (id, member) in [("auth0", None), ("graph", Some("value")), ("line", Some("events"))] {
        let post = |ids: &[&str]| {
            let body = member.map_or_else(|| entries(ids), |name| json!({name: entries(ids)})).to_string();
            let code = STANDARD.encode(hex::decode(hmac_hex(KEY, body.as_bytes())).unwrap());
            let headers = [JSON, ("Authorization", "shhh"), ("x-line-signature", code.as_str())];
            daemon.post(id, &headers, body.as_bytes()).outcome()
        };
        assert_eq!([post(&["a"]), post(&["a", "b"])], ["accepted", "accepted"], "{id}");
    }
}

#[test]
fn a_redelivery_of_line_is_a_duplicate() {
    let root = state_root();
    let daemon = daemon(root.path(), &[("line", "line")]);
    let post = |again: bool| {
        let event =
            json!({"type": "message", "webhookEventId": "e1", "deliveryContext": {"isRedelivery": again}});
        let body = json!({"destination": "U", "events": [event]}).to_string();
        let code = STANDARD.encode(hex::decode(hmac_hex(KEY, body.as_bytes())).unwrap());
        daemon.post("line", &[JSON, ("x-line-signature", &code)], body.as_bytes())
    };
    let first = post(false);
    assert_eq!(told(&first), (200, "accepted".to_owned()));
    let again = post(true);
    assert_eq!((told(&again), again.seq()), ((200, "duplicate".to_owned()), first.seq()));
}

#[test]
fn the_check_of_a_certificate_by_slack_is_taken() {
    let root = state_root();
    let daemon = daemon(root.path(), &[("slack", "slack")]);
    let (at, body) = (SystemClock.now_unix_ms() / 1_000, "token=gIk&ssl_check=1");
    let (at, code) = (at.to_string(), hmac_hex(KEY, format!("v0:{at}:{body}").as_bytes()));
    let signature = format!("v0={code}");
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Slack-Request-Timestamp", at.as_str()),
        ("X-Slack-Signature", &signature),
    ];
    assert_eq!(told(&daemon.post("slack", &headers, body.as_bytes())), (202, "accepted".to_owned()));
    assert_eq!(events_named(root.path(), "delivery").len(), 1);
}
