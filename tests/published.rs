//! Keys that a provider publishes, fetched over TLS from a server of the test's own.

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
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
use crate::support::{
    Answer, Daemon, connect, events, eventually, json as json_of, read_available, run, state_root, succeed,
    within, write_private,
};

fn key_set_profile(address: &str) -> String {
    format!(
        "version = 1\nname = \"own\"\ntitle = \"Own\"\ndocs = \"https://example.test/\"\ncontent = [\"json\"]\n\
         [[auth]]\n[auth.jwt]\nfrom = {{ header = \"Authorization\" }}\nscheme = \"bearer\"\nalgorithm = \"ES256\"\n\
         jwks_url = \"https://{address}/keys\"\nclaims = {{ aud = [\"us\"] }}\n\
         expiry_leeway_seconds = 0\n[event]\ndefault = \"delivery\"\n"
    )
}

fn daemon(root: &Path, profile: &str, trusted: &Authority) -> Daemon {
    prepare(root, profile, trusted, "");
    Daemon::start(root)
}

fn prepare(root: &Path, profile: &str, trusted: &Authority, settings: &str) {
    let folder = root.join("providers");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    write_private(&folder.join("own.toml"), profile);
    let roots = root.join("roots.pem");
    write_private(&roots, &trusted.1);
    let settings = format!("key_roots_file = {:?}\n{settings}", roots.to_str().unwrap());
    write_private(&root.join("palyra.toml"), &settings);
    succeed(root, &["webhooks", "add", "in", "own", "--published-keys"], b"");
}

fn post(daemon: &Daemon, token: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    daemon.post("in", &[("Content-Type", "application/json"), ("Authorization", &bearer)], body.as_bytes())
}

#[test]
fn a_published_key_set_is_fetched_once_and_verifies() {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    let server = Server::start(&authority, "HTTP/1.1 200 OK", signer.set());
    let daemon = daemon(root.path(), &key_set_profile(&server.address), &authority);
    let shown = succeed(root.path(), &["webhooks", "show", "in"], b"");
    assert!(shown.contains("ready") && !shown.contains("issue"), "{shown}");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (daemon, signer) = (&daemon, &signer);
            scope
                .spawn(move || assert_eq!(post(daemon, &signer.token(), &format!("[{number}]")).status, 202));
        }
    });
    assert_eq!(post(&daemon, &Signer::new().token(), "{}").status, 401, "somebody else's key");
    assert_eq!(server.requests(), 1);
}

#[test]
fn deliveries_that_come_at_once_share_the_fetch_of_their_keys() {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    let server = Server::slow(&authority, "HTTP/1.1 200 OK", signer.set(), Duration::from_millis(700));
    let daemon = daemon(root.path(), &key_set_profile(&server.address), &authority);
    let token = signer.token();
    std::thread::scope(|scope| {
        for number in 0..100 {
            let (daemon, token) = (&daemon, &token);
            scope.spawn(move || assert_eq!(post(daemon, token, &format!("[{number}]")).status, 202));
        }
    });
    assert_eq!(server.requests(), 1);
}

#[test]
fn keys_that_have_verified_are_used_while_their_provider_is_away() {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    let server = Server::start(&authority, "HTTP/1.1 200 OK", signer.set());
    prepare(root.path(), &key_set_profile(&server.address), &authority, "");
    let soon = [("FAILPOINTS", "published::life_ends_soon=return")];
    let started = || Daemon::start_with(root.path(), &[], &soon);
    let daemon = started();
    assert_eq!(post(&daemon, &signer.token(), "{}").status, 202);
    server.is_away.store(true, Ordering::SeqCst);
    let mut numbers = 0..;
    eventually("their life ends", || {
        let body = format!("[{}]", numbers.next().unwrap());
        assert_eq!(post(&daemon, &signer.token(), &body).status, 202);
        server.requests() == 2
    });
    assert_eq!(post(&daemon, &signer.token(), "[\"after\"]").status, 202);
    assert_eq!(post(&daemon, &Signer::new().token(), "{}").status, 401, "somebody else's key");
    drop(daemon);
    assert_eq!(post(&started(), &signer.token(), "[\"anew\"]").status, 503, "none are there");
}

#[test]
fn no_delivery_waits_while_keys_that_have_verified_are_fetched_anew() {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    let server = Server::start(&authority, "HTTP/1.1 200 OK", signer.set());
    let settings = "answer_deadline_seconds = 1\n";
    prepare(root.path(), &key_set_profile(&server.address), &authority, settings);
    let soon = [("FAILPOINTS", "published::life_ends_soon=return")];
    let daemon = Daemon::start_with(root.path(), &[], &soon);
    assert_eq!(post(&daemon, &signer.token(), "{}").status, 202);
    server.pause_ms.store(4_000, Ordering::SeqCst);
    let mut numbers = 0..;
    let mut next = || post(&daemon, &signer.token(), &format!("[{}]", numbers.next().unwrap())).status;
    eventually("their life ends", || {
        assert_eq!(next(), 202);
        server.requests() == 2
    });
    assert_eq!([(); 8].map(|()| next()), [202; 8], "others that come meanwhile");
    assert_eq!(post(&daemon, &Signer::new().token(), "{}").status, 503, "others are not there in time");
    assert_eq!(server.requests(), 2, "one at a time fetches them");
}

#[test]
fn a_delivery_that_names_a_key_newer_than_ageing_ones_waits_for_it() {
    waits_for_the_key_of(&Signer::of_id("2"));
}

#[test]
fn a_delivery_signed_with_a_newer_key_of_the_same_id_waits_for_it() {
    waits_for_the_key_of(&Signer::new());
}

/// `new` signs deliveries while the keys that are kept are older than its own, and so do strangers.
fn waits_for_the_key_of(new: &Signer) {
    let (root, authority) = (state_root(), Authority::new());
    let (old, stranger) = (Signer::new(), Signer::new());
    let server = Server::start(&authority, "HTTP/1.1 200 OK", old.set());
    prepare(root.path(), &key_set_profile(&server.address), &authority, "");
    let only_the_first_end_soon = [("FAILPOINTS", "published::life_ends_soon=1*return")];
    let daemon = Daemon::start_with(root.path(), &[], &only_the_first_end_soon);
    assert_eq!(post(&daemon, &old.token(), "{}").status, 202);
    server.publish(new.set());
    server.pause_ms.store(1_000, Ordering::SeqCst);
    let mut numbers = 0..;
    eventually("their life ends", || {
        let body = format!("[{}]", numbers.next().unwrap());
        assert_eq!(post(&daemon, &old.token(), &body).status, 202);
        server.requests() == 2
    });
    std::thread::scope(|scope| {
        for (signer, status) in [(new, 202), (&stranger, 401), (new, 202), (&stranger, 401)] {
            let (daemon, body) = (&daemon, format!("[\"{}\"]", numbers.next().unwrap()));
            scope.spawn(move || assert_eq!(post(daemon, &signer.token(), &body).status, status));
        }
    });
    assert_eq!(post(&daemon, &stranger.token(), "{}").status, 401, "by the new keys");
    assert_eq!(server.requests(), 2, "all share the one fetch");
}

#[test]
fn a_forgery_is_503_while_a_limit_of_our_own_keeps_the_provider_from_being_asked_for_newer_keys() {
    let (root, authority) = (state_root(), Authority::new());
    let (signer, stranger) = (Signer::new(), Signer::new());
    let server = Server::start(&authority, "HTTP/1.1 200 OK", signer.set());
    prepare(root.path(), &key_set_profile(&server.address), &authority, "");
    let all_end_soon = [("FAILPOINTS", "published::life_ends_soon=return(5)")];
    let daemon = Daemon::start_with(root.path(), &[], &all_end_soon);
    assert_eq!(post(&daemon, &signer.token(), "{}").status, 202);
    eventually("the limit is reached", || match post(&daemon, &stranger.token(), "{}").status {
        401 => false,
        503 => true,
        other => panic!("{other}"),
    });
    assert_eq!(server.requests(), 31, "the first, and 30 in a minute of keys that have verified");
    assert_eq!(post(&daemon, &signer.token(), "[1]").status, 202, "the keys are still in use");
}

#[test]
fn the_console_goes_on_however_many_captured_deliveries_wait_for_published_keys() {
    let (root, authority) = (state_root(), Authority::new());
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", silent.local_addr().unwrap().port());
    let daemon = daemon(root.path(), &certificate_profile(&address), &authority);
    let body = sns(&format!("https://{address}/a")).to_string();
    let sample = json!({"headers": [["Content-Type", "application/json"]],
        "payload_base64": STANDARD.encode(body)})
    .to_string();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            let test =
                || daemon.console(root.path(), "POST", "/console/v1/webhooks/in/test", sample.as_bytes());
            scope.spawn(move || assert_eq!(test().json()["would_answer"]["status"], 503));
        }
    });
    assert!(!events(root.path()).is_empty());
}

/// A daemon that ends tests of captured deliveries after a second, and has so ended four at `in`. The keys they waited for
/// are still asked for: the server that comes with it takes connections, and says nothing.
fn after_tests_that_hang(root: &Path, log: File) -> (Daemon, TcpListener) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("localhost:{}", silent.local_addr().unwrap().port());
    prepare(root, &certificate_profile(&address), &Authority::new(), "");
    let ends_soon = [("FAILPOINTS", "workbench::trial_ends_soon=return")];
    let daemon = Daemon::logging_to(root, log, &[], &ends_soon);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let body = sns(&format!("https://{address}/{number}")).to_string();
            let sample = json!({"headers": [["Content-Type", "application/json"]],
                "payload_base64": STANDARD.encode(body)});
            let daemon = &daemon;
            scope.spawn(move || {
                let path = "/console/v1/webhooks/in/test";
                let answer = daemon.console(root, "POST", path, sample.to_string().as_bytes());
                assert_eq!(answer.status, 503);
                assert!(answer.body.contains("did not finish within 1s"), "{answer:?}");
            });
        }
    });
    (daemon, silent)
}

#[test]
fn tests_that_hang_give_their_places_back_when_they_are_told_to_be_late() {
    let root = state_root();
    succeed(root.path(), &["webhooks", "add", "open", "github", "--allow-unsigned"], b"");
    let (daemon, _silent) = after_tests_that_hang(root.path(), tempfile::tempfile().unwrap());
    let sample =
        json!({"headers": [["Content-Type", "application/json"]], "payload_base64": STANDARD.encode("{}")});
    let path = "/console/v1/webhooks/open/test";
    let answer = daemon.console(root.path(), "POST", path, sample.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_stop_after_tests_that_hang_is_an_orderly_one() {
    let (root, elsewhere) = (state_root(), state_root());
    let log = elsewhere.path().join("log");
    let (daemon, _silent) = after_tests_that_hang(root.path(), File::create(&log).unwrap());
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(20)).success());
    let told = std::fs::read_to_string(&log).unwrap();
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn a_delivery_that_waits_too_long_for_published_keys_is_explained_by_them() {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    let server = Server::slow(&authority, "HTTP/1.1 200 OK", signer.set(), Duration::from_millis(3_000));
    let settings = "answer_deadline_seconds = 1\n";
    prepare(root.path(), &key_set_profile(&server.address), &authority, settings);
    let daemon = Daemon::start(root.path());
    let late = post(&daemon, &signer.token(), "{}");
    assert_eq!(late.status, 503);
    let explained = json_of(root.path(), &["webhooks", "explain", late.header("palyra-refusal").unwrap()]);
    assert!(explained["why"][0].as_str().unwrap().starts_with("published keys: "), "{explained}");
    assert!(explained["next"][0].as_str().unwrap().contains("can reach the provider"), "{explained}");
}

#[test]
fn keys_that_cannot_be_had_are_503_and_not_asked_for_by_every_delivery() {
    let (authority, signer) = (Authority::new(), Signer::new());
    let moved = "HTTP/1.1 302 Found\r\nlocation: https://localhost/";
    for (head, body, trusted) in [
        ("HTTP/1.1 500 No", signer.set(), &authority),
        (moved, signer.set(), &authority),
        ("HTTP/1.1 200 OK", "<html>".to_owned(), &authority),
        ("HTTP/1.1 200 OK", format!("{{\"keys\":[{}]}}", " ".repeat(70_000)), &authority),
        ("HTTP/1.1 200 OK", signer.set(), &Authority::new()),
    ] {
        let root = state_root();
        let server = Server::start(&authority, head, body);
        let daemon = daemon(root.path(), &key_set_profile(&server.address), trusted);
        for _ in 0..5 {
            let answer = post(&daemon, &signer.token(), "{}");
            assert_eq!(
                (answer.status, answer.header("retry-after").is_some()),
                (503, true),
                "{head}: {answer:?}"
            );
        }
        assert!(server.requests() <= 1, "{head}: {}", server.requests());
        assert!(events(root.path()).iter().all(|event| event["kind"] != "webhook"), "{head}");
    }
}

fn certificate_profile(address: &str) -> String {
    let sns = include_str!("../schemas/providers/aws-sns.toml");
    let pin = "hosts = [\"sns.*.amazonaws.com\", \"sns.*.amazonaws.com.cn\"], path_suffix = \".pem\"";
    assert!(sns.contains(pin));
    let own = format!("hosts = [\"{address}\"], chain_name = \"signer.test\"");
    sns.replace("name = \"aws-sns\"", "name = \"own\"").replace(pin, &own)
}

/// A delivery that anybody can make, for its signature is none.
fn sns(certificate_url: &str) -> serde_json::Value {
    json!({"Type": "Notification", "MessageId": "1", "Message": "m", "TopicArn": "t",
        "Timestamp": "2026-01-01T00:00:00.000Z", "SignatureVersion": "2", "SigningCertURL": certificate_url,
        "Signature": "AAAA"})
}

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
