//! The admin API: who gets in, what it answers, and that every change leaves a row.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    self, Answer, Daemon, connect, events_named, raw, read_available, request, run, state_root, statuses,
    succeed,
};

struct Console {
    root: tempfile::TempDir,
    daemon: Daemon,
}

impl Console {
    fn start() -> Self {
        let root = state_root();
        let daemon = Daemon::with_github(root.path());
        Self { root, daemon }
    }

    fn root(&self) -> &Path {
        self.root.path()
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.daemon.console(self.root(), method, &format!("/console/v1{path}"), body.as_bytes())
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &Value::Null)
    }

    fn with_headers(&self, method: &str, headers: &[(&str, &str)]) -> Answer {
        let token = std::fs::read_to_string(self.root().join("admin.token")).unwrap();
        let bearer = format!("Bearer {}", token.trim());
        let all: Vec<(&str, &str)> =
            std::iter::once(("Authorization", bearer.as_str())).chain(headers.iter().copied()).collect();
        request(method, &format!("{}/console/v1/webhooks", self.daemon.console), &all, b"{}")
    }
}

fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json()["code"], code, "{answer:?}");
}

#[test]
fn nobody_gets_in_without_the_token() {
    let console = Console::start();
    let url = format!("{}/console/v1/webhooks", console.daemon.console);
    for header in ["", "Bearer", "Bearer ", "Bearer wrong", "Basic dTpw"] {
        assert_problem(&request("GET", &url, &[("Authorization", header)], b""), 401, "unauthorized");
    }
    assert_problem(&request("GET", &url, &[], b""), 401, "unauthorized");
    assert_eq!(console.get("/webhooks").status, 200);
}

#[test]
fn the_scheme_of_the_token_may_be_written_in_any_case() {
    let console = Console::start();
    let url = format!("{}/console/v1/webhooks", console.daemon.console);
    let token = std::fs::read_to_string(console.root().join("admin.token")).unwrap();
    for scheme in ["bearer", "BEARER ", "Bearer"] {
        let credentials = format!("{scheme} {}", token.trim());
        assert_eq!(request("GET", &url, &[("Authorization", &credentials)], b"").status, 200, "{scheme}");
    }
}

#[test]
fn a_web_page_gets_nowhere() {
    let console = Console::start();
    let json = ("Content-Type", "application/json");
    assert_problem(&console.with_headers("GET", &[("Host", "evil.example")]), 421, "misdirected_request");
    assert_problem(&console.with_headers("GET", &[("Origin", "http://evil.example")]), 403, "foreign_origin");
    assert_problem(&console.with_headers("GET", &[("Origin", "null")]), 403, "foreign_origin");
    let own = console.daemon.console.clone();
    let both = [("Origin", own.as_str()), ("Origin", "http://evil.example")];
    assert_problem(&console.with_headers("GET", &both), 403, "foreign_origin");
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    assert_problem(&console.with_headers("POST", &[form]), 415, "unsupported_media_type");
    assert_problem(
        &console.with_headers("POST", &[("Content-Type", "text/plain")]),
        415,
        "unsupported_media_type",
    );
    assert_problem(&console.with_headers("POST", &[json]), 400, "bad_request");
}

#[test]
fn an_order_without_a_body_needs_no_content_type_and_one_with_a_body_does() {
    let console = Console::start();
    let token = std::fs::read_to_string(console.root().join("admin.token")).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let ask = |path: &str, more: &[(&str, &str)], body: &[u8]| {
        let headers = [&[("Authorization", bearer.as_str())], more].concat();
        request("POST", &format!("{}/console/v1{path}", console.daemon.console), &headers, body)
    };
    assert_eq!(ask("/vault/global%2Fgithub/retire", &[], b"").status, 200);
    assert_eq!(ask("/journal/checkpoint", &[], b"").status, 200);
    for (path, body) in [("/journal/checkpoint", &b"{}"[..]), ("/webhooks", b"{}"), ("/webhooks", b"")] {
        assert_problem(&ask(path, &[], body), 415, "unsupported_media_type");
    }
    let chunked = [("Transfer-Encoding", "chunked")];
    assert_problem(&ask("/journal/checkpoint", &chunked, b""), 415, "unsupported_media_type");
    let url = format!("{}/console/v1/journal/checkpoint", console.daemon.console);
    assert_problem(&request("POST", &url, &[], b""), 401, "unauthorized");
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let console = Console::start();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "severity=loud",
        "afterr=1",
        "after=1&before=2",
        "after=-1",
        "since=x",
        "before=",
    ] {
        let answer = console.get(&format!("/system/events?{query}"));
        assert_problem(&answer, 400, "bad_request");
        let parameter = query.split('=').next().unwrap();
        assert!(answer.json()["detail"].as_str().unwrap().contains(parameter), "{query}: {answer:?}");
    }
    assert_problem(&console.get("/nothing"), 404, "not_found");
    assert_problem(&console.ask("PUT", "/webhooks", &json!({})), 404, "not_found");
    let misspelt = json!({"integration_id": "a", "provider": "githb", "secret_vault_ref": "global/github"});
    let answer = console.ask("POST", "/webhooks", &misspelt);
    assert_problem(&answer, 422, "invalid");
    assert!(answer.body.contains("did you mean `github`?"), "{answer:?}");
    let unknown = json!({"integration_id": "a", "provider": "github", "secret": "x"});
    assert!((400..500).contains(&console.ask("POST", "/webhooks", &unknown).status));
}

#[test]
fn an_integration_lives_its_life_over_the_api_and_each_change_leaves_a_row() {
    let console = Console::start();
    let draft = json!({"integration_id": "a", "provider": "github", "secret_vault_ref": "global/github"});
    assert_eq!(console.ask("POST", "/webhooks", &draft).status, 201);
    assert_problem(&console.ask("POST", "/webhooks", &draft), 409, "exists");
    assert_eq!(console.get("/webhooks/a").json()["integration_id"], "a");
    assert_eq!(console.ask("POST", "/webhooks/a/enabled", &json!({"enabled": false})).status, 200);
    assert_eq!(console.get("/webhooks/a").json()["enabled"], false);
    assert_eq!(console.ask("DELETE", "/webhooks/a", &Value::Null).status, 200);
    assert_problem(&console.get("/webhooks/a"), 404, "not_found");
    assert_problem(&console.ask("DELETE", "/webhooks/a", &Value::Null), 404, "not_found");
    let missing = json!({"integration_id": "b", "provider": "github", "secret_vault_ref": "global/none"});
    let stored = console.ask("POST", "/webhooks", &missing).json();
    assert_eq!(stored["enabled"], false, "what cannot verify is not enabled: {stored}");
    assert_problem(&console.ask("POST", "/webhooks/b/enabled", &json!({"enabled": true})), 409, "not_ready");
    for name in [
        "registry.webhook.create",
        "registry.webhook.create.refused",
        "registry.webhook.disable",
        "registry.webhook.remove",
        "registry.webhook.enable.refused",
    ] {
        assert!(!events_named(console.root(), name).is_empty(), "{name}");
    }
}

#[test]
fn diagnostics_count_the_integrations_by_readiness_and_provider() {
    let console = Console::start();
    let missing = json!({"integration_id": "b", "provider": "gitlab", "secret_vault_ref": "global/none"});
    assert_eq!(console.ask("POST", "/webhooks", &missing).status, 201);
    let said = console.get("/webhooks/diagnostics").json();
    assert_eq!(said["total"], 2, "{said}");
    assert_eq!(said["by_readiness"]["ready"], 1, "{said}");
    assert_eq!(said["by_readiness"]["secret_not_found"], 1, "{said}");
    assert_eq!(said["by_provider"]["gitlab"], 1, "{said}");
}

#[test]
fn events_are_paged_both_ways_and_filtered() {
    let console = Console::start();
    for n in 0..5 {
        let event = json!({"name": format!("deploy.{}", n % 2), "message": format!("number {n}")});
        assert_eq!(console.ask("POST", "/system/events/emit", &event).status, 201);
    }
    let seqs = |page: &Value| -> Vec<u64> {
        page["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect()
    };
    let all = console.get("/system/events?after=0&limit=1000").json();
    let first = console.get("/system/events?after=0&limit=3").json();
    let next = first["next_after"].as_u64().unwrap();
    let rest = console.get(&format!("/system/events?after={next}&limit=1000")).json();
    assert_eq!([seqs(&first), seqs(&rest)].concat(), seqs(&all));
    let named = console.get("/system/events?name=system.operator.deploy.1").json();
    assert_eq!(seqs(&named).len(), 2);
    assert_eq!(seqs(&console.get("/system/events?contains=number%203").json()).len(), 1);
    assert_eq!(seqs(&console.get("/system/events?kind=webhook").json()).len(), 0);
}

#[test]
fn an_event_that_breaks_its_schema_is_refused_and_leaves_nothing() {
    let console = Console::start();
    for event in [
        json!({"message": "no name"}),
        json!({"name": "Upper"}),
        json!({"name": "a".repeat(65)}),
        json!({"name": "a", "severity": "loud"}),
        json!({"name": "a", "message": "x".repeat(241)}),
        json!({"name": "a", "details": [1]}),
        json!({"name": "a", "details": {"x": "y".repeat(9_000)}}),
        json!({"name": "a", "more": 1}),
    ] {
        assert_problem(&console.ask("POST", "/system/events/emit", &event), 422, "invalid");
    }
    assert_eq!(console.get("/system/events?contains=operator").json()["events"], json!([]));
}

#[test]
fn heartbeat_presence_and_insights_say_how_the_daemon_is() {
    let console = Console::start();
    assert_eq!(console.daemon.github("push", "1", "{}").status, 202);
    assert_eq!(console.daemon.github("push", "1", "{}").status, 200);
    assert_eq!(console.daemon.post("gh", &[("Content-Type", "application/json")], b"{}").status, 401);
    let heartbeat = console.get("/system/heartbeat").json();
    assert_eq!((&heartbeat["status"], &heartbeat["ready"]), (&json!("ok"), &json!(true)));
    let presence = console.get("/system/presence").json();
    let mut names: Vec<&str> =
        presence["actors"].as_array().unwrap().iter().map(|actor| actor["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["connectors", "journal", "registry", "replay_guard", "vault"]);
    assert_eq!(presence["connectors"][0]["name"], "heartbeat");
    let insights = console.get("/system/insights").json().to_string();
    for counted in ["\"accepted\":1", "\"duplicate\":1", "\"missing_signature\":1"] {
        assert!(insights.contains(counted), "{counted}: {insights}");
    }
}

#[test]
fn a_reload_that_was_refused_shows_in_the_heartbeat_until_the_file_is_right() {
    let console = Console::start();
    let file = console.root().join("webhooks.toml");
    let right = std::fs::read_to_string(&file).unwrap();
    let heartbeat = || run(console.root(), &["system", "heartbeat"], b"");
    let reload = |text: &str| {
        support::write_private(&file, text);
        console.daemon.signal("HUP");
    };
    assert_eq!(heartbeat().status.code(), Some(0));
    reload(&right.replace("enabled", "enabledd"));
    support::eventually("the fault is told", || heartbeat().status.code() == Some(1));
    let told = String::from_utf8(heartbeat().stdout).unwrap();
    assert!(told.contains("degraded") && told.contains("webhooks.toml:") && told.contains("yes"), "{told}");
    reload(&right);
    support::eventually("it is well again", || heartbeat().status.code() == Some(0));
}

#[test]
fn who_guesses_tokens_is_429_and_the_token_is_still_taken() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let url = format!("{}/console/v1/webhooks", daemon.console);
    let guess = || request("GET", &url, &[("Authorization", "Bearer guess")], b"").status;
    let guesses: Vec<u16> = (0..302).map(|_| guess()).collect();
    assert_eq!((guesses[299], guesses[300], guesses[301]), (401, 429, 429));
    assert_eq!(daemon.console(root.path(), "GET", "/console/v1/webhooks", b"").status, 200);
}

#[test]
fn requests_without_the_token_are_counted_and_summed_up_in_one_row() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let url = format!("{}/console/v1/webhooks", daemon.console);
    for headers in [&[("Authorization", "Bearer guess")][..], &[("Authorization", "Bearer again")], &[]] {
        assert_eq!(request("GET", &url, headers, b"").status, 401);
    }
    let refused = json!({"missing_token": 1, "wrong_token": 2});
    let insights = daemon.console(root.path(), "GET", "/console/v1/system/insights", b"").json();
    assert_eq!(insights["console"]["unauthorized"], refused);
    daemon.signal("TERM");
    daemon.wait(Duration::from_secs(30));
    let rows = events_named(root.path(), "console.unauthorized");
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["details"], json!({"count": 3, "reasons": refused}));
    assert!(!rows[0].to_string().contains("guess"));
}

#[test]
fn health_needs_no_token_and_readiness_tells_no_reasons() {
    let console = Console::start();
    for base in [&console.daemon.console, &console.daemon.ingress] {
        for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
            let answer = request("GET", &format!("{base}{path}"), &[], b"");
            assert_eq!((answer.status, answer.json()), (200, json!({"status": status})));
        }
    }
}

#[test]
fn a_probe_may_ask_by_head_and_is_told_the_status_alone() {
    let console = Console::start();
    for base in [&console.daemon.console, &console.daemon.ingress] {
        for path in ["/healthz", "/readyz"] {
            let ask = format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let answer = raw(base, ask.as_bytes());
            assert_eq!(statuses(&answer), [200], "{path}");
            assert!(answer.contains("no-store") && answer.ends_with("\r\n\r\n"), "{answer:?}");
        }
    }
}

#[test]
fn an_event_to_dispatch_is_named_as_in_an_envelope() {
    let console = Console::start();
    let send = |event: String| console.ask("POST", "/webhooks/gh/dispatch", &json!({"event": event}));
    for event in [String::new(), "é".repeat(129), "x".repeat(20_000)] {
        assert_problem(&send(event), 422, "invalid");
    }
    assert_eq!(send("x".repeat(128)).json()["status"], 202);
}

#[test]
fn the_console_is_on_loopback_and_no_other_host_can_be_named_in_the_request_line() {
    let console = Console::start();
    let token = std::fs::read_to_string(console.root().join("admin.token")).unwrap();
    assert!(console.daemon.console.starts_with("http://127.0.0.1:"));
    let ask = format!(
        "GET /console/v1/webhooks HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\
         Authorization: Bearer {}\r\n\r\n",
        token.trim()
    );
    let mut stream = connect(&console.daemon.console);
    stream.write_all(ask.as_bytes()).unwrap();
    let status = statuses(&read_available(&mut stream));
    assert!(matches!(status.as_slice(), [400 | 421]), "{status:?}");
}

#[test]
fn an_integration_that_the_next_start_would_refuse_is_refused_now_and_the_file_stays_as_it_is() {
    let console = Console::start();
    let file = console.root().join("webhooks.toml");
    let before = std::fs::read(&file).unwrap();
    let list = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
    for (members, detail) in [
        (json!({"allowed_events": list(65)}), "allowed_events: a list of 65 entries has more than 64 items"),
        (json!({"allowed_sources": [""]}), "allowed_sources[0]: a text of 0 characters is shorter"),
        (json!({"max_payload_bytes": 0}), "max_payload_bytes: 0 is less than the minimum of 1"),
        (
            json!({"signature_required": false, "unsigned_rate_per_second": 10_001}),
            "unsigned_rate_per_second: 10001 is greater than the maximum of 10000",
        ),
        (json!({"provider": "x".repeat(9_000)}), "provider: unknown provider"),
        (json!({"integration_id": "é".repeat(120)}), "integration_id: "),
        (json!({"secret_vault_ref": "x".repeat(9_000)}), "secret_vault_ref: "),
    ] {
        let mut draft =
            json!({"integration_id": "a", "provider": "github", "secret_vault_ref": "global/github"});
        draft.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let answer = console.ask("POST", "/webhooks", &draft);
        assert_problem(&answer, 422, "invalid");
        let told = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(told.starts_with(detail), "{told}");
        assert_eq!(std::fs::read(&file).unwrap(), before, "{draft}");
    }
    assert_eq!(console.get("/webhooks").json()["webhooks"].as_array().unwrap().len(), 1);
}

#[test]
fn the_command_line_refuses_what_the_next_start_would_refuse() {
    let root = state_root();
    let add = |id: &str, more: &[&str]| {
        let args = ["webhooks", "add", id, "github", "--secret-ref", "global/github"];
        run(root.path(), &[&args, more].concat(), b"")
    };
    let many = [&["--disabled"][..], &[["--allow-event", "push"]; 65].concat()].concat();
    let distinct: Vec<String> = (0..65).map(|n| format!("--allow-source=s{n}")).collect();
    let distinct: Vec<&str> = distinct.iter().map(String::as_str).collect();
    assert!(add("kept", &many).status.success(), "one event 65 times is one event");
    for more in [&*distinct, &["--allow-event", ""], &["--max-payload-bytes", "0"]] {
        let refused = add("new", more);
        assert_eq!(refused.status.code(), Some(1), "{more:?} {refused:?}");
    }
    assert_eq!(support::json(root.path(), &["webhooks", "list"])["webhooks"].as_array().unwrap().len(), 1);
}

#[test]
fn a_console_on_another_address_of_loopback_is_served_under_it() {
    let root = state_root();
    let daemon = Daemon::with_console_on(root.path(), "127.0.0.2");
    assert!(daemon.console.starts_with("http://127.0.0.2:"));
    succeed(root.path(), &["system", "heartbeat"], b"");
    let port = daemon.console.rsplit(':').next().unwrap();
    let asked =
        format!("GET /console/v1/webhooks HTTP/1.1\r\nHost: 127.0.0.3:{port}\r\nConnection: close\r\n\r\n");
    assert_eq!(statuses(&support::raw(&daemon.console, asked.as_bytes())), [421]);
}
