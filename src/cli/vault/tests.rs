use serde_json::json;

use crate::cli::testing::{NOW, Stub, answer, palyra, palyra_with};

fn entry(version: u32, versions: u32) -> serde_json::Value {
    json!({"vault_ref": "global/github", "version": version, "versions": versions, "created_at_unix_ms": NOW, "updated_at_unix_ms": NOW})
}

#[test]
fn a_secret_goes_to_the_vault_and_nowhere_else() {
    let stub = Stub::answering([answer(200, &entry(1, 1))]);
    let ran = palyra_with(&["vault", "put", "global/github"], b"s3cret\n", &stub);
    let asked = &stub.asked()[0];
    assert_eq!(asked.line, "PUT /console/v1/vault/global%2Fgithub");
    assert_eq!(asked.json(), json!({"value_base64": "czNjcmV0"}));
    assert_eq!(ran.stdout, "stored global/github as version 1; one version may verify\n");
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
    assert_eq!(ran.stdout, "stored global/github as version 2; 2 versions may verify\n");
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
