//! The metrics that Prometheus scrapes: what they count, and that nobody who sends can write into them.

mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use reader::Metrics;

use crate::support::{
    Daemon, SECRET, add_github, connect, eventually, github_signature, json, raw, request, state_root,
    statuses, succeed, try_post, within, write_private,
};

/// The series of an integration and an answer.
fn answered(integration: &str, answer: &str) -> String {
    format!("palyra_deliveries_total{{integration=\"{integration}\",answer=\"{answer}\"}}")
}

fn refused(integration: &str, reason: &str) -> String {
    format!("palyra_deliveries_unauthenticated_total{{integration=\"{integration}\",reason=\"{reason}\"}}")
}

#[test]
fn metrics_need_the_token_like_all_of_the_console() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let url = format!("{}/console/v1/metrics", daemon.console);
    assert_eq!(request("GET", &url, &[], b"").status, 401);
    assert_eq!(request("GET", &format!("{}/console/v1/metrics", daemon.ingress), &[], b"").status, 404);
    assert_eq!(
        Metrics::of(&daemon, root.path())
            .value("palyra_console_unauthorized_total{reason=\"missing_token\"}"),
        Some(1.0)
    );
}

#[test]
fn deliveries_are_counted_by_integration_and_answer_from_zero_on() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let before = Metrics::of(&daemon, root.path());
    for answer in ["accepted", "duplicate", "unauthenticated", "overloaded", "unavailable"] {
        assert_eq!(before.value(&answered("gh", answer)), Some(0.0), "{answer}");
    }
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    assert_eq!(daemon.github("push", "1", "{}").status, 200);
    assert_eq!(daemon.github("push", "1", "{").status, 400);
    assert_eq!(daemon.post("gh", &[("Content-Type", "application/json")], b"{}").status, 401);
    let json = [("Content-Type", "application/json"), ("X-Hub-Signature-256", "sha256=zz")];
    assert_eq!(daemon.post("gh", &json, b"{}").status, 401);
    assert_eq!(request("PUT", &format!("{}/hooks/gh", daemon.ingress), &[], b"").status, 405);
    let after = Metrics::of(&daemon, root.path());
    for (series, count) in [
        (answered("gh", "accepted"), 1.0),
        (answered("gh", "duplicate"), 1.0),
        (answered("gh", "rejected"), 1.0),
        (answered("gh", "unauthenticated"), 2.0),
        (answered("gh", "method_not_allowed"), 1.0),
        (refused("gh", "missing_signature"), 1.0),
        (refused("gh", "malformed_signature"), 1.0),
    ] {
        assert_eq!(after.value(&series), Some(count), "{series}");
    }
    let appended = |page: &Metrics| page.value("palyra_journal_appended_total").unwrap();
    assert!(appended(&after) > appended(&before));
    assert_eq!(after.value("palyra_journal_last_seq"), after.value("palyra_journal_anchored_seq"));
}

#[test]
fn a_delivery_that_is_refused_before_its_body_is_asked_for_is_counted_too() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    for (id, status) in [("gh", 401), ("nope", 404)] {
        let text = format!(
            "POST /hooks/{id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        );
        assert_eq!(statuses(&raw(&daemon.ingress, text.as_bytes())), [status]);
    }
    let page = Metrics::of(&daemon, root.path());
    assert_eq!(page.value(&answered("gh", "unauthenticated")), Some(1.0));
    assert_eq!(page.value(&answered("", "not_found")), Some(1.0));
}

#[test]
fn what_goes_astray_below_the_hooks_is_counted_like_what_comes_for_nobody() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let ask = |path: &str| request("POST", &format!("{}{path}", daemon.ingress), &[], b"").status;
    for (count, path) in
        (1..).zip(["/hooks/nobody", "/hooks/gh/", "/hooks/gh/x", "/hooks//gh", "/hooks/", "/hooks"])
    {
        assert_eq!(ask(path), 404, "{path}");
        let page = Metrics::of(&daemon, root.path());
        assert_eq!(page.value(&answered("", "not_found")), Some(f64::from(count)), "{path}");
    }
    assert_eq!([ask("/"), ask("/admin"), ask("/hooksgh")], [404; 3]);
    let page = Metrics::of(&daemon, root.path());
    assert_eq!(page.value(&answered("", "not_found")), Some(6.0), "no deliveries");
}

#[test]
fn strangers_add_no_series_however_much_they_ask_for() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let ask = |n: u32| {
        let stranger = format!("stranger{n}");
        daemon.post(&stranger, &[("X-GitHub-Event", &stranger)], stranger.as_bytes());
        daemon.post("gh", &[("Content-Type", &stranger), ("X-Hub-Signature-256", &stranger)], b"{}");
        let forged = github_signature(&stranger, stranger.as_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", stranger.as_str()),
            ("X-GitHub-Delivery", &stranger),
            ("X-Hub-Signature-256", &forged),
        ];
        daemon.post("gh", &headers, stranger.as_bytes());
        let method = format!("STRANGER{n}");
        request(&method, &format!("{}/hooks/{stranger}?{stranger}", daemon.ingress), &[], b"");
        request(&method, &format!("{}/console/v1/{stranger}", daemon.console), &[], b"");
        let guess = [("Authorization", format!("Bearer {stranger}"))];
        let guess = guess.each_ref().map(|(name, value)| (*name, value.as_str()));
        request("GET", &format!("{}/console/v1/metrics", daemon.console), &guess, b"");
        // Authentic, and its names are the sender's all the same.
        daemon.github(&stranger, &stranger, &format!("{{\"ref\":\"{stranger}\"}}"));
        Metrics::of(&daemon, root.path()).series
    };
    let first = ask(0);
    let names = |page: &BTreeMap<String, f64>| page.keys().cloned().collect::<BTreeSet<_>>();
    let last = (1..20).fold(first.clone(), |_, n| ask(n));
    assert_eq!(names(&first), names(&last));
    let text = names(&last).into_iter().collect::<String>().to_lowercase();
    assert!(text.contains("not_found") && !text.contains("stranger"), "{text}");
    assert_eq!(last[&answered("gh", "accepted")], 20.0);
    assert_eq!(last[&answered("", "not_found")], 20.0);
}

#[test]
fn what_keeps_the_daemon_from_being_well_shows_in_the_metrics() {
    let root = state_root();
    add_github(root.path());
    succeed(
        root.path(),
        &["webhooks", "add", "off", "github", "--secret-ref", "global/github", "--disabled"],
        b"",
    );
    succeed(root.path(), &["vault", "remove", "global/github", "--force"], b"");
    let daemon = Daemon::start_with(root.path(), &[], &[("FAILPOINTS", "registry::get=1*panic->off")]);
    let value = |series: &str| Metrics::of(&daemon, root.path()).value(series);
    eventually("the integrations are looked at", || {
        value("palyra_integrations{readiness=\"ready\"}").is_some()
    });
    for (state, count) in [("ready", 0.0), ("disabled", 1.0), ("secret_not_found", 1.0)] {
        assert_eq!(value(&format!("palyra_integrations{{readiness=\"{state}\"}}")), Some(count), "{state}");
    }
    eventually("the journal is verified", || {
        value("palyra_journal_verification{state=\"verified\"}") == Some(1.0)
    });
    assert_eq!(value("palyra_journal_verification{state=\"running\"}"), Some(0.0));

    assert_eq!((value("palyra_config_stale"), value("palyra_ready")), (Some(0.0), Some(1.0)));
    let file = root.path().join("webhooks.toml");
    let right = std::fs::read_to_string(&file).unwrap();
    write_private(&file, "version = 2\n");
    daemon.signal("HUP");
    eventually("the refusal shows", || value("palyra_config_stale") == Some(1.0));
    write_private(&file, &right);
    daemon.signal("HUP");
    eventually("it is well again", || value("palyra_config_stale") == Some(0.0));

    let restarts = "palyra_actor_restarts_total{actor=\"registry\"}";
    assert_eq!(value(restarts), Some(0.0));
    daemon.console(root.path(), "GET", "/console/v1/webhooks/gh", b"");
    eventually("the restart shows", || value(restarts) == Some(1.0));
    assert_eq!(value("palyra_actor_up{actor=\"registry\"}"), Some(1.0));
    assert_eq!(value("palyra_connector_up{connector=\"heartbeat\"}"), Some(1.0));
}

#[test]
fn a_part_that_stands_still_keeps_no_scrape_waiting() {
    let root = state_root();
    add_github(root.path());
    write_private(&root.path().join("palyra.toml"), "in_flight_max = 1\n");
    let stalls = [("FAILPOINTS", "replay_guard::submit=1*sleep(60000)->off")];
    let daemon = Daemon::start_with(root.path(), &[], &stalls);
    let (url, signature) = (format!("{}/hooks/gh", daemon.ingress), github_signature(SECRET, b"{}"));
    std::thread::spawn(move || {
        let headers = [("Content-Type", "application/json"), ("X-Hub-Signature-256", &signature)];
        try_post(&url, &headers, b"{}")
    });
    let ready = || request("GET", &format!("{}/readyz", daemon.console), &[], b"").status;
    eventually("the delivery stands still", || ready() == 503);
    assert_eq!(daemon.github("push", "2", "{}").json()["code"], "overloaded");
    let page = quick_page(&daemon, root.path());
    assert_eq!(
        (page.value("palyra_ready"), page.value("palyra_deliveries_in_flight")),
        (Some(0.0), Some(1.0))
    );
    assert_eq!(page.value(&answered("gh", "overloaded")), Some(1.0));
    assert_eq!(page.value("palyra_journal_last_seq"), None, "what it was is not told as what it is");
    assert!(page.value("palyra_config_stale").is_some());
}

/// A page that took less than three seconds. Each part is waited for two seconds; waiting for one after the other would take
/// four, however often it is asked.
fn quick_page(daemon: &Daemon, root: &Path) -> Metrics {
    for _ in 0..5 {
        let asked = Instant::now();
        let page = Metrics::of(daemon, root);
        if asked.elapsed() < Duration::from_secs(3) {
            return page;
        }
    }
    panic!("the scrape is kept waiting");
}

#[test]
fn open_connections_are_counted_until_they_are_closed() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let open = || Metrics::of(&daemon, root.path()).value("palyra_connections{listener=\"ingress\"}");
    assert_eq!(open(), Some(0.0));
    let streams: Vec<_> = (0..3).map(|_| connect(&daemon.ingress)).collect();
    eventually("all are open", || open() == Some(3.0));
    drop(streams);
    eventually("none is", || open() == Some(0.0));
    let console = "palyra_connections{listener=\"console\"}";
    eventually("the one that asks", || Metrics::of(&daemon, root.path()).value(console) == Some(1.0));
}

/// The page once the integrations were looked at for the first time.
fn whole_page(daemon: &Daemon, root: &Path) -> Metrics {
    let mut page = Metrics::of(daemon, root);
    within(Duration::from_secs(20), "the integrations are looked at", || {
        page = Metrics::of(daemon, root);
        page.families.contains_key("palyra_integrations")
    });
    page
}

#[test]
fn the_command_line_prints_the_page_and_with_json_a_document_of_it() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    whole_page(&daemon, root.path());
    let printed = Metrics::read(&succeed(root.path(), &["system", "metrics"], b""));
    let document = json(root.path(), &["system", "metrics"]);
    let page = Metrics::read(document["metrics"].as_str().unwrap());
    assert_eq!(printed.families, page.families);
    assert_eq!(document.as_object().unwrap().len(), 1);
}

/// The words of a document that can only be names of series.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("palyra_")).map(str::to_owned).collect()
}

#[test]
fn every_series_that_the_documents_name_is_there_and_every_one_that_is_there_is_named() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let page = whole_page(&daemon, root.path());
    let there: BTreeSet<String> = page.families.into_keys().collect();
    let named = named_in(include_str!("../docs/operations.md"));
    assert_eq!(named, there);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(folder.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.chain([folder.join("README.md"), folder.join("SECURITY.md")]);
    for page in pages.filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let named = named_in(&std::fs::read_to_string(&page).unwrap());
        assert!(named.is_subset(&there), "{}: {:?}", page.display(), named.difference(&there));
    }
}
