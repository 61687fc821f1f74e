//! What providers ask before they deliver, over real HTTP.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use palyra_actors::clock::{Clock, SystemClock};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::{
    Answer, Daemon, events, hmac_hex, json, raw, request, run, state_root, statuses, succeed,
};

const KEY: &str = "00112233445566778899aabbccddeeff";

fn daemon(root: &Path, provider: &str, more: &[&str]) -> Daemon {
    succeed(root, &["vault", "put", "global/key"], KEY.as_bytes());
    let add = ["webhooks", "add", "in", provider, "--secret-ref", "global/key"];
    succeed(root, &[&add[..], more].concat(), b"");
    Daemon::start(root)
}

fn get(daemon: &Daemon, query: &str) -> Answer {
    request("GET", &format!("{}/hooks/in?{query}", daemon.ingress), &[], b"")
}

/// Given back as plain text that no browser reads as anything else, and nothing is journaled.
fn assert_echo(answer: &Answer, text: &str) {
    assert_eq!((answer.status, answer.body.as_str()), (200, text), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn a_challenge_with_the_right_token_is_given_back_and_with_another_it_is_401() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/verify"], b"agreed");
    let daemon = daemon(root.path(), "meta", &["--parameter", "verify_token=global/verify"]);
    let ask = |token: &str| {
        get(&daemon, &format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=1158"))
    };
    assert_echo(&ask("agreed"), "1158");
    assert_eq!(ask("another").status, 401);
    assert_eq!(get(&daemon, "hub.mode=subscribe").status, 405, "not a handshake");
    assert_eq!(ask("global/verify").status, 401, "the name of a token is none");
    succeed(root.path(), &["vault", "rotate", "global/verify"], b"the next one");
    assert_echo(&ask("the%20next%20one"), "1158");
    assert_echo(&ask("agreed"), "1158");
    let shown = succeed(root.path(), &["--json", "webhooks", "show", "in"], b"");
    assert!(shown.contains("global/verify") && !shown.contains("agreed"), "{shown}");
    succeed(root.path(), &["vault", "remove", "global/verify", "--force"], b"");
    assert_eq!(ask("agreed").status, 503, "it cannot be told");
}

#[test]
fn a_token_is_named_by_its_reference_and_never_written_out() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/key"], KEY.as_bytes());
    let add = ["webhooks", "add", "in", "meta", "--secret-ref", "global/key", "--parameter"];
    let refused = run(root.path(), &[&add[..], &["verify_token=c4n4ry"]].concat(), b"");
    let said = String::from_utf8([refused.stdout, refused.stderr].concat()).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("palyra vault put global/NAME") && !said.contains("c4n4ry"), "{said}");
    assert!(!format!("{:?}", events(root.path())).contains("c4n4ry"));
    let stored = run(root.path(), &[&add[..], &["verify_token=global/none"]].concat(), b"");
    let warning = String::from_utf8(stored.stderr).unwrap();
    for said in ["stored disabled", "`parameters.verify_token`", "palyra vault put global/none"] {
        assert!(warning.contains(said), "{said}: {warning}");
    }
    succeed(root.path(), &["vault", "put", "global/none"], b"agreed");
    succeed(root.path(), &["webhooks", "enable", "in"], b"");
    assert_eq!(json(root.path(), &["webhooks", "show", "in"])["readiness"], "ready");
}

#[test]
fn an_integration_without_its_parameter_is_not_ready() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/key"], KEY.as_bytes());
    let added = run(root.path(), &["webhooks", "add", "in", "meta", "--secret-ref", "global/key"], b"");
    assert_eq!(added.status.code(), Some(1), "it is stored, and disabled");
    let shown = succeed(root.path(), &["webhooks", "show", "in"], b"");
    assert!(shown.contains("parameters.verify_token"), "{shown}");
}

#[test]
fn what_is_given_back_is_bounded_and_plain() {
    let root = state_root();
    let daemon = daemon(root.path(), "dropbox", &[]);
    assert_echo(&get(&daemon, "challenge=abc-123"), "abc-123");
    assert_echo(&get(&daemon, "challenge=%3Cscript%3E"), "<script>");
    assert_eq!(get(&daemon, &format!("challenge={}", "x".repeat(257))).status, 400);
    assert_eq!(get(&daemon, "challenge=a%0d%0ab").status, 400);
    assert!(events(root.path()).iter().all(|event| event["integration_id"].is_null()), "no row is left");
}

fn signed(daemon: &Daemon, secret: &str, prefix: (&str, &str), body: &str) -> Answer {
    let at = (SystemClock.now_unix_ms() / 1_000).to_string();
    let signature = format!("v0={}", hmac_hex(secret.as_bytes(), format!("v0:{at}:{body}").as_bytes()));
    let headers =
        [("Content-Type", "application/json"), (prefix.0, at.as_str()), (prefix.1, signature.as_str())];
    daemon.post("in", &headers, body.as_bytes())
}

#[test]
fn a_signed_url_verification_is_answered_only_if_the_signature_is_right() {
    let root = state_root();
    let daemon = daemon(root.path(), "slack", &[]);
    let names = ("X-Slack-Request-Timestamp", "X-Slack-Signature");
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    assert_echo(&signed(&daemon, KEY, names, body), "3eZbrw1a");
    assert_eq!(signed(&daemon, "wrong", names, body).status, 401);
}

#[test]
fn a_challenge_is_answered_with_its_code_and_never_with_one_over_a_delivery() {
    let root = state_root();
    let daemon = daemon(root.path(), "zoom", &[]);
    let names = ("x-zm-request-timestamp", "x-zm-signature");
    let ask = |token: &str| {
        let body = format!(r#"{{"event":"endpoint.url_validation","payload":{{"plainToken":"{token}"}}}}"#);
        signed(&daemon, KEY, names, &body)
    };
    let answer = ask("qgg8vlvZRS6UYooatFL8Aw");
    assert_eq!(answer.json()["encryptedToken"], hmac_hex(KEY.as_bytes(), b"qgg8vlvZRS6UYooatFL8Aw"));
    assert_eq!(ask("v0:1:{}").status, 400, "a text that could be a delivery is not signed");

    let root = state_root();
    let x = self::daemon(root.path(), "x", &[]);
    assert!(get(&x, "crc_token=abc").json()["response_token"].as_str().unwrap().starts_with("sha256="));
    assert_eq!(get(&x, "crc_token=%7B%22a%22%3A1%7D").status, 400);
}

#[test]
fn a_code_that_anybody_is_given_over_a_word_makes_no_delivery_authentic() {
    let root = state_root();
    let x = daemon(root.path(), "x", &[]);
    for word in ["abc1", "1158", "true", "null"] {
        let code =
            get(&x, &format!("crc_token={word}")).json()["response_token"].as_str().unwrap().to_owned();
        let headers = [("Content-Type", "application/json"), ("x-twitter-webhooks-signature", code.as_str())];
        assert_eq!(x.post("in", &headers, word.as_bytes()).status, 401, "{word}");
    }
    assert!(events(root.path()).iter().all(|event| event["integration_id"].is_null()), "no row is left");
}

#[test]
fn a_validation_token_is_given_back_though_nothing_is_signed() {
    let root = state_root();
    let daemon = daemon(root.path(), "microsoft-graph", &[]);
    let url = format!("{}/hooks/in?validationToken=Validation%3A%20Testing", daemon.ingress);
    assert_echo(&request("POST", &url, &[("Content-Type", "text/plain")], b""), "Validation: Testing");
    let notification = br#"{"value":[{"clientState":"wrong"}]}"#;
    assert_eq!(daemon.post("in", &[("Content-Type", "application/json")], notification).status, 401);
}

#[test]
fn a_signed_question_is_one_whatever_its_headers_call_it() {
    let root = state_root();
    let twitch = daemon(root.path(), "twitch", &[]);
    let at = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    let post = |kind: &str, event: &str, id: &str, body: &str| {
        let signature = format!("sha256={}", hmac_hex(KEY.as_bytes(), format!("{id}{at}{body}").as_bytes()));
        let headers = [
            ("Content-Type", "application/json"),
            ("Twitch-Eventsub-Message-Id", id),
            ("Twitch-Eventsub-Message-Timestamp", at.as_str()),
            ("Twitch-Eventsub-Message-Signature", &signature),
            ("Twitch-Eventsub-Message-Type", kind),
            ("Twitch-Eventsub-Subscription-Type", event),
        ];
        twitch.post("in", &headers, body.as_bytes())
    };
    let question = r#"{"challenge":"abc","subscription":{"status":"webhook_callback_verification_pending","type":"stream.online"}}"#;
    assert_echo(&post("webhook_callback_verification", "stream.online", "m1", question), "abc");
    assert_echo(&post("notification", "channel.ban", "m1", question), "abc");
    assert!(events(root.path()).iter().all(|event| event["integration_id"].is_null()), "no row is left");
    let event = r#"{"subscription":{"type":"stream.online"},"event":{"broadcaster_user_id":"1"}}"#;
    assert_eq!(post("notification", "channel.ban", "m2", event).outcome(), "accepted");
    assert!(events(root.path()).iter().any(|row| row["name"] == "stream.online"), "what is signed names it");
}

#[test]
fn headers_are_asked_for_and_given() {
    let root = state_root();
    let daemon = daemon(root.path(), "cloudevents", &[]);
    let url = format!("{}/hooks/in", daemon.ingress);
    let answer = request("OPTIONS", &url, &[("WebHook-Request-Origin", "eventemitter.example.com")], b"");
    assert_eq!(
        (answer.status, answer.header("webhook-allowed-origin")),
        (200, Some("eventemitter.example.com"))
    );
    assert_eq!(request("OPTIONS", &url, &[], b"").status, 405);

    let root = state_root();
    let okta = self::daemon(root.path(), "okta", &[]);
    let ask = |token: &str| {
        let headers = [("Authorization", token), ("X-Okta-Verification-Challenge", "once")];
        request("GET", &format!("{}/hooks/in", okta.ingress), &headers, b"")
    };
    assert_eq!(ask(KEY).json()["verification"], "once");
    assert_eq!(ask("wrong").status, 401);

    let root = state_root();
    let asana = self::daemon(root.path(), "asana", &[]);
    let answer = asana.post("in", &[("X-Hook-Secret", "b537207f")], b"");
    assert_eq!((answer.status, answer.header("x-hook-secret")), (200, Some("b537207f")));
}

#[test]
fn a_delivery_that_gives_nothing_to_say_back_is_no_question() {
    let root = state_root();
    let daemon = daemon(root.path(), "monday", &["--parameter", "audience=https://x/hooks/in"]);
    let post = |headers: &[(&str, &str)], body: &str| {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        daemon.post("in", &headers, body.as_bytes())
    };
    assert_eq!(post(&[], r#"{"challenge":"3eZbrw1a"}"#).json()["challenge"], "3eZbrw1a");
    let installed = r#"{"type":"install","data":{"app_id":1}}"#;
    assert_eq!(post(&[], installed).status, 401, "it has to be signed");
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let expiry = SystemClock.now_unix_ms() / 1_000 + 60;
    let claims = format!(r#"{{"aud":"https://x/hooks/in","exp":{expiry}}}"#);
    let signed = format!("{}.{}", part(br#"{"alg":"HS256"}"#), part(claims.as_bytes()));
    let code = hex::decode(hmac_hex(KEY.as_bytes(), signed.as_bytes())).unwrap();
    let token = format!("{signed}.{}", part(&code));
    assert_eq!(post(&[("Authorization", &token)], installed).outcome(), "accepted");
}

#[test]
fn a_handshake_tells_nobody_which_ids_exist() {
    let root = state_root();
    let daemon = daemon(root.path(), "github", &[]);
    let known = request("GET", &format!("{}/hooks/in", daemon.ingress), &[], b"");
    let unknown = request("GET", &format!("{}/hooks/out", daemon.ingress), &[], b"");
    assert_eq!((known.status, &known.body), (405, &unknown.body));
}

#[test]
fn a_handshake_is_answered_alike_when_its_sender_waits_for_a_word_first() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/verify"], b"agreed");
    let daemon = daemon(root.path(), "meta", &["--parameter", "verify_token=global/verify"]);
    let expecting = |line: &str| {
        let text = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n");
        statuses(&raw(&daemon.ingress, text.as_bytes())).last().copied()
    };
    let asks = "hub.mode=subscribe&hub.verify_token=agreed&hub.challenge=1";
    assert_eq!(expecting(&format!("GET /hooks/in?{asks}")), Some(200));
    assert_eq!(expecting("GET /hooks/in"), Some(405));
    assert_eq!(expecting("GET /hooks/nope"), Some(405));
    let counted = &json(root.path(), &["system", "insights"])["deliveries"]["unauthenticated"];
    assert_eq!(*counted, serde_json::json!({}));
}

#[test]
fn a_handshake_that_is_posted_is_answered_though_its_sender_waits_for_a_word_first() {
    let root = state_root();
    let daemon = daemon(root.path(), "microsoft-graph", &[]);
    let text = "POST /hooks/in?validationToken=abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: text/plain\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(statuses(&raw(&daemon.ingress, text.as_bytes())).last(), Some(&200));
}
