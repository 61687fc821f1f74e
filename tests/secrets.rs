//! Secrets stay where they are: in no log, no row, no answer, in no encoding.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::support::{
    Daemon, add_github, events, events_named, github_signature, palyra, run, state_root, succeed,
};

/// Has bytes that percent-encoding, JSON and a terminal would each write differently.
const CANARY: &str = "canary/+\"<é>% 0123456789abcdefghijklmnop";

/// What would give the canary away: its readings in the encodings a program writes by habit. Base64 at each
/// of its three alignments, without the ends that depend on the neighbours.
fn traces() -> Vec<(&'static str, Vec<u8>)> {
    let bytes = CANARY.as_bytes();
    let json = serde_json::to_string(CANARY).unwrap();
    let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
    let partly: String = bytes
        .iter()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() { char::from(*byte).to_string() } else { format!("%{byte:02X}") }
        })
        .collect();
    let decimal = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let mut traces = vec![
        ("raw", bytes.to_vec()),
        ("its plain tail", bytes[bytes.len() - 20..].to_vec()),
        ("JSON", json.trim_matches('"').as_bytes().to_vec()),
        ("hex", hex::encode(bytes).into_bytes()),
        ("HEX", hex::encode_upper(bytes).into_bytes()),
        ("percent", percent.into_bytes()),
        ("percent where needed", partly.into_bytes()),
        ("a list of bytes", decimal.into_bytes()),
    ];
    for skip in 0..3 {
        let whole = &bytes[skip..skip + (bytes.len() - skip) / 3 * 3];
        traces.push(("base64", STANDARD_NO_PAD.encode(whole).into_bytes()));
        traces.push(("base64url", URL_SAFE_NO_PAD.encode(whole).into_bytes()));
    }
    traces
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// The traces of the canary in `text`.
fn found(text: &[u8]) -> Vec<&'static str> {
    traces().into_iter().filter(|(_, trace)| contains(text, trace)).map(|(name, _)| name).collect()
}

fn assert_clean(what: &str, text: &[u8]) {
    assert!(!text.is_empty(), "{what} is empty: nothing was looked at");
    assert_eq!(found(text), Vec::<&str>::new(), "in {what}: {}", String::from_utf8_lossy(text));
}

/// Everything in the state root, with its name.
fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
    all
}

#[test]
fn the_search_finds_a_planted_secret_in_every_encoding() {
    for planted in [
        CANARY.to_owned(),
        format!("a row: {}", serde_json::to_string(CANARY).unwrap()),
        hex::encode(CANARY),
        STANDARD.encode(CANARY),
        STANDARD.encode(format!("x{CANARY}")),
        STANDARD.encode(format!("xy{CANARY}")),
        format!("{:?}", CANARY.as_bytes()),
    ] {
        assert!(!found(planted.as_bytes()).is_empty(), "{planted}");
    }
    let root = state_root();
    let daemon = Daemon::start(root.path());
    succeed(root.path(), &["system", "event", "emit", "x", "--message", CANARY], b"");
    daemon.kill();
    assert!(
        files(root.path())
            .iter()
            .any(|(name, bytes)| name.contains("journal.db") && !found(bytes).is_empty())
    );
}

/// Works the daemon in every way that touches a secret, and gives the outputs of the commands.
fn exercise(root: &Path, daemon: &Daemon) -> Vec<(String, Vec<u8>)> {
    let body = br#"{"a":1}"#;
    let json = ("Content-Type", "application/json");
    let right = github_signature(CANARY, body);
    let wrong = github_signature("wrong", body);
    let mut said = Vec::new();
    for (id, headers) in [
        ("gh", [json, ("X-Hub-Signature-256", right.as_str())]),
        ("gh", [json, ("X-Hub-Signature-256", wrong.as_str())]),
        ("gh", [json, ("X-Hub-Signature-256", "sha256=zz")]),
        ("lab", [json, ("X-Gitlab-Token", CANARY)]),
        ("lab", [json, ("X-Gitlab-Token", "wrong")]),
    ] {
        let answer = daemon.post(id, &headers, body);
        said.push((format!("answer of {id}"), format!("{:?} {}", answer.headers, answer.body).into_bytes()));
    }
    let token = format!("X-Gitlab-Token: {CANARY}");
    let commands: [&[&str]; 14] = [
        &["vault", "list"],
        &["vault", "rotate", "global/secret"],
        &["webhooks", "list"],
        &["--json", "webhooks", "show", "gh"],
        &["webhooks", "test", "lab", "--payload-stdin", "--header", &token],
        &["webhooks", "send", "gh", "--event", "push"],
        &["--json", "system", "insights"],
        &["system", "metrics"],
        &["--json", "system", "metrics"],
        &["--json", "system", "presence"],
        &["--json", "system", "event", "list"],
        &["journal", "verify"],
        &["journal", "export"],
        &["vault", "remove", "global/nothing"],
    ];
    for args in commands {
        let output = run(root, args, CANARY.as_bytes());
        said.push((format!("{args:?}"), [output.stdout, output.stderr].concat()));
    }
    said
}

#[test]
fn a_secret_is_in_no_log_no_row_no_answer_and_no_file() {
    let root = state_root();
    let root = root.path();
    succeed(root, &["vault", "put", "global/secret"], CANARY.as_bytes());
    for (id, provider) in [("gh", "github"), ("lab", "gitlab")] {
        succeed(root, &["webhooks", "add", id, provider, "--secret-ref", "global/secret"], b"");
    }
    let log = tempfile::NamedTempFile::new().unwrap();
    let daemon = Daemon::logging_to(root, log.reopen().unwrap(), &["-vvv"], &[("RUST_LOG", "trace")]);
    let said = exercise(root, &daemon);
    let environment = std::fs::read(format!("/proc/{}/environ", daemon.pid()));
    daemon.signal("TERM");
    daemon.wait(std::time::Duration::from_secs(30));

    for (what, text) in &said {
        assert_clean(what, text);
    }
    match environment {
        Ok(environment) => assert_clean("the environment", &environment),
        Err(error) => assert!(!rustix::process::geteuid().is_root(), "only root may read it: {error}"),
    }
    assert_clean("the log", &std::fs::read(log.path()).unwrap());
    for (name, bytes) in files(root) {
        if !bytes.is_empty() {
            assert_clean(&name, &bytes);
        }
    }
    assert!(events(root).iter().any(|event| event["kind"] == "webhook"), "something was verified with it");
}

/// Gives the canary to the daemon in every place where a reference is expected, and as a body that does not fit.
fn misplace(root: &Path, daemon: &Daemon) -> Vec<(String, Vec<u8>)> {
    let mut said = Vec::new();
    for reference in [CANARY.to_owned(), format!("env:{CANARY}"), format!("global/{CANARY}")] {
        let draft =
            serde_json::json!({"integration_id": "m", "provider": "github", "secret_vault_ref": reference});
        let answer = daemon.console(root, "POST", "/console/v1/webhooks", draft.to_string().as_bytes());
        assert_eq!(answer.status, 422, "{answer:?}");
        said.push((format!("answer to {reference}"), answer.body.into_bytes()));
        for args in [
            &["webhooks", "add", "m", "github", "--secret-ref", &reference][..],
            &["--json", "webhooks", "add", "m", "github", "--secret-ref", &reference],
            &["vault", "put", &reference],
            &["vault", "rotate", &reference],
            &["vault", "remove", &reference],
        ] {
            let output = run(root, args, b"another value");
            assert!(!output.status.success(), "{args:?}");
            said.push((format!("{args:?}"), [output.stdout, output.stderr].concat()));
        }
    }
    let canary = serde_json::json!(CANARY);
    for (method, path) in [
        ("PUT", "vault/global%2Fsecret"),
        ("POST", "vault/global%2Fsecret/rotate"),
        ("POST", "webhooks"),
        ("POST", "webhooks/gh/enabled"),
        ("POST", "webhooks/gh/dispatch"),
        ("POST", "webhooks/gh/test"),
    ] {
        for body in [
            canary.to_string(),
            serde_json::json!({CANARY: 1}).to_string(),
            serde_json::json!({"value_base64": [CANARY], "enabled": CANARY, "event": [CANARY]}).to_string(),
            serde_json::json!({"value_base64": CANARY}).to_string(),
            format!("{{\"value_base64\":{canary}"),
            CANARY.to_owned(),
        ] {
            let answer = daemon.console(root, method, &format!("/console/v1/{path}"), body.as_bytes());
            assert_eq!(answer.status, 400, "{path} {body} {answer:?}");
            said.push((format!("answer to {path} {body}"), answer.body.into_bytes()));
        }
    }
    said
}

#[test]
fn a_secret_in_place_of_a_reference_or_a_body_is_in_no_answer_no_log_and_no_row() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    let log = tempfile::NamedTempFile::new().unwrap();
    let daemon = Daemon::logging_to(root, log.reopen().unwrap(), &["-vvv"], &[("RUST_LOG", "trace")]);
    let said = misplace(root, &daemon);
    daemon.signal("TERM");
    daemon.wait(std::time::Duration::from_secs(30));

    for (what, text) in &said {
        assert_clean(what, text);
    }
    assert_clean("the log", &std::fs::read(log.path()).unwrap());
    for (name, bytes) in files(root) {
        if !bytes.is_empty() {
            assert_clean(&name, &bytes);
        }
    }
    let rows = |name: &str| events(root).iter().filter(|event| event["name"] == name).count();
    assert_eq!(rows("registry.webhook.create.refused"), 9, "each refusal has its row");
}

#[test]
fn a_secret_in_place_of_a_name_is_in_no_row() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    let daemon = Daemon::start(root);
    let secret = "5e7d0c1b2a394857".repeat(4);
    let draft = |id: &str, provider: &str, parameter: &str| {
        serde_json::json!({
            "integration_id": id, "provider": provider, "secret_vault_ref": "global/github",
            "parameters": {parameter: "x"}
        })
    };
    for (method, path, body) in [
        ("POST", "webhooks", draft("m", &secret, "verify_token")),
        ("POST", "webhooks", draft("m", "meta", &secret)),
        ("POST", "webhooks", draft(&format!("{secret}+/="), "meta", "verify_token")),
        ("PATCH", "webhooks/gh", serde_json::json!({"provider": secret})),
        ("PATCH", "webhooks/gh", serde_json::json!({"parameters": {&secret: "x"}})),
    ] {
        let path = format!("/console/v1/{path}");
        let answer = daemon.console(root, method, &path, body.to_string().as_bytes());
        assert_eq!(answer.status, 422, "{body} {answer:?}");
    }
    let rows = |name: &str| events_named(root, name).len();
    assert_eq!((rows("registry.webhook.create.refused"), rows("registry.webhook.amend.refused")), (3, 2));
    let told: Vec<_> = events(root).into_iter().filter(|row| row.to_string().contains(&secret)).collect();
    assert!(told.is_empty(), "{told:#?}");
}

#[test]
fn a_change_that_took_effect_is_not_journaled_as_refused() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let pins = root.path().join("anchor/vault");
    std::fs::remove_file(&pins).unwrap();
    std::fs::create_dir(&pins).unwrap();
    let body = serde_json::json!({"value_base64": STANDARD.encode("the next one")}).to_string();
    let path = "/console/v1/vault/global%2Fgithub/rotate";
    let answer = daemon.console(root.path(), "POST", path, body.as_bytes());
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("is in force") && answer.body.contains("do not repeat"), "{answer:?}");
    let listed = daemon.console(root.path(), "GET", "/console/v1/vault", b"").json();
    assert_eq!((&listed["secrets"][0]["version"], &listed["secrets"][0]["versions"]), (&2.into(), &2.into()));
    std::fs::remove_dir(&pins).unwrap();
    assert_eq!(events_named(root.path(), "vault.secret.rotate.unsynced").len(), 1);
    assert!(events_named(root.path(), "vault.secret.rotate.refused").is_empty());
}

#[test]
fn what_is_in_the_way_of_a_secret_is_named_and_nothing_of_its_value() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let file = root.path().join("vault/global~github.age");
    std::fs::rename(&file, root.path().join("aside")).unwrap();
    std::os::unix::fs::symlink(root.path().join("aside"), &file).unwrap();
    let rotated = run(root.path(), &["vault", "rotate", "global/github"], CANARY.as_bytes());
    assert_eq!(rotated.status.code(), Some(1));
    let told = String::from_utf8(rotated.stderr).unwrap();
    assert!(told.contains("global~github.age` is a symbolic link"), "{told}");
    assert_clean("the answer", told.as_bytes());
    drop(daemon);
}

#[test]
#[ignore = "needs the `age` program; .ci/run installs it and runs this"]
fn stock_age_opens_a_secret_with_the_identity_file() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/secret"], CANARY.as_bytes());
    let vault = root.path().join("vault");
    let all: Vec<_> = std::fs::read_dir(&vault).unwrap().map(|entry| entry.unwrap().path()).collect();
    let secret =
        all.iter().find(|path| path.extension().is_some_and(|extension| extension == "age")).unwrap();
    let identity = all.iter().find(|path| path.to_string_lossy().contains("identity")).unwrap();
    let opened = Command::new("age").args(["-d", "-i"]).arg(identity).arg(secret).output().unwrap();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    assert!(!opened.stdout.is_empty());
}

#[test]
fn a_secret_typed_on_the_command_line_has_no_place_there() {
    let root = state_root();
    let output = palyra(root.path()).args(["vault", "put", "global/secret", CANARY]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "a value as an argument would show in the process list");
}
