//! Where few files may be open, connections wait; the journal goes on.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::{
    Daemon, add_github, connect, eventually, github_head, json, limited, read_answer, run_command,
    state_root, succeed, write_private,
};

#[test]
fn a_flood_of_connections_takes_no_descriptor_from_the_journal() {
    for (limit, flood) in [("-n 400", 450), ("-n 64", 80)] {
        let root = state_root();
        add_github(root.path());
        let daemon = Daemon::with_limit(root.path(), limit);
        let flood: Vec<TcpStream> = (0..flood).map(|_| connect(&daemon.ingress)).collect();
        for _ in 0..3 {
            succeed(root.path(), &["system", "event", "emit", "told"], b"");
            let signed = json(root.path(), &["journal", "checkpoint"]);
            assert_eq!(
                signed["size"],
                json(root.path(), &["system", "insights"])["journal"]["head_seq"],
                "{limit}"
            );
        }
        drop(flood);
        eventually("deliveries are taken again", || daemon.github("push", "1", "{}").status == 202);
        daemon.signal("TERM");
        assert!(daemon.wait(Duration::from_secs(30)).success(), "{limit}");
    }
}

#[test]
fn a_limit_too_low_for_the_daemon_is_refused_by_its_name() {
    let root = state_root();
    for limit in ["8", "17", "40", "63"] {
        let start = ["-c", &format!("ulimit -n {limit}; exec \"$@\""), "bash", env!("CARGO_BIN_EXE_palyra")];
        for asked in [&["daemon"][..], &["daemon", "--check"]] {
            let mut limited = Command::new("bash");
            limited.args(start).arg("--state-root").arg(root.path()).args(asked);
            let output = limited.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{limit}: {said}");
            assert!(
                said.contains(&format!("only {limit} files open")) && said.contains("ulimit -n"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_command_that_runs_the_console_itself_refuses_a_limit_too_low_for_it() {
    let root = state_root();
    add_github(root.path());
    for limit in ["8", "12", "20", "63"] {
        let output = run_command(limited(root.path(), &format!("-n {limit}")), &["vault", "list"], b"");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{limit}: {said}");
        assert!(said.contains(&format!("only {limit} files open")) && said.contains("ulimit -n"), "{said}");
    }
}

#[test]
fn a_start_that_finds_no_free_descriptor_may_be_tried_again() {
    let root = state_root();
    add_github(root.path());
    for nth in 1..=16 {
        let mut traced = Command::new("strace");
        let inject = format!("inject=openat:error=ENFILE:when={nth}+");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=openat", "-e", &inject]);
        traced.arg(env!("CARGO_BIN_EXE_palyra")).arg("--state-root").arg(root.path());
        let output =
            traced.args(["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // The first ones are the loader's.
        if said.contains("error while loading shared libraries") {
            continue;
        }
        assert_eq!(output.status.code(), Some(70), "{nth}: {said}");
        assert!(said.contains("lacks file descriptors"), "{nth}: {said}");
    }
}

#[test]
fn however_many_connections_strangers_leave_idle_a_sender_is_served() {
    let root = state_root();
    add_github(root.path());
    write_private(
        &root.path().join("palyra.toml"),
        "head_deadline_seconds = 60\nidle_deadline_seconds = 60\n",
    );
    let daemon = Daemon::with_limit(root.path(), "-n 400");
    let _silent: Vec<TcpStream> = (0..450).map(|_| connect(&daemon.ingress)).collect();
    let mut kept = connect(&daemon.ingress);
    let deliver = |stream: &mut TcpStream, id: &str| {
        let body = format!("{{\"n\":{id}}}");
        let head = github_head("push", id, body.as_bytes());
        let length = body.len();
        let request =
            format!("POST /hooks/gh HTTP/1.1\r\nHost: x\r\n{head}Content-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        read_answer(stream)
    };
    assert_eq!(deliver(&mut kept, "1"), Some(202));
    let _more: Vec<TcpStream> = (0..60).map(|_| connect(&daemon.ingress)).collect();
    assert_eq!(deliver(&mut kept, "2"), Some(202), "the quietest go first");
    assert_eq!(daemon.github("push", "3", "{\"n\":3}").status, 202);
}

#[test]
fn a_checkpoint_waits_for_a_descriptor_to_become_free() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    let mut console = connect(&daemon.console);
    let token = std::fs::read_to_string(root.path().join("admin.token")).unwrap();
    let ask = |method: &str, path: &str| {
        format!(
            "{method} /console/v1/{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n",
            token.trim()
        )
    };
    console.write_all(ask("GET", "system/heartbeat").as_bytes()).unwrap();
    assert_eq!(read_answer(&mut console), Some(200));

    let pid = Pid::from_raw(daemon.pid().cast_signed());
    // The daemon has inherited the maximum of this process.
    let limit = getrlimit(Resource::Nofile);
    prlimit(pid, Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
    console.write_all(ask("POST", "journal/checkpoint").as_bytes()).unwrap();
    // Longer than a checkpoint takes, shorter than it waits.
    std::thread::sleep(Duration::from_secs(1));
    prlimit(pid, Resource::Nofile, limit).unwrap();
    assert_eq!(read_answer(&mut console), Some(200));
    assert_eq!(daemon.github("push", "2", "{\"n\":2}").status, 202);
}
