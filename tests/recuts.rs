//! Signed bytes that are cut into other parts than their sender meant: they make no other delivery.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use palyra_actors::clock::{Clock as _, SystemClock};
use palyra_actors::ids::Digest;
use ring::hmac;

use crate::support::{Daemon, events_named, hmac_hex, raw, request, state_root, statuses, succeed};

fn daemon_of(root: &std::path::Path, integrations: &[(&str, &str)]) -> Daemon {
    succeed(root, &["vault", "put", "global/key"], b"shhh");
    for (id, provider) in integrations {
        succeed(root, &["webhooks", "add", id, provider, "--secret-ref", "global/key"], b"");
    }
    Daemon::start(root)
}

fn twilio(url: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"shhh");
    STANDARD.encode(hmac::sign(&key, url.as_bytes()))
}

#[test]
fn a_message_that_was_signed_behind_one_url_signs_no_body_for_another() {
    let root = state_root();
    let daemon = daemon_of(root.path(), &[("voice", "twilio")]);
    let forged = br#"{"CallSid":"CA1"}"#;
    let said = format!("/hooks/voice?bodySHA256={}&z=", Digest::of(forged));
    let signature = twilio(&format!("https://hooks.example/hooks/smsAccountSidAC1Body{said}From+1555"));
    let head = |target: &str, host: &str, signature: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nX-Twilio-Signature: {signature}\r\n\r\n{}",
            forged.len(),
            std::str::from_utf8(forged).unwrap()
        )
    };
    let status = |request: String| statuses(&raw(&daemon.ingress, request.as_bytes())).last().copied();
    let recut = head(&format!("{said}From+1555"), "hooks.example/hooks/smsAccountSidAC1Body", &signature);
    assert_eq!(status(recut), Some(401), "a host with a path is no host");
    let target = format!("/hooks/voice?a=1&bodySHA256={}&z=From+1555", Digest::of(forged));
    let behind = head(&target, "hooks.example", &twilio(&format!("https://hooks.example{target}")));
    assert_eq!(status(behind), Some(401), "a digest that does not end the URL may be text of a message");
    let target = format!("/hooks/voice?a=1&bodySHA256={}", Digest::of(forged));
    let genuine = head(&target, "hooks.example", &twilio(&format!("https://hooks.example{target}")));
    assert_eq!(status(genuine), Some(202));
}

#[test]
fn a_list_of_signed_headers_that_is_cut_otherwise_frees_no_header() {
    let root = state_root();
    let daemon = daemon_of(root.path(), &[("in", "contentful")]);
    let (now, body) = (SystemClock.now_unix_ms(), br#"{"sys":{"id":"1"}}"#);
    let signed =
        format!("x-contentful-crn:crn:1;x-contentful-signed-headers:{{list}};x-contentful-timestamp:{now}");
    let list = "x-contentful-crn,x-contentful-signed-headers,x-contentful-timestamp";
    let signed = signed.replace("{list}", list);
    let content = format!("POST\n/hooks/in\n{signed}\n{}", std::str::from_utf8(body).unwrap());
    let signature = hmac_hex(b"shhh", content.as_bytes());
    let post = |list: &str, crn: &str, time: &str, topic: &str| {
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Contentful-Signature", signature.as_str()),
            ("X-Contentful-Signed-Headers", list),
            ("X-Contentful-CRN", crn),
            ("X-Contentful-Timestamp", time),
            ("X-Contentful-Topic", topic),
        ];
        daemon.post("in", &headers, body).status
    };
    let now = now.to_string();
    let rest = signed.strip_prefix("x-contentful-crn:").unwrap();
    assert_eq!(post("x-contentful-crn", rest, &now, "Entry.delete"), 401, "re-cut");
    assert_eq!(post(list, "crn:1", &now, "Entry.publish"), 202, "as it was signed");
}

#[test]
fn a_code_that_one_integration_gives_away_signs_nothing_for_another_with_the_same_secret() {
    let root = state_root();
    let daemon = daemon_of(root.path(), &[("x", "x"), ("gh", "github")]);
    let ask = |word: &str| request("GET", &format!("{}/hooks/x?crc_token={word}", daemon.ingress), &[], b"");
    assert_eq!(ask("payload%3Dforged").status, 400);
    assert_eq!(ask("aGVsbG8%3D").status, 200, "padding is no form");
}

#[test]
fn a_plain_hash_that_was_lengthened_without_the_secret_leaves_no_row() {
    let root = state_root();
    let daemon = daemon_of(root.path(), &[("in", "hubspot-v1")]);
    let body = [&b"[]"[..], &[0x80, 0, 0], b"more"].concat();
    let signature = Digest::of(&[b"shhh", body.as_slice()].concat()).to_string();
    let headers = [("Content-Type", "application/json"), ("X-HubSpot-Signature", signature.as_str())];
    assert_eq!(daemon.post("in", &headers, &body).status, 401);
    assert!(events_named(root.path(), "webhook.rejected").is_empty());
}
