use std::sync::Arc;

use base64::Engine as _;
use proptest::prelude::*;
use serde::Deserialize;

use super::profile::{Encoding, SignatureForm, Source};
use super::*;
use crate::secret::{Secret, SecretVersion};

#[derive(Deserialize)]
struct Vector {
    case: String,
    secret: Option<String>,
    method: String,
    url: String,
    headers: std::collections::BTreeMap<String, String>,
    body_base64: String,
    now_unix_s: u64,
    expect: String,
    reason: Option<String>,
    event_type: Option<String>,
    delivery_id: Option<String>,
}

fn vectors(provider: &str) -> Vec<Vector> {
    let path = format!("{}/../tests/vectors/{provider}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn keys(secret: &str) -> SecretVersions {
    versions(&[secret])
}

fn versions(newest_first: &[&str]) -> SecretVersions {
    let version = |(index, secret): (usize, &&str)| SecretVersion {
        version: u32::try_from(newest_first.len() - index).unwrap(),
        secret: Secret::new(secret.as_bytes().to_vec()),
    };
    SecretVersions::new(newest_first.iter().enumerate().map(version).collect()).unwrap()
}

fn profile(name: &str) -> Arc<Profile> {
    Arc::clone(Catalogue::built_in().unwrap().get(name).unwrap())
}

fn headers_of(vector: &Vector) -> Vec<(String, Vec<u8>)> {
    vector.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect()
}

/// What the engine says, in the words of the vectors.
fn outcome(profile: &Profile, vector: &Vector) -> (String, Option<String>, Option<String>, Option<String>) {
    let headers = headers_of(vector);
    let kind = profile.content_kind(&headers).unwrap_or(ContentKind::Json);
    let body =
        Body::new(base64::engine::general_purpose::STANDARD.decode(&vector.body_base64).unwrap(), kind);
    let request = Request { method: &vector.method, url: &vector.url, headers: &headers, body: &body };
    let keys = keys(vector.secret.as_deref().unwrap());
    match profile.verify(&request, &keys, vector.now_unix_s * 1_000) {
        Ok(_) => {
            let description = profile.describe(&request);
            ("accept".into(), None, description.event, description.delivery_id)
        }
        Err(VerifyError::Rejected(reject)) => {
            ("reject".into(), Some(reject.reason.as_str().into()), None, None)
        }
        Err(error) => (error.to_string(), None, None, None),
    }
}

#[test]
fn every_vector_is_accepted_or_refused_for_the_reason_it_names() {
    let mut run = 0;
    for provider in ["github", "stripe", "slack", "standard-webhooks", "shopify", "gitlab"] {
        let profile = profile(provider);
        for vector in vectors(provider) {
            let expected = (
                vector.expect.clone(),
                vector.reason.clone(),
                vector.event_type.clone(),
                vector.delivery_id.clone(),
            );
            assert_eq!(outcome(&profile, &vector), expected, "{provider}/{}", vector.case);
            run += 1;
        }
    }
    assert_eq!(run, 22 + 26 + 25 + 30 + 13 + 10);
}

#[test]
fn what_the_head_condemns_is_what_verification_refuses() {
    let by_head = ["missing_signature", "malformed_signature", "missing_timestamp", "malformed_timestamp"];
    for provider in ["github", "stripe", "slack", "standard-webhooks", "shopify", "gitlab"] {
        let profile = profile(provider);
        for vector in vectors(provider) {
            let refused = profile.precheck(&headers_of(&vector)).err().map(|reject| reject.reason.as_str());
            let expected = vector.reason.as_deref().filter(|reason| by_head.contains(reason));
            assert_eq!(refused, expected, "{provider}/{}", vector.case);
        }
    }
}

const NOW: UnixMs = 1_767_323_045_000;
const SECRET: &str = "whsec_gC7cpm0eD4s04kmpgbmB4+Xonv/oFcgxVQRHgB77kOs=";

fn signed(profile: &Profile, payload: Option<&[u8]>, key: &SecretVersions) -> Signed {
    let draft = SignDraft { event: "push", payload, now: NOW, random: 7 };
    profile.sign(&draft, key.current().unwrap()).unwrap()
}

fn verify_signed(
    profile: &Profile,
    signed: &Signed,
    keys: &SecretVersions,
    now: UnixMs,
) -> Result<Verified, VerifyError> {
    let headers: Vec<(String, Vec<u8>)> =
        signed.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let body = Body::new(signed.body.clone(), ContentKind::Json);
    let request = Request { method: "POST", url: "/hooks/x", headers: &headers, body: &body };
    assert_eq!(profile.describe(&request).event.as_deref(), Some("push"), "{}", profile.name());
    profile.verify(&request, keys, now)
}

#[test]
fn what_each_profile_signs_it_verifies_with_the_current_and_the_previous_key() {
    for profile in Catalogue::built_in().unwrap().iter() {
        let signed = signed(profile, None, &keys(SECRET));
        let verified = verify_signed(profile, &signed, &keys(SECRET), NOW).unwrap();
        assert_eq!(verified.key_version, Some(1), "{}", profile.name());
        let rotated = versions(&["another+secret/of+base64+form/", SECRET]);
        assert_eq!(verify_signed(profile, &signed, &rotated, NOW).unwrap().key_version, Some(1));
        let other = verify_signed(profile, &signed, &keys("another+secret/of+base64+form/"), NOW);
        assert!(other.is_err(), "{}", profile.name());
    }
}

#[test]
fn signed_times_are_fresh_up_to_the_tolerance_on_both_sides() {
    for name in ["stripe", "slack", "standard-webhooks", "envelope"] {
        let profile = profile(name);
        let signed = signed(&profile, None, &keys(SECRET));
        let tolerance = profile.tolerance_seconds() * 1_000;
        for (now, fresh) in [
            (NOW - tolerance - 1_000, false),
            (NOW - tolerance, true),
            (NOW + tolerance, true),
            (NOW + tolerance + 1_000, false),
        ] {
            assert_eq!(verify_signed(&profile, &signed, &keys(SECRET), now).is_ok(), fresh, "{name} {now}");
        }
    }
}

#[test]
fn an_envelope_may_carry_its_signature_inside() {
    let profile = profile("envelope");
    let mut document: serde_json::Value =
        serde_json::from_slice(&signed(&profile, None, &keys(SECRET)).body).unwrap();
    let canonical = serde_json_canonicalizer::to_vec(&document).unwrap();
    let code = profile::MacAlgorithm::HmacSha256.compute(SECRET.as_bytes(), &[Some(canonical.into())]);
    for prefix in ["", "sha256=", "hmac-sha256="] {
        document["replay_protection"]["signature"] = format!("{prefix}{}", hex::encode(&code)).into();
        let posted = Signed { headers: Vec::new(), body: serde_json::to_vec_pretty(&document).unwrap() };
        assert!(verify_signed(&profile, &posted, &keys(SECRET), NOW).is_ok(), "{prefix}");
    }
    document["payload"]["big"] = serde_json::from_str("9007199254740993").unwrap();
    let posted = Signed { headers: Vec::new(), body: serde_json::to_vec(&document).unwrap() };
    let error = verify_signed(&profile, &posted, &keys(SECRET), NOW).unwrap_err().to_string();
    assert!(error.contains("double"), "{error}");
}

#[test]
fn repeated_headers_are_refused_whichever_is_genuine() {
    let profile = profile("github");
    let genuine = signed(&profile, None, &keys(SECRET));
    let forged = ("x-hub-signature-256".to_owned(), format!("sha256={}", "0".repeat(64)));
    for first in [true, false] {
        let mut doubled = Signed { headers: genuine.headers.clone(), body: genuine.body.clone() };
        doubled.headers.insert(if first { 0 } else { doubled.headers.len() }, forged.clone());
        let refused = verify_signed(&profile, &doubled, &keys(SECRET), NOW).unwrap_err();
        assert!(refused.to_string().starts_with("malformed_signature"), "{refused}");
    }
}

fn replay_key(
    name: &str,
    integration: &str,
    headers: &[(&str, &str)],
    body: &str,
    verified: &Verified,
) -> Digest {
    let headers: Vec<(String, Vec<u8>)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    let body = Body::new(body.as_bytes().to_vec(), ContentKind::Json);
    let request = Request { method: "POST", url: "/", headers: &headers, body: &body };
    profile(name).replay_key(integration, verified, &request)
}

#[test]
fn only_what_is_signed_identifies_a_delivery() {
    let covered = |content: &[u8]| Verified {
        key_version: Some(1),
        signed_digest: Digest::of(content),
        covers_content: true,
    };
    let github = |id, body: &str| {
        replay_key("github", "a", &[("x-github-delivery", id)], body, &covered(body.as_bytes()))
    };
    assert_eq!(github("1", "{}"), github("2", "{}"), "an unsigned id makes no new delivery");
    assert_ne!(github("1", "{}"), github("1", "[]"));
    let stripe = |body, signed: &[u8]| replay_key("stripe", "a", &[], body, &covered(signed));
    assert_eq!(stripe(r#"{"id":"evt"}"#, b"1"), stripe(r#"{"id":"evt"}"#, b"2"), "a retry is signed anew");
    assert_ne!(stripe(r#"{"id":"evt"}"#, b"1"), stripe(r#"{"id":"other"}"#, b"1"));
    let token = |id, body: &str| {
        let nothing = Verified { covers_content: false, ..covered(body.as_bytes()) };
        replay_key("gitlab", "a", &[("idempotency-key", id)], body, &nothing)
    };
    assert_ne!(token("1", "{}"), token("2", "{}"));
    assert_ne!(
        replay_key("github", "a", &[], "{}", &covered(b"{}")),
        replay_key("github", "b", &[], "{}", &covered(b"{}"))
    );
}

#[test]
fn sources_are_found_in_every_shape_of_payload() {
    let cases = [
        (r#"{"repository":{"full_name":"o/r"},"organization":{"login":"o"}}"#, Some("o/r")),
        (r#"{"organization":{"login":"o"},"sender":{"login":"s"}}"#, Some("o")),
        (r#"{"installation":{"account":{"login":"i"}},"sender":{"login":"s"}}"#, Some("i")),
        (r#"{"sender":{"login":"s"}}"#, Some("s")),
        ("{}", None),
        ("[]", None),
    ];
    for (text, source) in cases {
        let headers = Vec::new();
        let body = Body::new(text.as_bytes().to_vec(), ContentKind::Json);
        let request = Request { method: "POST", url: "/", headers: &headers, body: &body };
        assert_eq!(profile("github").describe(&request).source.as_deref(), source, "{text}");
    }
}

#[test]
fn bodies_are_taken_by_type_alone() {
    let kind = |name: &str, typed: &str| {
        profile(name).content_kind(&vec![("content-type".to_owned(), typed.as_bytes().to_vec())]).ok()
    };
    for typed in ["application/json", "Application/JSON; charset=UTF-8", "application/cloudevents+json"] {
        assert_eq!(kind("github", typed), Some(ContentKind::Json), "{typed}");
    }
    assert_eq!(kind("github", "application/x-www-form-urlencoded"), Some(ContentKind::Form));
    for typed in
        ["", "text/plain", "multipart/form-data", "application/json; charset=utf-16", "application/xml"]
    {
        assert_eq!(kind("github", typed), None, "{typed}");
    }
    assert_eq!(kind("stripe", "application/x-www-form-urlencoded"), None);
    assert!(profile("github").content_kind(&Vec::new()).is_err());
}

#[test]
fn a_profile_that_cannot_be_used_is_refused_with_its_place() {
    let good = include_str!("../../schemas/providers/github.toml");
    let cases = [
        (
            "content = \"{body}\"",
            "contnet = \"{body}\"",
            "own.toml:11:1: auth[0].mac.contnet: there is no field `contnet`",
        ),
        (
            "content = \"{body}\"",
            "content = \"{bdy}\"",
            "own.toml:11:1: auth[0].mac.content: `{bdy}` is not a placeholder",
        ),
        (
            "content = \"{body}\"",
            "content = \"{ts}{body}\"",
            "`{ts}` stands here, but there is no `timestamp`",
        ),
        ("hmac-sha256", "hmac-md5", "own.toml:9:1: auth[0].mac.algorithm"),
        ("version = 1", "version = 2", "own.toml:1:1: version"),
        ("version = 1", "version = ", "own.toml:1:"),
    ];
    for (from, to, expected) in cases {
        let error = load::load("own.toml", &good.replacen(from, to, 1), Origin::BuiltIn).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(to != "contnet = \"{body}\"" || error.hint.as_deref() == Some("did you mean `content`?"));
    }
}

#[test]
fn at_most_eight_signatures_are_tried() {
    let form = SignatureForm {
        from: Source::Header("s".into()),
        encoding: Encoding::Hex,
        prefixes: Vec::new(),
        split: Some(",".into()),
        pair: Some("=".into()),
        key: Some("v1".into()),
        trim: false,
    };
    let header = |count| vec![format!("v1={}", "ab".repeat(32)); count].join(",");
    assert_eq!(signature::read(&header(8), &form, 32).unwrap().candidates.len(), 8);
    assert!(signature::read(&header(9), &form, 32).is_err());
    assert!(signature::read(&header(5_000), &form, 32).is_err());
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(index in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        for name in ["github", "stripe", "slack", "standard-webhooks", "shopify"] {
            let profile = profile(name);
            let mut forged = signed(&profile, None, &keys(SECRET));
            let at = index.index(forged.body.len());
            forged.body[at] ^= flip;
            let headers: Vec<(String, Vec<u8>)> =
                forged.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
            let body = Body::new(forged.body, ContentKind::Json);
            let request = Request { method: "POST", url: "/", headers: &headers, body: &body };
            prop_assert!(profile.verify(&request, &keys(SECRET), NOW).is_err(), "{}", name);
        }
    }

    #[test]
    fn arbitrary_headers_never_panic_and_never_verify(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for profile in Catalogue::built_in().unwrap().iter() {
            let summary = profile.summary();
            let header = summary.header.unwrap_or_else(|| "x-palyra-signature".into());
            let headers = vec![(header, bytes.clone()), ("webhook-timestamp".to_owned(), bytes.clone())];
            let body = Body::new(bytes.clone(), ContentKind::Json);
            let request = Request { method: "POST", url: "/", headers: &headers, body: &body };
            prop_assert!(profile.verify(&request, &keys(SECRET), NOW).is_err());
        }
    }
}
