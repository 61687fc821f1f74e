//! `webhooks send`, right and almost right: each mutation is answered as docs/answers.md says.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};

use crate::support::{Daemon, events_named, fail, own_profile, run, state_root, succeed, write_private};

/// Reads as text, as hexadecimal and as Base64.
const KEY: &str = "00112233445566778899aabbccddeeff";
/// The head of a SubjectPublicKeyInfo of P-256 (RFC 5480), before the point.
const P256_SPKI_HEAD: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=";

const MUTATIONS: [&str; 5] = ["signature", "timestamp", "body", "duplicate", "drop-header"];

/// Status and exit code of a send; no status where the console refuses to make such a delivery.
pub fn send(root: &Path, id: &str, more: &[&str]) -> (Option<u64>, i32) {
    let args = ["--json", "webhooks", "send", id, "--event", "push"];
    let output = run(root, &[&args[..], more].concat(), b"");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (answer["status"].as_u64(), output.status.code().unwrap())
}

fn statuses(root: &Path, id: &str, more: &[&str]) -> [Option<u64>; 5] {
    MUTATIONS.map(|mutation| {
        let (status, code) = send(root, id, &[&["--mutate", mutation], more].concat());
        assert_eq!(code, i32::from(status.is_none()), "{id} {mutation}: as documented, or refused");
        status
    })
}

#[test]
fn each_mutation_is_answered_as_documented() {
    // signature, timestamp, body, duplicate, drop-header
    let all = [Some(401), Some(401), Some(401), Some(200), Some(401)];
    let no_time = [Some(401), None, Some(401), Some(200), Some(401)];
    let token = [Some(401), None, Some(202), Some(200), Some(401)];
    let table = [
        ("github", no_time),
        ("gitlab", token),
        ("stripe", all),
        ("slack", all),
        ("standard-webhooks", all),
        ("envelope", all),
        ("twilio", no_time),
        ("hubspot-v3", all),
        ("mailgun", [Some(401), Some(401), Some(200), Some(200), Some(401)]),
        ("alertmanager", token),
        ("microsoft-graph", token),
        ("contentful", all),
        ("docusign", no_time),
        ("adyen", [Some(401), None, Some(202), Some(200), Some(401)]),
    ];
    let root = state_root();
    let daemon = Daemon::start(root.path());
    succeed(root.path(), &["vault", "put", "global/key"], KEY.as_bytes());
    for (provider, expected) in table {
        let add = ["webhooks", "add", provider, provider, "--secret-ref", "global/key"];
        // Longer than any pause between two sends.
        succeed(root.path(), &[&add[..], &["--replay-window-seconds", "86400"]].concat(), b"");
        let taken = if ["mailgun", "docusign"].contains(&provider) { 200 } else { 202 };
        assert_eq!(send(root.path(), provider, &[]), (Some(taken), 0), "{provider}");
        assert_eq!(statuses(root.path(), provider, &[]), expected, "{provider}");
    }
    let mutated = events_named(root.path(), "registry.webhook.send");
    assert!(
        mutated.iter().any(|event| event.to_string().contains("drop-header")),
        "the row says what was sent"
    );
    drop(daemon);
}

/// A profile whose deliveries say in the query what authenticates them.
fn in_the_query(name: &str, auth: &str) -> String {
    format!(
        "version = 1\nname = \"{name}\"\ntitle = \"Q\"\ndocs = \"https://q.example/\"\ncontent = [\"json\"]\n\n[[auth]]\n{auth}\n\n[event]\ndefault = \"e\"\n"
    )
}

#[test]
fn what_is_authenticated_in_the_query_is_not_sent_without() {
    let root = state_root();
    let signature = "mac = { algorithm = \"hmac-sha256\", signature = { from = { query = \"s\" }, encoding = \"hex\" }, content = \"{body}\" }";
    for (name, auth) in [("signed", signature), ("token", "token = { from = { query = \"t\" } }")] {
        own_profile(root.path(), name, &in_the_query(name, auth));
        add(root.path(), name, name, KEY.as_bytes(), &[]);
    }
    let _daemon = Daemon::start(root.path());
    for name in ["signed", "token"] {
        for more in [&[][..], &["--mutate", "signature"], &["--mutate", "drop-header"]] {
            let args = [&["webhooks", "send", name, "--event", "push"], more].concat();
            let output = run(root.path(), &args, b"");
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("requests of this provider cannot be imitated"), "{said}");
        }
    }
}

#[test]
fn an_integration_without_a_secret_is_sent_unsigned_deliveries() {
    let root = state_root();
    let _daemon = Daemon::start(root.path());
    for provider in ["github", "stripe", "discord", "envelope", "twilio"] {
        succeed(root.path(), &["webhooks", "add", provider, provider, "--allow-unsigned"], b"");
        let (taken, again) = if provider == "discord" { (204, 204) } else { (202, 200) };
        assert_eq!(send(root.path(), provider, &[]), (Some(taken), 0), "{provider}");
        let expected = [None, None, None, Some(again), Some(taken)];
        assert_eq!(statuses(root.path(), provider, &[]), expected, "{provider}");
    }
    let output = run(root.path(), &["webhooks", "send", "github", "--event", "a", "--mutate", "body"], b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("requires no signature") && said.contains("--secret-ref"), "{said}");
    succeed(root.path(), &["webhooks", "add", "docker-hub", "docker-hub", "--allow-unsigned"], b"");
    let expected = [None, None, None, Some(200), None];
    assert_eq!(statuses(root.path(), "docker-hub", &[]), expected);
    for mutation in ["signature", "drop-header"] {
        let args = ["webhooks", "send", "docker-hub", "--event", "push", "--mutate", mutation];
        let said = fail(root.path(), &args, 1);
        assert!(said.contains("`duplicate` works with every provider"), "{mutation}: {said}");
        assert!(!said.contains("--secret-ref"), "{mutation}: {said}");
    }
}

#[test]
fn a_send_that_is_refused_names_the_refusal() {
    let root = state_root();
    add(root.path(), "gh", "github", KEY.as_bytes(), &[]);
    let _daemon = Daemon::start(root.path());
    let args = ["webhooks", "send", "gh", "--event", "push", "--mutate", "signature"];
    let sent: Value =
        serde_json::from_str(&succeed(root.path(), &[&["--json"], &args[..]].concat(), b"")).unwrap();
    let id = sent["refusal"].as_str().unwrap();
    assert!(succeed(root.path(), &["webhooks", "explain", id], b"").contains("bad_signature"));
    let text = succeed(root.path(), &args, b"");
    let named = text.split_once("`palyra webhooks explain ").unwrap().1.split_once('`').unwrap().0;
    assert!(succeed(root.path(), &["webhooks", "explain", named], b"").contains("bad_signature"));
    let args = ["webhooks", "send", "gh", "--event", "push"];
    let sent: Value =
        serde_json::from_str(&succeed(root.path(), &[&["--json"], &args[..]].concat(), b"")).unwrap();
    assert_eq!(sent["refusal"], Value::Null);
    assert!(!succeed(root.path(), &args, b"").contains("webhooks explain"));
}

#[test]
fn a_send_to_what_is_disabled_says_so_and_how_to_enable_it() {
    let root = state_root();
    add(root.path(), "gh", "github", KEY.as_bytes(), &["--disabled"]);
    let _daemon = Daemon::start(root.path());
    for more in [&[][..], &["--mutate", "signature"]] {
        let output = run(root.path(), &[&["webhooks", "send", "gh", "--event", "push"], more].concat(), b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("`gh` is disabled") && said.contains("palyra webhooks enable gh"), "{said}");
    }
    assert_eq!(events_named(root.path(), "registry.webhook.send").len(), 0, "nothing was sent");
}

#[test]
fn an_event_that_cannot_be_named_so_is_the_callers_fault() {
    let root = state_root();
    add(root.path(), "gh", "github", KEY.as_bytes(), &[]);
    let daemon = Daemon::start(root.path());
    for event in ["a\nb", "\u{7f}", "", " "] {
        let output = run(root.path(), &["webhooks", "send", "gh", "--event", event], b"");
        assert_eq!(output.status.code(), Some(2), "{event:?}");
    }
    let dispatch = "/console/v1/webhooks/gh/dispatch";
    let answer = daemon.console(root.path(), "POST", dispatch, br#"{"event": "a\nb"}"#);
    assert_eq!((answer.status, &answer.json()["code"]), (422, &json!("invalid")));
    assert!(answer.body.contains("X-GitHub-Event"), "{}", answer.body);
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub fn add(root: &Path, id: &str, provider: &str, public: &[u8], more: &[&str]) {
    let vault_ref = format!("global/{id}");
    succeed(root, &["vault", "put", &vault_ref], public);
    let args = ["webhooks", "add", id, provider, "--secret-ref", &vault_ref];
    succeed(root, &[&args[..], more].concat(), b"");
}

#[test]
fn a_provider_with_a_key_pair_is_stood_in_for_with_a_pair_of_ones_own() {
    let root = state_root();
    let random = SystemRandom::new();
    let edwards = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let point = Ed25519KeyPair::from_pkcs8(edwards.as_ref()).unwrap().public_key().as_ref().to_vec();
    let curve = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let public = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, curve.as_ref(), &random).unwrap();
    let spki = [&STANDARD.decode(P256_SPKI_HEAD).unwrap(), public.public_key().as_ref()].concat();
    add(root.path(), "discord", "discord", hex::encode(point).as_bytes(), &[]);
    add(root.path(), "sendgrid", "sendgrid", STANDARD.encode(spki).as_bytes(), &[]);
    let _daemon = Daemon::start(root.path());
    for (id, document) in [("discord", edwards.as_ref()), ("sendgrid", curve.as_ref())] {
        let file = root.path().join(format!("{id}.pem"));
        write_private(&file, &pem("PRIVATE KEY", document));
        let private_key = ["--private-key-file", file.to_str().unwrap()];
        let (taken, again) = if id == "discord" { (204, 204) } else { (202, 200) };
        assert_eq!(send(root.path(), id, &private_key), (Some(taken), 0), "{id}");
        let all = [Some(401), Some(401), Some(401), Some(again), Some(401)];
        assert_eq!(statuses(root.path(), id, &private_key), all, "{id}");
        assert_eq!(send(root.path(), id, &[]), (None, 1), "{id} without a private key");
    }
}

/// The public half of a key of openssl's, as a JWK set (RFC 7517).
pub fn jwk_set(key: &Path) -> String {
    let text = std::fs::read_to_string(key).unwrap();
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(base64).unwrap()).unwrap();
    let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
    let [n, e] = [public.n, public.e].map(|number| URL_SAFE_NO_PAD.encode(number));
    json!({"keys": [{"kty": "RSA", "kid": "1", "n": n, "e": e}]}).to_string()
}

#[test]
#[ignore = "needs openssl; .ci/run runs it"]
fn a_provider_with_a_certificate_is_stood_in_for_with_one_of_openssl() {
    let (root, folder) = (state_root(), tempfile::tempdir().unwrap());
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let public = std::fs::read(&certificate).unwrap();
    add(root.path(), "sns", "aws-sns", &public, &[]);
    add(root.path(), "paypal", "paypal", &public, &["--parameter", "webhook_id=WH-1"]);
    let google = ["--parameter", "audience=us", "--parameter", "email=push@example.test"];
    add(root.path(), "pubsub", "google-pubsub", jwk_set(&key).as_bytes(), &google);
    let _daemon = Daemon::start(root.path());
    let private_key = ["--private-key-file", key.to_str().unwrap()];
    for (id, body) in [("sns", Some(202)), ("paypal", Some(401)), ("pubsub", Some(202))] {
        assert_eq!(send(root.path(), id, &private_key), (Some(202), 0), "{id}");
        let expected = [Some(401), Some(401), body, Some(200), Some(401)];
        assert_eq!(statuses(root.path(), id, &private_key), expected, "{id}");
    }
}
