//! `SIGHUP`: the registry and the operator's profiles are read again, and the journal says so before and after.

use std::fmt::Write as _;
use std::os::unix::fs::DirBuilderExt as _;

use crate::support::{Daemon, events_named, eventually, state_root, write_private};

#[test]
fn a_reload_is_journaled_before_and_after_however_much_it_changes() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let profiles = root.path().join("providers");
    std::fs::DirBuilder::new().mode(0o700).create(&profiles).unwrap();
    let profile = std::fs::read_to_string("schemas/providers/github.toml").unwrap();
    write_private(&profiles.join("mine.toml"), &profile.replace("name = \"github\"", "name = \"mine\""));
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
