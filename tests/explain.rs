//! `webhooks explain`: the sender learns a code and an id, the operator learns why and what to do.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{
    Answer, Daemon, SECRET, add_github, events, events_named, eventually, github_signature, json as ask, raw,
    request, run, state_root, succeed, write_private,
};

fn explain(root: &Path, subject: &str) -> Value {
    ask(root, &["webhooks", "explain", subject])
}

/// What an answer names the refusal by.
fn refusal(answer: &Answer) -> String {
    answer.header("palyra-refusal").unwrap_or_else(|| panic!("it names no refusal: {answer:?}")).to_owned()
}

/// All lines of a list, in one text.
fn lines(explained: &Value, name: &str) -> String {
    let lines = explained[name].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_delivery_that_is_not_authentic_is_explained_by_the_id_in_its_answer_and_leaves_no_row() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let typed = ("Content-Type", "application/json");
    let wrong = github_signature("another secret", b"{\"CANARY\":1}");
    let forged = daemon.post("gh", &[typed, ("X-Hub-Signature-256", &wrong)], b"{\"CANARY\":1}");
    let bare = daemon.post("gh", &[typed], b"{}");
    assert_eq!((forged.status, bare.status), (401, 401));
    assert_eq!(forged.body, bare.body, "one body for all reasons");
    assert_ne!(refusal(&forged), refusal(&bare));

    let explained = explain(root.path(), &refusal(&forged));
    assert_eq!((&explained["about"], &explained["integration_id"]), (&json!("refusal"), &json!("gh")));
    assert!(lines(&explained, "why").starts_with("bad_signature: "), "{explained}");
    assert!(lines(&explained, "next").contains("`palyra vault put global/github`"), "{explained}");
    for secret in ["CANARY", "another secret", SECRET, &wrong, "127.0.0.1"] {
        assert!(!explained.to_string().contains(secret), "{explained}");
    }
    let text = succeed(root.path(), &["webhooks", "explain", &refusal(&bare)], b"");
    assert!(text.contains("missing_signature") && text.contains("401"), "{text}");

    let latest = explain(root.path(), "gh");
    let reasons: Vec<_> = latest["refusals"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(reasons, ["missing_signature", "bad_signature"], "the newest first");
    let of_it = |row: &&Value| row["name"].as_str().unwrap().starts_with("webhook.");
    assert_eq!(events(root.path()).iter().filter(of_it).count(), 0);
}

#[test]
fn a_sender_that_waits_for_100_continue_is_told_an_id_too() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let head = "POST /hooks/gh HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let answer = raw(&daemon.ingress, head.as_bytes());
    let id = answer.split("palyra-refusal: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert!(lines(&explain(root.path(), id), "why").contains("missing_signature"));
}

#[test]
fn a_flood_of_bad_signatures_from_one_peer_pushes_out_nothing_that_was_refused_before() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let before = refusal(&daemon.post("gh", &[("Content-Type", "application/json")], b"{}"));
    let bad =
        "POST /hooks/gh HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX-Hub-Signature-256: sha256=00\r\n\r\n";
    for _ in 0..4 {
        let last = bad.replace("Host: x\r\n", "Host: x\r\nConnection: close\r\n");
        raw(&daemon.ingress, format!("{}{last}", bad.repeat(349)).as_bytes());
    }
    assert!(lines(&explain(root.path(), &before), "why").contains("missing_signature"));
    let throttled = daemon.post("gh", &[("Content-Type", "application/json")], b"{}");
    assert_eq!((throttled.status, throttled.header("palyra-refusal")), (429, None));
    let latest = explain(root.path(), "gh");
    let newest = &latest["refusals"][0];
    assert_eq!((&newest["status"], &newest["reason"]), (&json!(429), &json!("malformed_signature")));
}

#[test]
fn what_no_integration_was_found_for_names_nothing_and_reads_alike() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    succeed(root.path(), &["webhooks", "disable", "gh"], b"");
    let headers = |id: &str| {
        let answer = daemon.post(id, &[("Content-Type", "application/json")], b"{}");
        assert_eq!(answer.status, 404);
        answer.headers.into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>()
    };
    assert_eq!(headers("gh"), headers("nobody"));
    assert!(!headers("gh").contains("palyra-refusal"));
    let explained = explain(root.path(), "gh");
    assert!(explained["happened"].as_str().unwrap().contains("answered 404"), "{explained}");
    assert_eq!(lines(&explained, "next"), "`palyra webhooks enable gh` enables it");
    let unknown = run(root.path(), &["webhooks", "explain", "g"], b"");
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said.contains("answered 404") && said.contains("did you mean `gh`?"), "{said}");
}

#[test]
fn a_delivery_that_an_allow_list_leaves_out_is_explained_with_the_command_that_takes_it() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let set = |args: &[&str]| succeed(root.path(), &[&["webhooks", "set", "gh"], args].concat(), b"");
    set(&["--allow-event", "push", "--on-filtered", "reject"]);
    let answer = daemon.github("release", "delivery-1", "{}");
    assert_eq!(answer.status, 403);
    let row = events(root.path()).into_iter().find(|row| row["name"] == "webhook.filtered").unwrap();
    assert_eq!(row["event_id"], refusal(&answer), "what left a row is named by its id");
    for subject in [refusal(&answer), row["seq"].to_string(), "delivery-1".to_owned()] {
        let explained = explain(root.path(), &subject);
        assert!(lines(&explained, "why").contains("allowed_events"), "{explained}");
        let command = "palyra webhooks set gh --allow-event push --allow-event release";
        assert!(lines(&explained, "next").contains(command), "{explained}");
    }
    set(&["--allow-event", "push", "--allow-event", "release"]);
    let explained = explain(root.path(), &refusal(&answer));
    assert!(lines(&explained, "next").contains("have been changed since and now allow it"), "{explained}");
    let accepted = daemon.github("release", "1", "{}");
    let explained = explain(root.path(), &accepted.seq().to_string());
    let happened = explained["happened"].as_str().unwrap();
    assert!(
        happened.contains("was accepted and is stored durably") && !happened.contains("answered"),
        "{happened}"
    );
    assert!(lines(&explained, "why").contains("version 1 of the secret"), "{explained}");
}

#[test]
fn a_delivery_is_found_by_its_providers_id_however_many_newer_events_tell_of_that_text() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let first = daemon.github("push", "d-1", "{}").seq();
    for n in 0..200 {
        assert_eq!(daemon.github("push", &format!("d-1{n}"), &format!("[{n}]")).status, 202);
    }
    assert_eq!(explain(root.path(), "d-1")["event"]["seq"], first);
    let unknown = run(root.path(), &["webhooks", "explain", "d-2"], b"");
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(said.contains("refusal, event or delivery"), "{said}");
}

#[test]
fn what_is_refused_after_it_was_verified_is_explained_by_its_row() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let rejected = daemon.github("push", "1", "{\"a\":1,\"a\":2}");
    assert_eq!(rejected.status, 422);
    let explained = explain(root.path(), &refusal(&rejected));
    assert_eq!(explained["event"]["name"], "webhook.rejected");
    assert!(!explained["happened"].as_str().unwrap().contains("400"), "{explained}");
    assert!(lines(&explained, "next").contains("palyra system event show"), "{explained}");
}

#[test]
fn a_delivery_that_is_stored_too_late_is_never_told_as_lost_nor_as_answered_like_others() {
    let root = state_root();
    add_github(root.path());
    write_private(&root.path().join("palyra.toml"), "answer_deadline_seconds = 1\n");
    let stalls = [("FAILPOINTS", "replay_guard::submit=1*sleep(3000)->off")];
    let daemon = Daemon::start_with(root.path(), &[], &stalls);
    let late = daemon.github("push", "late", "{}");
    assert_eq!(late.status, 503);
    let explained = explain(root.path(), &refusal(&late));
    let happened = explained["happened"].as_str().unwrap();
    assert!(happened.contains("answered 503") && happened.contains("may have been stored"), "{happened}");
    eventually("it is stored", || events_named(root.path(), "push").len() == 1);
    let explained = explain(root.path(), "late");
    let happened = explained["happened"].as_str().unwrap();
    assert!(happened.contains("is stored durably") && !happened.contains("answered"), "{happened}");
    assert_eq!(daemon.github("push", "late", "{}").outcome(), "duplicate");
}

#[test]
fn what_a_sender_wrote_is_shown_as_safe_text_and_is_part_of_no_command() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    succeed(root.path(), &["webhooks", "set", "gh", "--allow-source", "octo/hello"], b"");
    let answer = daemon.github("$(reboot)", "1", "{\"repository\":{\"full_name\":\"a\\u001b[2J$(reboot)\"}}");
    assert_eq!(answer.outcome(), "filtered");
    let text = succeed(root.path(), &["webhooks", "explain", &answer.seq().to_string()], b"");
    assert!(!text.contains('\u{1b}') && !text.contains("$(reboot)"), "{text:?}");
    assert!(text.contains("--allow-source NAME"), "{text}");
}

#[test]
fn an_answer_that_is_our_own_fault_is_explained_with_what_is_missing() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    succeed(root.path(), &["vault", "remove", "global/github", "--force"], b"");
    let answer = daemon.github("push", "1", "{}");
    assert_eq!(answer.status, 503);
    let explained = explain(root.path(), &refusal(&answer));
    assert!(lines(&explained, "why").contains("global/github"), "{explained}");
    assert!(lines(&explained, "next").contains("palyra webhooks show gh"), "{explained}");
    let explained = explain(root.path(), "gh");
    assert_eq!(explained["readiness"], "secret_not_found");
    assert!(lines(&explained, "why").contains("palyra vault put global/github"), "{explained}");
}

#[test]
fn while_no_daemon_runs_nothing_is_said_to_be_taken_in_and_refusals_are_forgotten() {
    let root = state_root();
    add_github(root.path());
    assert!(lines(&explain(root.path(), "gh"), "why").contains("no daemon runs"));
    let output = run(root.path(), &["webhooks", "explain", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("since the daemon started"), "{said}");
}

#[test]
fn an_integration_may_be_called_by_any_word_of_the_console() {
    let root = state_root();
    succeed(root.path(), &["vault", "put", "global/key"], b"any secret");
    for id in ["explain", "enabled", "test", "dispatch"] {
        succeed(root.path(), &["webhooks", "add", id, "github", "--secret-ref", "global/key"], b"");
    }
    let _daemon = Daemon::start(root.path());
    for id in ["explain", "enabled", "test", "dispatch"] {
        assert!(succeed(root.path(), &["webhooks", "explain", id], b"").contains(id));
        succeed(root.path(), &["webhooks", "send", id, "--event", "push"], b"");
        succeed(root.path(), &["webhooks", "disable", id], b"");
    }
}

#[test]
fn a_handshake_with_another_token_is_explained_with_the_token_and_not_with_the_secret() {
    let root = state_root();
    let root = root.path();
    succeed(root, &["vault", "put", "global/app"], b"app secret");
    succeed(root, &["vault", "put", "global/verify"], b"agreed");
    let parameter = ["--secret-ref", "global/app", "--parameter", "verify_token=global/verify"];
    succeed(root, &[&["webhooks", "add", "in", "meta"], &parameter[..]].concat(), b"");
    let daemon = Daemon::start(root);
    let url = format!("{}/hooks/in?hub.verify_token=mistyped&hub.challenge=1", daemon.ingress);
    let answer = request("GET", &url, &[], b"");
    assert_eq!(answer.status, 401);
    let explained = explain(root, &refusal(&answer));
    let next = lines(&explained, "next");
    assert!(next.contains("`global/verify`") && next.contains("`verify_token`"), "{next}");
    assert!(!next.contains("global/app"), "{next}");
    assert!(lines(&explained, "why").starts_with("bad_signature: "), "{explained}");

    let unsigned = daemon.post("in", &[("X-Hub-Signature-256", "sha256=00")], b"{}");
    succeed(root, &["webhooks", "remove", "in"], b"");
    for answer in [answer, unsigned] {
        let explained = explain(root, &refusal(&answer));
        let (why, next) = (lines(&explained, "why"), lines(&explained, "next"));
        assert!(why.contains("`in` has been removed since"), "{explained}");
        assert!(next.contains("`palyra webhooks add in PROVIDER`"), "{explained}");
        for wrong in ["published keys", "global/", "webhooks set", "webhooks test"] {
            assert!(!next.contains(wrong), "{explained}");
        }
    }
}
