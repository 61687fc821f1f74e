mod sending;

use std::fs;

use palyra_actors::registry::OnFiltered;

use super::args::HeaderArg;
use super::*;
use crate::cli::testing::{NOW, Stub, answer, palyra, palyra_with};

fn integration() -> Value {
    json!({
        "integration_id": "github", "provider": "github", "display_name": "GitHub", "secret_vault_ref": "global/github",
        "allowed_events": ["push", "ping"], "allowed_sources": [], "enabled": true, "signature_required": true,
        "max_payload_bytes": 65536, "replay_window_seconds": null, "unsigned_rate_per_second": 50,
        "on_filtered": "accept", "created_at_unix_ms": NOW, "updated_at_unix_ms": NOW,
        "last_test_at_unix_ms": null, "last_test_passed": null, "last_test_message": null,
        "url": "https://your.host/hooks/github", "local_url": "http://127.0.0.1:7142/hooks/github", "readiness": "ready", "issues": []
    })
}

fn with(mut document: Value, changes: &Value) -> Value {
    document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    document
}

fn not_ready() -> Value {
    let changes = json!({"enabled": false, "readiness": "secret_not_found", "issues": ["the vault holds no global/github"]});
    with(integration(), &changes)
}

#[test]
fn the_list_is_a_table_that_shows_what_is_open() {
    let open = with(
        integration(),
        &json!({"integration_id": "open", "signature_required": false, "allowed_events": []}),
    );
    let ran =
        palyra("webhooks list", &Stub::answering([answer(200, &json!({"webhooks": [integration(), open]}))]));
    assert_eq!(
        ran.stdout,
        "\
id      provider  enabled  readiness  signature     events      sources  url
github  github    yes      ready      required      push, ping  all      https://your.host/hooks/github
open    github    yes      ready      NOT REQUIRED  all         all      https://your.host/hooks/github
"
    );
}

#[test]
fn the_list_is_narrowed_by_the_console() {
    let stub = Stub::answering([answer(200, &json!({"webhooks": []}))]);
    let ran = palyra("webhooks list --provider git&hub --enabled true", &stub);
    assert_eq!(stub.asked()[0].line, "GET /console/v1/webhooks?provider=git%26hub&enabled=true");
    assert!(ran.stderr.contains("no integration matches"), "{ran:?}");
}

#[test]
fn quiet_leaves_nothing_but_the_data() {
    let ran = palyra(
        "--quiet webhooks list",
        &Stub::answering([answer(200, &json!({"webhooks": [integration()]}))]),
    );
    assert_eq!(ran.stdout.lines().count(), 1);
    let ran = palyra("--quiet webhooks list", &Stub::answering([answer(200, &json!({"webhooks": []}))]));
    assert_eq!((ran.stdout.trim(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn json_is_the_document_as_the_console_gave_it() {
    let document = json!({"webhooks": [integration()]});
    let ran = palyra("--json webhooks list", &Stub::answering([answer(200, &document)]));
    assert_eq!(ran.json(), document);
}

#[test]
fn show_lists_everything_and_each_issue() {
    let ran = palyra("webhooks show github", &Stub::answering([answer(200, &not_ready())]));
    for line in [
        "id             github",
        "enabled        no",
        "readiness      secret_not_found",
        "issue          the vault holds no global/github",
        "signature      required",
        "sources        all",
        "largest body   65536 bytes",
        "replay window  the daemon's default",
        "created        2026-07-01T12:00:00Z",
        "last test      never",
    ] {
        assert!(ran.stdout.lines().any(|shown| shown == line), "{line} is missing:\n{}", ran.stdout);
    }
}

#[test]
fn add_sends_what_was_typed_and_tells_what_to_enter_at_the_provider() {
    let stub = Stub::answering([answer(201, &integration())]);
    let ran = palyra(
        "webhooks add github github --secret-ref global/github --allow-event push --allow-event ping",
        &stub,
    );
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "POST /console/v1/webhooks");
    assert_eq!(
        asked.json(),
        json!({
            "integration_id": "github", "provider": "github", "secret_vault_ref": "global/github",
            "allowed_events": ["push", "ping"], "enabled": true, "signature_required": true
        })
    );
    assert!(ran.stdout.contains("https://your.host/hooks/github"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the value of global/github"), "{}", ran.stdout);
    assert_eq!((ran.stderr.as_str(), ran.code), ("", 0));
}

#[test]
fn what_is_asked_for_is_a_draft_the_registry_takes() {
    let stub = Stub::answering([answer(201, &integration())]);
    let line = "webhooks add a envelope --allow-unsigned --disabled --max-payload-bytes 9 --on-filtered reject \
                --unsigned-rate-per-second 7";
    palyra(line, &stub);
    let draft: palyra_actors::registry::Draft = serde_json::from_value(stub.asked()[0].json()).unwrap();
    assert!((draft.enabled, draft.signature_required, draft.max_payload_bytes) == (false, false, Some(9)));
    assert_eq!((draft.on_filtered, draft.unsigned_rate_per_second), (Some(OnFiltered::Reject), Some(7)));
}

#[test]
fn set_asks_for_what_was_typed_alone_in_a_form_the_registry_takes() {
    let table = [
        ("--allow-event a --allow-event b", json!({"allowed_events": ["a", "b"]})),
        ("--all-events --all-sources", json!({"allowed_events": [], "allowed_sources": []})),
        ("--secret-ref global/x", json!({"secret_vault_ref": "global/x"})),
        ("--published-keys", json!({"secret_vault_ref": null, "signature_required": true})),
        (
            "--allow-unsigned --unsigned-rate-per-second 9",
            json!({"signature_required": false, "unsigned_rate_per_second": 9}),
        ),
        ("--require-signature", json!({"signature_required": true})),
        ("--provider stripe --parameter a=b=c", json!({"provider": "stripe", "parameters": {"a": "b=c"}})),
        (
            "--on-filtered reject --max-payload-bytes 9",
            json!({"on_filtered": "reject", "max_payload_bytes": 9}),
        ),
        (
            "--display-name N --replay-window-seconds 9",
            json!({"display_name": "N", "replay_window_seconds": 9}),
        ),
        (
            "--replay-window-seconds default --parameter a=b --remove-parameter c",
            json!({"replay_window_seconds": null, "parameters": {"a": "b", "c": null}}),
        ),
    ];
    for (flags, amendment) in table {
        let stub = Stub::answering([answer(200, &integration())]);
        let ran = palyra(&format!("webhooks set github {flags}"), &stub);
        let asked = &stub.asked()[0];
        assert_eq!((ran.code, asked.line.as_str()), (0, "PATCH /console/v1/webhooks/github"));
        assert_eq!(asked.json(), amendment, "{flags}");
        serde_json::from_value::<palyra_actors::registry::Amendment>(amendment).unwrap();
        assert!(ran.stdout.contains("readiness") && ran.stderr.is_empty(), "{ran:?}");
    }
}

#[test]
fn set_warns_while_what_it_stored_cannot_take_deliveries() {
    let ran = palyra(
        "webhooks set github --secret-ref global/github",
        &Stub::answering([answer(200, &not_ready())]),
    );
    assert!(
        ran.stderr.contains("is stored disabled") && ran.stderr.contains("webhooks enable github"),
        "{}",
        ran.stderr
    );
}

#[test]
fn add_warns_when_it_is_stored_disabled_and_gives_the_next_command() {
    let ran = palyra(
        "webhooks add github github --secret-ref global/github",
        &Stub::answering([answer(201, &not_ready())]),
    );
    assert_eq!(ran.code, 1, "it takes no deliveries");
    assert_eq!(
        ran.stderr,
        "palyra: warning: github is stored disabled because it is not ready: the vault holds no global/github\n  \
         next: palyra vault put global/github < SECRET_FILE && palyra webhooks enable github\n"
    );
}

#[test]
fn a_secret_that_lives_elsewhere_is_not_asked_to_be_put_into_the_vault() {
    let elsewhere = with(not_ready(), &json!({"secret_vault_ref": "env:HOOK_SECRET"}));
    let ran = palyra(
        "webhooks add github github --secret-ref env:HOOK_SECRET",
        &Stub::answering([answer(201, &elsewhere)]),
    );
    assert!(
        ran.stderr.contains("palyra webhooks enable github") && !ran.stderr.contains("vault put"),
        "{}",
        ran.stderr
    );
}

#[test]
fn add_does_not_warn_of_what_was_asked_for() {
    let disabled = with(integration(), &json!({"enabled": false, "readiness": "disabled"}));
    let stub = Stub::answering([answer(201, &disabled)]);
    let ran = palyra("webhooks add github github --secret-ref a/b --disabled", &stub);
    assert_eq!((ran.stderr.as_str(), ran.code), ("", 0));
}

#[test]
fn an_integration_without_signature_is_warned_of() {
    let open = with(integration(), &json!({"signature_required": false, "secret_vault_ref": null}));
    let ran = palyra("webhooks add x github --allow-unsigned", &Stub::answering([answer(201, &open)]));
    assert!(ran.stderr.contains("no signature is required"), "{}", ran.stderr);
}

#[test]
fn an_address_that_senders_may_not_reach_is_not_told_as_what_to_enter_at_the_provider() {
    let behind =
        "/hooks/github after the address at which senders reach the ingress (`public_url` in palyra.toml)";
    let here = "; on this machine http://127.0.0.1:7142/hooks/github";
    let served = with(integration(), &json!({"url": "/hooks/github"}));
    let offline = with(served.clone(), &json!({"local_url": null}));
    let table = [
        (integration(), "https://your.host/hooks/github".to_owned(), false),
        (served, format!("{behind}{here}"), true),
        (offline, behind.to_owned(), true),
    ];
    for (document, expected, is_noted) in table {
        for line in ["webhooks show github", "webhooks add github github --secret-ref a/b"] {
            let ran = palyra(line, &Stub::answering([answer(200, &document)]));
            let url = ran.stdout.lines().find_map(|line| line.trim_start().strip_prefix("url ")).unwrap();
            assert_eq!(url.trim_start(), expected, "{line}");
        }
        let listed = json!({"webhooks": [document]});
        let listed = palyra("webhooks list", &Stub::answering([answer(200, &listed)]));
        assert_eq!(listed.stderr.contains("public_url"), is_noted, "{}", listed.stderr);
    }
}

#[test]
fn enable_disable_and_remove_ask_for_that_and_say_so() {
    let table = [
        ("webhooks enable github", "POST /console/v1/webhooks/github/enabled", "enabled github\n"),
        ("webhooks disable github", "POST /console/v1/webhooks/github/enabled", "disabled github\n"),
        (
            "webhooks remove github",
            "DELETE /console/v1/webhooks/github",
            "removed github; its events stay in the journal\n",
        ),
    ];
    for (line, asked, said) in table {
        let stub = Stub::answering([answer(200, &integration())]);
        let ran = palyra(line, &stub);
        assert_eq!((stub.asked()[0].line.as_str(), ran.stdout.as_str()), (asked, said));
    }
}

fn outcome(passed: bool) -> Value {
    json!({
        "integration_id": "github", "passed": passed,
        "checks": [
            {"check": "headers", "passed": true, "detail": "X-Hub-Signature-256 is there"},
            {"check": "signature", "passed": passed, "detail": "HMAC-SHA256 over the body"},
            {"check": "schema", "passed": null, "detail": "not reached"}
        ],
        "would_answer": {"status": if passed { 202 } else { 401 }, "outcome": if passed { "accepted" } else { "unauthenticated" }}
    })
}

#[test]
fn a_test_shows_each_check_and_fails_with_the_first_that_does() {
    let stub = Stub::answering([answer(200, &outcome(false))]);
    let words =
        ["webhooks", "test", "github", "--payload-stdin", "--header", "X-Hub-Signature-256: sha256=00"];
    let ran = palyra_with(&words, b"{}\n", &stub);
    assert_eq!(
        ran.stdout,
        "\
✓ headers    X-Hub-Signature-256 is there
✗ signature  HMAC-SHA256 over the body
· schema     not reached
failed: the answer would be 401 unauthenticated
"
    );
    assert_eq!(ran.code, 1);
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "POST /console/v1/webhooks/github/test");
    assert_eq!(
        asked.json(),
        json!({"headers": [["X-Hub-Signature-256", "sha256=00"]], "query": null, "payload_base64": "e30K", "at_unix_ms": null})
    );
}

#[test]
fn a_test_that_passes_is_success() {
    let ran = palyra_with(
        &["webhooks", "verify", "g", "--payload-stdin"],
        b"{}",
        &Stub::answering([answer(200, &outcome(true))]),
    );
    assert_eq!((ran.code, ran.stdout.lines().last()), (0, Some("passed: the answer would be 202 accepted")));
}

#[test]
fn headers_are_read_as_curl_reads_them() {
    let header = |name: &str, value: &str| Ok(HeaderArg { name: name.to_owned(), value: value.to_owned() });
    let table = [
        ("X-A: b", header("X-A", "b")),
        ("X-A:b: c ", header("X-A", "b: c")),
        ("X-A:", header("X-A", "")),
        ("X-A b", Err("write it as 'Name: value'")),
        (": b", Err("the text before the colon is not a valid header name")),
        ("X A: b", Err("the text before the colon is not a valid header name")),
        ("X-A: b\r\nX-B: c", Err("a header cannot contain control characters")),
    ];
    for (text, expected) in table {
        assert_eq!(text.parse::<HeaderArg>(), expected, "{text:?}");
    }
}

#[test]
fn foreign_text_in_any_view_cannot_steer_the_terminal() {
    let evil = "\u{1b}[2J\u{202e}\nx\u{9b}31m";
    let names = [
        "display_name",
        "integration_id",
        "provider",
        "url",
        "local_url",
        "secret_vault_ref",
        "readiness",
        "last_test_message",
        "on_filtered",
    ];
    let mut integration =
        with(integration(), &json!({"issues": [evil], "allowed_events": [evil], "last_test_at_unix_ms": 1}));
    names.iter().for_each(|name| integration[name] = evil.into());
    let mut outcome = outcome(false);
    outcome["checks"][0] = json!({"check": evil, "detail": evil});
    outcome["would_answer"]["outcome"] = evil.into();
    let table = [
        ("webhooks list", json!({"webhooks": [integration]})),
        ("webhooks show x", integration.clone()),
        ("webhooks enable x", integration.clone()),
        ("webhooks add x y --secret-ref z", with(integration.clone(), &json!({"enabled": false}))),
        ("webhooks test x --payload-stdin", outcome),
        (
            "webhooks send x --event e",
            json!({"status": 400, "url": evil, "answer": {"title": evil, evil: evil}}),
        ),
    ];
    for (line, document) in table {
        for line in [line.to_owned(), format!("--json {line}")] {
            let ran = palyra(&line, &Stub::answering([answer(200, &document)]));
            let shown = ran.stdout + &ran.stderr;
            let steering = shown.contains(|c| c != '\n' && crate::cli::text::is_deceptive(c));
            assert!(!steering && !shown.lines().any(|line| line.starts_with('x')), "{line}: {shown:?}");
        }
    }
}
