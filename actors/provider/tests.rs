mod hostile;
mod key_sets;
mod keys;
mod parts;
mod public_keys;
mod published;
mod rules;
mod signatures;
mod tokens;
mod told_apart;
mod useless_keys;
mod vectors;

use std::sync::Arc;

use super::algorithm::Algorithm;
use super::form::{Encoding, Locator, SignatureForm};
use super::key::Key;
use super::profile::key_of;
use super::scheme::Proof;
use super::*;
use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::secret::Secret;
use crate::secret::{SecretVersion, SecretVersions};

static NO_PARAMETERS: Parameters = Parameters::new();

fn request<'a>(url: &'a str, headers: &'a dyn Headers, body: &'a Body) -> Request<'a> {
    Request { method: "POST", url, headers, body, parameters: &NO_PARAMETERS }
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

const NOW: UnixMs = 1_767_323_045_000;
const SECRET: &str = "whsec_gC7cpm0eD4s04kmpgbmB4+Xonv/oFcgxVQRHgB77kOs=";

const URL: &str = "https://hooks.example/in";

fn signed(profile: &Profile, payload: Option<&[u8]>, key: &SecretVersions) -> MadeRequest {
    try_signed(profile, payload, key).unwrap()
}

fn try_signed(
    profile: &Profile,
    payload: Option<&[u8]>,
    key: &SecretVersions,
) -> Result<MadeRequest, SignError> {
    let parameters = Parameters::from([("audience".to_owned(), "us".to_owned())]);
    let draft = SignDraft {
        event: "push",
        payload,
        now: NOW,
        random: 7,
        url: URL,
        parameters: &parameters,
        private_key: None,
        mutation: None,
    };
    profile.sign(&draft, key.current().unwrap())
}

fn verify_signed(
    profile: &Profile,
    signed: &MadeRequest,
    keys: &SecretVersions,
    now: UnixMs,
) -> Result<Verified, VerifyError> {
    let headers: Vec<(String, Vec<u8>)> =
        signed.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let body = Body::new(signed.body.clone(), profile.content_kind(&headers).unwrap_or(ContentKind::Json));
    let parameters = Parameters::from([("audience".to_owned(), "us".to_owned())]);
    let request = Request { parameters: &parameters, ..request(URL, &headers, &body) };
    profile.verify(&request, keys, now)
}

#[test]
fn what_each_profile_signs_it_verifies_with_the_current_and_the_previous_key() {
    // Reads as text, as hexadecimal and as Base64.
    let (own, other) = ("00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100");
    let mut unsigned = Vec::new();
    for profile in Catalogue::built_in().unwrap().iter().filter(|profile| profile.summary().scheme != "none")
    {
        let signed = match try_signed(profile, None, &keys(own)) {
            Ok(signed) => signed,
            Err(error) => {
                assert_eq!(error, SignError::NoPrivateKey, "{}", profile.name());
                unsigned.push(profile.name().to_owned());
                continue;
            }
        };
        let verified = verify_signed(profile, &signed, &keys(own), NOW);
        assert_eq!(verified.map(|verified| verified.key_version), Ok(Some(1)), "{}", profile.name());
        let rotated = versions(&[other, own]);
        assert_eq!(verify_signed(profile, &signed, &rotated, NOW).unwrap().key_version, Some(1));
        assert!(verify_signed(profile, &signed, &keys(other), NOW).is_err(), "{}", profile.name());
    }
    let key_pairs =
        ["aws-sns", "discord", "google-pubsub", "paypal", "sendgrid", "standard-webhooks-v1a", "telnyx"];
    assert_eq!(unsigned, key_pairs, "only who signs with a key of its own cannot be stood in for");
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
    let code = mac::compute(Algorithm::HmacSha256, SECRET.as_bytes(), &[Some(canonical.into())]).unwrap();
    for prefix in ["", "sha256=", "hmac-sha256="] {
        document["replay_protection"]["signature"] = format!("{prefix}{}", hex::encode(&code)).into();
        let posted = MadeRequest { headers: Vec::new(), body: serde_json::to_vec_pretty(&document).unwrap() };
        assert!(verify_signed(&profile, &posted, &keys(SECRET), NOW).is_ok(), "{prefix}");
    }
    document["payload"]["big"] = serde_json::from_str("9007199254740993").unwrap();
    let posted = MadeRequest { headers: Vec::new(), body: serde_json::to_vec(&document).unwrap() };
    let error = verify_signed(&profile, &posted, &keys(SECRET), NOW).unwrap_err().to_string();
    assert!(error.contains("double"), "{error}");
}

#[test]
fn repeated_headers_are_refused_whichever_is_genuine() {
    let profile = profile("github");
    let genuine = signed(&profile, None, &keys(SECRET));
    let forged = ("x-hub-signature-256".to_owned(), format!("sha256={}", "0".repeat(64)));
    for first in [true, false] {
        let mut doubled = MadeRequest { headers: genuine.headers.clone(), body: genuine.body.clone() };
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
    let request = request("/", &headers, &body);
    profile(name).replay_key(integration, verified, &request)
}

/// The replay key of a delivery that verifies.
fn verified_key(profile: &Profile, signed: &MadeRequest, url: &str) -> Digest {
    let headers: Vec<(String, Vec<u8>)> =
        signed.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let body = Body::new(signed.body.clone(), profile.content_kind(&headers).unwrap());
    let request = request(url, &headers, &body);
    let verified = profile.verify(&request, &keys(SECRET), NOW).unwrap();
    profile.replay_key("a", &verified, &request)
}

#[test]
fn a_captured_signature_identifies_one_delivery_whatever_is_changed_beside_it() {
    let mailgun = profile("mailgun");
    let mut captured = signed(&mailgun, None, &keys(SECRET));
    let genuine = verified_key(&mailgun, &captured, URL);
    let mut document: serde_json::Value = serde_json::from_slice(&captured.body).unwrap();
    document["event-data"]["id"] = "another".into();
    captured.body = document.to_string().into_bytes();
    assert_eq!(verified_key(&mailgun, &captured, URL), genuine, "the token is what is signed");
    let twilio = profile("twilio");
    let mut captured = signed(&twilio, Some(b"Body=hello&To=me"), &keys(SECRET));
    let genuine = verified_key(&twilio, &captured, URL);
    captured.body = b"Bodyhello=&To=me&MessageStatus=push".to_vec();
    assert_eq!(verified_key(&twilio, &captured, URL), genuine, "names and values run into one another");
    captured.body = b"ToMe=".to_vec();
    captured.headers.iter_mut().filter(|(name, _)| name == "Content-Type").for_each(|(_, value)| {
        "application/json".clone_into(value);
    });
    assert!(verify_signed(&twilio, &captured, &keys(SECRET), NOW).is_err(), "JSON is not what was signed");
}

#[test]
fn only_what_is_signed_identifies_a_delivery() {
    let covered = |content: &[u8]| Verified {
        key_version: Some(1),
        signed_digest: Some(Digest::of(content)),
        covers_content: true,
        covers_bytes: true,
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
fn a_conflict_is_told_apart_by_what_only_the_holder_of_the_secret_can_change() {
    let [key, x, y] = ["key", "x", "y"].map(|text| Digest::of(text.as_bytes()));
    let whole = Verified { covers_bytes: true, covers_content: true, ..verify::uncovered(Some(1)) };
    assert_ne!(whole.conflict_key(key, x), whole.conflict_key(key, y));
    assert_ne!(whole.conflict_key(key, x), whole.conflict_key(x, x));
    let part = Verified { covers_bytes: false, signed_digest: Some(key), ..whole.clone() };
    assert_eq!(part.conflict_key(key, x), part.conflict_key(key, y), "what differs is not signed");
    let other = Verified { signed_digest: Some(y), ..part.clone() };
    assert_ne!(part.conflict_key(key, x), other.conflict_key(key, x));
    assert_eq!(
        whole.conflict_key(key, x),
        Digest::of(&[b"palyra conflict v1".as_slice(), &key.0, &x.0].concat())
    );
}

#[test]
fn a_replay_key_is_the_digest_of_its_parts_with_their_lengths() {
    let parts = b"palyra replay key v1\0\0\0\0\0\0\0\x02gh\0\0\0\0\0\0\0\x02id\0\0\0\0\0\0\0\x03abc";
    assert_eq!(key_of("gh", b"id", b"abc"), Digest::of(parts));
}

#[test]
fn a_form_field_is_its_last_value() {
    let body = Body::new(b"a=1&b=%7B%22x%22%3A1%7D&a=2&c=&a=+3".to_vec(), ContentKind::Form);
    let fields = [("a", Some(" 3")), ("b", Some("{\"x\":1}")), ("c", Some("")), ("d", None)];
    for (name, value) in fields {
        assert_eq!(body.form_field(name), value, "{name}");
    }
    let json = Body::new(b"{\"a\":\"1\"}".to_vec(), ContentKind::Json);
    assert_eq!(json.form_field("a"), None);
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
        let request = request("/", &headers, &body);
        assert_eq!(profile("github").describe(&request).source.as_deref(), source, "{text}");
    }
}

#[test]
fn bodies_are_taken_by_type_alone() {
    let kind = |name: &str, typed: &str| {
        profile(name).content_kind(&vec![("content-type".to_owned(), typed.as_bytes().to_vec())]).ok()
    };
    for typed in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/cloudevents+json",
        "APPLICATION/a+b+Json",
        "application/+json",
    ] {
        assert_eq!(kind("github", typed), Some(ContentKind::Json), "{typed}");
    }
    for typed in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded;charset=\"utf-8\""]
    {
        assert_eq!(kind("github", typed), Some(ContentKind::Form), "{typed}");
    }
    for typed in [
        "",
        "text/plain",
        "multipart/form-data",
        "application/json; charset=utf-16",
        "application/xml",
        "application/jsonl",
        "application/json+xml",
        "application/xjson",
        "text/json",
        "+json",
        "éapplication/json",
    ] {
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
            "`{ts}` is used here, but there is no `timestamp`",
        ),
        ("hmac-sha256", "hmac-md5", "own.toml:9:1: auth[0].mac.algorithm"),
        (
            "hmac-sha256",
            "ed25519",
            "is not an algorithm of `mac`; its algorithms are hmac-sha1, hmac-sha256, hmac-sha384, hmac-sha512, sha256",
        ),
        (
            "content = \"{body}\"",
            "content = \"{body}\"\nkey = { decode = \"pem\" }",
            "own.toml:12:9: auth[0].mac.key.decode: the key of a shared secret must be `raw`, `hex` or `base64`",
        ),
        (
            "content = \"{body}\"",
            "content = \"{body}{\"",
            "a `{` is not closed; write `{{` for a literal brace",
        ),
        ("version = 1", "version = 2", "own.toml:1:1: version"),
        ("version = 1", "version = ", "own.toml:1:"),
        ("version = 1", "version = 1\nversion = 1", "own.toml:2:1: version: is set a second time here"),
        (
            "[[auth]]",
            "[[auth]]\nwhen = { header_present = \"a\" }\ntoken = { from = { const = \"abc\" } }\n\n[[auth]]",
            "auth[0].token.from: the value that authenticates a delivery cannot be constant",
        ),
        (
            "[[auth]]",
            "[[auth]]\nwhen = { header_present = \"a\" }\njwt = { from = { const = \"abc\" }, algorithm = \"HS256\" }\n\n[[auth]]",
            "auth[0].jwt.from: the value that authenticates a delivery cannot be constant",
        ),
    ];
    for (from, to, expected) in cases {
        let error = load::load("own.toml", &good.replacen(from, to, 1)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(to != "contnet = \"{body}\"" || error.hint.as_deref() == Some("did you mean `content`?"));
    }
}

#[test]
fn content_over_which_a_handshake_makes_codes_for_others_is_no_delivery_wherever_it_stands() {
    let text = include_str!("../../schemas/providers/x.toml")
        .replace("\"{body}\"", "\"{form:a}{form:b}\"")
        .replace("[\"json\"]", "[\"form\"]");
    let profile = load::load("own.toml", &text).unwrap();
    let verdict = |body: &str, signed: &str| {
        let code = mac::compute(Algorithm::HmacSha256, SECRET.as_bytes(), &[Some(signed.as_bytes().into())]);
        let code = format!("sha256={}", signature::encode(&code.unwrap(), Encoding::Base64));
        let headers = vec![("x-twitter-webhooks-signature".to_owned(), code.into_bytes())];
        let body = Body::new(body.as_bytes().to_vec(), ContentKind::Form);
        profile.verify(&request("/", &headers, &body), &keys(SECRET), NOW).is_ok()
    };
    assert!(!verdict("a=abc&b=1", "abc1"));
    assert!(verdict("a=abc&b=:1", "abc:1"), "no code is made over it");
    let long = "x".repeat(crate::limits::ECHO_BYTES_MAX);
    assert!(!verdict(&format!("a={long}"), &long));
    assert!(verdict(&format!("a={long}y"), &format!("{long}y")), "it is too long for one");
}
