//! The state root of the demo, its daemon, and how it is talked to.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use palyra_actors::provider::{Catalogue, Parameters, SignDraft, Signed};
use palyra_actors::secret::{Secret, SecretVersion};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::timeout;

use super::SECRET;
use crate::cli::CliError;
use crate::daemon::signals::Signals;

/// How often it is looked whether the daemon has ended.
const GLANCE: Duration = Duration::from_millis(200);

/// A state root that goes when this goes, and the daemon on it.
pub struct House {
    root: TempDir,
    daemon: Option<Child>,
    ingress: String,
}

/// What the ingress answered.
pub struct Answer {
    /// Status.
    pub status: u16,
    /// The document.
    pub document: Value,
}

fn failed(what: &str, error: impl std::fmt::Display) -> CliError {
    CliError::failed(format!("{what}: {error}"))
}

impl House {
    /// An empty state root.
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

    /// Runs a command of this program to its end.
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
            stdin.write_all(input).map_err(|error| failed(&what, error))?;
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
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| failed("the daemon", error))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(|error| failed("the daemon", error))?;
        }
        self.daemon = Some(child);
        let ingress = line.split_whitespace().find_map(|word| word.strip_prefix("ingress="));
        self.ingress = ingress.ok_or_else(|| CliError::failed("the daemon did not start"))?.to_owned();
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

    /// Signs a delivery as the provider would; `id` tells one from another.
    pub fn sign(&self, event: &str, payload: &str, id: u128) -> Result<Signed, CliError> {
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
    pub fn post(&self, delivery: &Signed) -> Result<Answer, CliError> {
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
            // One that has ended already is what is wanted.
            daemon.kill().unwrap_or_default();
            drop(daemon.wait());
        }
    }
}
