use serde_json::json;

use crate::cli::testing::{NOW, Stub, answer, palyra, palyra_with};

fn entry(version: u32, versions: u32) -> serde_json::Value {
    json!({
        "vault_ref": "global/github", "version": version, "versions": versions,
        "previous_version": (versions > 1).then(|| version - 1),
        "created_at_unix_ms": NOW, "updated_at_unix_ms": NOW,
    })
}

#[test]
fn a_secret_goes_to_the_vault_and_nowhere_else() {
    let stub = Stub::answering([answer(200, &entry(1, 1))]);
    let ran = palyra_with(&["vault", "put", "global/github"], b"s3cret\n", &stub);
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "PUT /console/v1/vault/global%2Fgithub");
    assert_eq!(asked.json(), json!({"value_base64": "czNjcmV0"}));
    assert_eq!(ran.stdout, "stored global/github: version 1 is current\n");
    assert!(!ran.stderr.contains("s3cret"));
}

#[test]
fn a_rotated_secret_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("value");
    std::fs::write(&file, b"\xff\x00new\n").unwrap();
    let stub = Stub::answering([answer(200, &entry(2, 2))]);
    let ran = palyra_with(
        &["vault", "rotate", "global/github", "--value-file", file.to_str().unwrap()],
        b"",
        &stub,
    );
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "POST /console/v1/vault/global%2Fgithub/rotate");
    assert_eq!(asked.json(), json!({"value_base64": "/wBuZXc="}));
    assert_eq!(ran.stdout, "stored global/github: version 2 is current, version 1 is still valid\n");
}

#[test]
fn an_empty_secret_is_refused_before_anybody_is_asked() {
    let stub = Stub::answering([]);
    let ran = palyra_with(&["vault", "put", "global/github"], b"\n", &stub);
    assert_eq!((ran.code, ran.needs.len()), (2, 0));
    assert!(ran.stderr.contains("--value-file"), "{}", ran.stderr);
}

#[test]
fn the_list_shows_versions_and_times() {
    let document = json!({"secrets": [entry(3, 2)]});
    let ran = palyra("vault list", &Stub::answering([answer(200, &document)]));
    assert_eq!(
        ran.stdout,
        "\
secret         version  versions  created               updated
global/github        3         2  2026-07-01T12:00:00Z  2026-07-01T12:00:00Z
"
    );
    assert_eq!(palyra("--json vault list", &Stub::answering([answer(200, &document)])).json(), document);
}

#[test]
fn a_secret_that_cannot_be_read_is_shown_with_what_to_do() {
    let broken =
        json!({"vault_ref": "global/x", "problem": "`x.age` is not as it was", "hint": "restore it"});
    let document = json!({"secrets": [entry(3, 2), broken]});
    let ran = palyra("vault list", &Stub::answering([answer(200, &document)]));
    let row = ran.stdout.lines().find(|line| line.starts_with("global/x ")).unwrap();
    assert!(row.contains("UNREADABLE") && ran.stdout.contains("global/github"), "{}", ran.stdout);
    assert_eq!(
        ran.stderr,
        "palyra: warning: global/x cannot be read: `x.age` is not as it was\n  next: restore it\n"
    );
    let ran = palyra("--json vault list", &Stub::answering([answer(200, &document)]));
    let warning: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    let told = "global/x cannot be read: `x.age` is not as it was";
    assert_eq!((ran.json(), warning), (document, json!({"warning": told, "next": "restore it"})));
}

#[test]
fn a_value_that_an_integration_cannot_use_is_warned_of() {
    let mut stored = entry(2, 2);
    stored["warnings"] = json!(["`discord` cannot use version 2 of `global/github`: it is no key"]);
    for line in [["vault", "put", "global/github"], ["vault", "rotate", "global/github"]] {
        let ran = palyra_with(&line, b"x", &Stub::answering([answer(200, &stored)]));
        assert_eq!(ran.code, 0);
        assert!(ran.stderr.contains("warning: `discord` cannot use version 2"), "{}", ran.stderr);
    }
}

#[test]
fn a_removed_secret_is_named() {
    let stub = Stub::answering([answer(200, &json!({"removed": "global/github"}))]);
    assert_eq!(palyra("vault remove global/github", &stub).stdout, "removed global/github\n");
    assert_eq!(stub.asked()[0].line, "DELETE /console/v1/vault/global%2Fgithub");
}

#[test]
fn a_version_that_a_change_ended_is_warned_of_even_quietly() {
    let mut stored = entry(3, 2);
    stored["ended_versions"] = json!([1]);
    for line in [&["vault", "rotate", "global/github"][..], &["--quiet", "vault", "put", "global/github"]] {
        let ran = palyra_with(line, b"x", &Stub::answering([answer(200, &stored)]));
        assert!(ran.stderr.contains("warning: global/github: version 1 is no longer valid"), "{ran:?}");
    }
}

#[test]
fn a_retired_version_is_named() {
    let mut retired = entry(3, 1);
    let ran = palyra("vault retire global/github", &Stub::answering([answer(200, &retired)]));
    assert_eq!(ran.stdout, "global/github: version 3 is current; there was no other version\n");
    retired["ended_versions"] = json!([2]);
    let stub = Stub::answering([answer(200, &retired)]);
    let ran = palyra("vault retire global/github", &stub);
    assert_eq!(ran.stdout, "global/github: version 3 is current; version 2 is no longer valid\n");
    assert_eq!(stub.asked()[0].line, "POST /console/v1/vault/global%2Fgithub/retire");
}

#[test]
fn force_is_asked_of_the_console() {
    let table = [
        ("vault put global/github --force", "PUT /console/v1/vault/global%2Fgithub?force=true"),
        ("vault rotate global/github --force", "POST /console/v1/vault/global%2Fgithub/rotate?force=true"),
        ("vault remove global/github --force", "DELETE /console/v1/vault/global%2Fgithub?force=true"),
    ];
    for (line, asked) in table {
        let stub = Stub::answering([answer(200, &entry(1, 1))]);
        palyra_with(&line.split(' ').collect::<Vec<_>>(), b"x", &stub);
        assert_eq!(stub.asked()[0].line, asked);
    }
}
