//! A captured delivery is accepted once, however it is changed where its signature still holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use time::OffsetDateTime;

use crate::support::{Daemon, events_named, hmac_hex, state_root, succeed};

#[test]
fn one_of_which_text_is_moved_from_one_signed_part_to_the_next_is_none_of_its_own() {
    let root = state_root();
    let text = std::fs::read_to_string("tests/vectors/adyen.jsonl").unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |case: &str| lines.iter().find(|line| line["case"] == case).unwrap();
    let genuine = line("valid_reference_with_separator");
    succeed(root.path(), &["vault", "put", "global/adyen"], genuine["secret"].as_str().unwrap().as_bytes());
    succeed(root.path(), &["webhooks", "add", "in", "adyen", "--secret-ref", "global/adyen"], b"");
    let daemon = Daemon::start(root.path());
    let post = |line: &Value| {
        let body = STANDARD.decode(line["body_base64"].as_str().unwrap()).unwrap();
        daemon.post("in", &[("Content-Type", "application/json")], &body).status
    };
    let moved = line("separator_moved_into_the_id");
    assert_eq!([post(genuine), post(moved), post(genuine), post(moved)], [202, 200, 200, 200]);
    assert_eq!(events_named(root.path(), "AUTHORISATION").len(), 1);
}

#[test]
fn json_that_is_sent_again_as_a_form_is_refused() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/slack"], b"any secret");
    succeed(root.path(), &["webhooks", "add", "in", "slack", "--secret-ref", "global/slack"], b"");
    let daemon = Daemon::start(root.path());
    let body = r#"{"type":"event_callback","event_id":"Ev1","team_id":"T1","event":{"type":"message"}}"#;
    let now = OffsetDateTime::now_utc().unix_timestamp().to_string();
    let code = format!("v0={}", hmac_hex(b"any secret", format!("v0:{now}:{body}").as_bytes()));
    let post = |typed: &str| {
        let headers = [
            ("Content-Type", typed),
            ("X-Slack-Signature", code.as_str()),
            ("X-Slack-Request-Timestamp", &now),
        ];
        daemon.post("in", &headers, body.as_bytes()).status
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!([post("application/json"), post(form), post("application/json")], [202, 415, 200]);
}
