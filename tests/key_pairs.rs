//! Deliveries signed with private keys of openssl, for every algorithm that a profile can name.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::mutations::{add, jwk_set, send};
use crate::support::{Daemon, json as shown, run, state_root, succeed};

/// A key pair of openssl's.
struct Pair {
    private_key: PathBuf,
    public_pem: String,
    public_der: Vec<u8>,
}

impl Pair {
    fn new(folder: &Path, name: &str, algorithm: &[&str]) -> Self {
        let private_key = folder.join(name);
        let path = private_key.to_str().unwrap();
        openssl(&[&["genpkey", "-out", path, "-algorithm"], algorithm].concat());
        let public_pem = String::from_utf8(openssl(&["pkey", "-in", path, "-pubout"])).unwrap();
        let public_der = openssl(&["pkey", "-in", path, "-pubout", "-outform", "DER"]);
        Self { private_key, public_pem, public_der }
    }

    /// The last bytes of the public key: its point.
    fn end(&self, bytes: usize) -> &[u8] {
        &self.public_der[self.public_der.len() - bytes..]
    }

    fn edwards_set(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.end(32));
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": x}]}).to_string()
    }

    fn curve_set(&self, curve: &str, coordinate_bytes: usize) -> String {
        let (x, y) = self.end(2 * coordinate_bytes).split_at(coordinate_bytes);
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        json!({"keys": [{"kty": "EC", "crv": curve, "kid": "1", "x": x, "y": y}]}).to_string()
    }
}

fn openssl(args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// Writes a profile whose scheme is `auth` to the operator's own folder.
fn own_profile(root: &Path, name: &str, auth: &str) {
    let head = "title = \"Own\"\ndocs = \"https://example.test/\"\ncontent = [\"json\"]\n";
    let event = "[event]\ndefault = \"delivery\"\n";
    let text = format!("version = 1\nname = \"{name}\"\n{head}\n[[auth]]\n{auth}\n{event}");
    crate::support::own_profile(root, name, &text);
}

/// Deliveries with each mutation are answered as they should be.
fn is_told_genuine_from_forged(root: &Path, id: &str, private_key: &Path) {
    let private_key = ["--private-key-file", private_key.to_str().unwrap()];
    assert_eq!(send(root, id, &private_key), (Some(202), 0), "{id}");
    for mutation in ["body", "signature"] {
        let args = [&private_key[..], &["--mutate", mutation]].concat();
        assert_eq!(send(root, id, &args), (Some(401), 0), "{id} {mutation}");
    }
}

#[test]
#[ignore = "needs openssl; .ci/run runs it"]
fn content_signed_under_every_algorithm_of_a_public_key_is_told_from_forged_content() {
    let (root, folder) = (state_root(), tempfile::tempdir().unwrap());
    let pair = |name, algorithm: &[&str]| Pair::new(folder.path(), name, algorithm);
    let table = [
        (pair("ed25519", &["ed25519"]), &["ed25519"][..]),
        (
            pair("p256", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
            &["ecdsa-p256-sha256", "ecdsa-p256-sha256-raw"],
        ),
        (
            pair("p384", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
            &["ecdsa-p384-sha384", "ecdsa-p384-sha384-raw"],
        ),
        (
            pair("rsa", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
            &["rsa-sha256", "rsa-sha384", "rsa-sha512", "rsa-pss-sha256", "rsa-pss-sha384", "rsa-pss-sha512"],
        ),
    ];
    let all = || table.iter().flat_map(|(pair, names)| names.iter().map(move |name| (pair, *name)));
    for (pair, name) in all() {
        let signature = "signature = { from = { header = \"X-Signature\" }, encoding = \"base64\" }";
        let auth =
            format!("[auth.public_key]\nalgorithm = \"{name}\"\nkey = {{ decode = \"pem\" }}\n{signature}\n");
        own_profile(root.path(), name, &format!("{auth}content = \"{{body}}\"\n"));
        add(root.path(), name, name, pair.public_pem.as_bytes(), &[]);
    }
    let _daemon = Daemon::start(root.path());
    for (pair, name) in all() {
        is_told_genuine_from_forged(root.path(), name, &pair.private_key);
    }
}

#[test]
#[ignore = "needs openssl; .ci/run runs it"]
fn a_token_under_every_algorithm_of_a_key_pair_is_told_from_a_forged_one() {
    let (root, folder) = (state_root(), tempfile::tempdir().unwrap());
    let pair = |name, algorithm: &[&str]| Pair::new(folder.path(), name, algorithm);
    let edwards = pair("ed25519", &["ed25519"]);
    let p256 = pair("p256", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let p384 = pair("p384", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    let rsa = pair("rsa", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let table = [
        (&edwards, edwards.edwards_set(), &["EdDSA"][..]),
        (&p256, p256.curve_set("P-256", 32), &["ES256"]),
        (&p384, p384.curve_set("P-384", 48), &["ES384"]),
        (&rsa, jwk_set(&rsa.private_key), &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]),
    ];
    for (_, set, algorithms) in &table {
        for algorithm in *algorithms {
            let (name, from) = (algorithm.to_lowercase(), "from = { header = \"X-Token\" }");
            let auth =
                format!("[auth.jwt]\nalgorithm = \"{algorithm}\"\n{from}\nbody_sha256_claim = \"body\"\n");
            own_profile(root.path(), &name, &auth);
            add(root.path(), &name, &name, set.as_bytes(), &[]);
        }
    }
    let _daemon = Daemon::start(root.path());
    for (pair, _, algorithms) in &table {
        for algorithm in *algorithms {
            is_told_genuine_from_forged(root.path(), &algorithm.to_lowercase(), &pair.private_key);
        }
    }
}

/// A public key as Discord shows it, and one of all zeros, whose signatures anybody can make.
const GOOD: &str = "187ebf7f3af1610fc87ef5abc56071c4de0370f049081f2cc05e3bce2eb2bd40";
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A P-256 public key as SendGrid shows it, whose point is (1, 1).
fn off_the_curve() -> Vec<u8> {
    let head = hex::decode("3059301306072a8648ce3d020106082a8648ce3d03010703420004").unwrap();
    let one = [&[0; 31][..], &[1]].concat();
    STANDARD.encode([head, one.clone(), one].concat()).into_bytes()
}

#[test]
fn a_key_that_can_verify_nothing_makes_no_integration_ready() {
    let root = state_root();
    let root = root.path();
    for (id, provider, key, said) in [
        ("d", "discord", ZEROS.as_bytes().to_vec(), "small order"),
        ("s", "sendgrid", off_the_curve(), "not on the curve"),
    ] {
        let vault_ref = format!("global/{id}");
        succeed(root, &["vault", "put", &vault_ref], &key);
        let added = run(root, &["webhooks", "add", id, provider, "--secret-ref", &vault_ref], b"");
        let told = String::from_utf8(added.stderr).unwrap();
        assert!(added.status.code() == Some(1) && told.contains(said), "{id}: {told}");
        let refused = run(root, &["webhooks", "enable", id], b"");
        assert_eq!(refused.status.code(), Some(1), "{id}");
        assert_eq!(shown(root, &["webhooks", "show", id])["readiness"], "secret_unavailable", "{id}");
    }
    succeed(root, &["vault", "put", "global/d"], GOOD.as_bytes());
    succeed(root, &["webhooks", "enable", "d"], b"");
    for order in ["put", "rotate"] {
        let refused = run(root, &["vault", order, "global/d"], ZEROS.as_bytes());
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(1) && told.contains("small order"), "{order}: {told}");
    }
    assert_eq!(shown(root, &["webhooks", "show", "d"])["readiness"], "ready");
}
