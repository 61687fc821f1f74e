use serde_json::{Value, json};

use crate::cli::testing::{Ran, Stub, answer, palyra, palyra_with};

fn github() -> Value {
    json!({"name": "github", "title": "GitHub", "scheme": "mac", "algorithm": "hmac-sha256",
        "signature": "header X-Hub-Signature-256", "signed_content": "{body}", "timestamp": false, "tolerance_seconds": 0,
        "id_signed": false, "replay_key": "digest", "handshakes": [], "parameters": [], "answer": "2xx within 10 s",
        "retries": null, "notes": ["be quick"], "docs": "https://docs.github.com", "origin": "built_in",
        "profile_toml": "name = \"github\"\ntitle = \"GitHub\u{1b}[2J\"\n"})
}

#[test]
fn the_list_is_a_table_of_profiles() {
    let mut own = github();
    own["origin"] = json!({"own": {"file": "/srv/p/github.toml", "shadows_built_in": true}});
    let ran =
        palyra("providers list", &Stub::answering([answer(200, &json!({"providers": [github(), own]}))]));
    assert_eq!(
        ran.stdout,
        "\
name    title   scheme  algorithm    signature                   timestamp  signed id  origin
github  GitHub  mac     hmac-sha256  header X-Hub-Signature-256  no         no         built-in
github  GitHub  mac     hmac-sha256  header X-Hub-Signature-256  no         no         replaces the built-in one: /srv/p/github.toml
"
    );
}

#[test]
fn a_profile_is_shown_with_its_file() {
    let ran = palyra("providers show github", &Stub::answering([answer(200, &github())]));
    assert!(ran.stdout.contains("documentation          https://docs.github.com\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.ends_with("Profile\nname = \"github\"\ntitle = \"GitHub\\u{1b}[2J\"\n"),
        "{}",
        ran.stdout
    );
    let ran = palyra("--quiet providers show github", &Stub::answering([answer(200, &github())]));
    assert!(ran.stdout.starts_with("name = \"github\"\n"), "{}", ran.stdout);
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest() {
    let missing = || answer(404, &json!({"title": "no such profile", "code": "provider_not_found"}));
    let list = || answer(200, &json!({"providers": [github(), {"name": "stripe"}]}));
    let ran = palyra("providers show gihtub", &Stub::answering([missing(), list()]));
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (1, "palyra: no such profile\n  hint: did you mean `github`?\n")
    );
    let ran = palyra("providers show zzz", &Stub::answering([missing(), list()]));
    assert!(ran.stderr.contains("palyra providers list"), "{}", ran.stderr);
}

#[test]
fn the_hint_of_the_console_goes_first() {
    let missing = answer(
        404,
        &json!({"title": "no such profile", "code": "provider_not_found", "hint": "did you mean `gitlab`?"}),
    );
    let ran = palyra("providers show gitla", &Stub::answering([missing]));
    assert!(ran.stderr.contains("`gitlab`"), "{}", ran.stderr);
}

const GITHUB: &str = include_str!("../../../schemas/providers/github.toml");

/// Runs a command over files with these names and contents; no console may be used.
fn over_files(words: &[&str], files: &[(&str, &str)]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let paths = files.iter().map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    });
    let paths: Vec<String> = paths.collect();
    let words = words.iter().map(|word| match word.strip_prefix('@') {
        Some(index) => paths[index.parse::<usize>().unwrap()].as_str(),
        None => word,
    });
    let ran = palyra_with(&words.collect::<Vec<_>>(), b"", &Stub::answering([]));
    assert!(ran.needs.is_empty(), "no console is needed");
    let told = |text: &str| text.replace(&folder.path().display().to_string(), "DIR");
    Ran { stdout: told(&ran.stdout), stderr: told(&ran.stderr), ..ran }
}

#[test]
fn lint_tells_the_line_and_the_remedy_and_fails_on_an_error() {
    let right = over_files(&["providers", "lint", "@0"], &[("github.toml", GITHUB)]);
    assert_eq!((right.code, right.stdout.as_str()), (0, ""));
    assert!(right.stderr.contains("errors: 0"), "{}", right.stderr);
    let wrong = GITHUB.replace("signed = false", "signed = true");
    let ran = over_files(&["providers", "lint", "@0", "@1"], &[("github.toml", GITHUB), ("b.toml", &wrong)]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.starts_with("DIR/b.toml:30:1: error[unsigned_id]: delivery_id.signed: the signature"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("\n  remedy: set `signed = false`"), "{}", ran.stdout);
    let unreadable = GITHUB.replace("encoding", "encodng");
    let ran = over_files(&["--json", "providers", "lint", "@0"], &[("c.toml", &unreadable)]);
    let finding = &ran.json()["findings"][0];
    assert_eq!(
        (ran.code, &finding["rule"], &finding["line"]),
        (1, &json!("unreadable"), &json!(10)),
        "{finding}"
    );
    assert!(finding["remedy"].as_str().unwrap().contains("did you mean `encoding`?"), "{finding}");
}

#[test]
fn what_cannot_be_read_is_quoted_with_a_remedy_of_its_own() {
    let told = |from: &str, to: &str| {
        let ran =
            over_files(&["--json", "providers", "lint", "@0"], &[("c.toml", &GITHUB.replace(from, to))]);
        let finding = ran.json()["findings"][0].clone();
        (finding["message"].as_str().unwrap().to_owned(), finding["remedy"].as_str().unwrap().to_owned())
    };
    let (message, remedy) = told("\"hmac-sha256\"", "\"hmac-sha265\"");
    assert!(
        message.starts_with("`hmac-sha265` is not an algorithm of `mac`; its algorithms are hmac-sha1,"),
        "{message}"
    );
    assert_eq!(remedy, "did you mean `hmac-sha256`?");
    let (message, remedy) = told("version = 1", "version = 0");
    assert!(message == "1 was expected" && remedy.contains("docs/profiles.md"), "{message}: {remedy}");
}

const VECTORS: &str = include_str!("../../../tests/vectors/github.jsonl");

#[test]
fn check_tells_each_case_and_fails_on_a_difference() {
    let ran = over_files(&["providers", "check", "@0"], &[("v.jsonl", VECTORS)]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), VECTORS.lines().count() + 1);
    let wrong = VECTORS.replacen("\"expect\": \"accept\"", "\"expect\": \"reject\"", 1);
    let ran = over_files(&["--json", "providers", "check", "@0"], &[("v.jsonl", &wrong)]);
    assert_eq!((ran.code, &ran.json()["differences"]), (1, &json!(1)));
    let renamed = VECTORS.replace("\"github\"", "\"mine\"");
    let own = GITHUB.replace("name = \"github\"", "name = \"mine\"");
    let files = [("v.jsonl", renamed.as_str()), ("own.toml", own.as_str())];
    assert_eq!(over_files(&["providers", "check", "@0", "--profile", "@1"], &files).code, 0);
    let ran = over_files(&["providers", "check", "@0"], &files);
    assert!(
        ran.code == 1 && ran.stdout.contains("no profile `mine` is built in or given with --profile"),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_a_case_leaves_open_may_be_anything() {
    let first = VECTORS.lines().next().unwrap();
    let case = |changes: &[(&str, Value)]| {
        let mut case: Value = serde_json::from_str(first).unwrap();
        for (name, value) in changes {
            case[*name] = value.clone();
        }
        over_files(&["providers", "check", "@0"], &[("v.jsonl", &case.to_string())]).code
    };
    let refused = |reason: Value| {
        let nothing = json!(null);
        let said = [("event_type", nothing.clone()), ("delivery_id", nothing), ("reason", reason)];
        case(&[&said[..], &[("body_base64", json!("")), ("expect", json!("reject"))]].concat())
    };
    assert_eq!(refused(json!(null)), 0, "any reason");
    assert_eq!(refused(json!("bad_signature")), 0);
    assert_eq!(refused(json!("bad_claim")), 1);
    let open = [("event_type", json!(null)), ("delivery_id", json!(null))];
    assert_eq!(case(&open), 0);
    assert_eq!(case(&[("event_type", json!("pong"))]), 1);
    assert_eq!(case(&[("delivery_id", json!("1"))]), 1);
}

#[test]
fn a_case_of_words_that_are_not_known_is_none() {
    for (right, wrong) in [("\"accept\"", "\"acept\""), ("\"reason\": null", "\"reason\": \"nope\"")] {
        let text = VECTORS.replacen(right, wrong, 1);
        let ran = over_files(&["providers", "check", "@0"], &[("v.jsonl", &text)]);
        assert!(
            ran.code == 1 && ran.stderr.contains("DIR/v.jsonl:1: this line is not a case"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn what_cannot_be_checked_is_refused_with_its_place() {
    let ran = over_files(&["providers", "check", "@0"], &[("v.jsonl", "\n{\"provider\": 1}\n")]);
    assert!(ran.code == 1 && ran.stderr.contains("DIR/v.jsonl:2: this line is not a case"), "{}", ran.stderr);
    let ran = over_files(&["providers", "check", "@0"], &[("v.jsonl", "\n")]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let wrong = GITHUB.replace("signed = false", "signed = true");
    let files = [("v.jsonl", VECTORS), ("own.toml", wrong.as_str())];
    let ran = over_files(&["providers", "check", "@0", "--profile", "@1"], &files);
    assert!(ran.code == 78 && ran.stderr.contains("DIR/own.toml:30:1"), "{}", ran.stderr);
    assert!(
        over_files(&["providers", "lint", "nowhere.toml"], &[]).stderr.contains("cannot read nowhere.toml")
    );
}
