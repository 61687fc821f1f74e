use clap::{CommandFactory, Parser};
use serde_json::json;
use zeroize::Zeroizing;

use super::testing::{Gone, Kept, Stub, TOKEN, answer, palyra, palyra_into, raw};
use super::*;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// Every command with every option.
const DOCUMENTED: &[&str] = &[
    "daemon",
    "daemon --ingress 127.0.0.1:0 --console [::1]:7143",
    "--state-root /srv/palyra daemon",
    "demo",
    "demo --keep",
    "vault put global/github",
    "vault put global/github --value-file secret.txt",
    "vault put global/github --force",
    "vault retire global/github",
    "vault remove global/github --force",
    "vault list",
    "vault remove global/github",
    "vault rotate global/github --value-file secret.txt",
    "webhooks add github github --secret-ref global/github",
    "webhooks add github github --secret-ref global/github --display-name N --allow-event push --allow-event ping \
     --allow-source octo/repo --max-payload-bytes 1048576 --replay-window-seconds 86400 --disabled",
    "webhooks add open envelope --allow-unsigned --unsigned-rate-per-second 9",
    "webhooks add github github --secret-ref global/github --on-filtered reject",
    "webhooks set github --secret-ref global/other --allow-event push",
    "webhooks set github --provider gitlab --all-events --require-signature",
    "webhooks add github github",
    "webhooks set fb --remove-parameter verify_token --replay-window-seconds default",
    "webhooks list",
    "webhooks list --provider github --enabled true",
    "webhooks list --enabled false",
    "webhooks show github",
    "webhooks enable github",
    "webhooks disable github",
    "webhooks remove github",
    "webhooks test github --payload-file push.json --header X-A:1 --header X-B:2",
    "webhooks test github --payload-stdin",
    "webhooks test github --payload-stdin --at 1782907200",
    "webhooks test github --payload-stdin --at 2026-07-01T12:00:00Z",
    "webhooks verify github --payload-stdin",
    "webhooks send github --event push",
    "webhooks send github --event push --payload-file push.json",
    "system heartbeat",
    "system status",
    "system presence",
    "system insights",
    "system metrics",
    "system event list",
    "system event list --limit 10 --after 5 --before 9 --kind webhook --name push --integration github \
     --severity warn --since 15m --contains x",
    "system event show 17",
    "system event show 01ARZ3NDEKTSV4RRFFQ69G5FAV --body",
    "system event emit deploy",
    "system event emit deploy --message M --severity error --tag a --tag b --details {\"a\":1}",
    "system event tail",
    "system event tail --follow",
    "journal verify",
    "journal export",
    "journal export --after 5 --limit 9 --integration github",
    "providers list",
    "providers show github",
    "providers lint a.toml b.toml",
    "providers check a.jsonl b.jsonl",
    "providers check a.jsonl --profile a.toml --profile b.toml",
    "webhooks add sns aws-sns --published-keys",
    "webhooks add p meta --secret-ref r --parameter verify_token=global/x",
    "webhooks send github --event push --mutate drop-header",
    "webhooks send discord --event push --private-key-file key.pem --mutate signature",
    "completions bash",
    "--json system presence",
    "system presence --json --quiet",
    "-v journal verify --state-root /srv/palyra",
];

#[test]
fn every_documented_command_line_is_understood() {
    for line in DOCUMENTED {
        let parsed = Cli::try_parse_from(["palyra"].into_iter().chain(line.split_whitespace()));
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}

#[test]
fn a_command_line_that_cannot_mean_anything_is_refused() {
    let lines = [
        "",
        "webhook list",
        "daemon --ingress localhost",
        "webhooks add github",
        "webhooks list --enabled maybe",
        "webhooks test github",
        "webhooks test github --payload-stdin --payload-file f",
        "webhooks test github --payload-stdin --header nocolon",
        "webhooks send github",
        "webhooks send github --event push --mutate nothing",
        "webhooks add a aws-sns --published-keys --secret-ref r",
        "webhooks add a aws-sns --published-keys --allow-unsigned",
        "providers lint",
        "providers check",
        "system event list --limit 0",
        "system event list --limit 100001",
        "system event list --kind other",
        "system event list --since yesterday",
        "system event emit x --severity fatal",
        "system event emit x --details [1]",
        "system event emit x --details {",
        "completions tcl",
        "--quiet -v system presence",
    ];
    for line in lines {
        let refused = Cli::try_parse_from(["palyra"].into_iter().chain(line.split_whitespace()));
        assert!(refused.is_err(), "{line}");
    }
}

#[test]
fn arguments_keep_their_meaning() {
    let line = "palyra --json -vv webhooks list --enabled false --provider github";
    let cli = Cli::try_parse_from(line.split(' ')).unwrap();
    assert!((cli.json, cli.verbose) == (true, 2));
    let Command::Client(ClientCommand::Webhooks(webhooks::WebhooksCommand::List(args))) = cli.command else {
        panic!("not a list")
    };
    assert_eq!((args.enabled, args.provider.as_deref()), (Some(false), Some("github")));
    let cli = Cli::try_parse_from("palyra daemon --ingress 127.0.0.1:0".split(' ')).unwrap();
    let Command::Daemon(args) = cli.command else { panic!("not a daemon") };
    assert_eq!((args.ingress, args.console), (Some("127.0.0.1:0".parse().unwrap()), None));
}

#[test]
fn a_refused_command_line_becomes_one_message_with_the_rest_as_hint() {
    let refused = Cli::try_parse_from(["palyra", "webhooks", "lst"]).unwrap_err();
    let error = refusal::usage_error(&refused);
    assert_eq!(error.message, "unrecognized subcommand 'lst'");
    assert!(error.hint.clone().unwrap().contains("list"), "{error:?}");
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn help_is_no_failure_and_nonsense_is_usage() {
    let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    assert_eq!(parse(words("palyra --version")).err(), Some(Exit::Ok));
    assert_eq!(parse(words("palyra nonsense")).err(), Some(Exit::Usage));
    assert!(parse(words("palyra demo")).is_ok());
}

#[test]
fn every_command_says_which_console_it_can_do_with() {
    let either = [
        "vault list",
        "vault remove a/b",
        "webhooks list",
        "webhooks show x",
        "webhooks enable x",
        "webhooks disable x",
        "webhooks remove x",
        "webhooks add x github --secret-ref a/b",
        "webhooks explain x",
    ];
    let no_integrations = [
        "providers list",
        "providers show x",
        "journal checkpoint",
        "journal public-key",
        "journal export",
        "journal prove 1",
        "journal consistency 1 2",
        "system event list",
        "system event show 1",
        "system event tail",
    ];
    let daemon = [
        "system heartbeat",
        "system presence",
        "system insights",
        "system metrics",
        "system event emit x",
        "system event tail --follow",
        "webhooks send x --event e",
    ];
    let lines = either
        .iter()
        .map(|line| (line, Need::DaemonOrOffline))
        .chain(no_integrations.iter().map(|line| (line, Need::WithoutIntegrations)))
        .chain(daemon.iter().map(|line| (line, Need::Daemon)));
    for (line, need) in lines {
        let ran = palyra(line, &Stub::answering([answer(200, &json!({}))]));
        let asked = !ran.needs.is_empty() && ran.needs.iter().all(|asked| *asked == need);
        assert!(asked, "{line}: {:?} {}", ran.needs, ran.stderr);
    }
}

#[test]
fn exit_codes_follow_the_answer() {
    let problem = |status: u16| {
        raw(status, "content-type: application/problem+json", "{\"title\":\"t\",\"code\":\"c\"}")
    };
    let table = [
        ("webhooks list", answer(200, &json!({"webhooks": []})), 0),
        ("webhooks show x", problem(404), 1),
        ("webhooks add x github --secret-ref a/b", problem(422), 1),
        ("webhooks enable x", problem(409), 1),
        ("system heartbeat", answer(200, &json!({"status": "ok", "ready": true})), 0),
        ("system heartbeat", answer(200, &json!({"status": "degraded", "ready": true})), 1),
        ("--json system heartbeat", answer(200, &json!({"status": "stopping", "ready": false})), 1),
        ("system heartbeat", problem(401), 1),
        ("system heartbeat", problem(503), 1),
        ("system heartbeat", String::new(), 69),
        ("journal checkpoint", problem(503), 1),
        ("webhooks send x --event e", answer(200, &json!({"status": 202})), 0),
        ("webhooks send x --event e", answer(200, &json!({"status": 401})), 1),
    ];
    for (line, answer, code) in table {
        let ran = palyra(line, &Stub::answering([answer]));
        assert_eq!(ran.code, code, "{line}: {ran:?}");
    }
}

#[test]
fn with_json_an_error_is_one_document_on_stderr_and_stdout_stays_empty() {
    let problem = json!({"title": "no such integration", "code": "integration_not_found", "hint": "did you mean `github`?"});
    let ran = palyra("--json webhooks show gihtub", &Stub::answering([answer(404, &problem)]));
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(
        error,
        json!({"error": {"code": "integration_not_found", "message": "no such integration", "hint": "did you mean `github`?"}})
    );
    assert_eq!((ran.stdout.as_str(), ran.code), ("", 1));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let lines = ["{\"seq\":1}\n"; 3].concat();
    let table = [
        ("webhooks list", answer(200, &json!({"webhooks": []}))),
        ("--json webhooks list", answer(200, &json!({"webhooks": []}))),
        ("journal export", raw(200, "content-type: application/x-ndjson", &lines)),
        ("completions bash", String::new()),
    ];
    for (line, answer) in table {
        let words: Vec<&str> = line.split(' ').collect();
        let ran = palyra_into(&words, b"", &Stub::answering([answer]), Box::new(Gone));
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{line}");
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = palyra(&format!("completions {shell}"), &Stub::answering([]));
        assert!(ran.stdout.contains("webhooks") && ran.stdout.contains("insights"), "{shell}");
    }
}

/// Adds a warning when its connection ends.
struct EndsLate(LastRemarks);

impl Drop for EndsLate {
    fn drop(&mut self) {
        self.0.add(Remark::Warning("it was not finished".to_owned(), "look first".to_owned()));
    }
}

#[test]
fn what_comes_up_when_the_connection_ends_is_told_even_if_the_command_went_well() {
    let stub = Stub::answering([answer(200, &json!({"webhooks": []}))]);
    let (stderr, remarks) = (Kept::default(), LastRemarks::default());
    let (base_url, of_console) = (stub.base_url.clone(), remarks.clone());
    let connect = move |_| {
        let client = ConsoleClient::new(base_url.clone(), Zeroizing::new(TOKEN.to_owned()));
        Ok(Connection::guarded(client, EndsLate(of_console.clone())))
    };
    let out = Output::new(output::Mode::default(), Kept::default().plain(), stderr.plain());
    let no_journal = || Err(CliError::config("no journal in this test"));
    let context = Context::new(out, Box::new(connect), Box::new(no_journal), remarks);
    let cli = Cli::try_parse_from(["palyra", "webhooks", "list"]).unwrap();
    let Command::Client(command) = cli.command else { panic!("not a command of the console") };
    assert_eq!(finish(run(command, &context), &context.out).code(), 0);
    let told = stderr.text();
    assert!(told.contains("warning: it was not finished") && told.contains("next: look first"), "{told}");
}
