//! Each provider's deliveries through the running daemon: signed here by hand, as its documentation says.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use palyra_actors::clock::{Clock, SystemClock};
use serde_json::Value;
use sha2::Sha256;

use crate::support::{
    Answer, Daemon, SECRET, add_github, events, hmac_hex, json, own_profile, request, run, state_root,
    succeed,
};

fn now_unix_s() -> u64 {
    SystemClock.now_unix_ms() / 1_000
}

fn hmac_base64(secret: &[u8], content: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).unwrap();
    mac.update(content);
    STANDARD.encode(mac.finalize().into_bytes())
}

/// A daemon with one integration `in` of `provider` under `secret`.
fn daemon(root: &Path, provider: &str, secret: &str) -> Daemon {
    succeed(root, &["vault", "put", "global/key"], secret.as_bytes());
    succeed(root, &["webhooks", "add", "in", provider, "--secret-ref", "global/key"], b"");
    Daemon::start(root)
}

fn assert_accepted(answer: &Answer) {
    assert_eq!((answer.status, answer.outcome().as_str()), (202, "accepted"), "{answer:?}");
}

/// The only webhook event of the journal.
fn only_webhook(root: &Path) -> Value {
    let mut webhooks: Vec<Value> =
        events(root).into_iter().filter(|event| event["kind"] == "webhook").collect();
    assert_eq!(webhooks.len(), 1);
    webhooks.remove(0)
}

fn assert_named(root: &Path, event: &str, source: &str, delivery_id: Value) {
    let row = only_webhook(root);
    let said = (&row["name"], &row["source"], &row["delivery_id"]);
    assert_eq!(said, (&serde_json::json!(event), &serde_json::json!(source), &delivery_id), "{row}");
    assert_eq!(row["envelope"]["v"], 1);
}

#[test]
fn stripe_is_taken_once_per_id_whatever_the_time_it_is_signed_at() {
    let root = state_root();
    let daemon = daemon(root.path(), "stripe", "whsec_test");
    let body = r#"{"id":"evt_1","type":"invoice.paid","account":"acct_1"}"#;
    let send = |at: u64, body: &str| {
        let signature = hmac_hex(b"whsec_test", format!("{at}.{body}").as_bytes());
        let header = format!("t={at},v1={signature},v0=00");
        daemon.post(
            "in",
            &[("Content-Type", "application/json"), ("Stripe-Signature", &header)],
            body.as_bytes(),
        )
    };
    let now = now_unix_s();
    assert_accepted(&send(now, body));
    assert_eq!(send(now - 60, body).status, 200, "the provider's retry is signed anew");
    assert_eq!(send(now - 301, body).status, 401, "stale");
    assert_eq!(send(now + 330, body).status, 401, "from the future");
    let other = body.replace("paid", "void");
    assert_eq!(send(now, &other).status, 409);
    assert_eq!(send(now, &other).status, 409);
    assert_named(root.path(), "invoice.paid", "acct_1", serde_json::json!("evt_1"));
    let conflicts = events(root.path()).into_iter().filter(|event| event["name"] == "webhook.conflict");
    assert_eq!(conflicts.count(), 1, "a conflict is journaled once");
}

#[test]
fn slack_is_taken_as_json_and_as_a_form() {
    let root = state_root();
    let daemon = daemon(root.path(), "slack", "shhh");
    let send = |content_type: &str, body: &str| {
        let at = now_unix_s().to_string();
        let signature = format!("v0={}", hmac_hex(b"shhh", format!("v0:{at}:{body}").as_bytes()));
        let headers = [
            ("Content-Type", content_type),
            ("X-Slack-Request-Timestamp", at.as_str()),
            ("X-Slack-Signature", signature.as_str()),
        ];
        daemon.post("in", &headers, body.as_bytes())
    };
    let body = r#"{"type":"event_callback","event":{"type":"app_mention"},"team_id":"T1","event_id":"Ev1"}"#;
    assert_accepted(&send("application/json; charset=utf-8", body));
    assert_named(root.path(), "app_mention", "T1", serde_json::json!("Ev1"));
    assert_accepted(&send("application/x-www-form-urlencoded", "command=%2Fdeploy&team_id=T1&text=a+b"));
    let form = events(root.path()).pop().unwrap();
    assert_eq!(form["name"], "/deploy");
    assert_eq!(form["envelope"]["payload"]["text"], "a b");
}

#[test]
fn standard_webhooks_is_taken_by_any_of_several_signatures() {
    let root = state_root();
    let key = STANDARD.encode(b"0123456789abcdef01234567");
    let daemon = daemon(root.path(), "standard-webhooks", &format!("whsec_{key}"));
    let body = r#"{"type":"contact.created","data":{}}"#;
    let at = now_unix_s().to_string();
    let signature = hmac_base64(b"0123456789abcdef01234567", format!("msg_1.{at}.{body}").as_bytes());
    let listed = format!("v1,{} v1a,AAAA v1,{signature}", STANDARD.encode([0; 32]));
    let send = |id: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", at.as_str()),
            ("webhook-signature", listed.as_str()),
        ];
        daemon.post("in", &headers, body.as_bytes())
    };
    assert_accepted(&send("msg_1"));
    assert_eq!(send("msg_2").status, 401, "the id is signed");
    assert_named(root.path(), "contact.created", "standard-webhooks", serde_json::json!("msg_1"));
}

#[test]
fn shopify_is_taken_by_its_base64_signature() {
    let root = state_root();
    let daemon = daemon(root.path(), "shopify", "hush");
    let body = r#"{"id":1}"#;
    let signature = hmac_base64(b"hush", body.as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("X-Shopify-Hmac-Sha256", signature.as_str()),
        ("X-Shopify-Topic", "orders/create"),
        ("X-Shopify-Shop-Domain", "a.myshopify.com"),
        ("X-Shopify-Webhook-Id", "w1"),
    ];
    assert_accepted(&daemon.post("in", &headers, body.as_bytes()));
    assert_named(root.path(), "orders/create", "a.myshopify.com", serde_json::json!("w1"));
}

#[test]
fn gitlab_is_taken_by_its_token_and_once_per_id() {
    let root = state_root();
    let daemon = daemon(root.path(), "gitlab", "tok");
    let send = |token: &str, id: &str, body: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Gitlab-Token", token),
            ("X-Gitlab-Event", "Push Hook"),
            ("Idempotency-Key", id),
        ];
        daemon.post("in", &headers, body.as_bytes())
    };
    let body = r#"{"object_kind":"push","project":{"path_with_namespace":"g/p"}}"#;
    assert_eq!(send("tokx", "1", body).status, 401);
    assert_accepted(&send("tok", "1", body));
    assert_eq!(send("tok", "1", body).status, 200);
    assert_named(root.path(), "Push Hook", "g/p", serde_json::json!("1"));
}

fn envelope(nonce: &str) -> Value {
    let at = now_unix_s() * 1_000;
    serde_json::json!({
        "v": 1, "id": "01J0000000000000000000000A", "event": "build.done", "source": "ci",
        "payload": {"ok": true, "é": 1.5},
        "replay_protection": {"nonce": nonce, "timestamp_unix_ms": at},
    })
}

#[test]
fn an_envelope_is_taken_with_its_signature_in_a_header() {
    let root = state_root();
    let daemon = daemon(root.path(), "envelope", SECRET);
    let body = envelope("0123456789abcdef").to_string();
    let signature = hmac_hex(SECRET.as_bytes(), body.as_bytes());
    let headers = [("Content-Type", "application/json"), ("X-Palyra-Signature", signature.as_str())];
    let answer = daemon.post("in", &headers, body.as_bytes());
    assert_accepted(&answer);
    assert_eq!(daemon.post("in", &headers, body.as_bytes()).seq(), answer.seq());
    let row = only_webhook(root.path());
    assert_eq!((&row["name"], &row["source"]), (&serde_json::json!("build.done"), &serde_json::json!("ci")));
    assert_eq!(row["envelope"], serde_json::from_str::<Value>(&body).unwrap());
}

#[test]
fn an_envelope_is_taken_with_its_signature_inside() {
    let root = state_root();
    let daemon = daemon(root.path(), "envelope", SECRET);
    let mut document = envelope("0123456789abcdef");
    // Members in the order of RFC 8785, no white space, numbers as they stand: what serde_json writes here.
    let signature = hmac_hex(SECRET.as_bytes(), document.to_string().as_bytes());
    document["replay_protection"]["signature"] = serde_json::json!(format!("sha256={signature}"));
    let pretty = serde_json::to_string_pretty(&document).unwrap();
    let typed = [("Content-Type", "application/json")];
    assert_accepted(&daemon.post("in", &typed, pretty.as_bytes()));
    document["payload"]["ok"] = serde_json::json!(false);
    assert_eq!(daemon.post("in", &typed, document.to_string().as_bytes()).status, 401);
}

/// Real payloads of GitHub, by event. A sample of our own stands in where the collection is not at hand.
fn github_payloads() -> Vec<(String, Vec<u8>)> {
    let collection = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/payloads/github");
    let Ok(files) = std::fs::read_dir(collection) else {
        let sample = br#"{"ref":"refs/heads/main","repository":{"full_name":"octo/cat"}}"#;
        return vec![("push".to_owned(), sample.to_vec())];
    };
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

/// Where GitHub says a payload comes from.
fn github_source(payload: &Value) -> String {
    let places =
        ["/repository/full_name", "/organization/login", "/installation/account/login", "/sender/login"];
    let named = places.iter().find_map(|place| payload.pointer(place)?.as_str());
    named.unwrap_or("github").to_owned()
}

#[test]
fn every_kind_of_real_github_payload_goes_through_with_its_event_and_source() {
    let root = state_root();
    add_github(root.path());
    let daemon = Daemon::start(root.path());
    let payloads = github_payloads();
    for (event, body) in &payloads {
        let answer = daemon.github(event, "id", std::str::from_utf8(body).unwrap());
        assert_accepted(&answer);
    }
    let rows = events(root.path());
    for (event, body) in &payloads {
        let payload: Value = serde_json::from_slice(body).unwrap();
        let row = rows.iter().find(|row| row["name"] == **event).unwrap();
        assert_eq!(row["source"], github_source(&payload), "{event}");
        assert_eq!(row["envelope"]["payload"], payload, "{event}");
        assert_eq!(row["key_version"], 1);
    }
}

#[test]
fn a_captured_delivery_whose_body_is_not_all_signed_makes_one_row_more_and_no_further_one() {
    let root = state_root();
    let daemon = daemon(root.path(), "mailgun", "key");
    let now = now_unix_s();
    let signature = hmac_hex(b"key", format!("{now}tok").as_bytes());
    let send = |event: &str| {
        let body = serde_json::json!({
            "signature": {"timestamp": now.to_string(), "token": "tok", "signature": signature},
            "event-data": {"event": event, "id": "1"},
        });
        daemon.post("in", &[("Content-Type", "application/json")], body.to_string().as_bytes()).status
    };
    assert_eq!(send("delivered"), 200);
    for event in ["opened", "clicked", "failed", "opened"] {
        assert_eq!(send(event), 409, "{event}");
    }
    let conflicts = events(root.path()).into_iter().filter(|event| event["name"] == "webhook.conflict");
    assert_eq!(conflicts.count(), 1);
    assert_named(root.path(), "delivered", "mailgun", serde_json::json!("1"));
}

/// Some of its deliveries are signed; the others it does not vouch for.
const HALF_SIGNED: &str = r#"
version = 1
name = "half"
title = "Half signed"
docs = "https://example.com/"
content = ["json"]

[[auth]]
when = { header_present = "X-Sig" }
mac = { algorithm = "hmac-sha256", signature = { from = { header = "X-Sig" }, encoding = "hex" }, content = "{body}" }

[[auth]]
none = true

[event]
default = "thing"
"#;

#[test]
fn what_nothing_vouches_for_is_taken_only_where_no_signature_is_required() {
    let root = state_root();
    own_profile(root.path(), "half", HALF_SIGNED);
    succeed(root.path(), &["vault", "put", "global/key"], SECRET.as_bytes());
    for (id, provider, code) in [("hub", "docker-hub", 1), ("half", "half", 0)] {
        let added = run(root.path(), &["webhooks", "add", id, provider, "--secret-ref", "global/key"], b"");
        assert_eq!(added.status.code(), Some(code), "{id}");
    }
    succeed(root.path(), &["webhooks", "add", "open", "docker-hub", "--allow-unsigned"], b"");
    let daemon = Daemon::start(root.path());
    let post = |id: &str, headers: &[(&str, &str)]| {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        daemon.post(id, &headers, b"{\"a\":1}").status
    };
    assert_eq!(post("hub", &[]), 404, "what cannot verify is not enabled");
    let shown = json(root.path(), &["webhooks", "show", "hub"]);
    assert_eq!(shown["readiness"], "invalid_configuration", "{shown}");
    assert_eq!(post("half", &[]), 401);
    assert_eq!(post("half", &[("X-Sig", &hmac_hex(SECRET.as_bytes(), b"{\"a\":1}"))]), 202);
    assert_eq!(post("open", &[]), 202);
    let kinds: Vec<_> = events(root.path()).into_iter().filter(|event| event["kind"] == "webhook").collect();
    assert_eq!(kinds.len(), 2);
}

/// As Google Calendar has them: headers say what changed, and there is no body.
const WITHOUT_BODY: &str = r#"
version = 1
name = "calendar"
title = "Calendar"
docs = "https://example.com/"
content = ["none"]

[[auth]]
token = { from = { header = "X-Goog-Channel-Token" } }

[event]
from = [{ header = "X-Goog-Resource-State" }]

[delivery_id]
from = [{ join = { from = [{ header = "X-Goog-Channel-Id" }, { header = "X-Goog-Message-Number" }], separator = ":" } }]
"#;

#[test]
fn a_delivery_without_a_body_is_taken_where_the_profile_says_that_there_is_none() {
    let root = state_root();
    own_profile(root.path(), "calendar", WITHOUT_BODY);
    add_github(root.path());
    let daemon = daemon(root.path(), "calendar", "tok");
    let send = |token: &str, number: &str, body: &str| {
        let headers = [
            ("X-Goog-Channel-Token", token),
            ("X-Goog-Resource-State", "exists"),
            ("X-Goog-Channel-Id", "c"),
            ("X-Goog-Message-Number", number),
        ];
        daemon.post("in", &headers, body.as_bytes())
    };
    assert_accepted(&send("tok", "1", ""));
    assert_eq!(send("tok", "1", "").outcome(), "duplicate");
    assert_eq!(send("other", "2", "").status, 401);
    assert_eq!(send("tok", "2", "{}").status, 415);
    assert_eq!(daemon.post("gh", &[("X-Hub-Signature-256", "sha256=00")], b"").status, 401);
    assert_named(root.path(), "exists", "calendar", serde_json::json!("c:1"));
    assert_eq!(only_webhook(root.path())["envelope"]["payload"], serde_json::json!({}));
    assert_accepted(&send("tok", "2", ""));
    succeed(root.path(), &["webhooks", "send", "in", "--event", "sync"], b"");
    let refused = ["webhooks", "send", "in", "--event", "sync", "--mutate", "body"];
    assert_eq!(run(root.path(), &refused, b"").status.code(), Some(1), "there is none to change");
    assert_eq!(events(root.path()).into_iter().filter(|event| event["kind"] == "webhook").count(), 3);
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
fn a_provider_that_takes_no_202_for_a_success_is_answered_as_it_asks_to_be() {
    let wanted = [("lemonsqueezy", "X-Signature", 200, true), ("okta", "Authorization", 200, false)];
    for (provider, header, status, has_receipt) in wanted {
        let root = state_root();
        let daemon = daemon(root.path(), provider, "shhh");
        let body = br#"{"meta":{"event_name":"order_created"}}"#;
        let proof = if provider == "okta" { "shhh".to_owned() } else { hmac_hex(b"shhh", body) };
        for outcome in ["accepted", "duplicate"] {
            let headers = [("Content-Type", "application/json"), (header, proof.as_str())];
            let answer = daemon.post("in", &headers, body);
            assert_eq!(answer.status, status, "{provider}");
            match has_receipt {
                true => assert_eq!(answer.outcome(), outcome, "{provider}"),
                false => assert_eq!(answer.body, "", "{provider}"),
            }
        }
        assert_eq!(only_webhook(root.path())["provider"], provider);
    }
}

#[test]
fn an_address_is_there_when_intercom_asks_whether_it_is() {
    let root = state_root();
    let daemon = daemon(root.path(), "intercom", "shhh");
    assert_eq!(request("HEAD", &format!("{}/hooks/in", daemon.ingress), &[], b"").status, 200);
}
