//! What a person is told who adds, sets and tries an integration.

use crate::support::{
    Daemon, add_github, fail, hmac_hex, json, palyra, run, state_root, succeed, write_private,
};

fn said(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn who_names_no_keys_is_told_what_the_provider_verifies_with() {
    let root = state_root();
    let bare = root.path().join("bare");
    for (args, code, told) in [
        (&["githb"][..], 1, "did you mean `github`?"),
        (&["github"], 2, "--secret-ref global/in"),
        (&["docker-hub"], 2, "palyra webhooks add in docker-hub --allow-unsigned"),
        (&["aws-sns"], 2, "palyra webhooks add in aws-sns --published-keys"),
        (&["github", "--published-keys"], 2, "`github` publishes no keys"),
        (&["docker-hub", "--published-keys"], 2, "`docker-hub` signs nothing"),
    ] {
        let refused = run(root.path(), &[&["webhooks", "add", "in"], args].concat(), b"");
        assert_eq!(refused.status.code(), Some(code), "{args:?}: {}", said(&refused));
        assert!(said(&refused).contains(told), "{told}: {}", said(&refused));
    }
    let refused = palyra(&bare).args(["webhooks", "add", "in", "docker-hub"]).output().unwrap();
    assert!(
        said(&refused).contains("--allow-unsigned") && std::fs::metadata(&bare).is_err(),
        "nothing is begun"
    );
    assert!(json(root.path(), &["webhooks", "list"])["webhooks"].as_array().unwrap().is_empty());
    succeed(root.path(), &["webhooks", "add", "in", "aws-sns", "--published-keys"], b"");
    let open = run(root.path(), &["-q", "webhooks", "add", "hub", "docker-hub", "--allow-unsigned"], b"");
    assert!(said(&open).contains("anybody who knows the address can post"), "{}", said(&open));
    assert!(!said(&open).contains("--require-signature"), "it signs nothing: {}", said(&open));
    let open = run(root.path(), &["-q", "webhooks", "add", "gh", "github", "--allow-unsigned"], b"");
    assert!(said(&open).contains("--require-signature --secret-ref REF"), "{}", said(&open));
}

#[test]
fn a_token_that_is_missing_is_told_with_the_command_that_gives_it() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/meta"], b"k3y");
    let added = run(root.path(), &["webhooks", "add", "fb", "meta", "--secret-ref", "global/meta"], b"");
    let command = "palyra vault put global/NAME < FILE && \
                   palyra webhooks set fb --parameter verify_token=global/NAME";
    assert!(said(&added).contains(command), "{}", said(&added));
    assert_eq!(added.status.code(), Some(1), "it is stored, and takes nothing");
    succeed(root.path(), &["webhooks", "show", "fb"], b"");
}

#[test]
fn the_help_of_set_speaks_of_no_defaults() {
    let root = state_root();
    let help = |command: &str| succeed(root.path(), &["webhooks", command, "--help"], b"");
    let shared = "Accept only this event; may be given several times";
    assert!(help("set").contains(shared) && !help("set").contains("[default:"), "{}", help("set"));
    assert!(help("add").contains("[default: all]"));
}

#[test]
fn a_captured_delivery_is_tried_at_the_time_it_came() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/stripe"], b"whsec_x");
    succeed(root.path(), &["webhooks", "add", "pay", "stripe", "--secret-ref", "global/stripe"], b"");
    let _daemon = Daemon::start(root.path());
    let body = r#"{"id":"evt_1","type":"invoice.paid"}"#;
    let file = root.path().join("paid.json");
    std::fs::write(&file, body).unwrap();
    let signature = hmac_hex(b"whsec_x", format!("1700000000.{body}").as_bytes());
    let signature = format!("Stripe-Signature: t=1700000000,v1={signature}");
    let header = ["--header", signature.as_str(), "--header", "Content-Type: application/json"];
    let test = ["webhooks", "test", "pay", "--payload-file", file.to_str().unwrap()];
    let test = |more: &[&str]| run(root.path(), &[&test[..], &header, more].concat(), b"");
    let stale = String::from_utf8(test(&[]).stdout).unwrap();
    assert!(stale.contains("stale") && stale.contains("failed"), "{stale}");
    for at in ["1700000100", "2023-11-14T22:15:00Z"] {
        let tried = test(&["--at", at]);
        assert_eq!(tried.status.code(), Some(0), "{tried:?}");
    }
    assert_eq!(test(&["--at", "1700009999"]).status.code(), Some(1));
    let shown = json(root.path(), &["webhooks", "show", "pay"]);
    assert!(
        shown["last_test_message"].as_str().unwrap().ends_with("as of 2023-11-15T00:59:59.000Z"),
        "{shown}"
    );
}

#[test]
fn a_reference_that_this_version_cannot_read_is_refused_and_one_in_the_file_hinders_no_start() {
    let root = state_root();
    add_github(root.path());
    let elsewhere = "hashivault:kv/app#field";
    let told = "`hashivault:` is not supported in this version";
    for args in [
        &["webhooks", "add", "in", "github", "--secret-ref", elsewhere][..],
        &["webhooks", "set", "gh", "--secret-ref", elsewhere],
    ] {
        let refused = fail(root.path(), args, 1);
        assert!(refused.contains(told) && refused.contains("keep the secret in the vault"), "{refused}");
    }
    let refused = fail(
        root.path(),
        &[
            "webhooks",
            "add",
            "in",
            "meta",
            "--secret-ref",
            "global/github",
            "--parameter",
            &format!("verify_token={elsewhere}"),
        ],
        1,
    );
    assert!(refused.contains(told), "{refused}");
    for unknown in ["gh", "hashivalt:kv/app#field", "hashivault:kv"] {
        let refused = fail(root.path(), &["webhooks", "set", "gh", "--secret-ref", unknown], 1);
        assert!(refused.contains("`global/KEY`") && !refused.contains("#FIELD"), "{refused}");
        assert!(!refused.contains("did you mean `hashivault`"), "{refused}");
    }
    assert_eq!(json(root.path(), &["webhooks", "list"])["webhooks"].as_array().unwrap().len(), 1);
    let file = root.path().join("webhooks.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("global/github", elsewhere);
    write_private(&file, &text);
    let shown = json(root.path(), &["webhooks", "show", "gh"]);
    assert_eq!(shown["readiness"], "secret_unavailable");
    assert!(shown["issues"][0].as_str().unwrap().contains(told), "{shown}");
    succeed(root.path(), &["webhooks", "set", "gh", "--secret-ref", "global/github"], b"");
}
