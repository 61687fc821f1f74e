//! The state root stays locked as long as the daemon that holds it may write to it.

use std::fs::File;
use std::io::PipeReader;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::logging::full_pipe;
use crate::support::{add_github, eventually, palyra, state_root, write_private};

/// A daemon whose log nobody reads, which delays its end by a second.
struct Slow {
    process: Child,
    _stderr: PipeReader,
}

impl Slow {
    fn start(root: &Path, faults: &str) -> Self {
        let (reader, stderr) = full_pipe();
        let mut program = palyra(root);
        program.args(["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"]);
        program.env("FAILPOINTS", faults).stdout(Stdio::null()).stderr(stderr);
        Self { process: program.spawn().unwrap(), _stderr: reader }
    }

    fn tell_to_stop(&self) {
        let stop = ["-TERM".to_owned(), self.process.id().to_string()];
        assert!(Command::new("kill").args(stop).status().unwrap().success());
    }

    /// Fails if it lives on with the lock free. Returns its exit code.
    fn keeps_the_lock_to_its_end(&mut self, root: &Path) -> Option<i32> {
        let lock = root.join("lock");
        eventually("the lock is free", || File::open(&lock).unwrap().try_lock_shared().is_ok());
        let freed = Instant::now();
        eventually("it ends", || self.process.try_wait().unwrap().is_some());
        assert!(freed.elapsed() < Duration::from_millis(500), "it lived on for {:?}", freed.elapsed());
        self.process.wait().unwrap().code()
    }
}

#[test]
fn a_daemon_that_is_stopped_while_it_starts_keeps_its_lock_to_its_end() {
    let root = state_root();
    let mut daemon = Slow::start(root.path(), "journal::before_probe=sleep(5000)");
    eventually("it starts", || root.path().join("journal.db-wal").is_file());
    daemon.tell_to_stop();
    assert_eq!(daemon.keeps_the_lock_to_its_end(root.path()), Some(0));
}

#[test]
fn a_daemon_whose_journal_does_not_close_in_time_keeps_its_lock_to_its_end() {
    let root = state_root();
    add_github(root.path());
    let faults = "stopper::closes_within=return(300);journal::close=sleep(5000)";
    let mut daemon = Slow::start(root.path(), faults);
    eventually("it serves", || root.path().join("daemon.json").is_file());
    daemon.tell_to_stop();
    assert_eq!(daemon.keeps_the_lock_to_its_end(root.path()), Some(70));
}

#[test]
fn a_daemon_that_is_told_to_stop_at_once_keeps_its_lock_to_its_end() {
    let root = state_root();
    add_github(root.path());
    let mut daemon = Slow::start(root.path(), "journal::close=sleep(9000)");
    let announced = root.path().join("daemon.json");
    eventually("it serves", || announced.is_file());
    daemon.tell_to_stop();
    eventually("it has heard", || !announced.is_file());
    daemon.tell_to_stop();
    assert_eq!(daemon.keeps_the_lock_to_its_end(root.path()), Some(0));
}

#[test]
fn a_failed_start_whose_journal_does_not_close_in_time_keeps_its_lock_to_its_end() {
    let root = state_root();
    add_github(root.path());
    write_private(&root.path().join("webhooks.toml"), "nonsense");
    let faults = "stopper::closes_within=return(300);journal::close=sleep(5000)";
    let mut daemon = Slow::start(root.path(), faults);
    eventually("it starts", || root.path().join("reserve").is_file());
    assert_eq!(daemon.keeps_the_lock_to_its_end(root.path()), Some(78));
}
