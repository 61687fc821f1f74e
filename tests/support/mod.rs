//! Runs the daemon as a process of its own, and talks to it.

pub mod dice;
pub mod key_server;
pub mod publishing;
pub mod seed;
mod wire;

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tempfile::TempDir;

pub use wire::*;

/// The secret of [`Daemon::with_github`].
pub const SECRET: &str = "a secret for tests";

/// A command of the real binary.
pub fn palyra(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palyra"));
    command.arg("--state-root").arg(root).env("NO_COLOR", "1").env_remove("FAILPOINTS");
    command
}

/// A command of the real binary under a limit, as the shell's `ulimit` takes it (`-f 400`: no file larger than 400 KiB).
pub fn limited(root: &Path, limit: &str) -> Command {
    let program = palyra(root);
    let mut limited = Command::new("bash");
    limited.args(["-c", &format!("ulimit {limit}; exec \"$@\""), "bash"]);
    limited.arg(program.get_program()).args(program.get_args()).env("NO_COLOR", "1");
    limited
}

/// The path of libfaketime, which shifts the clock that a program sees.
pub fn libfaketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let library = folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.is_file());
    library.expect("libfaketime is needed (Debian package `faketime`)").to_str().unwrap().to_owned()
}

/// Time a command may take before it is killed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command to its end, with `input` on its standard input.
pub fn run(root: &Path, args: &[&str], input: &[u8]) -> Output {
    run_command(palyra(root), args, input)
}

/// As [`run`], for a command that was made in another way.
pub fn run_command(mut command: Command, args: &[&str], input: &[u8]) -> Output {
    let mut child = command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments may have ended before it is given anything.
    let given = child.stdin.take().unwrap().write_all(input).map_err(|error| error.kind());
    assert!(matches!(given, Ok(()) | Err(ErrorKind::BrokenPipe)), "{given:?}");
    let pid = child.id().to_string();
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        if waiting.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    watchdog.join().unwrap();
    output
}

/// Runs a command that must fail with exit code `expected`, and returns its messages.
pub fn fail(root: &Path, args: &[&str], expected: i32) -> String {
    let output = run(root, args, b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(expected), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?}");
    said
}

/// Runs a command that must succeed.
pub fn succeed(root: &Path, args: &[&str], input: &[u8]) -> String {
    let output = run(root, args, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command with `--json` that must succeed.
pub fn json(root: &Path, args: &[&str]) -> Value {
    let args: Vec<&str> = std::iter::once("--json").chain(args.iter().copied()).collect();
    serde_json::from_str(&succeed(root, &args, b"")).unwrap()
}

/// A running daemon. Killed when it is dropped.
pub struct Daemon {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    /// Base URL of the ingress.
    pub ingress: String,
    /// Base URL of the console.
    pub console: String,
}

impl Daemon {
    /// Starts a daemon on `root` with free ports, and waits until it serves.
    pub fn start(root: &Path) -> Self {
        Self::start_with(root, &[], &[])
    }

    /// Starts a daemon with more arguments and environment.
    pub fn start_with(root: &Path, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::launch(palyra(root), Stdio::inherit(), args, env)
    }

    /// Starts a daemon that logs into `log`.
    pub fn logging_to(root: &Path, log: File, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::launch(palyra(root), log.into(), args, env)
    }

    /// Starts a daemon under a limit.
    pub fn with_limit(root: &Path, limit: &str) -> Self {
        Self::launch(limited(root, limit), Stdio::inherit(), &[], &[])
    }

    /// Starts a daemon under a limit that logs into `log`.
    pub fn with_limit_logging_to(root: &Path, limit: &str, log: File) -> Self {
        Self::launch(limited(root, limit), log.into(), &[], &[])
    }

    /// Starts a daemon whose clock is shifted by `off_by`, in the notation of libfaketime (`-1h`).
    pub fn with_clock(root: &Path, off_by: &str) -> Self {
        Self::start_with(root, &[], &[("LD_PRELOAD", &libfaketime()), ("FAKETIME", off_by)])
    }

    /// Starts a daemon whose console listens on a free port of this address.
    pub fn with_console_on(root: &Path, ip: &str) -> Self {
        let mut program = palyra(root);
        program.args(["daemon", "--ingress", "127.0.0.1:0", "--console", &format!("{ip}:0")]);
        Self::serving(program)
    }

    /// Starts a daemon whose ingress listens on a free port of this address.
    pub fn with_ingress_on(root: &Path, ip: &str) -> Self {
        let mut program = palyra(root);
        program.args(["daemon", "--ingress", &format!("{ip}:0"), "--console", "127.0.0.1:0"]);
        Self::serving(program)
    }

    fn launch(mut program: Command, stderr: Stdio, args: &[&str], env: &[(&str, &str)]) -> Self {
        program.args(["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"]).args(args);
        program.envs(env.iter().copied()).stderr(stderr);
        Self::serving(program)
    }

    fn serving(mut program: Command) -> Self {
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let (Some(ingress), Some(console)) = (told(&line, "ingress"), told(&line, "console")) else {
            panic!("the daemon did not start: {line:?} {:?}", child.wait());
        };
        Self { child, _stdout: stdout, ingress, console }
    }

    /// Starts a daemon with the integration `gh` of GitHub under [`SECRET`].
    pub fn with_github(root: &Path) -> Self {
        add_github(root);
        Self::start(root)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits until it accepts no more deliveries.
    pub fn tell_to_stop(&self) {
        self.signal("TERM");
        eventually("it takes nothing more in", || is_closed(&self.ingress) && is_closed(&self.console));
    }

    /// Sends a signal by name, as `kill` does.
    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until the process ends.
    pub fn wait(mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the daemon did not end in {patience:?}");
    }

    /// Kills it without warning, and waits until it has ended.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Posts to an integration.
    pub fn post(&self, id: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        request("POST", &format!("{}/hooks/{id}", self.ingress), headers, body)
    }

    /// Posts a signed GitHub delivery to `gh`.
    pub fn github(&self, event: &str, delivery_id: &str, body: &str) -> Answer {
        let signature = github_signature(SECRET, body.as_bytes());
        let headers = [
            ("Content-Type", "application/json"),
            ("X-GitHub-Event", event),
            ("X-GitHub-Delivery", delivery_id),
            ("X-Hub-Signature-256", &signature),
        ];
        self.post("gh", &headers, body.as_bytes())
    }

    /// Sends a request to the console, with its token.
    pub fn console(&self, root: &Path, method: &str, path: &str, body: &[u8]) -> Answer {
        let token = std::fs::read_to_string(root.join("admin.token")).unwrap();
        let bearer = format!("Bearer {}", token.trim());
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        request(method, &format!("{}{path}", self.console), &headers, body)
    }
}

/// The address of a listener, from the ready line of a daemon.
fn told(line: &str, listener: &str) -> Option<String> {
    let document: Value = serde_json::from_str(line).unwrap_or_default();
    let of_text = || line.split_whitespace().find_map(|word| word.strip_prefix(listener)?.strip_prefix('='));
    document[listener].as_str().or_else(of_text).map(str::to_owned)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The process may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The outcome.
    pub fn outcome(&self) -> String {
        self.json()["outcome"].as_str().unwrap_or_default().to_owned()
    }

    /// The `seq` of the receipt.
    pub fn seq(&self) -> u64 {
        self.json()["receipt"]["seq"].as_u64().unwrap_or_else(|| panic!("no receipt: {self:?}"))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Sends one request over a connection of its own.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut answer = ask(method, url, headers, body).unwrap();
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned()))
        .collect();
    let body = answer.body_mut().read_to_string().unwrap();
    Answer { status: answer.status().as_u16(), headers, body }
}

/// Posts to a daemon that may have been killed; returns the status once the whole answer was read.
pub fn try_post(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<u16> {
    let mut answer = ask("POST", url, headers, body).ok()?;
    answer.body_mut().read_to_string().ok()?;
    Some(answer.status().as_u16())
}

fn ask(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None)
            .build(),
    );
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    agent.run(request.body(body).unwrap())
}

/// Stores [`SECRET`] and adds `gh` of GitHub.
pub fn add_github(root: &Path) {
    succeed(root, &["vault", "put", "global/github"], SECRET.as_bytes());
    succeed(root, &["webhooks", "add", "gh", "github", "--secret-ref", "global/github"], b"");
}

/// An empty state root.
pub fn state_root() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// HMAC-SHA-256 in hexadecimal.
pub fn hmac_hex(secret: &[u8], content: &[u8]) -> String {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret).unwrap();
    mac.update(content);
    hex::encode(mac.finalize().into_bytes())
}

/// The header GitHub would send.
pub fn github_signature(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hmac_hex(secret.as_bytes(), body))
}

/// Headers of a signed GitHub delivery, as lines of a request.
pub fn github_head(event: &str, delivery_id: &str, body: &[u8]) -> String {
    let signature = github_signature(SECRET, body);
    format!(
        "Content-Type: application/json\r\nX-GitHub-Event: {event}\r\nX-GitHub-Delivery: {delivery_id}\r\n\
         X-Hub-Signature-256: {signature}\r\n"
    )
}

/// Writes a file of the state root with the permissions the daemon requires: readable by its owner only.
pub fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Writes a profile of the operator's own into the state root, as `NAME.toml`.
pub fn own_profile(root: &Path, name: &str, text: &str) {
    let folder = root.join("providers");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).unwrap();
    write_private(&folder.join(format!("{name}.toml")), text);
}

/// The events of the journal, oldest first, through `journal export`.
pub fn events(root: &Path) -> Vec<Value> {
    let lines = succeed(root, &["journal", "export"], b"");
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The events with that name.
pub fn events_named(root: &Path, name: &str) -> Vec<Value> {
    events(root).into_iter().filter(|event| event["name"] == name).collect()
}

/// Retries until `so` returns true; fails after ten seconds.
pub fn eventually(what: &str, so: impl FnMut() -> bool) {
    within(Duration::from_secs(10), what, so);
}

/// As [`eventually`], with another time limit.
pub fn within(patience: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !so() {
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
