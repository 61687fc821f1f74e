//! Profiles of the operator's own.

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use serde_json::json;

use crate::support::{
    Daemon, SECRET, add_github, events_named, fail, github_signature, json as json_of, state_root, succeed,
    write_private,
};

const GITHUB_TOML: &str = include_str!("../schemas/providers/github.toml");

/// Puts a profile of the operator's own into the state root.
fn own_profile(root: &Path, text: &str) {
    let folder = root.join("providers");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
    write_private(&folder.join("own.toml"), text);
}

#[test]
fn a_profile_of_ones_own_is_used_and_says_what_it_hides() {
    let root = state_root();
    own_profile(root.path(), &GITHUB_TOML.replace("X-Hub-Signature-256", "X-Own-Signature"));
    add_github(root.path());
    let daemon = Daemon::start(root.path());
    let signature = github_signature(SECRET, b"{}");
    let send = |header: &str| {
        let headers =
            [("Content-Type", "application/json"), ("X-GitHub-Event", "push"), (header, &*signature)];
        daemon.post("gh", &headers, b"{}").status
    };
    assert_eq!((send("X-Own-Signature"), send("X-Hub-Signature-256")), (202, 401));
    let list = succeed(root.path(), &["providers", "list"], b"");
    let line = list.lines().find(|line| line.starts_with("github ")).unwrap();
    assert!(line.contains("replaces the built-in one: "), "{line}");
    let shown = json_of(root.path(), &["providers", "show", "github"]);
    assert_eq!(shown["origin"]["own"]["shadows_built_in"], true);
}

#[test]
fn a_profile_that_makes_a_mistake_is_refused_with_file_and_line() {
    let root = state_root();
    own_profile(root.path(), &GITHUB_TOML.replace("signed = false", "signed = true"));
    let said = fail(root.path(), &["daemon"], 78);
    assert!(said.contains("providers/own.toml:30:1: delivery_id.signed: "), "{said}");
    assert!(said.contains("set `signed = false`"), "{said}");
    assert!(fail(root.path(), &["webhooks", "list"], 78).contains("own.toml:30:1"));
}

#[test]
fn two_profiles_of_one_name_are_refused() {
    let root = state_root();
    own_profile(root.path(), GITHUB_TOML);
    write_private(&root.path().join("providers/zzz.toml"), GITHUB_TOML);
    let said = fail(root.path(), &["daemon"], 78);
    assert!(
        said.contains("zzz.toml:2:")
            && said.contains("`github` is also that of")
            && said.contains("own.toml"),
        "{said}"
    );
}

#[test]
fn plain_text_is_taken_where_a_profile_says_so() {
    let root = state_root();
    let text = GITHUB_TOML.replace("content = [\"json\", \"form\"]", "content = [\"text\"]");
    assert_ne!(text, GITHUB_TOML);
    own_profile(root.path(), &text);
    let daemon = Daemon::with_github(root.path());
    let post = |typed: &str, body: &[u8]| {
        let signature = github_signature(SECRET, body);
        let headers =
            [("Content-Type", typed), ("X-GitHub-Event", "push"), ("X-Hub-Signature-256", &*signature)];
        daemon.post("gh", &headers, body).status
    };
    assert_eq!(post("text/plain; charset=utf-8", b"disk \"full\" on a\n"), 202);
    assert_eq!(post("application/json", b"{}"), 415);
    assert_eq!(post("text/plain", b"\xff"), 422);
    let taken = events_named(root.path(), "push").remove(0);
    assert_eq!(taken["envelope"]["payload"], json!({"text": "disk \"full\" on a\n"}), "{taken}");
}
