//! A panic in one handler costs one request, never the process.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    Daemon, add_github, events, events_named, eventually, run, state_root, succeed, within, write_private,
};

/// A daemon in which the handler at `point` does as `actions` say.
fn daemon(root: &Path, point: &str, actions: &str) -> Daemon {
    add_github(root);
    Daemon::start_with(root, &[], &[("FAILPOINTS", &format!("{point}={actions}"))])
}

fn actor(daemon: &Daemon, root: &Path, name: &str) -> Value {
    let presence = daemon.console(root, "GET", "/console/v1/system/presence", b"").json();
    let actors = presence["actors"].as_array().unwrap();
    actors.iter().find(|actor| actor["name"] == name).unwrap().clone()
}

/// Posts one delivery after the other until one is answered 503; gives the numbers of the accepted ones.
fn post_until_503(daemon: &Daemon) -> Vec<u64> {
    for n in 0..20 {
        let answer = daemon.github("push", "1", &format!("{{\"n\":{n}}}"));
        if answer.status == 503 {
            assert!(answer.header("retry-after").is_some());
            return (0..n).collect();
        }
        assert_eq!(answer.status, 202);
    }
    panic!("the planted panic was not met");
}

/// The journal holds each acknowledged delivery once, and verifies.
fn assert_nothing_lost(root: &Path, acknowledged: &[u64]) {
    let rows = events(root);
    for n in acknowledged {
        let of_n = |row: &&Value| row["envelope"]["payload"]["n"] == *n;
        assert_eq!(rows.iter().filter(of_n).count(), 1, "{n}");
    }
    succeed(root, &["journal", "verify"], b"");
}

/// Longer than a restart takes on a busy machine, and less than the time that an answer may take: the retry that is taken has
/// not waited for the end of the one that was not.
const AWAY_MAX: Duration = Duration::from_secs(5);

/// One panic of the actor `name`, after `before` good calls: one 503, then service soon, shown and journaled.
fn survives(name: &str, point: &str, before: u32) {
    let root = state_root();
    let actions = if before == 0 { "1*panic->off".to_owned() } else { format!("{before}*off->1*panic->off") };
    let daemon = daemon(root.path(), point, &actions);
    let mut acknowledged = post_until_503(&daemon);
    let struck = Instant::now();
    let hit = u64::try_from(acknowledged.len()).unwrap();
    eventually("the retry is taken", || {
        let status = daemon.github("push", "1", &format!("{{\"n\":{hit}}}")).status;
        assert!(matches!(status, 200 | 202 | 503), "{status}");
        status != 503
    });
    assert!(struck.elapsed() < AWAY_MAX, "{name} was away for {:?}", struck.elapsed());
    acknowledged.push(hit);
    eventually("presence shows the restart", || actor(&daemon, root.path(), name)["restarts"] == 1);
    assert_eq!(actor(&daemon, root.path(), name)["last_exit"], "panicked");
    assert_eq!(daemon.console(root.path(), "GET", "/readyz", b"").status, 200);
    // Nobody waits for its row.
    eventually("the restart is journaled", || {
        events_named(root.path(), "supervision.actor.restarted").len() == 1
    });
    for n in &acknowledged {
        assert_eq!(daemon.github("push", "1", &format!("{{\"n\":{n}}}")).status, 200, "{n} is still known");
    }
    assert_nothing_lost(root.path(), &acknowledged);
}

#[test]
fn a_panic_of_the_registry_costs_no_delivery() {
    let root = state_root();
    let daemon = daemon(root.path(), "registry::get", "1*panic->off");
    let show = || daemon.console(root.path(), "GET", "/console/v1/webhooks/gh", b"").status;
    assert_eq!(show(), 503);
    for n in 0..5 {
        assert_eq!(daemon.github("push", "1", &format!("{{\"n\":{n}}}")).status, 202);
    }
    eventually("presence shows the restart", || actor(&daemon, root.path(), "registry")["restarts"] == 1);
    assert_eq!(show(), 200);
    assert_nothing_lost(root.path(), &[0, 1, 2, 3, 4]);
}

#[test]
fn a_panic_of_the_registry_puts_no_edit_by_hand_in_force() {
    let root = state_root();
    let daemon = daemon(root.path(), "registry::get", "1*panic->off");
    let show = || daemon.console(root.path(), "GET", "/console/v1/webhooks/gh", b"");
    write_private(&root.path().join("webhooks.toml"), "version = 1\n[[webhooks]]\nintegr");
    assert_eq!(show().status, 503);
    eventually("presence shows the restart", || actor(&daemon, root.path(), "registry")["restarts"] == 1);
    assert_eq!(show().json()["enabled"], true);
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
}

#[test]
fn a_panic_of_the_vault_costs_one_request() {
    survives("vault", "vault::resolve", 0);
}

#[test]
fn a_panic_of_the_replay_guard_costs_one_request() {
    survives("replay_guard", "replay_guard::submit", 2);
}

#[test]
fn a_panic_of_the_journal_costs_one_request() {
    survives("journal", "journal::append", 2);
}

#[test]
fn a_panic_of_the_writer_before_or_after_its_commit_costs_one_group() {
    for point in ["journal::before_commit", "journal::before_anchor", "journal::after_commit"] {
        survives("journal", point, 2);
    }
}

#[test]
fn a_panic_of_the_connector_supervisor_costs_no_delivery() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "heartbeat_interval_seconds = 1\n");
    let daemon = daemon(root.path(), "connectors::emit", "1*panic->off");
    eventually("the supervisor is restarted", || actor(&daemon, root.path(), "connectors")["restarts"] == 1);
    assert_eq!(daemon.github("push", "1", "{\"n\":0}").status, 202);
    eventually("the connector emits again", || !events_named(root.path(), "connector.heartbeat").is_empty());
    assert_nothing_lost(root.path(), &[0]);
}

#[test]
fn an_actor_that_panics_again_and_again_ends_the_process_with_70_and_loses_nothing() {
    let root = state_root();
    let daemon = daemon(root.path(), "replay_guard::submit", "1*off->panic");
    let acknowledged = post_until_503(&daemon);
    let url = format!("{}/hooks/gh", daemon.ingress);
    // Each time another delivery: what was seen lately is answered without the actor.
    let post = |n: u64| {
        let body = format!("{{\"again\":{n}}}");
        let signature = crate::support::github_signature(crate::support::SECRET, body.as_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", "push"),
            ("X-Hub-Signature-256", signature.as_str()),
        ];
        crate::support::try_post(&url, &headers, body.as_bytes())
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    for n in 0.. {
        assert!(Instant::now() < deadline, "the daemon goes on and on");
        if post(n).is_none() {
            break;
        }
    }
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(70));
    assert_nothing_lost(root.path(), &acknowledged);
    let stopped = events_named(root.path(), "system.daemon.stopped");
    assert!(stopped.last().unwrap().to_string().contains("replay_guard"), "the journal says why");
}

#[test]
fn an_actor_whose_opening_panics_once_is_opened_again() {
    let root = state_root();
    add_github(root.path());
    let points = "journal::append=2*off->1*panic->off;journal::sign=1*panic->off";
    let daemon = Daemon::start_with(root.path(), &[], &[("FAILPOINTS", points)]);
    let acknowledged = post_until_503(&daemon);
    eventually("it is taken again", || daemon.github("push", "1", "{\"after\":1}").status == 202);
    let how = actor(&daemon, root.path(), "journal")["last_exit"].clone();
    assert_eq!(how, "could not be restarted: a thread of the daemon panicked");
    assert_nothing_lost(root.path(), &acknowledged);
}

#[test]
fn an_actor_whose_opening_panics_again_and_again_ends_the_process_in_good_order() {
    let root = state_root();
    add_github(root.path());
    let points = "journal::append=2*off->1*panic->off;journal::sign=panic";
    let daemon = Daemon::start_with(root.path(), &[], &[("FAILPOINTS", points)]);
    let acknowledged = post_until_503(&daemon);
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(70));
    for file in ["daemon.json", "reserve"] {
        assert!(!root.path().join(file).try_exists().unwrap(), "{file} is left behind");
    }
    assert_nothing_lost(root.path(), &acknowledged);
}

#[test]
fn who_emits_an_event_of_which_nobody_knows_is_not_told_to_double_it() {
    let root = state_root();
    let panics = [("FAILPOINTS", "journal::after_commit=3*off->1*panic->off")];
    let _daemon = Daemon::start_with(root.path(), &[], &panics);
    let failed = (0..20).find_map(|n| {
        let emitted =
            crate::support::run(root.path(), &["system", "event", "emit", &format!("told.{n}")], b"");
        (!emitted.status.success()).then(|| String::from_utf8(emitted.stderr).unwrap())
    });
    let said = failed.expect("the planted panic was not met");
    assert!(said.contains("not known") && said.contains("palyra system event list"), "{said}");
    assert!(!said.contains("again in") && !said.contains("replay key"), "{said}");
}

#[test]
fn without_a_planted_panic_nothing_is_restarted() {
    let root = state_root();
    let daemon = daemon(root.path(), "replay_guard::submit", "off");
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    for name in ["registry", "vault", "replay_guard", "journal", "connectors"] {
        assert_eq!(actor(&daemon, root.path(), name)["restarts"], 0);
    }
}

#[test]
fn a_delivery_waits_no_longer_than_it_may_and_keeps_its_place_until_it_is_stored() {
    let root = state_root();
    add_github(root.path());
    write_private(&root.path().join("palyra.toml"), "answer_deadline_seconds = 1\nin_flight_max = 1\n");
    let stalls = [("FAILPOINTS", "replay_guard::submit=1*sleep(8000)->off")];
    let daemon = Daemon::start_with(root.path(), &[], &stalls);
    let body = "{\"ref\":\"a\"}";
    let refused = [("1", body), ("2", "{}")].map(|(id, body)| {
        let answer = daemon.github("push", id, body);
        (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
    });
    assert_eq!(refused, [(503, "unavailable".to_owned()), (503, "overloaded".to_owned())]);
    within(Duration::from_secs(30), "what was handed over is stored", || {
        daemon.github("push", "1", body).status == 200
    });
    assert_eq!(events_named(root.path(), "push").len(), 1);
}

#[test]
fn a_delivery_that_is_to_be_sent_waits_for_its_secret_no_longer_than_one_that_comes() {
    let root = state_root();
    add_github(root.path());
    write_private(&root.path().join("palyra.toml"), "answer_deadline_seconds = 1\n");
    let stalls = [("FAILPOINTS", "vault::resolve=1*sleep(4000)->off")];
    let _daemon = Daemon::start_with(root.path(), &[], &stalls);
    let sent = run(root.path(), &["webhooks", "send", "gh", "--event", "push"], b"");
    let said = String::from_utf8_lossy(&sent.stderr);
    assert!(!sent.status.success() && said.contains("the secret was not read"), "{said}");
}

#[test]
fn a_journal_that_stands_still_is_told_in_time_and_by_name() {
    let root = state_root();
    add_github(root.path());
    let stalls = [("FAILPOINTS", "replay_guard::submit=1*sleep(60000)->off")];
    let daemon = Daemon::start_with(root.path(), &[], &stalls);
    let (url, console) = (format!("{}/hooks/gh", daemon.ingress), &daemon.console);
    let signature = crate::support::github_signature(crate::support::SECRET, b"{}");
    std::thread::spawn(move || {
        let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", &signature)];
        crate::support::try_post(&url, &headers, b"{}")
    });
    eventually("the delivery stands still", || {
        crate::support::request("GET", &format!("{console}/readyz"), &[], b"").status == 503
    });
    // Each part is waited for two seconds. Waiting for one after the other would take four, however often it is asked.
    let ask = |what: &str| {
        for _ in 0..5 {
            let asked = Instant::now();
            let said = daemon.console(root.path(), "GET", &format!("/console/v1/system/{what}"), b"").json();
            if asked.elapsed() < Duration::from_secs(3) {
                return said;
            }
        }
        panic!("{what} takes too long");
    };
    let (heartbeat, insights) = (ask("heartbeat"), ask("insights"));
    assert_eq!((&heartbeat["status"], &heartbeat["ready"]), (&"degraded".into(), &false.into()));
    let reasons = heartbeat["reasons"].to_string();
    assert!(
        reasons.contains("the journal did not commit within 2 s") && reasons.contains("replay guard"),
        "{reasons}"
    );
    for late in [&heartbeat["journal"], &insights["journal"], &insights["replay_guard"]] {
        assert!(late["error"].as_str().unwrap().contains("within 2 s"), "{late}");
    }
    assert_eq!(
        (&insights["registry"]["integrations"], &insights["diagnostics"]["total"]),
        (&1.into(), &1.into())
    );
    assert_eq!(ask("presence")["connectors"][0]["name"], "heartbeat");
}

#[test]
fn a_change_whose_outcome_is_not_known_is_told_and_journaled_as_that() {
    let root = state_root();
    let root = root.path();
    let daemon = daemon(root, "registry::changed", "1*panic->off");
    let answer = daemon.console(root, "POST", "/console/v1/webhooks/gh/enabled", br#"{"enabled":false}"#);
    assert_eq!((answer.status, answer.header("retry-after")), (503, None), "{answer:?}");
    assert!(answer.body.contains("not known whether the change was made"), "{answer:?}");
    assert!(answer.body.contains("check before you repeat it"), "{answer:?}");
    eventually("who looks sees that it was done", || {
        daemon.console(root, "GET", "/console/v1/webhooks/gh", b"").json()["enabled"] == false
    });
    assert_eq!(events_named(root, "registry.webhook.disable.unknown").len(), 1);
    assert!(events_named(root, "registry.webhook.disable.refused").is_empty());
}

#[test]
fn a_reload_whose_outcome_is_not_known_is_told_and_journaled_as_that() {
    let root = state_root();
    let root = root.path();
    let daemon = daemon(root, "registry::changed", "1*panic->off");
    write_private(&root.join("webhooks.toml"), "version = 1\n");
    let answer = daemon.console(root, "POST", "/console/v1/system/reload", b"");
    assert_eq!((answer.status, answer.header("retry-after")), (503, None), "{answer:?}");
    assert!(answer.body.contains("not known whether it is in force"), "{answer:?}");
    let show = || daemon.console(root, "GET", "/console/v1/webhooks/gh", b"").status;
    eventually("who looks sees that it was done", || show() == 404);
    assert_eq!(events_named(root, "registry.reload.unknown").len(), 1);
    let reloaded = daemon.console(root, "POST", "/console/v1/system/reload", b"");
    assert_eq!(reloaded.status, 200, "{reloaded:?}");
}

#[test]
fn a_reload_while_the_registry_restarts_has_an_outcome_in_the_journal_too() {
    let root = state_root();
    let root = root.path();
    let daemon = daemon(root, "registry::get", "3*panic->off");
    let show = || daemon.console(root, "GET", "/console/v1/webhooks/gh", b"").status;
    while show() == 503 {
        let reload = daemon.console(root, "POST", "/console/v1/system/reload", b"");
        assert!(matches!(reload.status, 200 | 503), "{reload:?}");
    }
    let asked = events_named(root, "registry.reload.asked").len();
    let endings = ["reloaded", "reload.refused", "reload.unknown"]
        .map(|ending| events_named(root, &format!("registry.{ending}")).len());
    assert_eq!(endings.iter().sum::<usize>(), asked, "{endings:?}");
}
