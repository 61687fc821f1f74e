//! What is said of arguments that cannot mean anything, on the command line and in requests to the console.

use crate::support::{Daemon, add_github, run, state_root, write_private};

/// Runs what must fail with `code`, and gives what it said.
fn failed(root: &std::path::Path, args: &[&str], code: i32) -> String {
    let output = run(root, args, b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    said
}

#[test]
fn an_empty_name_is_a_mistake_of_the_command_line_and_the_argument_is_named() {
    let root = state_root();
    add_github(root.path());
    for (args, name) in [
        (&["vault", "remove", ""][..], "<REF>"),
        (&["vault", "put", ""], "<REF>"),
        (&["vault", "rotate", ""], "<REF>"),
        (&["vault", "retire", ""], "<REF>"),
        (&["webhooks", "show", ""], "<ID>"),
        (&["webhooks", "enable", ""], "<ID>"),
        (&["webhooks", "remove", ""], "<ID>"),
        (&["webhooks", "set", "", "--all-events"], "<ID>"),
        (&["webhooks", "send", "", "--event", "push"], "<ID>"),
        (&["webhooks", "test", "", "--payload-stdin"], "<ID>"),
        (&["webhooks", "add", "", "github", "--allow-unsigned"], "<ID>"),
        (&["webhooks", "explain", ""], "<ID|REFUSAL|EVENT|DELIVERY>"),
        (&["system", "event", "show", ""], "<SEQ|EVENT_ID>"),
        (&["journal", "prove", ""], "<SEQ|EVENT_ID>"),
        (&["providers", "show", ""], "<NAME>"),
    ] {
        let said = failed(root.path(), args, 2);
        assert!(said.contains(name), "{args:?}: {said}");
    }
}

#[test]
fn what_was_mistyped_is_quoted_without_characters_that_steer_the_terminal() {
    let root = state_root();
    let evil = "x\u{1b}[31m\u{202e}\n  hint: all is well";
    let quoted = "x\\u{1b}[31m\\u{202e}\\n  hint: all is well";
    let flag = format!("--{evil}");
    for args in [
        &[evil][..],
        &[&flag],
        &["webhooks", evil],
        &["webhooks", "list", evil],
        &["webhooks", "show", "gh", &flag],
        &["webhooks", "list", "--enabled", evil],
        &["system", "event", "list", "--limit", evil],
        &["system", "event", "list", "--since", evil],
        &["system", "event", "emit", "x", "--details", evil],
        &["webhooks", "add", "a", "github", "--parameter", evil],
        &["webhooks", "test", "gh", "--payload-stdin", "--header", evil],
        &["daemon", "--ingress", evil],
        &["completions", evil],
    ] {
        let said = failed(root.path(), args, 2);
        assert!(!said.contains(['\u{1b}', '\u{202e}']) && !said.contains("\n  hint: all"), "{said:?}");
        assert!(said.contains(quoted), "{said}");
        let said = failed(root.path(), &[&["--json"], args].concat(), 2);
        let document: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert!(document["error"]["message"].as_str().unwrap().contains(quoted), "{said}");
    }
}

#[test]
fn an_empty_file_of_a_key_is_named_and_no_flag_that_the_command_has_not() {
    let root = state_root();
    add_github(root.path());
    let empty = root.path().join("empty.pem");
    write_private(&empty, "\n");
    let file = empty.to_str().unwrap();
    for args in [
        &["webhooks", "send", "gh", "--event", "push", "--private-key-file", file][..],
        &["vault", "put", "global/x", "--value-file", file],
    ] {
        let said = failed(root.path(), args, 2);
        assert!(said.contains(&format!("{file} is empty")) && !said.contains("--value-file"), "{said}");
    }
}

#[test]
fn published_keys_of_a_provider_that_publishes_none_are_told_as_that() {
    let root = state_root();
    add_github(root.path());
    let said = failed(root.path(), &["webhooks", "set", "gh", "--published-keys"], 1);
    assert!(said.contains("the provider publishes no keys"), "{said}");
}

#[test]
fn what_is_wrong_with_an_emitted_event_is_told_in_words() {
    let root = state_root();
    let _daemon = Daemon::start(root.path());
    let said = failed(root.path(), &["system", "event", "emit", "Not A Name"], 1);
    assert!(said.contains("  - name: ") && !said.contains("{\""), "{said}");
    for tag in ["t".repeat(65), "é".repeat(33)] {
        let said = failed(root.path(), &["system", "event", "emit", "n", "--tag", "a", "--tag", &tag], 1);
        assert!(said.contains("  - tags[1]: must have at most 64 bytes\n"), "{said}");
    }
}

#[test]
fn a_refused_request_to_the_console_is_told_what_to_send_instead() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let ask =
        |method: &str, path: &str| daemon.console(root.path(), method, &format!("/console/v1{path}"), b"");
    for (path, told) in [
        ("/system/events?after=x", "`after`: expected a whole number"),
        ("/system/events?limit=-1", "`limit`: expected a whole number"),
        ("/system/events?since=1h", "`since`: expected a time as a whole number of milliseconds since 1970"),
        ("/journal/consistency?old=x&new=1", "`old`: expected a whole number"),
    ] {
        let answer = ask("GET", path);
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"bad_request".into()), "{answer:?}");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with(told), "{answer:?}");
    }
    let needed = ask("DELETE", "/vault/global%2Fgithub");
    assert_eq!((needed.status, &needed.json()["code"]), (409, &"in_use".into()), "{needed:?}");
    let hint = needed.json()["hint"].as_str().unwrap().to_owned();
    assert!(hint.contains("`?force=true`") && !hint.contains("--force"), "{hint}");
    let said = failed(root.path(), &["vault", "remove", "global/github"], 1);
    assert!(said.contains("`--force` removes the secret anyway") && !said.contains("force=true"), "{said}");
}
