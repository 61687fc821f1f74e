//! What the daemon writes for others to read: its log, and the line that says where it serves.

use std::fs::{File, read_to_string};
use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _, pipe};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::support::{Daemon, add_github, eventually, palyra, state_root, succeed, write_private};

/// What a daemon with these arguments logs from its start to its end.
fn log_of(root: &Path, args: &[&str]) -> String {
    let elsewhere = state_root();
    let log = elsewhere.path().join("log");
    let daemon = Daemon::logging_to(root, File::create(&log).unwrap(), args, &[]);
    daemon.signal("TERM");
    daemon.wait(Duration::from_secs(30));
    read_to_string(&log).unwrap()
}

fn is_json(log: &str) -> bool {
    assert!(!log.is_empty(), "nothing was logged");
    log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"].is_string()))
}

#[test]
fn with_json_the_log_is_json_lines_whatever_the_file_says() {
    let root = state_root();
    for file in ["", "log_format = \"text\"", "log_format = \"json\""] {
        write_private(&root.path().join("palyra.toml"), file);
        let (asked, unasked) = (log_of(root.path(), &["--json"]), log_of(root.path(), &[]));
        assert!(is_json(&asked), "{file}: {asked}");
        assert_eq!(is_json(&unasked), file.contains("json"), "{file}: {unasked}");
    }
}

/// The line on stdout that says where a daemon with these arguments serves.
fn ready_line(root: &Path, args: &[&str]) -> String {
    let mut program = palyra(root);
    program.args(["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"]).args(args);
    program.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut daemon = program.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    line
}

#[test]
fn where_the_daemon_serves_is_told_as_a_document_with_json_and_only_then() {
    let root = state_root();
    let document: Value = serde_json::from_str(&ready_line(root.path(), &["--json"])).unwrap();
    assert_eq!(document["status"], "ready");
    for listener in ["ingress", "console"] {
        assert!(document[listener].as_str().unwrap().starts_with("http://127.0.0.1:"), "{document}");
    }
    write_private(&root.path().join("palyra.toml"), "log_format = \"json\"");
    let line = ready_line(root.path(), &[]);
    assert!(line.starts_with("ready ingress=http://") && line.contains(" console=http://"), "{line}");
}

/// A pipe that takes nothing more, and that nobody reads.
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(b"x").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

fn file(pipe: PipeWriter) -> File {
    File::from(std::os::fd::OwnedFd::from(pipe))
}

#[test]
fn a_daemon_whose_log_nobody_reads_serves_and_stops() {
    let root = state_root();
    add_github(root.path());
    let (_reader, stderr) = full_pipe();
    let daemon = Daemon::logging_to(root.path(), file(stderr), &["-vv"], &[]);
    assert_eq!(daemon.github("push", "d-1", "{}").outcome(), "accepted");
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(0));
}

#[test]
fn a_panic_costs_one_request_even_if_nobody_reads_the_log() {
    let root = state_root();
    add_github(root.path());
    let (_reader, stderr) = full_pipe();
    let panics = [("FAILPOINTS", "replay_guard::submit=1*panic->off")];
    let daemon = Daemon::logging_to(root.path(), file(stderr), &[], &panics);
    assert_eq!(daemon.github("push", "d-1", "{}").status, 503);
    eventually("it is served again", || daemon.github("push", "d-2", "{}").status == 202);
}

#[test]
fn a_panic_is_a_line_of_the_log() {
    let root = state_root();
    add_github(root.path());
    let elsewhere = state_root();
    let log = elsewhere.path().join("log");
    let panics = [("FAILPOINTS", "replay_guard::submit=1*panic->off")];
    let daemon = Daemon::logging_to(root.path(), File::create(&log).unwrap(), &["--json"], &panics);
    assert_eq!(daemon.github("push", "d-1", "{}").status, 503);
    daemon.signal("TERM");
    daemon.wait(Duration::from_secs(30));
    let log = read_to_string(&log).unwrap();
    assert!(is_json(&log), "{log}");
    assert!(
        log.lines().any(|line| line.contains("panicked") && line.contains("replay_guard::submit")),
        "{log}"
    );
}

#[test]
fn a_start_that_fails_ends_even_if_nobody_reads_why() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "ingres = 1");
    let (_reader, stderr) = full_pipe();
    let mut daemon = palyra(root.path()).arg("daemon").stderr(stderr).spawn().unwrap();
    eventually("it ends", || daemon.try_wait().unwrap().is_some());
    assert_eq!(daemon.wait().unwrap().code(), Some(78));
}

#[test]
fn a_daemon_whose_ready_line_nobody_reads_serves_and_stops() {
    let root = state_root();
    add_github(root.path());
    let (_reader, stdout) = full_pipe();
    let mut program = palyra(root.path());
    program.args(["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"]);
    let mut daemon = program.stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
    eventually("it serves", || root.path().join("daemon.json").try_exists().unwrap());
    succeed(root.path(), &["webhooks", "send", "gh", "--event", "push"], b"");
    std::process::Command::new("kill").arg(daemon.id().to_string()).status().unwrap();
    eventually("it ends", || daemon.try_wait().unwrap().is_some());
    assert_eq!(daemon.wait().unwrap().code(), Some(0));
}
