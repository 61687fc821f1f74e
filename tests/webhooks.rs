//! The settings of integrations: how they are changed, told and journaled.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    Answer, Daemon, add_github, events_named, json, run, state_root, succeed, write_private,
};

/// Asks the console about integrations.
fn ask(daemon: &Daemon, root: &Path, method: &str, path: &str, body: &Value) -> Answer {
    daemon.console(root, method, &format!("/console/v1/webhooks{path}"), body.to_string().as_bytes())
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
