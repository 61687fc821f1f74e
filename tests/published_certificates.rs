//! Certificates that a provider publishes, and strangers who name keys and certificates as they please.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::CertificateParams;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::key_server::{Authority, Server, Signer};
use crate::support::publishing::{certificate_profile, daemon, key_set_profile, prepare, sns};
use crate::support::{
    Daemon, connect, eventually, read_available, run, state_root, succeed, within, write_private,
};

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[test]
fn a_certificate_has_to_lead_to_a_trusted_authority_and_to_bear_the_name() {
    let authority = Authority::new();
    let (right, another, strangers) = (
        authority.issue("signer.test"),
        authority.issue("other.test"),
        Authority::new().issue("signer.test"),
    );
    for (certificate, why) in [
        (right, "not a certificate with an RSA key"),
        (another, "not valid for `signer.test`"),
        (strangers, "not valid for `signer.test`"),
    ] {
        let root = state_root();
        let server = Server::start(&authority, "HTTP/1.1 200 OK", pem(&certificate.0));
        let daemon = daemon(root.path(), &certificate_profile(&server.address), &authority);
        let body = sns(&format!("https://{}/a", server.address));
        let headers = [("Content-Type", "application/json")];
        let in_capitals = body.to_string().replace("localhost", "LOCALHOST");
        for body in [&body.to_string(), &in_capitals] {
            let status = daemon.post("in", &headers, body.as_bytes()).status;
            assert_eq!(status, 503, "{why}: what cannot be told is not refused");
        }
        let file = root.path().join("sample.json");
        write_private(&file, &body.to_string());
        let sample = ["--header", "Content-Type: application/json", "--payload-file", file.to_str().unwrap()];
        let tested = run(root.path(), &[&["webhooks", "test", "in"], &sample[..]].concat(), b"");
        let said = String::from_utf8_lossy(&tested.stdout);
        assert!(said.contains(why), "{said}");
        let forged = body.to_string().replace(&server.address, "evil.example");
        assert_eq!(daemon.post("in", &headers, forged.as_bytes()).status, 401, "another address");
        assert_eq!(server.requests(), 1, "it is asked once, and nobody else");
    }
}

#[test]
fn what_is_fetched_for_one_provider_costs_another_nothing() {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    let gone = Server::start(&authority, "HTTP/1.1 404 No", String::new());
    let keys = Server::start(&authority, "HTTP/1.1 200 OK", signer.set());
    let daemon = daemon(root.path(), &certificate_profile(&gone.address), &authority);
    let another = key_set_profile(&keys.address).replace("name = \"own\"", "name = \"another\"");
    write_private(&root.path().join("providers/another.toml"), &another);
    daemon.signal("HUP");
    eventually("the profile is there", || {
        run(root.path(), &["webhooks", "add", "second", "another", "--published-keys"], b"").status.success()
    });
    for number in 0..40 {
        let body = sns(&format!("https://{}/{number}", gone.address));
        let headers = [("Content-Type", "application/json")];
        assert_eq!(daemon.post("in", &headers, body.to_string().as_bytes()).status, 503);
    }
    assert_eq!(gone.requests(), 30);
    let bearer = format!("Bearer {}", signer.token());
    let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    assert_eq!(daemon.post("second", &headers, b"{}").status, 202);
}

#[test]
fn strangers_who_name_keys_that_do_not_come_leave_room_for_everybody_else() {
    leaves_room(|number| number.to_string());
}

#[test]
fn strangers_who_all_name_the_same_keys_leave_room_too() {
    leaves_room(|_| "same".to_owned());
}

/// Strangers of whom each names the keys at a path leave room for the deliveries of another provider.
fn leaves_room(path: impl Fn(usize) -> String) {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", silent.local_addr().unwrap().port());
    let keys = Server::start(&authority, "HTTP/1.1 200 OK", signer.set());
    prepare(root.path(), &certificate_profile(&address), &authority, "in_flight_max = 8\n");
    let another = key_set_profile(&keys.address).replace("name = \"own\"", "name = \"another\"");
    write_private(&root.path().join("providers/another.toml"), &another);
    succeed(root.path(), &["webhooks", "add", "second", "another", "--published-keys"], b"");
    let daemon = Daemon::start(root.path());
    let strangers: Vec<TcpStream> = (0..16)
        .map(|number| {
            let body = sns(&format!("https://{address}/{}", path(number))).to_string();
            let head =
                "POST /hooks/in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length:";
            let mut stream = connect(&daemon.ingress);
            stream.write_all(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes()).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    // One fetches, which takes five seconds, and four wait: half of those that may be in flight.
    within(Duration::from_secs(4), "the others are refused", || {
        strangers.iter().filter(|stream| stream.peek(&mut [0]).is_ok()).count() == 11
    });
    let bearer = format!("Bearer {}", signer.token());
    let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    assert_eq!(daemon.post("second", &headers, b"{}").status, 202);
    let refused = strangers.into_iter().find(|stream| stream.peek(&mut [0]).is_ok());
    let answer = read_available(&mut refused.unwrap());
    assert!(answer.contains(" 503 ") && answer.contains("retry-after: "), "{answer}");
}

#[test]
#[ignore = "needs openssl; .ci/run runs it"]
fn a_delivery_signed_under_a_published_certificate_is_taken() {
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "RSA"]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let key = rcgen::KeyPair::from_pem(&String::from_utf8(made.stdout).unwrap()).unwrap();
    let signer = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
    let (root, authority) = (state_root(), Authority::new());
    let params = CertificateParams::new(vec!["signer.test".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.0).unwrap();
    let server = Server::start(&authority, "HTTP/1.1 200 OK", certificate.pem());
    let daemon = daemon(root.path(), &certificate_profile(&server.address), &authority);
    let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap();
    let send = |message: &str, signed: &str| {
        let content =
            format!("Message\n{signed}\nMessageId\n1\nTimestamp\n{time}\nTopicArn\nt\nType\nNotification\n");
        let mut signature = vec![0; signer.public().modulus_len()];
        signer.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), content.as_bytes(), &mut signature).unwrap();
        let body = json!({"Type": "Notification", "MessageId": "1", "Message": message, "TopicArn": "t", "Timestamp": time,
            "SignatureVersion": "2", "SigningCertURL": format!("https://{}/a", server.address),
            "Signature": STANDARD.encode(signature)});
        daemon.post("in", &[("Content-Type", "text/plain")], body.to_string().as_bytes()).status
    };
    assert_eq!((send("m", "m"), send("m", "m"), send("another", "m")), (202, 200, 401));
    assert_eq!(server.requests(), 1);
}
