//! What an integration lacks, as the operator is told it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Daemon, add_github, events_named, eventually, github_signature, json, run, state_root, succeed, within,
    write_private,
};

/// A public key as Discord shows it.
const ED25519: &str = "187ebf7f3af1610fc87ef5abc56071c4de0370f049081f2cc05e3bce2eb2bd40";

#[test]
fn a_secret_that_its_provider_cannot_use_is_no_more_ready_than_one_that_is_missing() {
    let root = state_root();
    let root = root.path();
    succeed(root, &["vault", "put", "global/x"], b"not hex, zz!");
    let added = run(root, &["webhooks", "add", "discord", "discord", "--secret-ref", "global/x"], b"");
    let warning = String::from_utf8(added.stderr).unwrap();
    for said in ["stored disabled", "hexadecimal", "palyra vault put global/x", "webhooks enable discord"] {
        assert!(warning.contains(said), "{said}: {warning}");
    }
    assert!(!warning.contains("zz!"), "{warning}");
    let daemon = Daemon::start(root);
    let refused = run(root, &["webhooks", "enable", "discord"], b"");
    assert_eq!(refused.status.code(), Some(1));
    let refused = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.contains("version 1 of `global/x`"), "{refused}");
    let shown = json(root, &["webhooks", "show", "discord"]);
    assert_eq!((&shown["enabled"], &shown["readiness"]), (&json!(false), &json!("secret_unavailable")));
    succeed(root, &["vault", "put", "global/x"], ED25519.as_bytes());
    succeed(root, &["webhooks", "enable", "discord"], b"");
    assert_eq!(json(root, &["webhooks", "show", "discord"])["readiness"], "ready");
    let rotated = run(root, &["vault", "rotate", "global/x", "--force"], b"not hex, zz!");
    let warning = String::from_utf8(rotated.stderr).unwrap();
    assert_eq!(rotated.status.code(), Some(0), "{warning}");
    assert!(warning.contains("`discord` cannot use version 3 of `global/x`"), "{warning}");
    let told = json(root, &["webhooks", "show", "discord"]);
    assert!(told["issues"][0].as_str().unwrap().contains("version 3"), "{told}");
    succeed(root, &["webhooks", "disable", "discord"], b"");
    let silent = run(root, &["--json", "vault", "put", "global/x"], b"not hex, zz!");
    assert_eq!(silent.status.code(), Some(0), "who takes no deliveries is not asked: {silent:?}");
    drop(daemon);
}

#[test]
fn no_ordinary_command_takes_an_enabled_integration_down() {
    let root = state_root();
    let root = root.path();
    succeed(root, &["vault", "put", "global/x"], ED25519.as_bytes());
    succeed(root, &["webhooks", "add", "discord", "discord", "--secret-ref", "global/x"], b"");
    succeed(root, &["vault", "put", "global/verify"], b"agreed");
    succeed(root, &["vault", "put", "global/meta"], b"k3y");
    let meta = ["webhooks", "add", "fb", "meta", "--secret-ref", "global/meta"];
    succeed(root, &[&meta[..], &["--parameter", "verify_token=global/verify"]].concat(), b"");
    for (args, said) in [
        (&["webhooks", "set", "discord", "--secret-ref", "global/y"][..], "webhooks disable discord"),
        (&["vault", "remove", "global/x"], "enabled integrations: discord"),
        (&["vault", "remove", "global/verify"], "enabled integrations: fb"),
        (&["vault", "put", "global/x"], "`discord` cannot use this value"),
        (&["vault", "rotate", "global/x"], "`discord` cannot use this value"),
    ] {
        let refused = run(root, args, b"not hex, zz!");
        let told = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(told.contains(said) && !told.contains("zz!"), "{said}: {told}");
    }
    let shown = json(root, &["webhooks", "show", "discord"]);
    assert_eq!((&shown["readiness"], &shown["secret_vault_ref"]), (&json!("ready"), &json!("global/x")));
    assert_eq!(json(root, &["vault", "list"])["secrets"][2]["version"], 1);
    succeed(root, &["vault", "remove", "global/x", "--force"], b"");
    assert_eq!(json(root, &["webhooks", "show", "discord"])["readiness"], "secret_not_found");
    succeed(root, &["webhooks", "disable", "fb"], b"");
    succeed(root, &["vault", "remove", "global/verify"], b"");
    let removed = events_named(root, "vault.secret.remove").into_iter();
    let forced: Vec<_> = removed.map(|event| event["details"]["particulars"]["force"].clone()).collect();
    assert_eq!(forced, [false, false, true, false], "the journal says which were forced");
}

#[test]
fn a_rotation_says_which_versions_verify_and_which_ended() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/x"], b"one");
    let said = succeed(root.path(), &["vault", "rotate", "global/x"], b"two");
    assert!(said.contains("version 2 is current, version 1 is still valid"), "{said}");
    let rotated = run(root.path(), &["--json", "vault", "rotate", "global/x"], b"three");
    let rotated: serde_json::Value = serde_json::from_slice(&rotated.stdout).unwrap();
    assert_eq!((&rotated["previous_version"], &rotated["ended_versions"]), (&json!(2), &json!([1])));
    let said = succeed(root.path(), &["vault", "retire", "global/x"], b"");
    assert!(said.contains("version 2 is no longer valid"), "{said}");
    let listed = json(root.path(), &["vault", "list"]);
    assert!(listed["secrets"][0].get("ended_versions").is_none(), "{listed}");
}

#[test]
fn a_value_that_is_rotated_in_twice_ends_nothing() {
    let root = state_root();
    let root = root.path();
    let entry = |args: &[&str], value: &[u8]| {
        let output = run(root, &[&["--json"], args].concat(), value);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let rotate = ["vault", "rotate", "global/x"];
    succeed(root, &["vault", "put", "global/x"], b"one");
    entry(&rotate, b"two");
    let again = run(root, &rotate, b"two");
    let said = String::from_utf8(again.stdout).unwrap();
    assert_eq!(again.status.code(), Some(0), "{said}");
    assert!(said.contains("version 2 already has this value; nothing was changed"), "{said}");
    assert!(!String::from_utf8(again.stderr).unwrap().contains("warning"));
    let again = entry(&rotate, b"two");
    assert_eq!((&again["version"], &again["previous_version"]), (&json!(2), &json!(1)), "{again}");
    assert_eq!(again["unchanged"], true, "{again}");
    assert_eq!(events_named(root, "vault.secret.rotate.unchanged").len(), 2);

    let back = entry(&rotate, b"one");
    assert_eq!((&back["version"], &back["previous_version"]), (&json!(3), &json!(2)), "{back}");
    assert!(back.get("ended_versions").is_none(), "its value is valid as version 3: {back}");
}

#[test]
fn a_value_that_is_put_twice_is_stored_once() {
    let root = state_root();
    let root = root.path();
    let put = ["vault", "put", "global/x"];
    succeed(root, &put, b"one");
    let said = succeed(root, &put, b"one");
    assert!(said.contains("version 1 already has this value; nothing was changed"), "{said}");
    let again = run(root, &[&["--json"][..], &put].concat(), b"one");
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&again["version"], &again["unchanged"]), (&json!(1), &json!(true)), "{again}");
    assert!(again.get("ended_versions").is_none(), "{again}");
    assert_eq!(events_named(root, "vault.secret.put.unchanged").len(), 2);
}

#[test]
fn a_variable_that_is_not_set_is_to_be_set_and_not_to_be_put_into_the_vault() {
    let root = state_root();
    let added = run(root.path(), &["webhooks", "add", "gh", "github", "--secret-ref", "env:NOPE"], b"");
    let warning = String::from_utf8(added.stderr).unwrap();
    assert!(warning.contains("set the variable `NOPE` in the daemon's environment"), "{warning}");
    assert!(!warning.contains("vault put"), "{warning}");
}

#[test]
fn strangers_do_not_fill_the_log_while_a_secret_is_missing() {
    let root = state_root();
    add_github(root.path());
    std::fs::remove_file(root.path().join("vault/global~github.age")).unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let daemon = Daemon::logging_to(root.path(), log.reopen().unwrap(), &[], &[]);
    let forged = format!("sha256={}", "0".repeat(64));
    for n in 0..40 {
        let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", forged.as_str())];
        assert_eq!(daemon.post("gh", &headers, format!("{{\"n\":{n}}}").as_bytes()).status, 503);
    }
    // What was logged is written by its end.
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    let lines = not_accepted(log.path());
    assert!((1..=10).contains(&lines), "{lines} lines");
}

#[test]
fn a_test_of_a_captured_delivery_is_none_to_the_log_and_takes_no_line_from_those_that_come() {
    let root = state_root();
    add_github(root.path());
    std::fs::remove_file(root.path().join("vault/global~github.age")).unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let daemon = Daemon::logging_to(root.path(), log.reopen().unwrap(), &[], &[]);
    let forged = format!("sha256={}", "0".repeat(64));
    let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", forged.as_str())];
    let sample = serde_json::json!({"headers": headers, "payload_base64": "e30="}).to_string();
    for _ in 0..12 {
        let path = "/console/v1/webhooks/gh/test";
        let tested = daemon.console(root.path(), "POST", path, sample.as_bytes());
        assert!(tested.body.contains("global/github"), "it says what is missing: {tested:?}");
    }
    assert_eq!(daemon.post("gh", &headers, b"{}").status, 503);
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    assert_eq!(not_accepted(log.path()), 1);
}

/// Lines of the log about deliveries that could not be accepted.
fn not_accepted(log: &std::path::Path) -> usize {
    let log = std::fs::read_to_string(log).unwrap();
    log.lines().filter(|line| line.contains("a delivery could not be accepted")).count()
}

#[test]
fn an_enabled_integration_that_cannot_verify_is_journaled_and_so_is_its_mending() {
    let root = state_root();
    add_github(root.path());
    let secret = root.path().join("vault/global~github.age");
    let away = root.path().join("vault/away");
    std::fs::rename(&secret, &away).unwrap();
    let daemon = Daemon::start(root.path());
    let changes = || events_named(root.path(), "webhook.readiness.changed");
    eventually("it is journaled", || changes().len() == 1);
    let heartbeat = run(root.path(), &["system", "heartbeat"], b"");
    let said = String::from_utf8(heartbeat.stdout).unwrap();
    assert_eq!(heartbeat.status.code(), Some(1));
    assert!(said.contains("enabled integrations that cannot verify deliveries: gh (1 in all)"), "{said}");
    std::fs::rename(&away, &secret).unwrap();
    // It is looked at every 15 seconds.
    within(Duration::from_secs(30), "its mending is journaled", || changes().len() == 2);
    let told: Vec<_> = changes().into_iter().map(|event| event["details"]["to"].clone()).collect();
    assert_eq!(told, ["secret_not_found", "ready"]);
    eventually("all is well", || run(root.path(), &["system", "heartbeat"], b"").status.success());
    drop(daemon);
}

#[test]
fn an_integration_whose_secret_hangs_is_told_and_can_be_disabled() {
    let root = state_root();
    add_github(root.path());
    // A second read of it, beside the one that hangs, would be seen by its panic.
    let hangs = [("FAILPOINTS", "vault::probe=1*sleep(30000)->panic")];
    let _daemon = Daemon::start_with(root.path(), &[], &hangs);
    let said = run(root.path(), &["--json", "webhooks", "disable", "gh"], b"");
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let disabled: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    let issues = disabled["issues"].to_string();
    assert!(disabled["enabled"] == false && issues.contains("it could not be read within 5 s"), "{disabled}");
    eventually("it is journaled", || !events_named(root.path(), "webhook.readiness.changed").is_empty());
    succeed(root.path(), &["webhooks", "remove", "gh"], b"");
}

/// What a command that succeeds warns of.
fn warned(root: &std::path::Path, args: &[&str]) -> String {
    let output = run(root, args, b"");
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {warned}");
    warned
}

#[test]
fn what_a_change_takes_down_is_told_by_the_change_and_by_the_heartbeat_at_once() {
    let root = state_root();
    let root = root.path();
    let _daemon = Daemon::with_github(root);
    let is_counted = |line: &str| succeed(root, &["system", "metrics"], b"").contains(line);
    eventually("it was looked at", || is_counted("palyra_integrations{readiness=\"ready\"} 1"));
    let is_well = || run(root, &["system", "heartbeat"], b"").status.success();
    let registry = root.join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    write_private(&registry, &text.replace("global/github", "global/nowhere"));
    let said = warned(root, &["system", "reload"]);
    assert!(
        said.contains("`gh` is enabled but cannot verify deliveries") && said.contains("nowhere"),
        "{said}"
    );
    assert!(!is_well() && is_counted("palyra_integrations{readiness=\"secret_not_found\"} 1"));
    write_private(&registry, &text);
    assert_eq!(warned(root, &["system", "reload"]), "");
    assert!(is_well());
    let said = warned(root, &["vault", "remove", "global/github", "--force"]);
    assert!(said.contains("`gh` is enabled but cannot verify deliveries"), "{said}");
    assert!(!is_well());
    assert_eq!(warned_of_put(root), "");
    assert!(is_well());
    succeed(root, &["vault", "remove", "global/github", "--force"], b"");
    succeed(root, &["webhooks", "disable", "gh"], b"");
    assert!(is_well() && is_counted("palyra_integrations{readiness=\"disabled\"} 1"));
}

fn warned_of_put(root: &std::path::Path) -> String {
    let output = run(root, &["vault", "put", "global/github"], crate::support::SECRET.as_bytes());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_removal_by_force_without_a_daemon_tells_whom_it_takes_down() {
    let root = state_root();
    add_github(root.path());
    let said = warned(root.path(), &["vault", "remove", "global/github", "--force"]);
    assert!(
        said.contains("`gh` is enabled but cannot verify deliveries") && said.contains("vault put"),
        "{said}"
    );
}

#[test]
fn a_secret_that_is_named_and_cannot_be_had_keeps_everything_out_though_none_need_be_signed() {
    let (root, elsewhere) = (state_root(), state_root());
    let (root, file) = (root.path(), elsewhere.path().join("gh.secret"));
    let reference = format!("file:{}", file.display());
    write_private(&file, "s3cret");
    let add = ["webhooks", "add", "gh", "github", "--secret-ref", &reference, "--allow-unsigned"];
    succeed(root, &add, b"");
    std::fs::remove_file(&file).unwrap();
    let daemon = Daemon::start(root);
    let body = br#"{"a":1}"#;
    let (json_type, event) = (("Content-Type", "application/json"), ("X-GitHub-Event", "push"));
    let (right, wrong) = (github_signature("s3cret", body), github_signature("wrong", body));
    let signed = |signature: &str| {
        let headers = [json_type, event, ("X-Hub-Signature-256", signature), ("X-GitHub-Delivery", "d-1")];
        daemon.post("gh", &headers, body).status
    };
    assert_eq!((signed(&wrong), signed(&right)), (503, 503));
    assert_eq!(daemon.post("gh", &[json_type, event], body).status, 503, "nor is what is not signed");
    assert_eq!(json(root, &["webhooks", "show", "gh"])["readiness"], "secret_not_found");
    let told = succeed(root, &["webhooks", "explain", "gh"], b"");
    assert!(told.contains("there is no secret `file:"), "{told}");
    let test = ["webhooks", "test", "gh", "--payload-stdin", "--header", "Content-Type: application/json"];
    let tested = run(root, &test, body);
    let told = String::from_utf8(tested.stdout).unwrap();
    assert!(tested.status.code() == Some(1) && told.contains("there is no secret"), "{told}");
    let heartbeat = String::from_utf8(run(root, &["--json", "system", "heartbeat"], b"").stdout).unwrap();
    assert!(heartbeat.contains("cannot verify deliveries: gh (1 in all)"), "{heartbeat}");
    write_private(&file, "s3cret");
    assert_eq!((signed(&wrong), signed(&right)), (401, 202));
    assert_eq!(daemon.post("gh", &[json_type, event], b"{}").status, 202, "none is required");
}

#[test]
fn two_changes_at_once_enable_nothing_that_cannot_verify() {
    let root = state_root();
    add_github(root.path());
    succeed(root.path(), &["webhooks", "disable", "gh"], b"");
    // The first look at its secret takes long; meanwhile another one is named.
    let slow = [("FAILPOINTS", "vault::probe=1*sleep(4000)->off")];
    let daemon = Daemon::start_with(root.path(), &[], &slow);
    let path = "/console/v1/webhooks/gh";
    let changed = std::thread::scope(|scope| {
        let enable =
            || daemon.console(root.path(), "POST", &format!("{path}/enabled"), br#"{"enabled":true}"#);
        let enabled = scope.spawn(enable);
        let is_begun = || !events_named(root.path(), "registry.webhook.enable").is_empty();
        eventually("it is journaled, and its secret is looked at", is_begun);
        let amended = daemon.console(root.path(), "PATCH", path, br#"{"secret_vault_ref":"global/none"}"#);
        [enabled.join().unwrap().status, amended.status]
    });
    assert!(matches!(changed, [200, 409] | [409, 200]), "{changed:?}");
    let shown = daemon.console(root.path(), "GET", path, b"").json();
    assert!(shown["enabled"] == false || shown["readiness"] == "ready", "{shown}");
}

#[test]
fn secrets_that_hang_are_asked_for_together_and_who_is_late_is_told_as_that() {
    let root = state_root();
    let root = root.path();
    let one = |n: usize| {
        format!(
            "[[webhooks]]\nintegration_id = \"in{n}\"\nprovider = \"github\"\nsecret_vault_ref = \"env:NONE_{n}\"\n\
             enabled = true\n"
        )
    };
    let all: String = (0..80).map(one).collect();
    write_private(&root.join("webhooks.toml"), &format!("version = 1\n{all}"));
    let log = tempfile::tempfile().unwrap();
    let daemon = Daemon::logging_to(root, log, &[], &[("FAILPOINTS", "vault::probe=sleep(60000)")]);
    let begun = Instant::now();
    let (listed, insights) = std::thread::scope(|scope| {
        let listed = scope.spawn(|| json(root, &["webhooks", "list"]));
        let insights = json(root, &["system", "insights"]);
        (listed.join().unwrap(), insights)
    });
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let listed = listed["webhooks"].as_array().unwrap();
    for (integration, why) in
        [(&listed[0], "could not be read within 5 s"), (&listed[79], "could not be checked within 10 s")]
    {
        assert_eq!(integration["readiness"], "secret_unavailable");
        assert!(integration["issues"][0].as_str().unwrap().contains(why), "{integration}");
    }
    assert_eq!(insights["diagnostics"]["by_readiness"]["secret_unavailable"], 80, "{insights}");
    drop(daemon);
}
