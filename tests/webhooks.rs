//! The settings of integrations: how they are changed, told and journaled.

use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use palyra_actors::clock::{Clock, SystemClock};
use ring::hmac;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    Answer, Daemon, SECRET, add_github, events_named, eventually, github_signature, hmac_hex, json, raw,
    request, run, state_root, statuses, succeed, write_private,
};

/// Asks the console about integrations.
fn ask(daemon: &Daemon, root: &Path, method: &str, path: &str, body: &Value) -> Answer {
    daemon.console(root, method, &format!("/console/v1/webhooks{path}"), body.to_string().as_bytes())
}

#[test]
fn a_change_that_waits_for_the_disk_holds_up_neither_views_nor_readiness_and_a_stop_waits_for_it() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    let daemon = Daemon::start_with(root, &[], &[("FAILPOINTS", "registry::change=sleep(6000)")]);
    std::thread::scope(|scope| {
        let disabling = scope.spawn(|| run(root, &["webhooks", "disable", "gh"], b""));
        eventually("it is under way", || !events_named(root, "registry.webhook.disable").is_empty());
        let is_enabled = || ask(&daemon, root, "GET", "/gh", &json!({})).json()["enabled"] == true;
        assert!(is_enabled(), "the view has waited for it");
        assert_eq!(daemon.console(root, "GET", "/readyz", b"").status, 200);
        assert!(is_enabled(), "readiness has waited for it");
        daemon.signal("TERM");
        assert!(disabling.join().unwrap().status.success());
    });
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(0));
    assert_eq!(json(root, &["webhooks", "show", "gh"])["enabled"], false);
}

#[test]
fn an_amendment_changes_what_it_names_and_its_row_says_what() {
    let root = state_root();
    let root = root.path();
    let daemon = Daemon::with_github(root);
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    let patch = |body: Value| ask(&daemon, root, "PATCH", "/gh", &body);
    let before = json(root, &["webhooks", "show", "gh"]);
    let after = patch(json!({"allowed_events": ["ping"], "on_filtered": "reject"}));
    assert_eq!(after.status, 200, "{after:?}");
    let mut expected = before.clone();
    for (name, value) in [("allowed_events", json!(["ping"])), ("on_filtered", json!("reject"))] {
        expected[name] = value;
    }
    expected["updated_at_unix_ms"] = after.json()["updated_at_unix_ms"].clone();
    assert_eq!(after.json(), expected);
    assert!(expected["updated_at_unix_ms"].as_u64() > before["updated_at_unix_ms"].as_u64());
    assert_eq!(daemon.github("push", "2", "{\"n\":2}").status, 403, "it is in force");
    assert_eq!(patch(json!({"max_payload_bytes": 0})).status, 422);
    assert_eq!(patch(json!({"integration_id": "other"})).status, 400);
    assert_eq!(ask(&daemon, root, "PATCH", "/nope", &json!({})).status, 404);
    let rows = events_named(root, "registry.webhook.amend");
    assert_eq!(
        rows[0]["details"]["particulars"],
        json!({"allowed_events": ["ping"], "on_filtered": "reject"})
    );
    assert_eq!(events_named(root, "registry.webhook.amend.refused").len(), 1);
}

#[test]
fn the_row_of_a_new_integration_says_what_decides_about_deliveries() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let events: Vec<String> = (0..40).map(|n| format!("event.{n}")).collect();
    let draft = json!({
        "integration_id": "open", "provider": "paypal", "signature_required": false, "allowed_events": events,
        "max_payload_bytes": 9, "unsigned_rate_per_second": 3, "parameters": {"webhook_id": "w"}
    });
    assert_eq!(ask(&daemon, root.path(), "POST", "", &draft).status, 201);
    let row = events_named(root.path(), "registry.webhook.create").pop().unwrap();
    let told = &row["details"]["particulars"];
    assert_eq!((&told["signature_required"], &told["max_payload_bytes"]), (&json!(false), &json!(9)));
    assert_eq!((&told["unsigned_rate_per_second"], &told["parameters"]), (&json!(3), &json!(["webhook_id"])));
    assert_eq!(
        (&told["allowed_events"][15], &told["allowed_events"][16]),
        (&json!("event.15"), &json!("and 24 more"))
    );
}

#[test]
fn settings_are_changed_with_the_daemon_running_and_stopped() {
    let root = state_root();
    add_github(root.path());
    let daemon = Daemon::start(root.path());
    succeed(root.path(), &["webhooks", "set", "gh", "--allow-event", "push"], b"");
    assert_eq!(daemon.github("ping", "1", "{}").outcome(), "filtered");
    daemon.kill();
    succeed(root.path(), &["webhooks", "set", "gh", "--all-events", "--max-payload-bytes", "9"], b"");
    let shown = json(root.path(), &["webhooks", "show", "gh"]);
    assert_eq!((&shown["allowed_events"], &shown["max_payload_bytes"]), (&json!([]), &json!(9)));
    assert_eq!(run(root.path(), &["webhooks", "set", "gh"], b"").status.code(), Some(2));
    let refused = run(root.path(), &["webhooks", "set", "gh", "--provider", "gitlb"], b"");
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(1) && told.contains("did you mean `gitlab`?"), "{told}");
}

#[test]
fn the_url_to_enter_at_the_provider_is_the_public_one() {
    let root = state_root();
    add_github(root.path());
    let url = || json(root.path(), &["webhooks", "show", "gh"])["url"].as_str().unwrap().to_owned();
    assert_eq!(url(), "/hooks/gh");
    write_private(&root.path().join("palyra.toml"), "public_url = \"https://your.host\"\n");
    assert_eq!(url(), "https://your.host/hooks/gh", "with the daemon stopped too");
    let _daemon = Daemon::start(root.path());
    assert_eq!(url(), "https://your.host/hooks/gh");
    let listed = succeed(root.path(), &["webhooks", "list"], b"");
    assert!(listed.contains("https://your.host/hooks/gh"), "{listed}");
}

#[test]
fn an_address_that_only_says_where_the_ingress_listens_is_not_to_be_entered_at_the_provider() {
    let root = state_root();
    add_github(root.path());
    let daemon = Daemon::with_ingress_on(root.path(), "0.0.0.0");
    let port = daemon.ingress.rsplit(':').next().unwrap();
    let shown = json(root.path(), &["webhooks", "show", "gh"]);
    let local = format!("http://127.0.0.1:{port}/hooks/gh");
    assert_eq!((&shown["url"], &shown["local_url"]), (&json!("/hooks/gh"), &json!(local)));
    let told = succeed(root.path(), &["webhooks", "show", "gh"], b"");
    assert!(!told.contains("0.0.0.0") && told.contains("public_url"), "{told}");
}

#[test]
fn a_delivery_to_the_local_url_is_tested_and_sent_under_the_url_it_was_signed_for() {
    let root = state_root();
    let root = root.path();
    succeed(root, &["vault", "put", "global/twilio"], b"token");
    succeed(root, &["webhooks", "add", "sms", "twilio", "--secret-ref", "global/twilio"], b"");
    let daemon = Daemon::with_ingress_on(root, "0.0.0.0");
    let local = json(root, &["webhooks", "show", "sms"])["local_url"].as_str().unwrap().to_owned();
    let signed = local.replacen("http://", "https://", 1) + "Bodyhi";
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"token");
    let signature = STANDARD.encode(hmac::sign(&key, signed.as_bytes()));
    let headers =
        [("Content-Type", "application/x-www-form-urlencoded"), ("X-Twilio-Signature", signature.as_str())];
    assert!(matches!(request("POST", &local, &headers, b"Body=hi").status, 200 | 202));
    let sample = json!({"headers": headers, "payload_base64": STANDARD.encode("Body=hi")});
    let tested = ask(&daemon, root, "POST", "/sms/test", &sample).json();
    assert_eq!(tested["passed"], true, "{tested}");
    let sent = json(root, &["webhooks", "send", "sms", "--event", "message"]);
    assert_eq!(sent["url"], local.as_str(), "{sent}");
}

/// A delivery to `id`, as it is posted and as it is tested.
struct Sample<'a> {
    id: &'a str,
    query: Option<&'a str>,
    headers: Vec<(&'a str, String)>,
    body: &'a str,
}

impl Sample<'_> {
    /// Status and outcome, or code, of the ingress.
    fn posted(&self, daemon: &Daemon) -> (u64, String) {
        let query = self.query.map_or_else(String::new, |query| format!("?{query}"));
        let host = daemon.ingress.strip_prefix("http://").unwrap();
        let mut text =
            format!("POST /hooks/{}{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n", self.id);
        self.headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        text += &format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        let answer = raw(&daemon.ingress, text.as_bytes());
        let document = answer.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str::<Value>(body));
        let document = document.and_then(Result::ok).unwrap_or_default();
        let said = document["outcome"].as_str().or(document["code"].as_str()).unwrap_or("handshake");
        (u64::from(statuses(&answer)[0]), said.to_owned())
    }

    /// The same as the test foretells it.
    fn tested(&self, daemon: &Daemon, root: &Path) -> (u64, String) {
        let payload = STANDARD.encode(self.body);
        let sample = json!({"headers": self.headers, "query": self.query, "payload_base64": payload});
        let answer = ask(daemon, root, "POST", &format!("/{}/test", self.id), &sample).json();
        let would = &answer["would_answer"];
        (would["status"].as_u64().unwrap(), would["outcome"].as_str().unwrap().to_owned())
    }
}

#[test]
fn a_test_foretells_what_the_ingress_answers() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    let github = ["--secret-ref", "global/github", "--max-payload-bytes", "40"];
    succeed(root, &[&["webhooks", "add", "open", "github", "--allow-unsigned"], &github[..2]].concat(), b"");
    succeed(root, &[&["webhooks", "add", "off", "github", "--disabled"], &github[..]].concat(), b"");
    succeed(root, &[&["webhooks", "add", "small", "github"], &github[..]].concat(), b"");
    for provider in ["hubspot-v2", "microsoft-graph"] {
        succeed(root, &["webhooks", "add", provider, provider, "--secret-ref", "global/github"], b"");
    }
    let daemon = Daemon::start(root);
    let json = ("Content-Type", "application/json".to_owned());
    let event = ("X-GitHub-Event", "push".to_owned());
    let signed = |secret, body: &str| ("X-Hub-Signature-256", github_signature(secret, body.as_bytes()));
    let (url, host) = ("/hooks/hubspot-v2?a=1&b=%20", daemon.ingress.strip_prefix("http://").unwrap());
    let of_url = format!("{SECRET}POSThttps://{host}{url}[1]");
    let of_url = ("X-HubSpot-Signature", hex::encode(Sha256::digest(of_url)));
    let zip = ("Content-Encoding", "gzip".to_owned());
    let large = "x".repeat(41);
    let case = |id, query, headers: &[&(&'static str, String)], body| {
        let headers = headers.iter().map(|header| (*header).clone()).collect();
        Sample { id, query, headers, body }
    };
    let cases = [
        (case("gh", None, &[&json, &event, &signed(SECRET, "[1]")], "[1]"), 202),
        (case("gh", None, &[&event, &signed(SECRET, "[2]")], "[2]"), 415),
        (case("gh", None, &[&event], "[3]"), 401),
        (case("gh", None, &[&json, &zip, &signed(SECRET, "[4]")], "[4]"), 415),
        (case("gh", None, &[&json, &signed("wrong", "[5]")], "[5]"), 401),
        (case("gh", None, &[&json, &signed(SECRET, "6"), &signed(SECRET, "6")], "6"), 401),
        (case("gh", None, &[&json, &signed(SECRET, "{")], "{"), 400),
        (case("gh", None, &[&json, &event, &signed(SECRET, "{\"a\":1,\"a\":2}")], "{\"a\":1,\"a\":2}"), 422),
        (case("off", None, &[&json, &event, &signed(SECRET, "[1]")], "[1]"), 404),
        (case("small", None, &[&json, &event, &signed(SECRET, &large)], &large), 413),
        (case("open", None, &[&json, &event], "[1]"), 202),
        (case("open", None, &[&json, &event, &signed("wrong", "[2]")], "[2]"), 401),
        (case("open", None, &[&json, &event, &signed(SECRET, "[3]")], "[3]"), 202),
        (case("hubspot-v2", Some("a=1&b=%20"), &[&json, &of_url], "[1]"), 202),
        (case("hubspot-v2", Some("a=2"), &[&json, &of_url], "[1]"), 401),
        (case("microsoft-graph", Some("validationToken=x"), &[&json], ""), 200),
    ];
    for (sample, status) in cases {
        let foretold = sample.tested(&daemon, root);
        assert_eq!(foretold, sample.posted(&daemon), "{} {:?} {}", sample.id, sample.headers, sample.body);
        assert_eq!(foretold.0, status, "{} {:?} {}", sample.id, sample.headers, sample.body);
    }
    let refused = events_named(root, "registry.webhook.test").len();
    assert_eq!(refused, 16, "each test has its row, and its refusals are none of deliveries");
    let counted = daemon.console(root, "GET", "/console/v1/system/insights", b"").json();
    assert_eq!(counted["deliveries"]["unauthenticated"]["bad_signature"], 3, "{counted}");
}

#[test]
fn a_test_foretells_the_status_that_the_provider_takes() {
    let root = state_root();
    let root = root.path();
    succeed(root, &["vault", "put", "global/linear"], SECRET.as_bytes());
    let add = ["webhooks", "add", "lin", "linear", "--secret-ref", "global/linear", "--allow-event", "Issue"];
    succeed(root, &add, b"");
    let daemon = Daemon::start(root);
    for (event, outcome) in [("Issue", "accepted"), ("Comment", "filtered")] {
        let body = json!({"type": event, "webhookTimestamp": SystemClock.now_unix_ms()}).to_string();
        let headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Linear-Event", event.to_owned()),
            ("Linear-Signature", hmac_hex(SECRET.as_bytes(), body.as_bytes())),
        ];
        let sample = Sample { id: "lin", query: None, headers, body: &body };
        assert_eq!(sample.tested(&daemon, root), (200, outcome.to_owned()));
        assert_eq!(sample.posted(&daemon), (200, outcome.to_owned()));
    }
}

#[test]
fn a_sample_that_no_request_could_be_is_refused_without_a_part_of_it() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    for (headers, query) in [
        (json!([["a b", "SECRET"]]), json!(null)),
        (json!([["a", "SECRET\n"]]), json!("a b")),
        (json!([]), json!("#SECRET")),
    ] {
        let sample = json!({"headers": headers, "query": query, "payload_base64": ""});
        let answer = ask(&daemon, root.path(), "POST", "/gh/test", &sample);
        assert!(answer.status == 400 && !answer.body.contains("SECRET"), "{answer:?}");
    }
}

#[test]
fn a_test_tells_what_it_found_even_where_the_result_cannot_be_kept() {
    let root = state_root();
    let _daemon = Daemon::with_github(root.path());
    let registry = root.path().join("webhooks.toml");
    let edited = std::fs::read_to_string(&registry).unwrap() + "\n# edited, and not read yet\n";
    write_private(&registry, &edited);
    let test = ["webhooks", "test", "gh", "--payload-stdin", "--header", "Content-Type: application/json"];
    let tested = run(root.path(), &test, b"{}");
    let told = String::from_utf8(tested.stdout).unwrap();
    let warned = String::from_utf8(tested.stderr).unwrap();
    assert_eq!(tested.status.code(), Some(1));
    assert!(told.contains("missing_signature"), "{told} {warned}");
    assert!(warned.contains("the result was not stored") && warned.contains("webhooks.toml"), "{warned}");
}

#[test]
fn a_rate_of_unsigned_deliveries_is_refused_where_a_signature_is_required() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    let rate = ["--unsigned-rate-per-second", "99999"];
    let add = ["webhooks", "add", "lab", "gitlab", "--secret-ref", "global/github"];
    for args in [[&add[..], &rate].concat(), [&["webhooks", "set", "gh"][..], &rate].concat()] {
        let refused = run(root, &args, b"");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(said.contains("unsigned_rate_per_second") && said.contains("--allow-unsigned"), "{said}");
    }
    let open = ["webhooks", "set", "gh", "--allow-unsigned", "--unsigned-rate-per-second", "9"];
    succeed(root, &open, b"");
    assert_eq!(json(root, &["webhooks", "show", "gh"])["unsigned_rate_per_second"], 9);
    succeed(root, &["webhooks", "set", "gh", "--require-signature"], b"");
}
