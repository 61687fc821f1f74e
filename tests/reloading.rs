//! `SIGHUP` and `system reload`: the registry and the operator's profiles are read again, and the journal says so before and after.

use std::fmt::Write as _;
use std::process::Stdio;

use crate::support::{
    Daemon, add_github, events, events_named, eventually, fail, json, own_profile, palyra, run, state_root,
    succeed, write_private,
};

#[test]
fn a_reload_is_journaled_before_and_after_however_much_it_changes() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let profile = std::fs::read_to_string("schemas/providers/github.toml").unwrap();
    own_profile(root.path(), "mine", &profile.replace("name = \"github\"", "name = \"mine\""));
    let registry = root.path().join("webhooks.toml");
    let mut text = std::fs::read_to_string(&registry).unwrap();
    for n in 0..600 {
        let id = format!("{n:03}{}", "x".repeat(61));
        let secret = "secret_vault_ref = \"global/github\"";
        write!(text, "\n[[webhooks]]\nintegration_id = \"{id}\"\nprovider = \"mine\"\n{secret}\n").unwrap();
    }
    write_private(&registry, &text);
    daemon.signal("HUP");
    let reloaded = || events_named(root.path(), "registry.reloaded");
    eventually("it is reloaded", || !reloaded().is_empty());
    let details = &reloaded()[0]["details"];
    assert_eq!((&details["added"]["count"], &details["removed"]["count"]), (&600.into(), &0.into()));
    assert_eq!(details["profiles"]["names"], serde_json::json!(["mine"]));
    let asked = events_named(root.path(), "registry.reload.asked");
    assert_eq!(asked.len(), 1);
    assert!(asked[0]["seq"].as_u64() < reloaded()[0]["seq"].as_u64());
}

fn log_of(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_reload_tells_what_it_read_and_that_changed_settings_wait_for_a_restart() {
    let (root, elsewhere) = (state_root(), state_root());
    let log = elsewhere.path().join("log");
    add_github(root.path());
    let daemon = Daemon::logging_to(root.path(), std::fs::File::create(&log).unwrap(), &[], &[]);
    daemon.signal("HUP");
    eventually("it says what was read", || log_of(&log).contains("added=0 removed=0 changed=0 profiles=0"));
    assert!(!log_of(&log).contains("settings"), "{}", log_of(&log));
    let settings = root.path().join("palyra.toml");
    write_private(&settings, "workers = 3\n");
    daemon.signal("HUP");
    eventually("the change is told", || {
        log_of(&log).contains("the new settings take effect after a restart")
    });
    write_private(&settings, "workers = 0\n");
    daemon.signal("HUP");
    eventually("the fault is named", || log_of(&log).contains("workers is 0, which is not within 1 to 256"));
}

#[test]
fn a_reload_that_is_asked_for_tells_what_changed_and_is_journaled_like_a_signal() {
    let root = state_root();
    let _daemon = Daemon::with_github(root.path());
    let registry = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    write_private(&registry, &text.replace("\"gh\"", "\"hub\""));
    let reloaded = json(root.path(), &["system", "reload"]);
    assert_eq!(
        (&reloaded["added"], &reloaded["removed"]),
        (&serde_json::json!(["hub"]), &serde_json::json!(["gh"]))
    );
    assert!(reloaded["settings"].is_null(), "{reloaded}");
    write_private(&root.path().join("palyra.toml"), "workers = 0\n");
    let output = run(root.path(), &["system", "reload"], b"");
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.success() && warned.contains("workers is 0, which is not within 1 to 256"),
        "{warned}"
    );
    for name in ["registry.reload.asked", "registry.reloaded"] {
        let rows = events_named(root.path(), name);
        assert!(rows.len() == 2 && rows.iter().all(|row| row["principal"] == "console"), "{rows:?}");
    }
}

#[test]
fn a_reload_that_is_asked_for_and_refused_names_file_line_and_field_and_ends_with_1() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let registry = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    write_private(&registry, &text.replace("provider = \"github\"", "provider = \"githab\""));
    let output = run(root.path(), &["system", "reload"], b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = 1 + text.lines().position(|line| line.starts_with("provider")).unwrap();
    let place = format!("{}:{line}:", registry.display());
    assert!(said.contains(&place) && said.contains("provider") && said.contains("`github`"), "{said}");
    assert_eq!(daemon.github("push", "1", "{}").status, 202, "what was in force stays so");
    assert_eq!(events_named(root.path(), "registry.reload.refused").len(), 1);
    write_private(&registry, &text);
    assert!(succeed(root.path(), &["system", "reload"], b"").contains("changed"));
}

#[test]
fn a_profile_with_a_fault_is_not_told_as_a_fault_of_webhooks_toml() {
    let (root, elsewhere) = (state_root(), state_root());
    let log = elsewhere.path().join("log");
    add_github(root.path());
    let daemon = Daemon::logging_to(root.path(), std::fs::File::create(&log).unwrap(), &[], &[]);
    own_profile(root.path(), "acme", "nmae = 1\n");
    daemon.signal("HUP");
    eventually("it is refused", || log_of(&log).contains("the reload was refused"));
    assert!(log_of(&log).contains("acme.toml:1:1") && !log_of(&log).contains("webhooks.toml"));
}

#[test]
fn the_built_in_profiles_are_shown_whatever_fault_the_configured_ones_have() {
    let root = state_root();
    add_github(root.path());
    let registry = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&registry).unwrap();
    write_private(&registry, &text.replace("provider = \"github\"", "provider = \"gone\""));
    for args in [&["providers", "list"][..], &["providers", "show", "github"]] {
        let output = run(root.path(), args, b"");
        let (said, warned) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success() && said.contains("github"), "{said}{warned}");
        assert!(warned.contains("unknown provider `gone`") && warned.contains("built-in"), "{warned}");
    }
    let line = 1 + text.lines().position(|line| line.starts_with("provider")).unwrap();
    let by_hand = format!("correct {} by hand, in line {line}", registry.display());
    for args in [&["webhooks", "list"][..], &["webhooks", "remove", "gh"], &["vault", "list"]] {
        let fault = run(root.path(), args, b"");
        let said = String::from_utf8(fault.stderr).unwrap();
        assert_eq!(fault.status.code(), Some(78));
        assert!(said.contains(&by_hand), "{said}");
    }
}

#[test]
fn a_reload_without_webhooks_toml_is_refused_and_deliveries_go_on() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let (registry, aside) = (root.path().join("webhooks.toml"), root.path().join("aside"));
    let is_well = || run(root.path(), &["system", "heartbeat"], b"").status.success();
    std::fs::rename(&registry, &aside).unwrap();
    daemon.signal("HUP");
    eventually("the reload is refused", || !events_named(root.path(), "registry.reload.refused").is_empty());
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    assert!(!is_well());
    for args in [&["webhooks", "disable", "gh"][..], &["webhooks", "set", "gh", "--display-name", "Hub"]] {
        let said = fail(root.path(), args, 1);
        assert!(said.contains("`webhooks.toml` is missing") && said.contains("put the file back"), "{said}");
        assert!(!said.contains("edited"), "{said}");
    }
    assert!(!registry.try_exists().unwrap(), "none is made in its place");
    std::fs::rename(&aside, &registry).unwrap();
    daemon.signal("HUP");
    eventually("it is well again", is_well);
}

#[test]
fn a_start_without_webhooks_toml_is_refused_where_the_journal_knows_of_integrations() {
    let start = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    let root = state_root();
    add_github(root.path());
    let registry = root.path().join("webhooks.toml");
    std::fs::remove_file(&registry).unwrap();
    for args in [&start[..], &["daemon", "--check"]] {
        let output = run(root.path(), args, b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{args:?}: {said}");
        assert!(said.contains(registry.to_str().unwrap()) && said.contains("`version = 1`"), "{said}");
    }
    assert!(!events(root.path()).is_empty(), "what there is can be read");
    write_private(&registry, "version = 1\n");
    drop(Daemon::start(root.path()));
}

#[test]
fn no_command_takes_a_webhooks_toml_that_was_lost_for_an_empty_one() {
    let root = state_root();
    add_github(root.path());
    let registry = root.path().join("webhooks.toml");
    std::fs::remove_file(&registry).unwrap();
    let needing = [
        &["webhooks", "list"][..],
        &["webhooks", "add", "new", "github", "--secret-ref", "global/github"],
        &["webhooks", "explain", "gh"],
        &["vault", "remove", "global/github"],
    ];
    for args in needing {
        let refused = run(root.path(), args, b"");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(78), "{args:?}: {said}");
        assert!(said.contains(registry.to_str().unwrap()) && said.contains("may have been in it"), "{said}");
    }
    assert_eq!(registry.try_exists().ok(), Some(false), "none was made");
    for args in [&["providers", "list"][..], &["journal", "export"], &["system", "event", "tail"]] {
        let output = run(root.path(), args, b"");
        assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn a_state_root_that_never_had_an_integration_needs_no_webhooks_toml() {
    let root = state_root();
    drop(Daemon::start(root.path()));
    let refused = run(root.path(), &["webhooks", "add", "gh", "none", "--secret-ref", "global/x"], b"");
    assert!(!refused.status.success());
    let registry = root.path().join("webhooks.toml");
    assert!(std::fs::read_to_string(&registry).unwrap().ends_with("\nversion = 1\n"), "it got one");
    std::fs::remove_file(&registry).unwrap();
    succeed(root.path(), &["daemon", "--check"], b"");
    drop(Daemon::start(root.path()));
}

#[test]
fn a_first_integration_that_was_interrupted_can_be_added_again_and_a_file_that_is_lost_then_is_refused() {
    let root = state_root();
    let add = ["webhooks", "add", "gh", "github", "--secret-ref", "global/github"];
    let mut first = palyra(root.path());
    let first = first.args(add).env("FAILPOINTS", "registry::change=sleep(60000)");
    let mut first = first.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = root.path().join("journal.db-wal");
    let name = b"registry.webhook.create";
    eventually("it is journaled", || {
        std::fs::read(&log).is_ok_and(|log| log.windows(name.len()).any(|bytes| bytes == name))
    });
    first.kill().unwrap();
    first.wait().unwrap();
    succeed(root.path(), &["daemon", "--check"], b"");
    // The secret is not stored, so it stays disabled.
    assert_eq!(run(root.path(), &add, b"").status.code(), Some(1));
    std::fs::remove_file(root.path().join("webhooks.toml")).unwrap();
    for args in [&["daemon", "--check"][..], &add] {
        assert_eq!(run(root.path(), args, b"").status.code(), Some(78), "{args:?}");
    }
}

#[test]
fn a_profile_that_takes_the_place_of_a_built_in_one_is_told_at_a_start_and_at_a_reload() {
    let (root, elsewhere) = (state_root(), state_root());
    let log = elsewhere.path().join("log");
    let profile = std::fs::read_to_string("schemas/providers/github.toml").unwrap();
    own_profile(root.path(), "acme", &profile);
    let daemon = Daemon::logging_to(root.path(), std::fs::File::create(&log).unwrap(), &[], &[]);
    let told = |name: &str| {
        let is_told = |line: &&str| line.contains("replaces the built-in one") && line.contains(name);
        log_of(&log).lines().filter(is_told).count()
    };
    eventually("it is told", || told("acme.toml") == 1);
    for name in ["own", "gitlab"] {
        own_profile(root.path(), name, &profile.replace("\"github\"", &format!("\"{name}\"")));
    }
    daemon.signal("HUP");
    eventually("it is told again", || told("acme.toml") == 2 && told("gitlab.toml") == 1);
    assert_eq!(told("own.toml"), 0);
}

#[test]
fn a_fault_of_the_file_itself_is_refused_as_invalid_by_a_reload_and_by_a_change() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let (registry, aside) = (root.path().join("webhooks.toml"), root.path().join("aside"));
    let ask = |path: &str, body: &str| daemon.console(root.path(), "POST", path, body.as_bytes());
    let open_to_others = || std::os::unix::fs::PermissionsExt::from_mode(0o644);
    type Spoil<'a> = (&'a str, &'a dyn Fn());
    let spoils: [Spoil<'_>; 5] = [
        ("chmod 600", &|| {
            std::fs::copy(&aside, &registry).unwrap();
            std::fs::set_permissions(&registry, open_to_others()).unwrap();
        }),
        ("is not UTF-8", &|| {
            write_private(&registry, "");
            std::fs::write(&registry, b"version = 1 # \xff\n").unwrap();
        }),
        ("is not a regular file", &|| std::fs::create_dir(&registry).unwrap()),
        ("is a symbolic link", &|| std::os::unix::fs::symlink(&aside, &registry).unwrap()),
        ("is larger than", &|| write_private(&registry, &" ".repeat((4 << 20) + 1))),
    ];
    std::fs::rename(&registry, &aside).unwrap();
    for (why, spoil) in spoils {
        spoil();
        for answer in [
            ask("/console/v1/system/reload", "{}"),
            ask("/console/v1/webhooks/gh/enabled", "{\"enabled\": true}"),
        ] {
            assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("invalid")), "{answer:?}");
            let detail = answer.json()["detail"].to_string();
            assert!(detail.contains(why) && detail.contains("webhooks.toml"), "{detail}");
        }
        if registry.is_dir() { std::fs::remove_dir(&registry) } else { std::fs::remove_file(&registry) }
            .unwrap();
    }
    std::fs::rename(&aside, &registry).unwrap();
    succeed(root.path(), &["system", "reload"], b"");
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
}
