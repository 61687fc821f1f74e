//! What identifies a delivery: a captured one is accepted once, however its parts are moved.

use serde_json::{Value, json};

use super::*;
use crate::provider::form::TimeFormat;
use crate::provider::template::Template;
use crate::provider::told_apart::FixedBodies;

/// The replay key of a line of `tests/vectors` that verifies.
fn key_of_line(line: &Value) -> Digest {
    let of = |name: &str| line[name].as_str().unwrap();
    let (profile, case) = (profile(of("provider")), vectors::case(line));
    let (headers, raw) =
        (case.headers(), signature::decode(of("body_base64"), Encoding::Base64).unwrap_or_default());
    let body = Body::new(raw, profile.content_kind(&headers).unwrap());
    let request = request(of("url"), &headers, &body);
    let now = line["now_unix_s"].as_u64().unwrap() * 1_000;
    let verified = profile.verify(&request, &case.keys().unwrap(), now).unwrap();
    profile.replay_key("a", &verified, &request)
}

#[test]
fn a_captured_signature_identifies_one_delivery_wherever_its_parts_are_said_to_end() {
    let lines = vectors::all_lines();
    let line = |provider: &str, case: &str| {
        let is_it = |line: &&Value| line["provider"] == provider && line["case"] == case;
        lines.iter().find(is_it).unwrap()
    };
    for (provider, genuine, moved) in [
        ("aws-sns", "valid_small", "id_moved_into_the_message"),
        ("aws-sns", "valid_small", "subject_moved_into_the_id"),
        ("adyen", "valid_reference_with_separator", "separator_moved_into_the_id"),
    ] {
        let keys = [genuine, moved].map(|case| key_of_line(line(provider, case)));
        assert_eq!(keys[0], keys[1], "{provider}: {moved}");
    }
    let others = ["valid_small", "valid_without_subject"].map(|case| key_of_line(line("aws-sns", case)));
    assert_ne!(others[0], others[1]);
}

#[test]
fn a_topic_cannot_be_put_into_a_message_of_another() {
    let sns = include_str!("../../../schemas/providers/aws-sns.toml");
    let under_a_secret = |line: &str| match line {
        "[auth.certificate]" => "[auth.mac]\nalgorithm = \"hmac-sha256\"".to_owned(),
        other => other.to_owned(),
    };
    let left_out = ["key =", "algorithm_from", "certificate_url"];
    let lines = sns.lines().filter(|line| !left_out.iter().any(|start| line.starts_with(start)));
    let text = lines.map(under_a_secret).collect::<Vec<_>>().join("\n");
    let profile = load::load("own.toml", &text).unwrap();
    let time = "2026-01-02T03:04:05Z";
    let end = "Type\nNotification\n";
    let verdict = |document: Value| {
        let signed = format!(
            "Message\nm\nMessageId\n1\nTimestamp\n{time}\nTopicArn\nours\n{end}MessageId\n2\nTimestamp\n{time}\n\
             TopicArn\ntheirs\n{end}"
        );
        let code =
            mac::compute(Algorithm::HmacSha256, SECRET.as_bytes(), &[Some(signed.into_bytes().into())]);
        let mut document = document;
        document["Signature"] = signature::encode(&code.unwrap(), Encoding::Base64).into();
        let headers = Vec::new();
        let body = Body::new(document.to_string().into_bytes(), ContentKind::Json);
        let request = request("/", &headers, &body);
        profile.verify(&request, &keys(SECRET), NOW).is_ok()
    };
    let message = format!("m\nMessageId\n1\nTimestamp\n{time}\nTopicArn\nours\nType\nNotification");
    let theirs = json!({"Message": message, "MessageId": "2", "Timestamp": time, "TopicArn": "theirs", "Type": "Notification"});
    assert!(verdict(theirs), "what was published in it is authentic");
    let rest = format!("Notification\nMessageId\n2\nTimestamp\n{time}\nTopicArn\ntheirs\nType\nNotification");
    let ours = json!({"Message": "m", "MessageId": "1", "Timestamp": time, "TopicArn": "ours", "Type": rest});
    assert!(!verdict(ours), "its topic is another");
}

const OWN: &str = r#"
version = 1
name = "own"
title = "Own"
docs = "https://example.test/"
content = ["json"]

[[auth]]
[auth.mac]
algorithm = "hmac-sha256"
signature = { from = { header = "x-sig" }, encoding = "hex" }
content = "{body}"

[event]
default = "delivery"

[delivery_id]
from = [{ json = "/id" }]
signed = true
"#;

const ID: &str = "{ json = \"/id\" }";
const HEADER: &str = "{ header = \"x-id\" }";

/// Whether the lint takes a profile of that content, kinds of body and id at its word that the id is signed.
fn is_fixed(content: &str, kinds: &str, id: &str) -> bool {
    let mut text =
        OWN.replace("\"{body}\"", &format!("\"{content}\"")).replace("\"json\"]", &format!("{kinds}]"));
    text = text.replace(ID, id);
    for (format, place) in [("unix_s", "{ts}"), ("rfc3339", "{rfc}")] {
        if text.contains(place) {
            let time = format!(
                "[auth.mac.timestamp]\nfrom = {{ header = \"x-time\" }}\nformat = \"{format}\"\npast_seconds = 60\nfuture_seconds = 60\n\n[event]"
            );
            text = text.replace("[event]", &time).replace("{rfc}", "{ts}");
        }
    }
    let findings = lint("own.toml", &text).unwrap();
    assert!(
        findings.iter().all(|one| ["unsigned_id", "body_not_signed"].contains(&one.rule)),
        "{findings:?}"
    );
    findings.iter().all(|one| one.rule != "unsigned_id")
}

#[test]
fn an_id_is_signed_only_where_what_is_signed_can_be_read_in_one_way() {
    let json = "\"json\"";
    for (content, id, fixed) in [
        ("{body}", ID, true),
        ("v0:{ts}:{body}", ID, true),
        ("{ts}{body}", ID, true),
        ("{url}{body}", ID, true),
        ("{body}{url}", ID, true),
        ("{method}{url}{body}{ts}", ID, true),
        ("{url}{body}{h:x-id}", ID, false),
        ("{body_sha256}{url}", ID, true),
        ("{path}{body_sha256}", ID, true),
        ("{h:x-id}{path}{body_sha256}", ID, true),
        ("{h:x-id}{path}{body_sha256}", HEADER, false),
        ("{canonical_json_without:/sig}", ID, true),
        ("{canonical_json_without:/id}", ID, false),
        ("{h:x-id}.{ts}.{body}", HEADER, true),
        ("{h:x-id}.{ts}.{body}", ID, true),
        ("{h:x-id}{rfc}{body}", HEADER, true),
        ("{h:x-id}{ts}{body}", HEADER, false),
        ("{h:x-id}0{ts}{body}", HEADER, false),
        ("{h:x-id}.{ts}", HEADER, true),
        ("{ts}{json:/id}", ID, true),
        ("{json:/id}", ID, true),
        ("{json:/id}:{json:/a}", ID, false),
        ("{json:/id}{h:x-a}", ID, false),
        ("{h:x-id}.{h:x-a}.{body}", HEADER, false),
        ("{members:id}", ID, false),
        ("{listed_headers:x-list}", HEADER, false),
        ("{query:id}", "{ query = \"id\" }", true),
        ("{json:/a}{json:/b}", "{ join = { from = [{ json = \"/a\" }], separator = \":\" } }", false),
        ("{body}", "{ join = { from = [{ json = \"/a\" }, { json = \"/b\" }], separator = \":\" } }", true),
    ] {
        assert_eq!(is_fixed(content, json, id), fixed, "{content} {id}");
    }
    for (content, kinds, id, fixed) in [
        ("{body}", "\"json\", \"form\"", ID, true),
        ("{body}", "\"json\", \"text\"", ID, false),
        ("{body}", "\"form\", \"text\"", ID, false),
        ("{url}{body}", "\"json\", \"form\"", ID, false),
        ("{body}", "\"json\", \"json_as_text\"", ID, true),
        ("{json:/id}", "\"json\", \"form\"", ID, true),
        ("{ts}.{body}", "\"form\"", "{ form = \"id\" }", true),
        ("{sorted_form}", "\"form\"", "{ form = \"id\" }", false),
        ("{h:x-id}.{ts}.{body}", "\"text\"", HEADER, false),
        ("{query:id}.{body}", "\"json\"", "{ query = \"id\" }", true),
        ("{query:id}{body}", "\"json\"", "{ query = \"id\" }", false),
    ] {
        assert_eq!(is_fixed(content, kinds, id), fixed, "{content} {kinds} {id}");
    }
}

#[test]
fn a_body_is_fixed_where_nothing_beside_it_can_have_been_part_of_it() {
    for (content, expected) in [
        ("{body}", FixedBodies::All),
        ("v0:{ts}:{body}", FixedBodies::All),
        ("{ts}{body}", FixedBodies::All),
        ("{path}{body_sha256}", FixedBodies::All),
        ("{url}{body}", FixedBodies::Json),
        ("{body}{url}", FixedBodies::Json),
        ("{method}{url}{body}{ts}", FixedBodies::Json),
        ("{url}{body}{h:x-id}", FixedBodies::None),
        ("{query:id}.{body}", FixedBodies::Json),
        ("{query:id}{ts}\n{body}", FixedBodies::Json),
        ("{query:id}{body}", FixedBodies::None),
        ("{body}{query:id}", FixedBodies::None),
        ("{query:id}\n{body}", FixedBodies::None),
        ("{json:/id}", FixedBodies::None),
        ("{body_crc32}", FixedBodies::None),
    ] {
        let content_of = Template::compile(content).unwrap();
        assert_eq!(FixedBodies::of(&content_of, Some(TimeFormat::UnixS)), expected, "{content}");
    }
    let date = Template::compile("{body}{ts}").unwrap();
    assert_eq!(FixedBodies::of(&date, Some(TimeFormat::HttpDate)), FixedBodies::All, "a date has one length");
    let body = |raw: &[u8]| Body::new(raw.to_vec(), ContentKind::Json);
    assert!(FixedBodies::Json.body(&body(b"[1]")) && !FixedBodies::Json.body(&body(b"1]")));
    assert!(FixedBodies::All.body(&body(b"1]")) && !FixedBodies::None.body(&body(b"[1]")));
}

/// A profile whose second scheme, for those without the header of the first, signs less.
fn with_a_second(content: &str, id: &str) -> String {
    let second = format!(
        "[[auth]]\nwhen = {{ header_present = \"x-full\" }}\n[auth.mac]\nalgorithm = \"hmac-sha256\"\n\
         signature = {{ from = {{ header = \"x-full\" }}, encoding = \"hex\" }}\ncontent = \"{content}\"\n\n[[auth]]"
    );
    OWN.replacen("[[auth]]", &second, 1).replace(ID, id)
}

#[test]
fn an_id_that_only_some_scheme_signs_identifies_no_delivery_of_another() {
    let errors = |text: &str| {
        let findings = lint("own.toml", text).unwrap();
        findings.iter().map(|one| one.rule).collect::<Vec<_>>()
    };
    assert_eq!(errors(&with_a_second("{h:x-id}.{body}", HEADER)), ["unsigned_id"]);
    assert_eq!(errors(&with_a_second("{h:x-id}.{body}", &format!("{HEADER}, {ID}"))), ["unsigned_id"]);
    assert_eq!(errors(&with_a_second("{h:x-id}.{body}", ID)), [""; 0]);
    let profile = load::load("own.toml", &with_a_second("{h:x-id}.{body}", HEADER)).unwrap();
    let body = Body::new(b"{}".to_vec(), ContentKind::Json);
    let code = mac::compute(Algorithm::HmacSha256, SECRET.as_bytes(), &[Some(b"{}".into())]).unwrap();
    let keys = ["1", "2"].map(|id| {
        let headers = vec![
            ("x-sig".to_owned(), hex::encode(&code).into_bytes()),
            ("x-id".to_owned(), id.as_bytes().to_vec()),
        ];
        let request = request("/", &headers, &body);
        let verified = profile.verify(&request, &keys(SECRET), NOW).unwrap();
        profile.replay_key("a", &verified, &request)
    });
    assert_eq!(keys[0], keys[1], "its scheme does not sign the header");
}

#[test]
fn json_that_is_sent_as_a_form_is_none() {
    let profile = profile("slack");
    let captured =
        signed(&profile, Some(b" {\"type\":\"event_callback\",\"event_id\":\"1\"}"), &keys(SECRET));
    let body = |kind| Body::new(captured.body.clone(), kind);
    assert!(body(ContentKind::Json).document().is_ok());
    assert!(body(ContentKind::Form).document().unwrap_err().to_string().contains("a form"));
    assert!(Body::new(b"a={".to_vec(), ContentKind::Form).document().is_ok());
}

#[test]
fn a_batch_is_told_by_the_ids_of_all_that_is_in_it() {
    let line = profile("line");
    let key = |body: &str| {
        let code = mac::compute(Algorithm::HmacSha256, SECRET.as_bytes(), &[Some(body.as_bytes().into())]);
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("x-line-signature", signature::encode(&code.unwrap(), Encoding::Base64)),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        verified_key(&line, &MadeRequest { headers, body: body.as_bytes().to_vec() }, URL)
    };
    let batch = |ids: &[&str], again: bool| {
        let event = |id: &&str| json!({"webhookEventId": id, "deliveryContext": {"isRedelivery": again}});
        key(&json!({"events": ids.iter().map(event).collect::<Vec<_>>()}).to_string())
    };
    let of = |ids: &[&str]| batch(ids, false);
    assert_eq!(of(&["a", "b"]), batch(&["a", "b"], true), "a redelivery");
    assert_ne!(of(&["a"]), of(&["a", "b"]));
    assert_ne!(of(&["a", "b"]), of(&["a\",\"b"]), "none runs into the next");
    assert_ne!(batch(&[], false), key(r#"{"events":[],"destination":"d"}"#), "nothing in it tells it");
    let part = |text: &str| key(&format!(r#"{{"events":[{{"webhookEventId":"a"}},{{"text":"{text}"}}]}}"#));
    assert_ne!(part("1"), part("2"), "one has no id");
}

#[test]
fn retries_may_differ_where_a_key_vouches_for_them() {
    let vouched = verify::uncovered(Some(1));
    for name in ["google-pubsub", "adyen", "line", "notion"] {
        assert!(profile(name).retries_differ(&vouched), "{name}");
        assert!(!profile(name).retries_differ(&profile(name).unsigned()), "{name}: nobody tells who sent it");
    }
    assert!(!profile("stripe").retries_differ(&vouched));
}
