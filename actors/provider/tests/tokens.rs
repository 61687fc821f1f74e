//! Tokens as no provider of the catalogue has them and a profile of one's own may.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;
use crate::limits::{REPLAY_WINDOW_SECONDS_MIN, SIGNATURE_HEADER_BYTES_MAX, TIMESTAMP_TOLERANCE_SECONDS_MAX};

pub(super) const OWN: &str = r#"
version = 1
name = "own"
title = "Own"
docs = "https://example.test/"
content = ["json"]

[[auth]]
[auth.jwt]
from = { header = "Authorization" }
scheme = "bearer"
algorithm = "ES256"
body_sha256_claim = "body"
expiry_leeway_seconds = 0

[event]
default = "delivery"
"#;

fn part(document: &Value) -> String {
    signature::encode(document.to_string().as_bytes(), Encoding::Base64url)
}

pub(super) struct Issuer(EcdsaKeyPair);

impl Issuer {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self(pair.unwrap())
    }

    pub(super) fn jwks(&self) -> String {
        let point = self.0.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|part| signature::encode(part, Encoding::Base64url));
        json!({"keys": [{"kid": "1", "kty": "EC", "crv": "P-256", "x": x, "y": y}]}).to_string()
    }

    fn token(&self, algorithm: &str, body: &[u8]) -> String {
        self.padded_token(algorithm, body, 0)
    }

    fn padded_token(&self, algorithm: &str, body: &[u8], padding: usize) -> String {
        let claims =
            json!({"exp": NOW / 1_000 + 60, "body": Digest::of(body).to_string(), "p": "p".repeat(padding)});
        self.made(&json!({"alg": algorithm, "kid": "1"}), &claims)
    }

    pub(super) fn made(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", part(header), part(claims));
        let code = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", signature::encode(code.as_ref(), Encoding::Base64url))
    }
}

/// What becomes of the header `authorization` at `now`.
fn verdict(issuer: &Issuer, authorization: String, now: UnixMs) -> Result<(), String> {
    let profile = load::load("own.toml", OWN).unwrap();
    let headers = vec![("authorization".to_owned(), authorization.into_bytes())];
    let body = Body::new(BODY.to_vec(), ContentKind::Json);
    let verified = profile.verify(&request("/", &headers, &body), &keys(&issuer.jwks()), now);
    verified.map(drop).map_err(|error| error.to_string())
}

pub(super) const BODY: &[u8] = b"{\"a\":1}";

#[test]
fn a_token_without_the_word_of_its_scheme_is_refused_where_that_is_not_optional() {
    let issuer = Issuer::new();
    let refused = verdict(&issuer, issuer.token("ES256", BODY), NOW).unwrap_err();
    assert!(refused.starts_with("malformed_signature"), "{refused}");
}

#[test]
fn a_token_is_taken_to_the_end_of_the_second_in_which_it_expires() {
    let issuer = Issuer::new();
    let at = |now| verdict(&issuer, format!("Bearer {}", issuer.token("ES256", BODY)), now);
    assert_eq!(at(NOW + 60_999), Ok(()));
    assert!(at(NOW + 61_000).unwrap_err().starts_with("stale_timestamp"));
}

#[test]
fn what_a_token_says_of_its_times_and_extensions_is_heeded_wherever_it_says_so() {
    let (issuer, now) = (Issuer::new(), NOW / 1_000);
    let text = OWN.replace("expiry_leeway_seconds = 0\n", "");
    let profile = load::load("own.toml", &text).unwrap();
    let verdict = |header: Value, mut claims: Value| {
        claims["body"] = Digest::of(BODY).to_string().into();
        let headers = vec![(
            "authorization".to_owned(),
            format!("Bearer {}", issuer.made(&header, &claims)).into_bytes(),
        )];
        let body = Body::new(BODY.to_vec(), ContentKind::Json);
        let verified = profile.verify(&request("/", &headers, &body), &keys(&issuer.jwks()), NOW);
        verified.map(drop).map_err(|error| error.to_string().split(':').next().unwrap().to_owned())
    };
    let plain = || json!({"alg": "ES256", "kid": "1"});
    for (claims, expected) in [
        (json!({}), Ok(())),
        (json!({"exp": now - 60, "nbf": now + 60}), Ok(())),
        (json!({"exp": now as f64 + 0.5}), Ok(())),
        (json!({"exp": now - 61}), Err("stale_timestamp")),
        (json!({"exp": "tomorrow"}), Err("stale_timestamp")),
        (json!({"nbf": now + 61}), Err("future_timestamp")),
        (json!({"nbf": null}), Err("future_timestamp")),
    ] {
        assert_eq!(verdict(plain(), claims.clone()), expected.map_err(str::to_owned), "{claims}");
    }
    let critical = json!({"alg": "ES256", "kid": "1", "crit": ["b64"], "b64": false});
    assert_eq!(verdict(critical, json!({})), Err("bad_signature".to_owned()));
}

#[test]
fn a_token_of_16_kib_is_read_and_one_that_is_longer_is_not() {
    let issuer = Issuer::new();
    let lengths = [PADDING, PADDING + 1].map(|padding| {
        let token = issuer.padded_token("ES256", BODY, padding);
        (token.len(), verdict(&issuer, format!("Bearer {token}"), NOW).is_ok())
    });
    assert_eq!(lengths, [(SIGNATURE_HEADER_BYTES_MAX, true), (SIGNATURE_HEADER_BYTES_MAX + 1, false)]);
}

/// With it a token is as long as one may be.
const PADDING: usize = 12_097;

#[test]
fn a_token_on_a_curve_is_taken_from_its_own_issuer_for_its_own_body_alone() {
    let profile = load::load("own.toml", OWN).unwrap();
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let (body, changed) = (b"{\"a\":1}".as_slice(), b"{\"a\":2}".as_slice());
    let verdict = |token: String, body: &[u8]| {
        let headers = vec![("authorization".to_owned(), format!("Bearer {token}").into_bytes())];
        let body = Body::new(body.to_vec(), ContentKind::Json);
        let verified = profile.verify(&request("/", &headers, &body), &keys(&issuer.jwks()), NOW);
        verified.map(|verified| verified.covers_content).map_err(|error| error.to_string())
    };
    assert_eq!(verdict(issuer.token("ES256", body), body), Ok(true));
    for (token, body) in [
        (issuer.token("ES256", body), changed),
        (other.token("ES256", body), body),
        (issuer.token("RS256", body), body),
        (issuer.token("none", body), body),
    ] {
        let refused = verdict(token, body).unwrap_err();
        assert!(refused.starts_with("bad_signature"), "{refused}");
    }
}

/// What becomes of `token` under these secrets, the newest first: the reason, or that it cannot be told.
pub(super) fn verdict_under(secrets: &[&str], token: &str) -> String {
    let profile = load::load("own.toml", OWN).unwrap();
    let headers = vec![("authorization".to_owned(), format!("Bearer {token}").into_bytes())];
    let body = Body::new(BODY.to_vec(), ContentKind::Json);
    match profile.verify(&request("/", &headers, &body), &versions(secrets), NOW) {
        Ok(verified) => format!("version {}", verified.key_version.unwrap()),
        Err(VerifyError::Rejected(reject)) => reject.reason.as_str().to_owned(),
        Err(VerifyError::UnusableKey(key)) => format!("unusable {}", key.version),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_forged_token_is_refused_whatever_other_keys_and_versions_there_are() {
    let (issuer, forger) = (Issuer::new(), Issuer::new());
    let own: Value = serde_json::from_str(&issuer.jwks()).unwrap();
    let rsa = |kid: &str| json!({"kid": kid, "kty": "RSA", "n": "AQAB", "e": "AQAB"});
    let mixed = json!({"keys": [rsa("1"), rsa("2"), own["keys"][0]]}).to_string();
    let (only_rsa, no_set) = (json!({"keys": [rsa("1")]}).to_string(), "not a set");
    let named = |kid: &str| {
        let claims = json!({"exp": NOW / 1_000 + 60, "body": Digest::of(BODY).to_string()});
        forger.made(&json!({"alg": "ES256", "kid": kid}), &claims)
    };
    for (secrets, kid, expected) in [
        (&[mixed.as_str()][..], "1", "bad_signature"),
        (&[&mixed], "2", "untrusted_key"),
        (&[&mixed], "3", "untrusted_key"),
        (&[&mixed, no_set], "1", "bad_signature"),
        (&[no_set, &mixed], "1", "bad_signature"),
        (&[&mixed, &only_rsa], "2", "untrusted_key"),
        (&[&only_rsa], "1", "unusable 1"),
        (&[no_set, &only_rsa], "3", "unusable 1"),
    ] {
        assert_eq!(verdict_under(secrets, &named(kid)), expected, "{kid} under {secrets:?}");
    }
    let genuine = issuer.token("ES256", BODY);
    assert_eq!(verdict_under(&[&mixed], &genuine), "version 1", "a key of another kind has the same id");
    assert_eq!(verdict_under(&[no_set, &mixed], &genuine), "version 1");
}

#[test]
fn a_forged_signature_is_refused_while_any_version_can_be_used() {
    let profile = profile("adyen");
    let verdict = |secrets: &[&str]| {
        let signed = signed(&profile, None, &keys("ff00"));
        match verify_signed(&profile, &signed, &versions(secrets), NOW) {
            Err(VerifyError::Rejected(reject)) => reject.reason.as_str(),
            Err(VerifyError::UnusableKey(_)) => "unusable",
            Err(error) => panic!("{error}"),
            Ok(_) => "accepted",
        }
    };
    for (secrets, expected) in [
        (&["00ff", "zz"][..], "bad_signature"),
        (&["zz", "00ff"], "bad_signature"),
        (&["zz", "ff00"], "accepted"),
        (&["zz", "yy"], "unusable"),
    ] {
        assert_eq!(verdict(secrets), expected, "{secrets:?}");
    }
}

/// What becomes of a token with these claims, under `OWN` with `more` in its scheme, and with this digest of the body.
fn judged(issuer: &Issuer, more: &str, header: &Value, claims: &Value) -> Result<(), Reason> {
    let text = OWN.replace("expiry_leeway_seconds = 0\n", more);
    let profile =
        load::load("own.toml", &text.replace("[\"json\"]", "[\"json\"]\nparameters = [\"me\"]")).unwrap();
    let headers =
        vec![("authorization".to_owned(), format!("Bearer {}", issuer.made(header, claims)).into_bytes())];
    let body = Body::new(BODY.to_vec(), ContentKind::Json);
    let parameters = Parameters::from([("me".to_owned(), "us".to_owned())]);
    let request = Request { parameters: &parameters, ..request("/", &headers, &body) };
    match profile.verify(&request, &keys(&issuer.jwks()), NOW) {
        Ok(_) => Ok(()),
        Err(VerifyError::Rejected(reject)) => Err(reject.reason),
        Err(error) => panic!("{error}"),
    }
}

fn plain_header() -> Value {
    json!({"alg": "ES256", "kid": "1"})
}

#[test]
fn a_token_for_several_recipients_is_taken_by_each_of_them() {
    let issuer = Issuer::new();
    for more in ["claims_from_parameters = { aud = \"me\" }\n", "claims = { aud = [\"us\"] }\n"] {
        for (audience, taken) in [
            (json!("us"), true),
            (json!(["us"]), true),
            (json!(["them", "us"]), true),
            (json!(["them"]), false),
            (json!([]), false),
            (json!([["us"]]), false),
            (json!({"us": 1}), false),
            (Value::Null, false),
        ] {
            let claims = json!({"aud": audience, "body": Digest::of(BODY).to_string()});
            let expected = if taken { Ok(()) } else { Err(Reason::BadClaim) };
            assert_eq!(judged(&issuer, more, &plain_header(), &claims), expected, "{more} {claims}");
        }
    }
    let claims = json!({"iss": ["us"], "body": Digest::of(BODY).to_string()});
    let issuers = "claims = { iss = [\"us\"] }\n";
    assert_eq!(
        judged(&issuer, issuers, &plain_header(), &claims),
        Err(Reason::BadClaim),
        "only `aud` may be several"
    );
}

#[test]
fn a_token_is_taken_for_a_while_after_it_was_issued_where_the_profile_says_so() {
    let (issuer, now) = (Issuer::new(), NOW / 1_000);
    let verdict = |more: &str, mut claims: Value| {
        claims["body"] = Digest::of(BODY).to_string().into();
        judged(&issuer, more, &plain_header(), &claims)
    };
    let bounded = "issued_past_seconds = 300\n";
    for (claims, expected) in [
        (json!({"iat": now}), Ok(())),
        (json!({"iat": now - 300}), Ok(())),
        (json!({"iat": now - 301}), Err(Reason::StaleTimestamp)),
        (json!({"iat": now + 60}), Ok(())),
        (json!({"iat": now + 61}), Err(Reason::FutureTimestamp)),
        (json!({"iat": "soon"}), Err(Reason::MissingTimestamp)),
        (json!({}), Err(Reason::MissingTimestamp)),
        (json!({"iat": now, "exp": now - 61}), Err(Reason::StaleTimestamp)),
    ] {
        assert_eq!(verdict(bounded, claims.clone()), expected, "{claims}");
    }
    assert_eq!(verdict("", json!({"iat": 1})), Ok(()), "it is not asked for");
}

#[test]
fn a_window_is_no_shorter_than_a_token_stays_fresh() {
    let profile = |past: u64, window: u64| {
        let bounded = OWN.replace("[event]", &format!("issued_past_seconds = {past}\n\n[event]"));
        load::load("own.toml", &format!("{bounded}\n[replay]\nwindow_seconds = {window}\n"))
    };
    let refused = profile(300, 360).unwrap_err();
    assert_eq!(refused.field, "replay.window_seconds", "{refused}");
    assert_eq!(profile(300, 361).unwrap().replay_window_seconds_min(), 361, "60 s ahead, 300 s after");
    let longest = TIMESTAMP_TOLERANCE_SECONDS_MAX;
    let least = profile(longest, REPLAY_WINDOW_SECONDS_MIN).unwrap().replay_window_seconds_min();
    assert!(least <= REPLAY_WINDOW_SECONDS_MIN, "the settings ask for as much of any profile");
    assert_eq!(profile(longest + 1, 100_000).unwrap_err().field, "auth[0].jwt.issued_past_seconds");
}

#[test]
fn the_digest_of_the_body_is_read_as_the_profile_says_it_is_written() {
    let (issuer, digest) = (Issuer::new(), Digest::of(BODY).0);
    for (encoding, padded) in [("hex", ""), ("base64", "="), ("base64url", "=")] {
        let more = format!("body_sha256_encoding = \"{encoding}\"\n");
        let written = |bytes: &[u8]| match encoding {
            "hex" => signature::encode(bytes, Encoding::Hex),
            "base64" => signature::encode(bytes, Encoding::Base64),
            _ => signature::encode(bytes, Encoding::Base64url),
        };
        let verdict = |text: String| judged(&issuer, &more, &plain_header(), &json!({"body": text}));
        assert_eq!(verdict(written(&digest)), Ok(()), "{encoding}");
        assert_eq!(
            verdict(format!("{}{padded}", written(&digest).trim_end_matches('='))),
            Ok(()),
            "{encoding}"
        );
        assert_eq!(verdict(written(&Digest::of(b"{}").0)), Err(Reason::BadSignature), "{encoding}");
        assert_eq!(verdict(String::new()), Err(Reason::BadSignature), "{encoding}");
    }
}

#[test]
fn a_token_that_names_no_key_is_of_the_one_there_is() {
    let (issuer, another) = (Issuer::new(), Issuer::new());
    let claims = json!({"exp": NOW / 1_000 + 60, "body": Digest::of(BODY).to_string()});
    let token = issuer.made(&json!({"alg": "ES256"}), &claims);
    let forged = another.made(&json!({"alg": "ES256"}), &claims);
    assert_eq!(verdict_under(&[&issuer.jwks()], &token), "version 1");
    assert_eq!(verdict_under(&[&issuer.jwks()], &forged), "bad_signature");
}

/// A profile whose tokens are signed with `algorithm`, without further requirements.
pub(super) fn with_algorithm(algorithm: &str) -> Profile {
    let text = OWN.replace("body_sha256_claim = \"body\"\nexpiry_leeway_seconds = 0\n", "");
    load::load("own.toml", &text.replace("ES256", algorithm)).unwrap()
}

/// Tokens that openssl signed: for each algorithm the secret that verifies it, and the token.
fn tokens_of_openssl() -> Vec<[String; 3]> {
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        ["algorithm", "secret", "token"].map(|member| line[member].as_str().unwrap().to_owned())
    };
    include_str!("tokens.jsonl").lines().map(read).collect()
}

#[test]
fn a_token_of_openssl_is_accepted_under_its_algorithm_and_under_no_other() {
    let all = tokens_of_openssl();
    assert_eq!(all.len(), 12);
    for [algorithm, ..] in &all {
        let profile = with_algorithm(algorithm);
        for [own, secret, token] in &all {
            let headers = vec![("authorization".to_owned(), format!("Bearer {token}").into_bytes())];
            let body = Body::new(BODY.to_vec(), ContentKind::Json);
            let verified = profile.verify(&request("/", &headers, &body), &keys(secret), NOW);
            assert_eq!(verified.is_ok(), own == algorithm, "{own} under {algorithm}");
        }
    }
}

#[test]
fn a_jwk_of_another_curve_or_type_is_no_key_of_the_algorithm() {
    let all = tokens_of_openssl();
    let secret = |of: &str| all.iter().find(|[algorithm, ..]| algorithm == of).unwrap()[1].as_str();
    for (algorithm, others) in [
        ("ES256", ["ES384", "RS256", "EdDSA"]),
        ("ES384", ["ES256", "PS384", "EdDSA"]),
        ("EdDSA", ["ES256", "ES384", "RS256"]),
        ("RS256", ["ES256", "ES384", "EdDSA"]),
    ] {
        let profile = with_algorithm(algorithm);
        assert!(profile.check_keys(&keys(secret(algorithm))).is_ok(), "{algorithm}");
        for other in others {
            assert!(profile.check_keys(&keys(secret(other))).is_err(), "a key for {other} under {algorithm}");
        }
    }
    let x25519 = secret("EdDSA").replace("Ed25519", "X25519");
    assert!(with_algorithm("EdDSA").check_keys(&keys(&x25519)).is_err());
}
