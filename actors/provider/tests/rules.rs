//! What the lint finds, rule by rule.

use super::*;
use crate::provider::lint::mistakes;

const GITHUB: &str = include_str!("../../../schemas/providers/github.toml");
const META: &str = include_str!("../../../schemas/providers/meta.toml");
const X: &str = include_str!("../../../schemas/providers/x.toml");
const PUBSUB: &str = include_str!("../../../schemas/providers/google-pubsub.toml");
const ZOOM: &str = include_str!("../../../schemas/providers/zoom.toml");

/// The rules that are broken once `from` reads `to`, with their lines.
fn broken(profile: &str, from: &str, to: &str) -> Vec<(&'static str, usize)> {
    assert!(profile.contains(from), "{from}");
    let findings = mistakes(&load::load("own.toml", &profile.replacen(from, to, 1)).unwrap());
    findings.into_iter().map(|finding| (finding.rule, finding.place.line)).collect()
}

#[test]
fn each_mistake_is_found_at_its_line() {
    assert_eq!(broken(GITHUB, "title", "title"), []);
    assert_eq!(broken(GITHUB, "signed = false", "signed = true"), [("unsigned_id", 30)]);
    assert_eq!(broken(GITHUB, "\"{body}\"", "\"fixed\""), [("token_as_mac", 11)]);
    assert_eq!(broken(GITHUB, "\"{body}\"", "\"{h:X-Timestamp}{body}\""), [("timestamp_not_checked", 11)]);
    assert_eq!(broken(GITHUB, "\"{body}\"", "\"{method}\""), [("body_not_signed", 11)]);
    assert_eq!(broken(GITHUB, "hmac-sha256", "sha256"), [("unkeyed_hash", 11)]);
    assert_eq!(broken(GITHUB, "[[auth]]", "[[auth]]\nnone = true\n\n[[auth]]").len(), 2);
    assert_eq!(
        broken(GITHUB, "signed = false", "signed = false\nreplay_key = [{ header = \"X\" }]"),
        [("unsigned_replay_key", 31)]
    );
    let retries = "signed = false\nretries_differ = true";
    assert_eq!(broken(GITHUB, "signed = false", retries), [("unsigned_retries", 31)]);
    assert_eq!(broken(ZOOM, "v0:{ts}:{body}", "v0:{body}")[0].0, "timestamp_not_signed");
    assert_eq!(broken(ZOOM, "past_seconds = 300", "past_seconds = 3600")[0].0, "wide_tolerance");
    assert_eq!(broken(ZOOM, "version = 1", "version = 1\nparameters = [\"a\"]"), [("unused_parameter", 2)]);
    assert_eq!(broken(ZOOM, "{ts}:", "{ts}:{param:b}")[0].0, "undeclared_parameter");
    assert!(
        broken(META, "answer = { echo", "answer = { status = 204, echo")
            .iter()
            .any(|(rule, _)| *rule == "content_without_room")
    );
    assert_eq!(broken(META, "\"{body}\"", "\"{param:verify_token}{body}\""), [("token_used_otherwise", 6)]);
    assert_eq!(
        broken(ZOOM, "method = \"POST\"", "method = \"POST\"\ncheck = \"token\"")[0].0,
        "handshake_without_token"
    );
}

#[test]
fn an_open_code_over_words_is_an_error_where_a_delivery_that_is_taken_may_be_one() {
    let weight = |profile: &str, pairs: &[(&str, &str)]| {
        let text = pairs.iter().fold(profile.to_owned(), |text, (from, to)| text.replacen(from, to, 1));
        let findings = lint("own.toml", &text).unwrap();
        findings.iter().find(|found| found.rule == "open_handshake_code").map(|found| found.weight)
    };
    let (form, open) =
        (("[\"json\"]", "[\"json\", \"form\"]"), ("= \"POST\"", "= \"POST\"\ncheck = \"nothing\""));
    let sha1 = ("hmac-sha256", "hmac-sha1");
    assert_eq!(weight(X, &[]), Some(Weight::Warning), "no JSON that is taken is a bare word");
    assert_eq!(weight(X, &[form]), Some(Weight::Error));
    assert_eq!(weight(X, &[("[\"json\"]", "[\"text\"]")]), Some(Weight::Error));
    assert_eq!(weight(X, &[form, sha1]), Some(Weight::Warning), "the codes are of another algorithm");
    assert_eq!(weight(ZOOM, &[form]), None, "who asks has the secret");
    assert_eq!(weight(ZOOM, &[form, open]), Some(Weight::Warning), "what is signed is never a bare word");
}

#[test]
fn no_built_in_profile_has_an_error() {
    for profile in Catalogue::built_in().unwrap().iter() {
        let findings = lint(profile.name(), profile.source_toml()).unwrap();
        let errors: Vec<_> = findings.iter().filter(|finding| finding.weight == Weight::Error).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", profile.name());
    }
}

#[test]
fn a_provider_whose_documents_know_200_and_not_every_2xx_is_answered_so() {
    for profile in Catalogue::built_in().unwrap().iter() {
        let expected = profile.file.behaviour.answer.as_deref().unwrap_or_default();
        let is_narrow = expected.contains("200") && !expected.contains("202") && !expected.contains("2xx");
        assert!(!is_narrow || profile.answer().status != 202, "{}: {expected}", profile.name());
    }
    assert_eq!(profile("dropbox").answer().status, 200, "it delivers again what is answered otherwise");
}

#[test]
fn a_profile_that_anybody_can_forge_for_is_an_error() {
    let found = |profile: &str, pairs: &[(&str, &str)]| {
        let text = pairs.iter().fold(profile.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let findings = mistakes(&load::load("own.toml", &text).unwrap());
        findings.into_iter().map(|one| (one.rule, one.weight)).collect::<Vec<_>>()
    };
    let (error, warning) = (Weight::Error, Weight::Warning);
    assert_eq!(found(GITHUB, &[("hmac-sha256", "sha256")]), [("unkeyed_hash", error)]);
    assert_eq!(
        found(GITHUB, &[("hmac-sha256", "sha256"), ("\"{body}\"", "\"{secret}{body}\"")]),
        [("plain_hash", warning)]
    );
    let claims = "claims = { iss = [\"https://accounts.google.com\", \"accounts.google.com\"], email_verified = [true] }\n";
    let parameters = "claims_from_parameters = { aud = \"audience\", email = \"email\" }\n";
    let declared = "parameters = [\"audience\", \"email\"]\n";
    let without = [(parameters, ""), (declared, "")];
    let [first, second] = without;
    assert_eq!(found(PUBSUB, &[first, second, (claims, "")]), [("any_token", error)]);
    let issuer = "claims = { iss = [\"accounts.google.com\"] }\n";
    assert_eq!(found(PUBSUB, &[first, second, (claims, issuer)]), [("any_token", warning)]);
    let digest = (claims, "body_sha256_claim = \"b\"\n");
    assert_eq!(found(PUBSUB, &[first, second, digest, ("retries_differ = true\n", "")]), []);
    assert_eq!(
        found(PUBSUB, &[first, second, digest]),
        [("unsigned_retries", error)],
        "all of a retry is signed anew"
    );
    let shared = (
        "algorithm = \"RS256\"\njwks_url = \"https://www.googleapis.com/oauth2/v3/certs\"",
        "algorithm = \"HS256\"",
    );
    assert_eq!(
        found(PUBSUB, &[first, second, (claims, ""), shared]),
        [],
        "only who has the secret issues them"
    );
    let constant = ("token = { query = \"hub.verify_token\" }", "token = { const = \"a\" }");
    assert_eq!(found(META, &[constant]), [("handshake_without_token", error)]);
}

#[test]
fn a_window_within_which_a_signed_time_is_still_fresh_is_refused() {
    let load =
        |seconds: u32| load::load("own.toml", &format!("{ZOOM}\n[replay]\nwindow_seconds = {seconds}\n"));
    let refused = load(600).unwrap_err();
    assert_eq!(refused.field, "replay.window_seconds");
    assert_eq!(refused.message, "600 is less than 601, the span in which a signed time is still accepted");
    assert_eq!(load(601).unwrap().replay_window_seconds(), Some(601));
    assert_eq!(profile("dropbox").replay_window_seconds(), Some(1), "it signs no time");
}

#[test]
fn a_scheme_that_asks_for_a_body_that_is_not_taken_is_an_error() {
    for when in ["{ body_is = \"form\" }", "{ body_is = \"text\" }"] {
        let to = format!("[[auth]]\nwhen = {when}");
        assert_eq!(broken(ZOOM, "[[auth]]", &to), [("unreachable_scheme", 8)], "{when}");
    }
    for when in ["{ body_is = \"json_as_text\" }", "{ header_present = \"x\" }", "{ json_absent = \"/a\" }"] {
        let to = format!("[[auth]]\nwhen = {when}");
        assert_eq!(broken(ZOOM, "[[auth]]", &to), [], "{when}");
    }
}

#[test]
fn what_is_read_from_a_body_of_another_kind_is_an_error_at_its_place() {
    let other = [("other_body", 11)];
    for content in ["{sorted_form}", "{body}{form:x}"] {
        assert_eq!(broken(GITHUB, "\"{body}\"", &format!("\"{content}\"")), [], "{content}: forms are taken");
    }
    let json = GITHUB.replace("[\"json\", \"form\"]", "[\"json\"]");
    for content in ["{sorted_form}", "{body}{form:x}"] {
        assert_eq!(broken(&json, "\"{body}\"", &format!("\"{content}\"")), other, "{content}");
    }
    let form = GITHUB.replace("[\"json\", \"form\"]", "[\"form\"]");
    for content in ["{body}{json:/a}", "{body}{members:a}", "{canonical_json_without:/a}"] {
        assert_eq!(broken(&form, "\"{body}\"", &format!("\"{content}\"")), other, "{content}");
    }
    let signature = "from = { header = \"X-Hub-Signature-256\" }";
    assert_eq!(broken(&json, signature, "from = { form = \"s\" }"), [("other_body", 10)]);
    assert_eq!(
        broken(&form, signature, "from = [{ header = \"s\" }, { json = \"/s\" }]"),
        [("other_body", 10)]
    );
}

#[test]
fn deliveries_without_a_body_that_nothing_tells_apart_are_an_error() {
    let none = "version = 1\nname = \"own\"\ntitle = \"O\"\ndocs = \"https://o.example/\"\ncontent = [\"none\"]\n\n[[auth]]\ntoken = { from = { header = \"T\" } }\n\n[event]\ndefault = \"e\"\n\n[delivery_id]\nfrom = [{ header = \"N\" }]\n";
    let alike = [("deliveries_alike", 13)];
    let id = "from = [{ header = \"N\" }]";
    assert_eq!(broken(none, "title", "title"), []);
    for (to, expected) in
        [("", &alike[..]), ("from = [{ const = \"1\" }]", &alike), ("from = [{ json = \"/a\" }]", &alike)]
    {
        assert_eq!(broken(none, id, to), expected, "{to}");
    }
    let token = "token = { from = { header = \"T\" } }";
    let mac = |content: &str| {
        format!(
            "mac = {{ algorithm = \"hmac-sha256\", signature = {{ from = {{ header = \"S\" }}, encoding = \"hex\" }}, content = \"{content}\" }}"
        )
    };
    assert_eq!(broken(none, token, &mac("{h:N}{body}")), []);
    assert_eq!(broken(none, token, &mac("{body}")), alike, "the id is not signed");
    let jwt = "jwt = { from = { header = \"T\" }, algorithm = \"HS256\", body_sha256_claim = \"b\" }";
    assert_eq!(broken(none, token, jwt), alike);
    assert_eq!(broken(none, "[\"none\"]", "[\"json\"]"), []);
    let both = none.replace("[\"none\"]", "[\"json\", \"none\"]");
    assert!(load::load("own.toml", &both).unwrap_err().to_string().contains("`none` cannot be combined"));
}

#[test]
fn a_profile_whose_file_has_another_name_is_told() {
    let rules = |file: &str| {
        let findings = lint(file, GITHUB).unwrap();
        findings.into_iter().map(|one| (one.rule, one.weight, one.place.line)).collect::<Vec<_>>()
    };
    assert_eq!(rules("a/github.toml"), []);
    assert_eq!(rules("a/acme.toml"), [("other_name", Weight::Warning, 2)]);
}
