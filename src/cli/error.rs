//! The errors of commands: their messages and exit codes.

use std::io::ErrorKind;

use palyra_actors::journal::JournalError;
use palyra_actors::text_places;
use serde_json::{Value, json};

use super::text::visible;
use crate::exit::Exit;

/// The kind of failure, which decides the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The arguments are invalid.
    Usage,
    /// The requested action did not succeed.
    Failed,
    /// The daemon cannot be reached, or stopped answering.
    Unreachable,
    /// No daemon runs.
    NoDaemon,
    /// Another process holds the state root.
    InUse,
    /// A setting, a file or the state root cannot be used as it is.
    Config,
    /// The journal does not verify.
    DoesNotVerify,
    /// A fault of the daemon itself.
    Internal,
    /// The console refused the request (`application/problem+json`, RFC 9457).
    Problem {
        /// Status of the answer.
        status: u16,
        /// The problem's code in the catalogue.
        code: String,
    },
    /// The reader of the output has closed it. Not a failure.
    OutputClosed,
}

/// A failure as the user sees it: what happened, to what, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// The kind of failure.
    pub kind: Kind,
    /// What happened, in one line without a full stop.
    pub message: String,
    /// Details, if there are several.
    pub issues: Vec<String>,
    pub hint: Option<String>,
}

impl CliError {
    /// A failure of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), issues: Vec::new(), hint: None }
    }

    /// The arguments are invalid.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The requested action did not succeed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// The daemon cannot be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreachable, message)
    }

    /// No daemon runs.
    pub fn no_daemon(message: impl Into<String>) -> Self {
        Self::new(Kind::NoDaemon, message)
    }

    /// Another process holds the state root.
    pub fn in_use(message: impl Into<String>) -> Self {
        Self::new(Kind::InUse, message)
    }

    /// A setting, a file or the state root cannot be used as it is.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Kind::Config, message)
    }

    /// Nothing can be written.
    pub fn cannot_write(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// A disk fails to read or to write.
    pub fn failing_disk(message: impl Into<String>) -> Self {
        Self::cannot_write(message).hint(
            "check the disk and its cable (`dmesg` shows the kernel's errors), then try again; the data on the disk may be intact, so do not restore a backup over it",
        )
    }

    /// The process or the machine lacks file descriptors or memory. That may pass, so the next start is worth a try.
    pub fn shortage(message: impl Into<String>) -> Self {
        Self::cannot_write(message).hint(
            "the process or the machine lacks file descriptors or memory: end other programs or raise the limits, then try again; nothing is wrong \
             with the file",
        )
    }

    /// The journal does not verify.
    pub fn does_not_verify(message: impl Into<String>) -> Self {
        Self::new(Kind::DoesNotVerify, message)
    }

    /// The error for a journal that cannot be opened or read.
    pub fn journal(error: &JournalError, message: impl Into<String>) -> Self {
        let kind = match error {
            // Its message says what to do.
            full if full.is_for_want_of_room() => Kind::Internal,
            fault if fault.is_fault_of_the_disk() => return Self::failing_disk(message),
            short if short.is_for_want_of_resources() => return Self::shortage(message),
            damaged if damaged.is_for_damage() => Kind::DoesNotVerify,
            JournalError::Corrupt { .. }
            | JournalError::Lost { .. }
            | JournalError::LogAlone { .. }
            | JournalError::OtherLog { .. }
            | JournalError::Behind { .. } => Kind::DoesNotVerify,
            JournalError::Open { .. } | JournalError::Newer { .. } => Kind::Config,
            JournalError::Poisoned { .. } | JournalError::Seal { .. } => Kind::Internal,
            _ => Kind::Failed,
        };
        Self::new(kind, message)
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error for a refusal by the console with `status`. `body` is its problem document; `None` if it sent something
    /// else.
    pub fn problem(status: u16, body: Option<&Value>, retry_after: Option<&str>) -> Self {
        let text =
            |name: &str| body.and_then(|body| body.get(name)).and_then(Value::as_str).map(str::to_owned);
        let code = text("code").unwrap_or_else(|| format!("status_{status}"));
        let title = text("title").unwrap_or_else(|| format!("the console answered {status}"));
        let message = match text("detail") {
            Some(detail) => format!("{title}: {detail}"),
            None => title,
        };
        let issues = body.and_then(|body| body.get("issues")).and_then(Value::as_array);
        let issues = issues.into_iter().flatten().map(issue_text).collect();
        // The console's hint on 401 explains how to send the token, which this program does itself.
        let theirs =
            text("hint").filter(|_| status != 401).map(|hint| hint.replace("`?force=true`", "`--force`"));
        let hint = theirs.or_else(|| own_hint(status, retry_after));
        Self { kind: Kind::Problem { status, code }, message, issues, hint }
    }

    /// The exit code it ends with.
    pub fn exit(&self) -> Exit {
        match self.kind {
            Kind::Usage => Exit::Usage,
            Kind::Failed | Kind::Problem { .. } => Exit::Failed,
            Kind::Unreachable | Kind::NoDaemon => Exit::Unreachable,
            Kind::InUse => Exit::InUse,
            Kind::Config => Exit::Config,
            Kind::DoesNotVerify => Exit::DoesNotVerify,
            Kind::Internal => Exit::Internal,
            Kind::OutputClosed => Exit::Ok,
        }
    }

    /// Its code for scripts: that of the problem, or the kind.
    pub fn code(&self) -> &str {
        match &self.kind {
            Kind::Usage => "usage",
            Kind::Failed => "failed",
            Kind::Unreachable | Kind::NoDaemon => "daemon_not_reachable",
            Kind::InUse => "state_root_in_use",
            Kind::Config => "configuration",
            Kind::DoesNotVerify => "does_not_verify",
            Kind::Internal => "internal",
            Kind::Problem { code, .. } => code,
            Kind::OutputClosed => "output_closed",
        }
    }

    /// For people: the message, the issues and the hint, one a line.
    pub fn to_text(&self) -> String {
        let mut text = format!("palyra: {}\n", visible(&self.message));
        text.extend(self.issues.iter().map(|issue| format!("  - {}\n", visible(issue))));
        text.extend(
            self.hint.iter().flat_map(|hint| hint.lines()).map(|line| format!("  hint: {}\n", visible(line))),
        );
        text
    }

    /// For scripts: `{"error": {"code", "message", "hint", "issues"}}`.
    pub fn to_json(&self) -> Value {
        let mut error = json!({"code": self.code(), "message": self.message, "hint": self.hint});
        if let (Some(members), false) = (error.as_object_mut(), self.issues.is_empty()) {
            members.insert("issues".to_owned(), json!(self.issues));
        }
        json!({ "error": error })
    }
}

/// A reason, or what is wrong at a place in the document that was sent.
fn issue_text(issue: &Value) -> String {
    let text = |name: &str| issue.get(name).and_then(Value::as_str);
    match (issue.as_str(), text("pointer"), text("message")) {
        (Some(reason), ..) => reason.to_owned(),
        (None, Some("") | None, Some(message)) => message.to_owned(),
        (None, Some(pointer), Some(message)) => format!("{}: {message}", text_places::path(pointer)),
        (None, _, None) => issue.to_string(),
    }
}

/// The next step where something cannot grow: the disk is full, or a limit is reached.
pub fn how_to_make_room(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::FileTooLarge => "raise the process's limit of file size (`ulimit -f`, `LimitFSIZE=`)",
        _ => "free some space on its disk, or raise the quota",
    }
}

fn own_hint(status: u16, retry_after: Option<&str>) -> Option<String> {
    match (status, retry_after) {
        (401, _) => {
            let question =
                "check that --state-root is the daemon's; if `admin.token` was changed, restart the daemon";
            Some(format!("the token is not this daemon's: {question}"))
        }
        (503, Some(seconds)) => {
            Some(format!("try again in {seconds} s; `palyra system heartbeat` says what is wrong"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
