//! The command line against a real daemon and without one.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{
    Daemon, SECRET, add_github, events_named, fail, github_signature, json, palyra, run, state_root, succeed,
    write_private,
};

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn ids(list: &Value) -> Vec<&str> {
    let all = list["webhooks"].as_array().unwrap();
    all.iter().map(|one| one["integration_id"].as_str().unwrap()).collect()
}

/// What is to work alike with the daemon stopped and running.
fn manage(root: &Path) {
    add_github(root);
    succeed(root, &["webhooks", "add", "lab", "gitlab", "--secret-ref", "global/github", "--disabled"], b"");
    assert_eq!(ids(&json(root, &["webhooks", "list"])), ["gh", "lab"]);
    assert_eq!(ids(&json(root, &["webhooks", "list", "--provider", "gitlab"])), ["lab"]);
    assert_eq!(
        ids(&json(root, &["webhooks", "list", "--provider", " GitLab"])),
        ["lab"],
        "as `add` takes it"
    );
    assert_eq!(ids(&json(root, &["webhooks", "list", "--enabled", "true"])), ["gh"]);
    succeed(root, &["webhooks", "enable", "lab"], b"");
    assert_eq!(json(root, &["webhooks", "show", "lab"])["readiness"], "ready");
    succeed(root, &["webhooks", "disable", "lab"], b"");
    succeed(root, &["webhooks", "remove", "lab"], b"");
    assert_eq!(ids(&json(root, &["webhooks", "list"])), ["gh"]);

    succeed(root, &["vault", "rotate", "global/github"], b"the next one");
    let secrets = json(root, &["vault", "list"]).to_string();
    assert!(secrets.contains("global/github") && !secrets.contains("the next one"), "{secrets}");
    assert_eq!(json(root, &["providers", "show", "github"])["name"], "github");
    assert!(succeed(root, &["providers", "list"], b"").contains("standard-webhooks"));
    assert!(json(root, &["journal", "verify"])["events"].as_u64().unwrap() > 0);
    for name in
        ["vault.secret.put", "vault.secret.rotate", "registry.webhook.create", "registry.webhook.remove"]
    {
        assert!(!events_named(root, name).is_empty(), "{name} leaves a row");
    }
}

#[test]
fn integrations_and_secrets_are_managed_with_the_daemon_stopped() {
    let root = state_root();
    manage(root.path());
}

#[test]
fn integrations_and_secrets_are_managed_through_the_running_daemon() {
    let root = state_root();
    let _daemon = Daemon::start(root.path());
    manage(root.path());
}

#[test]
fn what_needs_the_daemon_says_that_it_does_not_run() {
    let root = state_root();
    add_github(root.path());
    for args in [
        &["system", "heartbeat"][..],
        &["system", "presence"],
        &["system", "event", "tail", "--follow"],
        &["system", "event", "emit", "x"],
        &["webhooks", "send", "gh", "--event", "push"],
    ] {
        assert!(fail(root.path(), args, 69).contains("start one: palyra"), "{args:?}");
    }
}

#[test]
fn usage_is_2_and_names_the_nearest_word() {
    let root = state_root();
    assert!(fail(root.path(), &["webhoks", "list"], 2).contains("webhooks"));
    fail(root.path(), &["system", "event", "list", "--limit", "x"], 2);
    fail(root.path(), &["webhooks", "add"], 2);
}

#[test]
fn a_verification_of_nothing_is_no_verification() {
    let root = state_root();
    add_github(root.path());
    let newest = json(root.path(), &["journal", "verify"])["head_seq"].as_u64().unwrap();
    let args = |seq: u64| ["journal".to_owned(), "verify".to_owned(), "--from".to_owned(), seq.to_string()];
    for beyond in [newest + 1, 9_999] {
        let args = args(beyond);
        let said = fail(root.path(), &args.each_ref().map(String::as_str), 2);
        assert!(said.contains(&format!("newest event has seq {newest}")), "{said}");
    }
    let last = args(newest);
    assert_eq!(json(root.path(), &last.each_ref().map(String::as_str))["events"], 1);
}

#[test]
fn a_misspelt_provider_or_id_is_answered_with_the_nearest() {
    let root = state_root();
    add_github(root.path());
    let misspelt = fail(root.path(), &["webhooks", "add", "a", "githb", "--secret-ref", "global/github"], 1);
    assert!(misspelt.contains("did you mean `github`?"), "{misspelt}");
    let unknown = fail(root.path(), &["webhooks", "show", "hg"], 1);
    assert!(unknown.contains("hg"), "{unknown}");
}

#[test]
fn a_registry_that_cannot_be_read_is_78_with_line_field_and_nearest_name() {
    let root = state_root();
    add_github(root.path());
    let path = root.path().join("webhooks.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    for (change, expected) in [
        (good.replace("provider = \"github\"", "provider = \"githb\""), "did you mean `github`?"),
        (good.replace("secret_vault_ref", "secret_vault_rf"), "did you mean `secret_vault_ref`?"),
        (good.replace("enabled = true", "max_payload_bytes = 0"), "max_payload_bytes"),
        (good.replace("version = 1", "version = 2"), "version"),
        (good.replace("[[webhooks]]", "[[webhooks]"), "webhooks.toml:4"),
    ] {
        write_private(&path, &change);
        let said = fail(root.path(), &["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"], 78);
        assert!(said.contains("webhooks.toml:") && said.contains(expected), "{expected}: {said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), change, "the file is left as it is");
    }
}

#[test]
fn settings_that_cannot_be_used_are_78() {
    let root = state_root();
    for line in ["ingres = \"127.0.0.1:1\"", "workers = 0", "console = \"0.0.0.0:0\"", "log_format = 1"] {
        write_private(&root.path().join("palyra.toml"), line);
        assert!(fail(root.path(), &["daemon"], 78).contains("palyra.toml"), "{line}");
    }
}

#[test]
fn a_console_in_the_file_that_a_flag_replaces_is_no_obstacle_to_commands() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    write_private(&root.join("palyra.toml"), "console = \"0.0.0.0:7143\"\n");
    assert!(fail(root, &["daemon", "--check"], 78).contains("palyra.toml:1:1: the console would listen on"));
    succeed(root, &["webhooks", "list"], b"");
    let daemon = Daemon::start(root);
    let copies = state_root();
    let backup = copies.path().join("backup");
    succeed(root, &["journal", "backup", backup.to_str().unwrap()], b"");
    succeed(root, &["journal", "verify"], b"");
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
}

#[test]
fn a_bad_file_on_reload_keeps_the_last_good_one_and_says_so() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let path = root.path().join("webhooks.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    write_private(&path, &good.replace("provider = \"github\"", "provider = \"githb\""));
    daemon.signal("HUP");
    crate::support::eventually("the refusal is journaled", || {
        !events_named(root.path(), "registry.reload.refused").is_empty()
    });
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    write_private(&path, &good.replace("enabled = true", "enabled = false"));
    daemon.signal("HUP");
    crate::support::eventually("the good one is taken", || daemon.github("push", "1", "{}").status == 404);
}

#[test]
fn comments_and_order_of_the_registry_survive_the_command_line() {
    let root = state_root();
    add_github(root.path());
    let path = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    write_private(&path, &text.replace("[[webhooks]]", "# ours\n[[webhooks]] # the first"));
    succeed(root.path(), &["webhooks", "add", "a", "github", "--secret-ref", "global/github"], b"");
    succeed(root.path(), &["webhooks", "disable", "gh"], b"");
    let edited = std::fs::read_to_string(&path).unwrap();
    assert!(edited.contains("# ours\n[[webhooks]] # the first\nintegration_id = \"gh\""), "{edited}");
    assert!(edited.contains("enabled = false"));
}

#[test]
fn a_test_runs_every_check_and_stores_nothing_but_its_result() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let file = root.path().join("payload.json");
    std::fs::write(&file, r#"{"zen":"x"}"#).unwrap();
    let file = file.to_str().unwrap();
    let signature = format!("X-Hub-Signature-256: {}", github_signature(SECRET, br#"{"zen":"x"}"#));
    let event = "X-GitHub-Event: ping";
    let typed = "Content-Type: application/json";
    let args = ["webhooks", "test", "gh", "--payload-file", file, "--header", event, "--header", typed];
    let signed = [&args[..], &["--header", signature.as_str()]].concat();
    assert!(succeed(root.path(), &signed, b"").contains("pass"));
    let unsigned = run(root.path(), &args, b"");
    assert_eq!(code(&unsigned), 1);
    assert!(String::from_utf8(unsigned.stdout).unwrap().contains("missing_signature"));
    let by_alias = run(root.path(), &["webhooks", "verify", "gh", "--payload-stdin"], b"{}");
    assert_eq!(code(&by_alias), 1);
    assert!(events_named(root.path(), "ping").is_empty());
    assert_eq!(events_named(root.path(), "registry.webhook.test").len(), 3);
    let toml = std::fs::read_to_string(root.path().join("webhooks.toml")).unwrap();
    assert!(toml.contains("last_test"), "{toml}");
    assert_eq!(daemon.github("ping", "1", r#"{"zen":"x"}"#).status, 202, "testing it took no replay key");
}

#[test]
fn send_signs_as_every_provider_would_and_the_ingress_takes_it() {
    let root = state_root();
    let key = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
    succeed(root.path(), &["vault", "put", "global/key"], key.as_bytes());
    let providers = ["envelope", "github", "gitlab", "shopify", "slack", "standard-webhooks", "stripe"];
    for provider in providers {
        succeed(root.path(), &["webhooks", "add", provider, provider, "--secret-ref", "global/key"], b"");
    }
    let _daemon = Daemon::start(root.path());
    for provider in providers {
        let answer = json(root.path(), &["webhooks", "send", provider, "--event", "push"]);
        assert_eq!(answer["status"], 202, "{provider}: {answer}");
        assert_eq!(events_named(root.path(), "push").last().unwrap()["provider"], provider);
    }
}

#[test]
fn events_are_emitted_listed_and_tailed() {
    let root = state_root();
    let _daemon = Daemon::start(root.path());
    let emit = [
        "system",
        "event",
        "emit",
        "deploy",
        "--message",
        "v2 is out",
        "--severity",
        "warn",
        "--tag",
        "prod",
    ];
    succeed(root.path(), &[&emit[..], &["--details", r#"{"by":"ann"}"#]].concat(), b"");
    let page = json(root.path(), &["system", "event", "list", "--severity", "warn", "--contains", "v2"]);
    let event = &page["events"][0];
    assert_eq!(event["name"], "system.operator.deploy");
    assert_eq!((&event["tags"], &event["details"]), (&json!(["prod"]), &json!({"by": "ann"})));
    assert!(page.as_object().unwrap().contains_key("next_after"));
    assert!(succeed(root.path(), &["system", "event", "list"], b"").contains("v2 is out"));
    assert!(succeed(root.path(), &["system", "event", "tail"], b"").contains("v2 is out"));
    for message in ["ä".repeat(121), "a".repeat(241), "ä".repeat(241)] {
        let refused = fail(root.path(), &["system", "event", "emit", "deploy", "--message", &message], 1);
        assert!(refused.contains("message: must have at most 240 bytes"), "{refused}");
        assert!(!refused.contains("characters"), "{refused}");
    }
    let refused = run(root.path(), &["system", "event", "emit", "deploy", "--details", "[1]"], b"");
    assert_eq!(code(&refused), 2, "{}", stderr(&refused));
}

#[test]
fn what_happened_is_listed_with_the_daemon_stopped() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    daemon.kill();
    let page = json(root.path(), &["system", "event", "list", "--name", "push"]);
    assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
    assert!(succeed(root.path(), &["system", "event", "tail"], b"").contains("push"));
}

#[test]
fn export_gives_one_line_an_event_with_the_envelope_inside() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let body = r#"{"repository":{"full_name":"octo/cat"},"n":1.50}"#;
    assert_eq!(daemon.github("push", "1", body).status, 202);
    let running = succeed(root.path(), &["journal", "export"], b"");
    let line = running.lines().find(|line| line.contains("\"push\"")).unwrap();
    let event: Value = serde_json::from_str(line).unwrap();
    assert_eq!(event["envelope"]["event"], "push");
    assert!(line.contains("\"n\":1.50"), "numbers keep their text: {line}");
    daemon.kill();
    let stopped = succeed(root.path(), &["journal", "export"], b"");
    assert!(stopped.starts_with(&running), "what was exported is exported again, byte for byte");
}

#[test]
fn a_journal_that_was_changed_does_not_verify() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    daemon.signal("TERM");
    daemon.wait(std::time::Duration::from_secs(30));
    let journal = rusqlite::Connection::open(root.path().join("journal.db")).unwrap();
    let sql: String = journal
        .query_row("SELECT group_concat(sql, ';') FROM sqlite_schema WHERE type = 'trigger'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let triggers: Vec<String> = {
        let mut names = journal.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        names.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for trigger in triggers {
        journal.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    journal.execute("UPDATE journal_events SET body = CAST('{ }' AS BLOB) WHERE name = 'push'", []).unwrap();
    journal.execute_batch(&sql).unwrap();
    drop(journal);
    let said = run(root.path(), &["journal", "verify"], b"");
    assert_eq!(code(&said), 65, "{}", stderr(&said));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let root = state_root();
    let _daemon = Daemon::with_github(root.path());
    let program = palyra(root.path()).get_program().to_str().unwrap().to_owned();
    let line = format!(
        "{program} --state-root {} providers list | true; exit ${{PIPESTATUS[0]}}",
        root.path().display()
    );
    let status = std::process::Command::new("bash").args(["-c", &line]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_damaged_secret_hides_none_of_the_others_and_can_be_removed_as_told() {
    let root = state_root();
    add_github(root.path());
    succeed(root.path(), &["vault", "put", "global/broken"], b"x");
    write_private(&root.path().join("vault/global~broken.age"), "damaged");
    let listed = json(root.path(), &["vault", "list"]);
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 2, "{listed}");
    assert!(listed["secrets"][0]["hint"].as_str().unwrap().contains("palyra vault remove global/broken"));
    assert_eq!(listed["secrets"][1]["version"], 1);
    succeed(root.path(), &["vault", "remove", "global/broken"], b"");
    let refused = fail(root.path(), &["vault", "remove", "env"], 1);
    assert!(refused.contains("`global/KEY`") && !refused.contains("hashivault:"), "{refused}");
}
