//! Integrations that are not ready, but still accept some deliveries: nothing says that they accept none.

use std::path::Path;

use serde_json::Value;

use crate::support::{
    Answer, Daemon, events_named, eventually, github_signature, hmac_hex, json, own_profile, request, run,
    state_root, succeed, write_private,
};

const GITHUB_TOML: &str = include_str!("../schemas/providers/github.toml");

/// Adds `acme`, which signs as GitHub does, with a key in hexadecimal.
fn add_acme(root: &Path, reference: &str) {
    let profile = GITHUB_TOML
        .replace("name = \"github\"", "name = \"acme\"")
        .replace("[auth.mac]", "[auth.mac]\nkey = { decode = \"hex\" }");
    own_profile(root, "acme", &profile);
    succeed(root, &["webhooks", "add", "acme", "acme", "--secret-ref", reference], b"");
}

/// Posts a delivery signed with the key `hex`.
fn deliver(daemon: &Daemon, hex: &str, body: &str) -> Answer {
    let key: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let signature = format!("sha256={}", hmac_hex(&key, body.as_bytes()));
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", &*signature),
    ];
    daemon.post("acme", &headers, body.as_bytes())
}

/// What explain, the heartbeat and the journal say of an integration that is not ready, in one text.
fn told(root: &Path, id: &str) -> String {
    let explained = json(root, &["webhooks", "explain", id]);
    let heartbeat = String::from_utf8(run(root, &["system", "heartbeat"], b"").stdout).unwrap();
    let journaled = events_named(root, "webhook.readiness.changed").pop().unwrap_or_default();
    format!(
        "{}\n{}\n{}\n{heartbeat}\n{}",
        explained["happened"], explained["why"], explained["next"], journaled["summary"]
    )
}

fn assert_some_are_accepted(told: &str) {
    for wrong in ["accepts no deliveries", "cannot verify deliveries"] {
        assert!(!told.contains(wrong), "{wrong}: {told}");
    }
    assert_eq!(told.matches("still accept").count(), 3, "explain, heartbeat and journal: {told}");
}

#[test]
fn a_version_that_cannot_be_used_takes_nothing_from_the_one_that_works() {
    let (root, old, new) = (state_root(), "00ff", "ff00");
    let root = root.path();
    let versions = || {
        let entry = &json(root, &["vault", "list"])["secrets"][0];
        (entry["version"].as_u64().unwrap(), entry["previous_version"].as_u64())
    };
    succeed(root, &["vault", "put", "global/acme"], old.as_bytes());
    add_acme(root, "global/acme");
    let daemon = Daemon::start(root);
    let forced = run(root, &["vault", "rotate", "global/acme", "--force"], b"no key, zz");
    let warned = String::from_utf8(forced.stderr).unwrap();
    assert!(warned.contains("vault rotate global/acme") && !warned.contains("vault put"), "{warned}");
    assert_eq!(deliver(&daemon, old, "{}").status, 202);
    eventually("it is journaled", || !events_named(root, "webhook.readiness.changed").is_empty());
    let said = told(root, "acme");
    assert_some_are_accepted(&said);
    assert!(
        said.contains("version 1 verifies deliveries") && said.contains("cannot use version 2"),
        "{said}"
    );
    assert!(
        said.contains("`palyra vault rotate global/acme < FILE`") && !said.contains("vault put"),
        "{said}"
    );
    assert_eq!(json(root, &["webhooks", "show", "acme"])["readiness"], "secret_unavailable");

    let rotated = succeed(root, &["vault", "rotate", "global/acme"], new.as_bytes());
    assert!(rotated.contains("version 3 is current, version 1 is still valid"), "{rotated}");
    assert_eq!(versions(), (3, Some(1)));
    assert_eq!((deliver(&daemon, old, "[1]").status, deliver(&daemon, new, "[2]").status), (202, 202));
    assert_eq!(json(root, &["webhooks", "show", "acme"])["readiness"], "ready");
    assert!(run(root, &["system", "heartbeat"], b"").status.success());
}

#[test]
fn an_older_version_that_cannot_be_used_is_to_be_retired() {
    let root = state_root();
    let root = root.path();
    succeed(root, &["vault", "put", "global/acme"], b"no key, zz");
    succeed(root, &["vault", "rotate", "global/acme"], b"00ff");
    add_disabled_then_enable(root);
    let shown = json(root, &["webhooks", "show", "acme"]);
    assert!(shown["issues"][0].as_str().unwrap().contains("`palyra vault retire global/acme`"), "{shown}");
    succeed(root, &["vault", "retire", "global/acme"], b"");
    succeed(root, &["webhooks", "enable", "acme"], b"");
}

fn add_disabled_then_enable(root: &Path) {
    write_profile_and_add_disabled(root);
    let refused = run(root, &["webhooks", "enable", "acme"], b"");
    assert_eq!(refused.status.code(), Some(1));
}

fn write_profile_and_add_disabled(root: &Path) {
    succeed(root, &["vault", "put", "global/spare"], b"00ff");
    add_acme(root, "global/spare");
    succeed(root, &["webhooks", "disable", "acme"], b"");
    succeed(root, &["webhooks", "set", "acme", "--secret-ref", "global/acme"], b"");
}

#[test]
fn a_secret_that_is_gone_and_still_used_from_memory_is_told_as_that() {
    let (root, elsewhere) = (state_root(), state_root());
    let (root, file) = (root.path(), elsewhere.path().join("acme.secret"));
    write_private(&file, "00ff");
    add_acme(root, &format!("file:{}", file.display()));
    let daemon = Daemon::start(root);
    assert_eq!(deliver(&daemon, "00ff", "[1]").status, 202);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(succeed_reload(root), "");
    assert_eq!(deliver(&daemon, "00ff", "[2]").status, 202, "from memory");
    let shown = json(root, &["webhooks", "show", "acme"]);
    assert_eq!(shown["readiness"], "secret_not_found");
    assert!(shown["issues"].to_string().contains("up to 60 s"), "{shown}");
    eventually("it is journaled", || !events_named(root, "webhook.readiness.changed").is_empty());
    assert_some_are_accepted(&told(root, "acme"));
    succeed(root, &["webhooks", "disable", "acme"], b"");
    let shown = json(root, &["webhooks", "show", "acme"]);
    assert!(
        !shown["issues"].to_string().contains("still verifies"),
        "a disabled one verifies nothing: {shown}"
    );
}

/// Reloads, so that the integrations are looked at, and returns the warnings that say that nothing is accepted.
fn succeed_reload(root: &Path) -> String {
    let warned = String::from_utf8(run(root, &["system", "reload"], b"").stderr).unwrap();
    warned.lines().filter(|line| line.contains("cannot verify deliveries")).collect()
}

#[test]
fn deliveries_are_accepted_without_the_token_of_a_handshake() {
    let root = state_root();
    let root = root.path();
    succeed(root, &["vault", "put", "global/app"], b"app secret");
    succeed(root, &["vault", "put", "global/verify"], b"agreed");
    let parameter = ["--secret-ref", "global/app", "--parameter", "verify_token=global/verify"];
    succeed(root, &[&["webhooks", "add", "in", "meta"], &parameter[..]].concat(), b"");
    let daemon = Daemon::start(root);
    let removed = run(root, &["vault", "remove", "global/verify", "--force"], b"");
    let warned = String::from_utf8(removed.stderr).unwrap();
    assert!(
        !warned.contains("cannot verify deliveries") && warned.contains("still accepts some"),
        "{warned}"
    );
    let url = format!("{}/hooks/in?hub.verify_token=agreed&hub.challenge=1", daemon.ingress);
    assert_eq!(request("GET", &url, &[], b"").status, 503);
    let body = br#"{"object":"page","entry":[{"id":"1","time":1}]}"#;
    let signature = github_signature("app secret", body);
    let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", &*signature)];
    assert_eq!(daemon.post("in", &headers, body).status, 200, "as Meta wants it");
    eventually("it is journaled", || !events_named(root, "webhook.readiness.changed").is_empty());
    assert_some_are_accepted(&told(root, "in"));
    let explained: Value = json(root, &["webhooks", "explain", "in"]);
    assert_eq!(explained["readiness"], "secret_unavailable");
}
