//! A provider of the test's own that publishes its keys, and a daemon that trusts its authority.

use std::path::Path;

use serde_json::json;

use super::key_server::Authority;
use super::{Answer, Daemon, own_profile, succeed, write_private};

pub fn key_set_profile(address: &str) -> String {
    format!(
        "version = 1\nname = \"own\"\ntitle = \"Own\"\ndocs = \"https://example.test/\"\ncontent = [\"json\"]\n\
         [[auth]]\n[auth.jwt]\nfrom = {{ header = \"Authorization\" }}\nscheme = \"bearer\"\nalgorithm = \"ES256\"\n\
         jwks_url = \"https://{address}/keys\"\nclaims = {{ aud = [\"us\"] }}\n\
         expiry_leeway_seconds = 0\n[event]\ndefault = \"delivery\"\n"
    )
}

pub fn daemon(root: &Path, profile: &str, trusted: &Authority) -> Daemon {
    prepare(root, profile, trusted, "");
    Daemon::start(root)
}

pub fn prepare(root: &Path, profile: &str, trusted: &Authority, settings: &str) {
    own_profile(root, "own", profile);
    let roots = root.join("roots.pem");
    write_private(&roots, &trusted.1);
    let settings = format!("key_roots_file = {:?}\n{settings}", roots.to_str().unwrap());
    write_private(&root.join("palyra.toml"), &settings);
    succeed(root, &["webhooks", "add", "in", "own", "--published-keys"], b"");
}

pub fn post(daemon: &Daemon, token: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    daemon.post("in", &[("Content-Type", "application/json"), ("Authorization", &bearer)], body.as_bytes())
}

pub fn certificate_profile(address: &str) -> String {
    let sns = include_str!("../../schemas/providers/aws-sns.toml");
    let pin = "hosts = [\"sns.*.amazonaws.com\", \"sns.*.amazonaws.com.cn\"], path_suffix = \".pem\"";
    assert!(sns.contains(pin));
    let own = format!("hosts = [\"{address}\"], chain_name = \"signer.test\"");
    sns.replace("name = \"aws-sns\"", "name = \"own\"").replace(pin, &own)
}

/// A delivery that anybody can make, for its signature is none.
pub fn sns(certificate_url: &str) -> serde_json::Value {
    json!({"Type": "Notification", "MessageId": "1", "Message": "m", "TopicArn": "t",
        "Timestamp": "2026-01-01T00:00:00.000Z", "SignatureVersion": "2", "SigningCertURL": certificate_url,
        "Signature": "AAAA"})
}
