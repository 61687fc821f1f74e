//! Files that are edited are old or new after a kill, never partial.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::dice::Dice;
use crate::support::seed::scaled;
use crate::support::{add_github, json, palyra, state_root, succeed};

fn integrations(root: &Path) -> BTreeSet<String> {
    let listed = json(root, &["webhooks", "list"]);
    let ids = listed["webhooks"].as_array().unwrap().iter();
    ids.map(|hook| hook["integration_id"].as_str().unwrap().to_owned()).collect()
}

fn secrets(root: &Path) -> BTreeSet<String> {
    let listed = json(root, &["vault", "list"]);
    let refs = listed["secrets"].as_array().unwrap().iter();
    refs.map(|secret| secret["vault_ref"].as_str().unwrap().to_owned()).collect()
}

/// Starts an edit and kills it after so long; says whether it was done before.
fn cut_short(root: &Path, args: &[&str], after: Duration) -> bool {
    let mut child = palyra(root)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap().success()
}

/// What a file holds after an edit that was killed: nothing else than before or than after it.
fn is_old_or_new(found: &BTreeSet<String>, old: &BTreeSet<String>, edited: &str, was_done: bool) -> bool {
    let mut new = old.clone();
    new.insert(edited.to_owned());
    *found == new || (*found == *old && !was_done)
}

#[test]
fn registry_and_vault_are_old_or_new_after_a_kill_at_any_instant() {
    let root = state_root();
    add_github(root.path());
    let mut dice = Dice::new();
    let value = root.path().with_extension("value");
    std::fs::write(&value, "a value").unwrap();
    let (mut hooks, mut keys) = (integrations(root.path()), secrets(root.path()));
    let (mut done, mut undone) = (0, 0);
    // Follows the edits, however busy the machine is: longer after a kill that came before, shorter after one too late.
    let mut aim_us = 10_000;
    for round in 0..scaled(20, 500) {
        let after = Duration::from_micros(dice.below(2 * aim_us) as u64);
        let (hook, key) = (format!("hook-{round}"), format!("global/key-{round}"));
        let was_done = if dice.below(2) == 0 {
            let args = ["webhooks", "add", &hook, "github", "--secret-ref", "global/github"];
            cut_short(root.path(), &args, after)
        } else {
            cut_short(root.path(), &["vault", "put", &key, "--value-file", value.to_str().unwrap()], after)
        };
        let (found_hooks, found_keys) = (integrations(root.path()), secrets(root.path()));
        assert!(
            is_old_or_new(&found_hooks, &hooks, &hook, was_done && found_keys == keys)
                && is_old_or_new(&found_keys, &keys, &key, was_done && found_hooks == hooks),
            "round {round}: {found_hooks:?} {found_keys:?}"
        );
        let changed = found_hooks.len() + found_keys.len() - hooks.len() - keys.len();
        (done, undone) = (done + changed, undone + 1 - changed);
        aim_us = if changed == 0 { aim_us * 3 / 2 } else { aim_us * 2 / 3 };
        (hooks, keys) = (found_hooks, found_keys);
    }
    println!("{done} edits were done before the kill, {undone} were not");
    assert!(done > 0 && undone > 0, "the kills come too early or too late to show anything");
    succeed(root.path(), &["journal", "verify"], b"");
    std::fs::remove_file(value).unwrap();
}

#[test]
fn an_edit_that_took_something_else_away_would_be_seen() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let old = set(&["a", "b"]);
    assert!(
        is_old_or_new(&set(&["a", "b"]), &old, "c", false)
            && is_old_or_new(&set(&["a", "b", "c"]), &old, "c", true)
    );
    assert!(!is_old_or_new(&set(&["a", "b"]), &old, "c", true), "a done edit is undone");
    assert!(
        !is_old_or_new(&set(&["a", "c"]), &old, "c", false) && !is_old_or_new(&set(&[]), &old, "c", false)
    );
}
