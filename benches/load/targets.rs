//! The servers that are measured, each in a process of its own on loopback.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::process::{is_installed, wait_until_idle};
use crate::support::{Daemon, SECRET, add_github};
use crate::wrk::{self, Load, Mode, Run};

/// Prefixes of the environment variables that cargo sets for a program it runs.
const TOLD_BY_CARGO: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

/// A folder on the disk that holds the build, not in a memory file system.
pub fn folder() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("the build's folder takes a temporary one")
}

/// Builds the daemon as released. The build for benchmarks includes failpoints for tests, so a second build is needed.
pub fn build_release() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_palyra"));
    let target = program.parent().and_then(Path::parent).expect("it lies in target/release");
    let mut cargo = Command::new(env!("CARGO"));
    // With these variables, cargo would run build scripts again.
    for (name, _) in
        std::env::vars().filter(|(name, _)| TOLD_BY_CARGO.iter().any(|told| name.starts_with(told)))
    {
        cargo.env_remove(name);
    }
    let built = cargo
        .args(["build", "--quiet", "--locked", "--release", "--bin", "palyra", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status();
    assert!(built.is_ok_and(|status| status.success()), "cargo build --release failed");
    program
}

/// Starts a daemon with default settings; its log goes to `palyra.log` in the build's temporary folder.
pub fn start(root: &Path) -> Daemon {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("palyra.log");
    let log = File::options().append(true).create(true).open(log).expect("a log can be written");
    Daemon::logging_to(root, log, &[], &[])
}

/// A daemon on a state root of its own.
pub struct Palyra {
    pub daemon: Daemon,
    /// Its state root.
    pub root: TempDir,
    token: String,
}

impl Palyra {
    /// Starts a daemon with default settings and the integration `gh`.
    pub fn start() -> Self {
        let root = folder();
        add_github(root.path());
        let daemon = start(root.path());
        let token = std::fs::read_to_string(root.path().join("admin.token")).expect("there is a token");
        Self { daemon, root, token: token.trim().to_owned() }
    }

    /// Puts the load on it. A run with more answers than new rows in the journal counts as failed.
    pub fn drive(&self, load: &Load) -> Run {
        let before = self.events();
        let (base, secret) = match load.mode {
            Mode::Emit => (&self.daemon.console, self.token.as_str()),
            _ => (&self.daemon.ingress, SECRET),
        };
        let mut run = wrk::drive(base, self.daemon.pid(), secret, load);
        // Requests that wrk did not wait for must not fall into the next run.
        wait_until_idle(self.daemon.pid());
        let taken_in = run.requests - run.refused;
        if matches!(load.mode, Mode::Signed | Mode::Emit) && self.events() - before < taken_in {
            run.failed += taken_in - (self.events() - before);
        }
        run
    }

    /// Events in its journal.
    pub fn events(&self) -> u64 {
        let answer = self.daemon.console(self.root.path(), "GET", "/console/v1/system/insights", b"");
        answer.json()["journal"]["head_seq"].as_u64().expect("insights name the head")
    }

    /// Raises the body limit of `gh` to the cap of 1 MiB, and adds `gh1` and so on until there are `count` integrations.
    pub fn widen(&self, count: u32) {
        let post = |method: &str, path: &str, body: String| {
            let answer = self.daemon.console(self.root.path(), method, path, body.as_bytes());
            assert!(answer.status < 300, "{answer:?}");
        };
        post("DELETE", "/console/v1/webhooks/gh", String::new());
        for id in (0..count).map(|n| if n == 0 { "gh".to_owned() } else { format!("gh{n}") }) {
            let integration = json!({
                "integration_id": id, "provider": "github", "secret_vault_ref": "global/github",
                "enabled": true, "max_payload_bytes": 1_048_576,
            });
            post("POST", "/console/v1/webhooks", integration.to_string());
        }
    }
}

/// A server for comparison.
pub struct Other {
    child: Child,
    base: String,
    _folder: Option<TempDir>,
}

impl Other {
    /// Starts this program again, as the bare server.
    pub fn bare() -> Self {
        let program = std::env::current_exe().expect("it has a path");
        let mut child =
            Command::new(program).arg("bare").stdout(Stdio::piped()).spawn().expect("it runs again");
        let mut base = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut base).expect("it prints its address");
        Self { child, base: base.trim().to_owned(), _folder: None }
    }

    /// Starts adnanh/webhook, which verifies the same signature and runs `true`; `None` if it is not installed.
    pub fn adnanh() -> Option<Self> {
        let hooks = json!([{
            "id": "gh",
            "execute-command": "/bin/true",
            "success-http-response-code": 202,
            "trigger-rule-mismatch-http-response-code": 401,
            "trigger-rule": {"match": {
                "type": "payload-hmac-sha256", "secret": SECRET,
                "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
            }},
        }]);
        if !is_installed("webhook") {
            return None;
        }
        let folder = folder();
        let file = folder.path().join("hooks.json");
        std::fs::write(&file, hooks.to_string()).ok()?;
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).ok()?;
        let mut program = Command::new("webhook");
        program.arg("-hooks").arg(file).args(["-ip", "127.0.0.1", "-port", &address.port().to_string()]);
        let child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let other = Self { child, base: format!("http://{address}"), _folder: Some(folder) };
        for _ in 0..200 {
            if TcpStream::connect(address).is_ok() {
                return Some(other);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Puts the load on it, and waits until deferred work is done.
    pub fn drive(&self, load: &Load) -> Run {
        let run = wrk::drive(&self.base, self.child.id(), SECRET, load);
        wait_until_idle(self.child.id());
        run
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // The process may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
