//! `webhooks explain` and `webhooks test`: what they say to do can be done, in words that the operator knows.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use palyra_actors::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::support::{
    Answer, Daemon, SECRET, add_github, github_signature, hmac_hex, json as ask, own_profile, run,
    state_root, succeed, write_private,
};

/// A profile whose deliveries carry a token; it lacks its algorithm, and what it asks of the claims.
const TOKENS: &str = r#"
version = 1
name = "jw"
title = "JW"
docs = "https://jw.example/docs"
content = ["json"]
PARAMETERS

[[auth]]
[auth.jwt]
algorithm = "ALGORITHM"
from = { header = "Authorization" }
scheme = "bearer"
issued_past_seconds = 300
CLAIMS

[event]
from = [{ json = "/type" }]
default = "delivery"
"#;

/// A set of one key, the generator of P-256 (SEC 2 §2.4.2).
const KEY_SET: &str = r#"{"keys":[{"kid":"1","kty":"EC","crv":"P-256",
"x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}"#;

fn token(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |document: &Value| BASE64_URL_SAFE_NO_PAD.encode(document.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let code = hmac_hex(secret.as_bytes(), signed.as_bytes());
    let code: Vec<u8> =
        (0..code.len()).step_by(2).map(|at| u8::from_str_radix(&code[at..at + 2], 16).unwrap()).collect();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(code))
}

/// What to do about the refusal of a delivery with this token.
fn next_step(root: &Path, daemon: &Daemon, token: &str, reason: &str) -> String {
    let bearer = format!("Bearer {token}");
    let answer =
        daemon.post("jw", &[("Content-Type", "application/json"), ("Authorization", &bearer)], b"{}");
    assert_eq!(answer.status, 401);
    let explained = ask(root, &["webhooks", "explain", &refusal(&answer)]);
    assert!(lines(&explained, "why").starts_with(reason), "{explained}");
    lines(&explained, "next")
}

fn refusal(answer: &Answer) -> String {
    answer.header("palyra-refusal").unwrap().to_owned()
}

fn lines(explained: &Value, name: &str) -> String {
    let lines = explained[name].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_claim_that_the_profile_fixes_is_corrected_in_the_profile_and_no_other_by_a_parameter() {
    let fixed = ("", "claims = { iss = [\"jw\"], aud = [\"me\"] }");
    let by_parameter = ("parameters = [\"audience\"]", "claims_from_parameters = { aud = \"audience\" }");
    for (parameters, claims, more, is_fixed) in [
        (fixed.0, fixed.1, &[][..], true),
        (by_parameter.0, by_parameter.1, &["--parameter", "audience=me"], false),
    ] {
        let root = state_root();
        let root = root.path();
        let text = TOKENS.replace("PARAMETERS", parameters).replace("CLAIMS", claims);
        own_profile(root, "jw", &text.replace("ALGORITHM", "HS256"));
        succeed(root, &["vault", "put", "global/jw"], SECRET.as_bytes());
        succeed(root, &[&["webhooks", "add", "jw", "jw", "--secret-ref", "global/jw"], more].concat(), b"");
        let daemon = Daemon::start(root);
        let token = token(&json!({"alg": "HS256"}), &json!({"iss": "jw", "aud": "them"}), SECRET);
        let next = next_step(root, &daemon, &token, "bad_claim");
        assert_eq!(next.contains("providers/jw.toml"), is_fixed, "{next}");
        assert_eq!(next.contains("--parameter audience=VALUE"), !is_fixed, "{next}");
        assert!(!next.contains("NAME=VALUE"), "{next}");
    }
}

#[test]
fn a_key_that_is_not_in_the_key_set_is_to_be_stored_where_the_set_is() {
    let (root, elsewhere) = (state_root(), state_root());
    let (root, file) = (root.path(), elsewhere.path().join("keys.json"));
    own_profile(
        root,
        "jw",
        &TOKENS.replace("PARAMETERS", "").replace("CLAIMS", "").replace("ALGORITHM", "ES256"),
    );
    succeed(root, &["vault", "put", "global/jw"], KEY_SET.as_bytes());
    succeed(root, &["webhooks", "add", "jw", "jw", "--secret-ref", "global/jw"], b"");
    let daemon = Daemon::start(root);
    let claims = json!({"iat": SystemClock.now_unix_ms() / 1_000});
    let token = token(&json!({"alg": "ES256", "kid": "2"}), &claims, "");
    let next = next_step(root, &daemon, &token, "untrusted_key");
    assert!(next.starts_with("if the issuer has changed its keys"), "{next}");
    assert!(next.contains("`palyra vault rotate global/jw < FILE`"), "{next}");

    write_private(&file, KEY_SET);
    let reference = format!("file:{}", file.display());
    succeed(root, &["webhooks", "set", "jw", "--secret-ref", &reference], b"");
    let next = next_step(root, &daemon, &token, "untrusted_key");
    assert!(next.contains(&format!("write the new keys to `{}`", file.display())), "{next}");
    assert!(!next.contains("vault rotate"), "{next}");
}

#[test]
fn a_delivery_without_an_event_is_explained_by_where_the_profile_reads_it() {
    let root = state_root();
    let root = root.path();
    add_github(root);
    let daemon = Daemon::start(root);
    let signature = github_signature(SECRET, b"{}");
    let signed = [("Content-Type", "application/json"), ("X-Hub-Signature-256", &*signature)];
    let answer = daemon.post("gh", &signed, b"{}");
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("/event"), "{answer:?}");
    let missing = "the event is missing: the profile reads it from `header X-GitHub-Event`";
    let explained = ask(root, &["webhooks", "explain", &refusal(&answer)]);
    assert!(lines(&explained, "why").contains(missing), "{explained}");
    let headers = ["Content-Type: application/json".to_owned(), format!("X-Hub-Signature-256: {signature}")];
    let test =
        ["webhooks", "test", "gh", "--payload-stdin", "--header", &headers[0], "--header", &headers[1]];
    let tested = run(root, &test, b"{}");
    let told = String::from_utf8(tested.stdout).unwrap();
    assert!(tested.status.code() == Some(1) && told.contains(missing), "{told}");
    for said in [lines(&explained, "why"), told] {
        assert!(!said.contains("shorter than"), "{said}");
    }
}

#[test]
fn an_integration_that_is_disabled_and_lacks_something_is_explained_with_all_it_takes_to_enable_it() {
    let root = state_root();
    let root = root.path();
    run(root, &["webhooks", "add", "q", "stripe", "--secret-ref", "global/zz"], b"");
    let next = lines(&ask(root, &["webhooks", "explain", "q"]), "next");
    let chain = "`palyra vault put global/zz < SECRET_FILE && palyra webhooks enable q`";
    assert!(next.contains(chain) && !next.contains("`palyra webhooks enable q` enables it"), "{next}");
    run(root, &["webhooks", "add", "m", "meta", "--secret-ref", "global/zz"], b"");
    let explained = ask(root, &["webhooks", "explain", "m"]);
    let (why, next) = (lines(&explained, "why"), lines(&explained, "next"));
    assert!(why.contains("--parameter verify_token=global/NAME"), "{explained}");
    assert!(next.contains("correct this, then run `palyra webhooks enable m`"), "{explained}");
}
