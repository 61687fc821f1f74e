//! Providers that begin to sign with a new key while the keys at hand are within their life, and strangers who name keys
//! that nobody publishes.

use std::sync::atomic::Ordering;

use tempfile::TempDir;

use crate::support::key_server::{Authority, Server, Signer};
use crate::support::publishing::{daemon, key_set_profile, post, prepare};
use crate::support::{Daemon, eventually, state_root};

/// A daemon whose keys of a provider have verified a delivery and have an hour to live.
struct Rotation {
    daemon: Daemon,
    server: Server,
    old: Signer,
    _root: TempDir,
}

impl Rotation {
    fn new(settings: &str) -> Self {
        Self::from(Signer::new(), settings)
    }

    fn from(old: Signer, settings: &str) -> Self {
        let (root, authority) = (state_root(), Authority::new());
        let server = Server::start(&authority, "HTTP/1.1 200 OK", old.set());
        prepare(root.path(), &key_set_profile(&server.address), &authority, settings);
        let daemon = Daemon::start(root.path());
        assert_eq!(post(&daemon, &old.token(), "{}").status, 202);
        Self { daemon, server, old, _root: root }
    }

    /// The status of the answer to a delivery with this token.
    fn status(&self, token: &str, body: &str) -> u16 {
        post(&self.daemon, token, body).status
    }
}

#[test]
fn a_delivery_that_names_a_new_key_asks_for_it_and_others_wait_with_it() {
    let (rotation, new) = (Rotation::new(""), Signer::of_id("2"));
    rotation.server.publish(new.set());
    rotation.server.pause_ms.store(1_000, Ordering::SeqCst);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (rotation, new) = (&rotation, &new);
            scope.spawn(move || assert_eq!(rotation.status(&new.token(), &format!("[{number}]")), 202));
        }
    });
    assert_eq!(rotation.server.requests(), 2, "all share the one fetch");
    assert_eq!(rotation.status(&rotation.old.token(), "[4]"), 401, "it was withdrawn");
    assert_eq!(rotation.status(&Signer::of_id("3").token(), "[5]"), 401);
    assert_eq!(rotation.server.requests(), 2, "once a minute");
    assert_eq!(rotation.status(&new.token(), "[6]"), 202);
}

#[test]
fn strangers_who_name_unknown_keys_cause_one_fetch_and_delay_nobody() {
    let rotation = Rotation::new("answer_deadline_seconds = 1\n");
    // Longer than a delivery waits, and less than a fetch may take.
    rotation.server.pause_ms.store(3_500, Ordering::SeqCst);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert_eq!(rotation.status(&Signer::of_id("9").token(), "{}"), 503, "not in time");
            });
        }
        eventually("one is asked for", || rotation.server.requests() == 2);
        for number in 0..8 {
            assert_eq!(rotation.status(&rotation.old.token(), &format!("[{number}]")), 202);
        }
        assert!(rotation.server.keeps_waiting(), "meanwhile");
    });
    eventually("the fetch ends", || rotation.status(&Signer::of_id("9").token(), "{}") == 401);
    for id in ["8", "9"] {
        assert_eq!(rotation.status(&Signer::of_id(id).token(), "{}"), 401);
    }
    assert_eq!(rotation.server.requests(), 2);
    assert_eq!(rotation.status(&rotation.old.token(), "[\"after\"]"), 202);
}

#[test]
fn the_keys_at_hand_stay_if_the_fetch_of_a_new_one_fails_and_nobody_knows_what_it_signed() {
    let (authority, old) = (Authority::new(), Signer::new());
    for answer in ["{\"keys\":[]}", "<html>"] {
        let root = state_root();
        let server = Server::start(&authority, "HTTP/1.1 200 OK", old.set());
        let daemon = daemon(root.path(), &key_set_profile(&server.address), &authority);
        assert_eq!(post(&daemon, &old.token(), "{}").status, 202);
        server.publish(answer.to_owned());
        for new in [Signer::of_id("2"), Signer::new(), Signer::nameless()] {
            assert_eq!(post(&daemon, &new.token(), "{}").status, 503);
            assert_eq!(server.requests(), 2, "one failure stands for the next seconds");
        }
        assert_eq!(post(&daemon, &Signer::new().token_for("them"), "{}").status, 401, "no key could save it");
        assert_eq!(post(&daemon, &old.token(), "[1]").status, 202);
    }
}

#[test]
fn a_new_key_is_asked_for_again_soon_after_a_fetch_that_failed() {
    let (root, authority, old, new) = (state_root(), Authority::new(), Signer::new(), Signer::of_id("2"));
    let server = Server::start(&authority, "HTTP/1.1 200 OK", old.set());
    prepare(root.path(), &key_set_profile(&server.address), &authority, "");
    let failure_ends_soon = [("FAILPOINTS", "published::failure_ends_soon=return")];
    let daemon = Daemon::start_with(root.path(), &[], &failure_ends_soon);
    assert_eq!(post(&daemon, &old.token(), "{}").status, 202);
    server.publish(new.set());
    server.is_away.store(true, Ordering::SeqCst);
    assert_eq!(post(&daemon, &new.token(), "[1]").status, 503);
    server.is_away.store(false, Ordering::SeqCst);
    eventually("it is asked for", || post(&daemon, &new.token(), "[1]").status == 202);
    let requests = server.requests();
    assert_eq!(post(&daemon, &Signer::of_id("3").token(), "[2]").status, 401);
    assert_eq!(server.requests(), requests, "once a minute");
}

#[test]
fn a_token_that_no_key_could_save_asks_for_none() {
    let rotation = Rotation::new("");
    for signer in [Signer::of_id("2"), Signer::new(), Signer::nameless()] {
        assert_eq!(rotation.status(&signer.token_for("them"), "{}"), 401);
        let token = signer.token();
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        assert_eq!(rotation.status(&format!("{unsigned}."), "{}"), 401);
    }
    assert_eq!(rotation.server.requests(), 1);
}

#[test]
fn a_delivery_signed_with_a_new_key_that_it_does_not_name_or_names_as_the_old_one_asks_for_it() {
    for (old, new) in [
        (Signer::nameless(), Signer::nameless()),
        (Signer::new(), Signer::nameless()),
        (Signer::new(), Signer::new()),
    ] {
        let rotation = Rotation::from(old, "");
        rotation.server.publish(new.set());
        assert_eq!(rotation.status(&new.token(), "[1]"), 202);
        assert_eq!(rotation.server.requests(), 2);
        assert_eq!(rotation.status(&rotation.old.token(), "[2]"), 401, "it was withdrawn");
        assert_eq!(rotation.status(&new.token(), "[3]"), 202);
        assert_eq!(rotation.server.requests(), 2, "once a minute");
    }
}

#[test]
fn strangers_cause_one_fetch_a_minute_whether_or_not_they_name_a_key() {
    let rotation = Rotation::new("");
    for stranger in [Signer::nameless(), Signer::new(), Signer::of_id("9"), Signer::nameless()] {
        assert_eq!(rotation.status(&stranger.token(), "{}"), 401);
        assert_eq!(rotation.server.requests(), 2);
    }
    assert_eq!(rotation.status(&rotation.old.token(), "[1]"), 202);
}
