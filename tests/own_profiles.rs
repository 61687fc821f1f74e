//! Profiles of the operator's own.

use serde_json::json;

use crate::support::{
    Daemon, SECRET, add_github, events_named, fail, github_signature, json as json_of, own_profile, run,
    state_root, succeed, write_private,
};

const GITHUB_TOML: &str = include_str!("../schemas/providers/github.toml");

#[test]
fn a_profile_of_ones_own_is_used_and_says_what_it_hides() {
    let root = state_root();
    own_profile(root.path(), "own", &GITHUB_TOML.replace("X-Hub-Signature-256", "X-Own-Signature"));
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
    own_profile(root.path(), "own", &GITHUB_TOML.replace("signed = false", "signed = true"));
    let said = fail(root.path(), &["daemon"], 78);
    assert!(said.contains("providers/own.toml:30:1: delivery_id.signed: "), "{said}");
    assert!(said.contains("set `signed = false`"), "{said}");
    assert!(fail(root.path(), &["webhooks", "list"], 78).contains("own.toml:30:1"));
}

#[test]
fn two_profiles_of_one_name_are_refused() {
    let root = state_root();
    own_profile(root.path(), "own", GITHUB_TOML);
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
    own_profile(root.path(), "own", &text);
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

/// A profile with these lines in its only scheme.
fn with_scheme(scheme: &str) -> String {
    format!(
        "version = 1\nname = \"own\"\ntitle = \"Own\"\ndocs = \"https://own.example/\"\ncontent = [\"json\"]\n\n[[auth]]\n{scheme}\n\n\
         [event]\nfrom = [{{ json = \"/type\" }}]\ndefault = \"delivery\"\n"
    )
}

#[test]
fn a_value_of_another_type_or_scheme_is_told_with_what_to_write() {
    let signed = |table: &str, algorithm: &str, key: &str| {
        format!(
            "[auth.{table}]\nalgorithm = \"{algorithm}\"\nkey = {key}\ncontent = \"{{body}}\"\n\
             signature = {{ from = {{ header = \"S\" }}, encoding = \"hex\" }}"
        )
    };
    let jwt = |more: &str| format!("[auth.jwt]\nalgorithm = \"HS256\"\n{more}");
    let own = "its algorithms are ed25519, ecdsa-p256-sha256, ecdsa-p256-sha256-raw,";
    let from = "from = { header = \"Authorization\" }\nscheme = \"bearer\"\n";
    let table = [
        (signed("mac", "hmac-sha256", "\"hex\""), "write `key = { decode = \"hex\" }`"),
        (signed("public_key", "ed25519", "\"pem\""), "write `key = { decode = \"pem\" }`"),
        (signed("public_key", "ecdsa-p256", "{ decode = \"pem\" }"), own),
        (signed("public_key", "ecdsa-p256", "{ decode = \"pem\" }"), "did you mean `ecdsa-p256-sha256`?"),
        (signed("public_key", "hmac-sha256", "{ decode = \"pem\" }"), own),
        (
            signed("public_key", "sha256", "{ decode = \"pem\" }"),
            "`sha256` is not an algorithm of `public_key`",
        ),
        (signed("certificate", "rsa-pss-sha256", "{ decode = \"pem\" }"), "did you mean `rsa-sha256`?"),
        (jwt("from = \"Authorization\""), "write `from = { FIELD = … }`, where FIELD is one of const, form,"),
        (jwt(&format!("{from}claims = {{ iss = \"https://own.example\" }}")), "write `iss = […]`"),
        (jwt(&format!("{from}claims = [\"iss\"]")), "write `claims = { NAME = … }`"),
    ];
    let root = state_root();
    let file = root.path().join("own.toml");
    for (scheme, told) in table {
        write_private(&file, &with_scheme(&scheme));
        let linted = run(root.path(), &["providers", "lint", file.to_str().unwrap()], b"");
        let said = String::from_utf8(linted.stdout).unwrap();
        assert_eq!(linted.status.code(), Some(1), "{said}");
        assert!(said.contains(told), "{told}: {said}");
    }
    write_private(&file, &with_scheme("none = true").replace("[\"json\"]", "\"json\""));
    let linted = run(root.path(), &["providers", "lint", file.to_str().unwrap()], b"");
    let said = String::from_utf8(linted.stdout).unwrap();
    assert!(said.contains("write `content = [\"json\"]`"), "{said}");
}

const PAGE: &str = include_str!("../docs/profiles.md");

#[test]
fn every_example_of_the_page_is_a_profile_or_a_part_of_one() {
    let root = state_root();
    let file = root.path().join("own.toml");
    let examples: Vec<&str> =
        PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 5, "{}", examples.len());
    for example in examples {
        let profile = match example.split_once("[[").map(|(before, _)| before).unwrap_or_default() {
            whole if whole.starts_with("version") => example.to_owned(),
            "" => with_scheme(example).replacen(
                "\n[[auth]]\n[[auth]]",
                "\nparameters = [\"audience\"]\n\n[[auth]]",
                1,
            ),
            _ => {
                let (parameters, handshakes) = example.split_once('\n').unwrap();
                let own = with_scheme(&signed_body()).replacen(
                    "\n[[auth]]",
                    &format!("\n{parameters}\n\n[[auth]]"),
                    1,
                );
                format!("{own}\n{handshakes}")
            }
        };
        write_private(&file, &profile);
        let linted = run(root.path(), &["providers", "lint", file.to_str().unwrap()], b"");
        let said = String::from_utf8(linted.stdout).unwrap();
        assert_eq!(linted.status.code(), Some(0), "{said}\n{profile}");
    }
}

/// A scheme that signs the body.
fn signed_body() -> String {
    "mac = { algorithm = \"hmac-sha256\", signature = { from = { header = \"S\" }, encoding = \"hex\" }, content = \"{body}\" }".to_owned()
}

#[test]
fn the_page_has_every_field_and_every_word_that_a_profile_may_have() {
    fn gather(schema: &serde_json::Value, names: &mut std::collections::BTreeSet<String>) {
        let fields = schema.get("properties").and_then(|fields| fields.as_object());
        names.extend(fields.into_iter().flat_map(|fields| fields.keys().cloned()));
        let words = schema.get("enum").and_then(|words| words.as_array()).into_iter().flatten();
        names.extend(words.filter_map(|word| word.as_str().map(str::to_owned)));
        let inner = schema.as_object().into_iter().flat_map(|members| members.values());
        inner.chain(schema.as_array().into_iter().flatten()).for_each(|inner| gather(inner, names));
    }
    let schema = serde_json::from_str(include_str!("../schemas/provider-profile.v1.json")).unwrap();
    let mut names = std::collections::BTreeSet::new();
    gather(&schema, &mut names);
    // The table names `HS256` and says that each is there with 384 and 512 too.
    let stands = |name: &String| {
        let words = PAGE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let name = if name.ends_with("384") || name.ends_with("512") {
            name.replace("384", "256").replace("512", "256")
        } else {
            name.clone()
        };
        words.into_iter().any(|word| word == name)
    };
    let missing: Vec<_> = names.iter().filter(|name| !stands(name)).collect();
    assert!(names.len() > 100 && missing.is_empty(), "{missing:?}");
}
