//! Keys that a provider publishes, fetched over TLS from a server of the test's own.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::key_server::{Authority, Server, Signer};
use crate::support::publishing::{certificate_profile, daemon, key_set_profile, post, prepare, sns};
use crate::support::{Daemon, events, eventually, json as json_of, state_root, succeed, within};

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
    assert_eq!(server.requests(), 1);
    assert_eq!(post(&daemon, &Signer::new().token(), "{}").status, 401, "somebody else's key");
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

/// What a key server may answer in place of keys.
const NO_KEYS: [&str; 3] = ["{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AQ\"}]}", "{}"];

#[test]
fn keys_that_have_verified_are_used_while_their_provider_is_away() {
    outlive_their_life(|server| server.is_away.store(true, Ordering::SeqCst));
}

#[test]
fn keys_that_have_verified_are_used_while_their_provider_answers_without_a_usable_key() {
    for answer in NO_KEYS {
        outlive_their_life(|server| server.publish(answer.to_owned()));
    }
}

/// Keys that have verified a delivery remain in use while their server is in trouble.
fn outlive_their_life(bring_into_trouble: impl FnOnce(&Server)) {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    let server = Server::start(&authority, "HTTP/1.1 200 OK", signer.set());
    prepare(root.path(), &key_set_profile(&server.address), &authority, "");
    let soon = [("FAILPOINTS", "published::life_ends_soon=return")];
    let started = || Daemon::start_with(root.path(), &[], &soon);
    let daemon = started();
    assert_eq!(post(&daemon, &signer.token(), "{}").status, 202);
    bring_into_trouble(&server);
    let mut numbers = 0..;
    eventually("their life ends", || {
        let body = format!("[{}]", numbers.next().unwrap());
        assert_eq!(post(&daemon, &signer.token(), &body).status, 202);
        server.requests() == 2
    });
    assert_eq!(
        post(&daemon, &Signer::new().token(), "{}").status,
        503,
        "nobody knows whether it is a new key"
    );
    assert_eq!(post(&daemon, &signer.token(), "[\"after\"]").status, 202);
    drop(daemon);
    assert_eq!(post(&started(), &signer.token(), "[\"anew\"]").status, 503, "none are there");
}

#[test]
fn a_key_server_that_answers_without_a_usable_key_is_named_in_the_explanation() {
    for answer in NO_KEYS {
        let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
        let server = Server::start(&authority, "HTTP/1.1 200 OK", answer.to_owned());
        let daemon = daemon(root.path(), &key_set_profile(&server.address), &authority);
        let refused = post(&daemon, &signer.token(), "{}");
        assert_eq!(refused.status, 503);
        let id = refused.header("palyra-refusal").unwrap();
        let explained = json_of(root.path(), &["webhooks", "explain", id]);
        let url = format!("https://{}/keys", server.address);
        let why = format!("published keys: the key server at {url} answered without a usable key: ");
        assert!(explained["why"][0].as_str().unwrap().starts_with(&why), "{explained}");
    }
}

#[test]
fn keys_that_could_not_be_fetched_are_told_until_they_are_fetched() {
    let (root, authority, signer) = (state_root(), Authority::new(), Signer::new());
    let root = root.path();
    let server = Server::start(&authority, "HTTP/1.1 200 OK", signer.set());
    prepare(root, &key_set_profile(&server.address), &authority, "");
    let failure_ends_soon = [("FAILPOINTS", "published::failure_ends_soon=return")];
    let daemon = Daemon::start_with(root, &[], &failure_ends_soon);
    // Any change has the integrations checked at once.
    let heartbeat = || {
        succeed(root, &["vault", "put", "global/other"], b"value");
        daemon.console(root, "GET", "/console/v1/system/heartbeat", b"").json()
    };
    assert_eq!(heartbeat()["reasons"], json!([]), "nothing was fetched yet");
    server.is_away.store(true, Ordering::SeqCst);
    assert_eq!(post(&daemon, &signer.token(), "{}").status, 503);
    let shown = json_of(root, &["webhooks", "show", "in"]);
    let why = format!("https://{}/keys: http status: 500", server.address);
    assert_eq!(shown["readiness"], "ready", "the next delivery tries again");
    assert!(shown["issues"][0].as_str().unwrap().contains(&why), "{shown}");
    let told = "enabled integrations whose provider's keys could not be fetched the last time: in (1 in all)";
    assert!(heartbeat()["reasons"][0].as_str().unwrap().starts_with(told));

    server.is_away.store(false, Ordering::SeqCst);
    eventually("they are asked for again", || post(&daemon, &signer.token(), "{}").status == 202);
    assert_eq!(json_of(root, &["webhooks", "show", "in"])["issues"], json!([]));
    assert_eq!(heartbeat()["reasons"], json!([]));
}

#[test]
fn no_delivery_waits_while_keys_that_have_verified_are_fetched_anew() {
    // A fetch takes no longer than five seconds, in which a busy machine may not get to the last delivery.
    assert!((0..3).any(|_| come_while_keys_are_fetched_anew()), "the fetch is always over too early");
}

/// Posts deliveries while keys that have verified are fetched. Returns whether the fetch was still under way at the end.
fn come_while_keys_are_fetched_anew() -> bool {
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
    let of_another_key = post(&daemon, &Signer::new().token(), "{}").status;
    let (requests, is_under_way) = (server.requests(), server.keeps_waiting());
    if is_under_way {
        assert_eq!(of_another_key, 503, "others are not there in time");
        assert_eq!(requests, 2, "one at a time fetches them");
    }
    is_under_way
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
    // The old keys are in use until the new ones come.
    server.pause_ms.store(3_000, Ordering::SeqCst);
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
    // After a minute, they would be counted from the beginning.
    within(Duration::from_secs(50), "the limit is reached", || {
        match post(&daemon, &stranger.token(), "{}").status {
            401 => false,
            503 => true,
            other => panic!("{other}"),
        }
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
