//! The state root of the demo, its daemon, and the means to talk to it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use palyra_actors::provider::{Catalogue, MadeRequest, Parameters, SignDraft};
use palyra_actors::secret::{Secret, SecretVersion};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use super::SECRET;
use crate::cli::CliError;
use crate::daemon::signals::Signals;

/// How often it is checked whether the daemon has ended.
const GLANCE: Duration = Duration::from_millis(200);

/// Most lines of stderr shown of a daemon that does not start.
const LAST_LINES: usize = 10;

/// A temporary state root and the daemon on it; both end when this is dropped.
pub struct House {
    root: TempDir,
    daemon: Option<Child>,
    ingress: String,
}

/// An answer of the ingress.
pub struct Answer {
    pub status: u16,
    pub document: Value,
}

fn failed(what: &str, error: impl std::fmt::Display) -> CliError {
    CliError::failed(format!("{what}: {error}"))
}

/// The last lines of a daemon's stderr. All of it is read, because a full pipe would block the daemon.
fn last_lines(stderr: ChildStderr) -> VecDeque<String> {
    let mut last = VecDeque::with_capacity(LAST_LINES + 1);
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        last.push_back(line);
        last.drain(..last.len().saturating_sub(LAST_LINES));
    }
    last
}

/// The error for a daemon that printed no ready line, with what it printed instead.
fn not_started(last_words: Option<JoinHandle<VecDeque<String>>>) -> CliError {
    let lines = last_words.and_then(|reader| reader.join().ok()).unwrap_or_default();
    CliError { issues: lines.into(), ..CliError::failed("the daemon did not start; its last output was:") }
}

impl House {
    /// Creates an empty state root.
    pub fn build() -> Result<Self, CliError> {
        let root = tempfile::Builder::new().prefix("palyra-demo-").tempdir();
        let root = root.map_err(|error| failed("no temporary folder", error))?;
        Ok(Self { root, daemon: None, ingress: String::new() })
    }

    /// The state root.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Base URL of the ingress.
    pub fn ingress(&self) -> &str {
        &self.ingress
    }

    fn palyra(&self) -> Result<Command, CliError> {
        let program = std::env::current_exe().map_err(|error| failed("this program is not found", error))?;
        let mut command = Command::new(program);
        command.arg("--state-root").arg(self.root.path());
        Ok(command)
    }

    /// Runs a command of this program until it ends.
    pub fn command(&self, args: &[&str], input: &[u8]) -> Result<String, CliError> {
        let what = args.join(" ");
        let mut child = self
            .palyra()?
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&what, error))?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                // It ended before it had read all its input; its own error says why.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                written => written.map_err(|error| failed(&what, error))?,
            }
        }
        let output = child.wait_with_output().map_err(|error| failed(&what, error))?;
        if !output.status.success() {
            return Err(failed(&what, String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts the daemon and waits until it serves.
    pub fn start(&mut self) -> Result<(), CliError> {
        let mut child = self
            .palyra()?
            .args(["daemon", "--ingress", "127.0.0.1:0", "--console", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("the daemon", error))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        self.daemon = Some(child);
        let last_words = stderr.map(|stderr| thread::spawn(|| last_lines(stderr)));
        let mut line = String::new();
        if let Some(stdout) = stdout {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| failed("the daemon", error))?;
        }
        let ingress = line.split_whitespace().find_map(|word| word.strip_prefix("ingress="));
        self.ingress = match ingress {
            Some(ingress) => ingress.to_owned(),
            None => return Err(not_started(last_words)),
        };
        Ok(())
    }

    /// Kills the daemon without warning.
    pub fn kill(&mut self) -> Result<(), CliError> {
        let Some(mut daemon) = self.daemon.take() else { return Ok(()) };
        daemon.kill().and_then(|()| daemon.wait()).map_err(|error| failed("the daemon", error))?;
        Ok(())
    }

    /// Waits until the daemon ends by itself, or a signal comes.
    pub async fn stand(&mut self, signals: &mut Signals) -> Result<(), CliError> {
        while let Some(daemon) = &mut self.daemon {
            if daemon.try_wait().map_err(|error| failed("the daemon", error))?.is_some() {
                break;
            }
            if timeout(GLANCE, signals.next()).await.is_ok() {
                break;
            }
        }
        Ok(())
    }

    /// Signs a delivery as the provider would; `id` makes it distinct from others.
    pub fn sign(&self, event: &str, payload: &str, id: u128) -> Result<MadeRequest, CliError> {
        let catalogue = Catalogue::built_in().map_err(|error| failed("the profiles", error))?;
        let profile = catalogue.get("github").ok_or_else(|| CliError::failed("the profile is missing"))?;
        let key = SecretVersion { version: 1, secret: Secret::new(SECRET.to_vec()) };
        let parameters = Parameters::new();
        let draft = SignDraft {
            event,
            payload: Some(payload.as_bytes()),
            now: 0,
            random: id,
            url: &self.ingress,
            parameters: &parameters,
            private_key: None,
            mutation: None,
        };
        profile.sign(&draft, &key).map_err(|error| failed("the signature", error))
    }

    /// Posts a delivery to the ingress.
    pub fn post(&self, delivery: &MadeRequest) -> Result<Answer, CliError> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .proxy(None)
            .build();
        let mut request = ureq::Agent::new_with_config(config).post(format!("{}/hooks/gh", self.ingress));
        for (name, value) in &delivery.headers {
            request = request.header(name, value);
        }
        let sent = request.send(&delivery.body);
        let mut answer = sent.map_err(|error| failed("the ingress", error))?;
        let text = answer.body_mut().read_to_string().map_err(|error| failed("the ingress", error))?;
        let document = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status: answer.status().as_u16(), document })
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // An error means that the daemon has ended already.
            daemon.kill().unwrap_or_default();
            drop(daemon.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test program does not know `--state-root`: it says so, reads nothing, and ends.
    #[test]
    fn what_a_process_that_fails_said_is_told() {
        let mut house = House::build().unwrap();
        let error = house.start().unwrap_err();
        assert!(error.issues.iter().any(|line| line.contains("state-root")), "{error:?}");
        let more_than_a_pipe_holds = vec![b' '; 1 << 20];
        let error = house.command(&["vault", "put", "global/github"], &more_than_a_pipe_holds).unwrap_err();
        assert!(error.message.contains("state-root"), "{error:?}");
    }
}
