//! The disk says no: nothing is acknowledged that is not written, and a restart goes on.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::seed::scaled;
use crate::support::{
    Daemon, SECRET, add_github, events, events_named, eventually, github_signature, limited, run_command,
    state_root, succeed, try_post,
};

fn body(n: usize) -> String {
    format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(2_000))
}

/// Posts delivery `n`; none when the daemon is gone.
fn post(daemon: &Daemon, n: usize) -> Option<u16> {
    let signature = github_signature(SECRET, body(n).as_bytes());
    let headers = [
        ("Content-Type", "application/json"),
        ("X-GitHub-Event", "push"),
        ("X-Hub-Signature-256", signature.as_str()),
    ];
    try_post(&format!("{}/hooks/gh", daemon.ingress), &headers, body(n).as_bytes())
}

#[test]
fn after_the_first_failed_write_nothing_is_acknowledged_and_the_daemon_ends_with_70() {
    let root = state_root();
    add_github(root.path());
    let daemon = Daemon::with_limit(root.path(), "-f 400");
    let answers: Vec<Option<u16>> = (0..300).map(|n| post(&daemon, n)).collect();
    let acknowledged = answers.iter().take_while(|status| **status == Some(202)).count();
    assert!((1..300).contains(&acknowledged), "the limit was met: {acknowledged}");
    assert_eq!(answers[acknowledged], Some(503));
    assert!(answers[acknowledged..].iter().all(|status| matches!(status, None | Some(503))), "{answers:?}");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(70));

    let daemon = Daemon::start(root.path());
    for n in 0..=acknowledged {
        let expected: &[u16] = if n == acknowledged { &[200, 202] } else { &[200] };
        assert!(expected.contains(&post(&daemon, n).unwrap()), "{n}");
    }
    let rows = events(root.path());
    assert_eq!(rows.iter().filter(|row| row["kind"] == "webhook").count(), acknowledged + 1);
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
fn a_limit_of_file_size_is_told_as_that_and_not_as_a_failing_disk() {
    let (root, elsewhere) = (state_root(), state_root());
    let log = elsewhere.path().join("log");
    add_github(root.path());
    let daemon = Daemon::with_limit_logging_to(root.path(), "-f 400", File::create(&log).unwrap());
    assert!((0..300).map(|n| post(&daemon, n)).any(|status| status != Some(202)), "the limit was met");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(70));
    let logged = std::fs::read_to_string(&log).unwrap();
    let start = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    let kib = root.path().join("journal.db").metadata().unwrap().len() / 1024;
    let refused = run_command(limited(root.path(), &format!("-f {kib}")), &start, b"");
    let refused_with = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(70), "{refused_with}");
    for said in [logged, refused_with] {
        assert!(said.contains("limit of file size") && said.contains("ulimit -f"), "{said}");
        assert!(!said.contains("cable") && !said.contains("failing"), "{said}");
    }
    let daemon = Daemon::start(root.path());
    assert_eq!(post(&daemon, 0), Some(200), "nothing acknowledged is lost");
}

#[test]
fn a_journal_whose_last_write_fails_ends_the_daemon_with_70_though_it_was_told_to_stop() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    assert_eq!(post(&daemon, 1), Some(202));
    let pid = Pid::from_raw(daemon.pid().cast_signed());
    prlimit(pid, Resource::Fsize, Rlimit { current: Some(0), maximum: None }).unwrap();
    daemon.signal("TERM");
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(70));
    let daemon = Daemon::start(root.path());
    assert_eq!(post(&daemon, 1), Some(200));
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
#[ignore = "needs strace and root; .ci/run runs it"]
fn a_change_of_an_integration_that_is_written_and_not_synced_is_in_force_and_the_next_one_is_taken() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let set_enabled = |enabled: bool| {
        let order = format!("{{\"enabled\":{enabled}}}");
        daemon.console(root.path(), "POST", "/console/v1/webhooks/gh/enabled", order.as_bytes())
    };
    let mut strace = failing_disk(&daemon, "EIO", 1, Some(root.path()));
    let answer = set_enabled(false);
    assert_eq!((answer.status, answer.body.contains("in force")), (503, true), "{answer:?}");
    assert!(std::fs::read_to_string(root.path().join("webhooks.toml")).unwrap().contains("enabled = false"));
    assert_eq!(post(&daemon, 1), Some(404), "what is read at the next start is what holds now");
    strace.kill().unwrap();
    strace.wait().unwrap();
    assert_eq!(set_enabled(true).status, 200);
    assert_eq!(post(&daemon, 1), Some(202));
    let rows = |became: &str| events_named(root.path(), &format!("registry.webhook.disable{became}")).len();
    assert_eq!([rows(""), rows(".unsynced"), rows(".refused")], [1, 1, 0]);
}

/// Where answers break the promise: an acceptance after the first one that was none.
fn acceptance_after_failure(answers: &[Option<u16>]) -> Option<usize> {
    let failed = answers.iter().position(|status| *status != Some(202))?;
    let later = answers.iter().skip(failed).position(|status| status.is_some_and(|status| status < 300))?;
    Some(failed + later)
}

#[test]
fn an_acceptance_after_a_failed_write_would_be_seen() {
    assert_eq!(acceptance_after_failure(&[Some(202), Some(202), Some(503), None]), None);
    assert_eq!(acceptance_after_failure(&[Some(202), Some(503), Some(202)]), Some(2));
    assert_eq!(acceptance_after_failure(&[Some(202), None, Some(503), Some(200)]), Some(3));
}

/// Has every write and sync of each thread fail with `error` from its `nth` on, only those of `file` if one is named.
fn failing_disk(daemon: &Daemon, error: &str, nth: usize, file: Option<&Path>) -> Child {
    const CALLS: &str = "pwrite64,fdatasync,fsync,ftruncate";
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-p", &daemon.pid().to_string()])
        .args(["-e", &format!("trace={CALLS}"), "-e", &format!("inject={CALLS}:error={error}:when={nth}+")])
        .args(file.into_iter().flat_map(|file| [OsStr::new("-P"), file.as_os_str()]))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (tasks, tracer) = (format!("/proc/{}/task", daemon.pid()), format!("TracerPid:\t{}", strace.id()));
    let is_traced = |task: &Path| {
        // One that has ended needs no tracer.
        std::fs::read_to_string(task.join("status")).is_ok_and(|status| status.contains(&tracer))
            || !task.is_dir()
    };
    eventually("strace holds every thread of the daemon", || {
        std::fs::read_dir(&tasks).unwrap().all(|task| is_traced(&task.unwrap().path()))
    });
    assert!(strace.try_wait().unwrap().is_none(), "strace holds the daemon");
    strace
}

/// One daemon whose disk fails from the `nth` write or sync on; gives how many deliveries were acknowledged.
fn fail_from(error: &str, nth: usize, file: Option<&str>) -> usize {
    const DELIVERIES: usize = 150;
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let file = file.map(|file| root.path().join(file));
    let mut strace = failing_disk(&daemon, error, nth, file.as_deref());
    let mut answers: Vec<Option<u16>> = Vec::new();
    while answers.len() < DELIVERIES && answers.iter().rev().take(5).all(Option::is_some) {
        answers.push(post(&daemon, answers.len()));
    }
    assert_eq!(acceptance_after_failure(&answers), None, "{error} from {nth}: {answers:?}");
    let acknowledged = answers.iter().take_while(|status| **status == Some(202)).count();
    assert!(acknowledged < DELIVERIES, "{error} from {nth}: the fault was met");
    assert_eq!(daemon.wait(Duration::from_secs(60)).code(), Some(70), "{error} from {nth}");
    strace.wait().unwrap();

    let daemon = Daemon::start(root.path());
    for n in 0..answers.len() {
        let again = post(&daemon, n);
        let expected: &[u16] = if n < acknowledged { &[200] } else { &[200, 202] };
        assert!(expected.contains(&again.unwrap()), "{error} from {nth}: delivery {n} is {again:?}");
    }
    drop(daemon);
    let rows = events(root.path());
    let taken = rows.iter().filter(|row| row["kind"] == "webhook").count();
    assert_eq!(taken, answers.len(), "{error} from {nth}: each exactly once");
    succeed(root.path(), &["journal", "verify"], b"");
    acknowledged
}

#[test]
#[ignore = "needs strace; .ci/run runs it"]
fn whichever_write_or_sync_fails_first_nothing_is_acknowledged_after_it_and_every_retry_lands_once() {
    let mut acknowledged = Vec::new();
    for nth in (1..=200).step_by(scaled(23, 1)) {
        acknowledged.push(fail_from("EIO", nth, None));
    }
    for nth in (1..=200).step_by(scaled(67, 10)) {
        acknowledged.push(fail_from("ENOSPC", nth, None));
    }
    for nth in (1..=40).step_by(scaled(13, 1)) {
        acknowledged.push(fail_from("EIO", nth, Some("anchor/journal")));
    }
    assert!(acknowledged.contains(&0), "the first write failed once");
    assert!(acknowledged.iter().any(|count| *count > 10), "and others later: {acknowledged:?}");
    println!("acknowledged before each fault: {acknowledged:?}");
}

/// A small disk, gone when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn of(size: &str) -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]);
        disk
    }

    fn grow_to(&self, size: &str) {
        self.mount(&["-o", &format!("remount,size={size}")]);
    }

    /// Takes all room that is left, until the file is dropped.
    fn fill(&self) -> tempfile::NamedTempFile {
        let mut filler = tempfile::NamedTempFile::new_in(&self.0).unwrap();
        let full = std::io::copy(&mut std::io::repeat(b'x'), &mut filler).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        filler
    }

    fn mount(&self, how: &[&str]) {
        assert!(
            Command::new("mount").args(how).arg(self.0.path()).status().unwrap().success(),
            "it takes root"
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[test]
#[ignore = "mounts a file system: it takes root"]
fn a_full_disk_ends_the_daemon_in_good_order_and_room_lets_it_go_on() {
    let disk = SmallDisk::of("8m");
    let root = disk.0.path();
    add_github(root);
    let daemon = Daemon::start(root);
    let answers: Vec<Option<u16>> =
        (0..4_000).map(|n| post(&daemon, n)).take_while(|it| *it == Some(202)).collect();
    let acknowledged = answers.len();
    assert!((100..4_000).contains(&acknowledged), "{acknowledged}");
    assert!((0..5).all(|n| matches!(post(&daemon, acknowledged + n), None | Some(503))));
    assert_eq!(daemon.wait(Duration::from_secs(30)).code(), Some(70));
    // The log that was moved last and the reserve leave room, sometimes enough for a start that goes on. With none, every
    // start ends by itself, and nothing is lost by it.
    let filler = disk.fill();
    for _ in 0..3 {
        let full = crate::support::run(
            root,
            &["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"],
            b"",
        );
        assert_eq!(full.status.code(), Some(70), "{full:?}");
        succeed(root, &["journal", "verify"], b"");
    }
    drop(filler);
    disk.grow_to("16m");
    let daemon = Daemon::start(root);
    for n in 0..=acknowledged {
        let expected: &[u16] = if n == acknowledged { &[200, 202] } else { &[200] };
        assert!(expected.contains(&post(&daemon, n).unwrap()), "{n}");
    }
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    succeed(root, &["journal", "verify"], b"");
}

#[test]
fn some_room_is_kept_while_the_daemon_runs_and_given_back_at_its_end() {
    let root = state_root();
    let daemon = Daemon::start(root.path());
    let reserve = root.path().join("reserve");
    let blocks = std::os::unix::fs::MetadataExt::blocks(&reserve.metadata().unwrap());
    assert!(blocks * 512 >= 1024 * 1024, "{blocks} blocks");
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    assert!(!reserve.is_file());
}

#[test]
#[ignore = "needs strace; .ci/run runs it"]
fn a_disk_that_cannot_be_read_ends_with_70_and_names_the_file() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    assert!((0..5).all(|n| post(&daemon, n) == Some(202)));
    daemon.kill();
    let copy = root.path().join("copy.db");
    let serve = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    let commands = [&["journal", "verify"][..], &["journal", "backup", copy.to_str().unwrap()], &serve];
    for file in ["journal.db", "journal.db-wal"] {
        for args in commands {
            ends_for_the_disk(root.path(), file, &["read,pread64:error=EIO:when=1+"], args);
        }
    }
    succeed(root.path(), &["journal", "verify"], b"");
}

#[test]
#[ignore = "needs strace; .ci/run runs it"]
fn a_disk_that_cannot_read_an_old_part_of_the_journal_is_not_told_as_damage() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    // SQLite ignores what follows its last page, and calls a page malformed that it cannot read after the first few. A
    // plain read of the newest 64 MiB succeeds, that of the rest does not.
    let journal = std::fs::File::options().write(true).open(root.path().join("journal.db")).unwrap();
    journal.set_len(1 << 30).unwrap();
    let faults = ["pread64:error=EIO:when=4+", "read:error=EIO:when=100+"];
    let serve = ["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"];
    let said = ends_for_the_disk(root.path(), "journal.db", &faults, &serve);
    assert!(said.contains("the disk failed to read "), "{said}");
}

/// Runs a command that cannot read `file` of the journal. It has to blame the disk.
fn ends_for_the_disk(root: &Path, file: &str, faults: &[&str], args: &[&str]) -> String {
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=read,pread64", "-P"])
        .arg(root.join(file))
        .args(faults.iter().flat_map(|fault| ["-e".to_owned(), format!("inject={fault}")]))
        .arg(env!("CARGO_BIN_EXE_palyra"))
        .arg("--state-root")
        .arg(root)
        .args(args)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(70), "{file} {args:?}: {said}");
    assert!(
        said.contains("journal.db") && said.contains("do not restore a backup over it"),
        "{file} {args:?}: {said}"
    );
    assert!(!said.contains("newest backup"), "{file} {args:?}: {said}");
    said
}
