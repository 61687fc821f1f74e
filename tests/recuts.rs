//! Signed bytes that are cut into other parts than their sender meant: they make no other delivery.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use palyra_actors::clock::{Clock as _, SystemClock};
use palyra_actors::ids::Digest;
use ring::hmac;

use crate::support::{
    Answer, Daemon, events_named, hmac_hex, json, raw, request, run, state_root, statuses, succeed,
    write_private,
};

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

fn ask_x(daemon: &Daemon, word: &str) -> Answer {
    request("GET", &format!("{}/hooks/x?crc_token={word}", daemon.ingress), &[], b"")
}

#[test]
fn a_code_is_given_over_no_form() {
    let root = state_root();
    let daemon = daemon_of(root.path(), &[("x", "x")]);
    assert_eq!(ask_x(&daemon, "payload%3Dforged").status, 400);
    assert_eq!(ask_x(&daemon, "aGVsbG8%3D").status, 200, "padding is no form");
}

#[test]
fn a_secret_under_which_strangers_are_given_codes_verifies_nothing_for_another_profile() {
    let root = state_root();
    let daemon = daemon_of(root.path(), &[("x", "x"), ("x2", "x")]);
    let said = |args: &[&str]| {
        let output = run(root.path(), args, b"");
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, added) = said(&["webhooks", "add", "mg", "mailgun", "--secret-ref", "global/key"]);
    assert_eq!(code, Some(1));
    assert!(added.contains("stored disabled") && added.contains("palyra vault put global/NAME"), "{added}");
    let (code, refused) = said(&["webhooks", "enable", "mg"]);
    assert_eq!(code, Some(1));
    assert!(refused.contains("shares the secret `global/key` with `x`"), "{refused}");
    succeed(root.path(), &["vault", "put", "global/own"], b"another");
    succeed(root.path(), &["webhooks", "set", "mg", "--secret-ref", "global/own"], b"");
    succeed(root.path(), &["webhooks", "enable", "mg"], b"");
    let (code, refused) = said(&["webhooks", "set", "mg", "--secret-ref", "global/key"]);
    assert_eq!(code, Some(1));
    assert!(refused.contains("shares the secret"), "{refused}");
    assert_eq!(ask_x(&daemon, "abc").status, 200, "integrations of one profile may share theirs");
}

#[test]
fn a_secret_that_is_shared_so_by_hand_neither_gives_codes_nor_verifies_until_it_is_not() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/key"], b"shhh");
    let entry = |id: &str, provider: &str| {
        format!(
            "[[webhooks]]\nintegration_id = \"{id}\"\nprovider = \"{provider}\"\n\
             secret_vault_ref = \"global/key\"\nenabled = true\n"
        )
    };
    let text = format!("version = 1\n{}{}", entry("x", "x"), entry("mg", "mailgun"));
    write_private(&root.path().join("webhooks.toml"), &text);
    let daemon = Daemon::start(root.path());
    let now = (SystemClock.now_unix_ms() / 1_000).to_string();
    let code = hmac_hex(b"shhh", format!("{now}token").as_bytes());
    let post = || {
        let body = format!(
            r#"{{"signature":{{"timestamp":"{now}","token":"token","signature":"{code}"}},"event-data":{{"event":"opened"}}}}"#
        );
        daemon.post("mg", &[("Content-Type", "application/json")], body.as_bytes()).status
    };
    assert_eq!([post(), ask_x(&daemon, "abc").status], [503, 503]);
    for id in ["x", "mg"] {
        assert_eq!(json(root.path(), &["webhooks", "show", id])["readiness"], "invalid_configuration");
    }
    succeed(root.path(), &["webhooks", "disable", "x"], b"");
    assert_eq!(post(), 200);
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
