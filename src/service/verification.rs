//! The verification of the whole journal, which runs in the background after each start.
//!
//! It has a thread of its own and pauses for as long as it works; only SQLite's own integrity check runs without pauses. Its
//! state is part of the heartbeat. A failure is logged and journaled, but the daemon goes on: new events are stored soundly,
//! and refusing them would lose them.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use palyra_actors::causes::in_full;
use palyra_actors::journal::{
    JournalError, JournalFiles, Scope, Severity, SystemEvent, VerifyReport, verify_with,
};
use serde::Serialize;

use crate::service::AppState;
use crate::threads;

/// Longest pause between two batches of events.
const REST_MAX: Duration = Duration::from_millis(250);

/// The progress of the verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Verification {
    /// None is run, as in the console of a command.
    #[default]
    None,
    /// Events are being read.
    Running {
        /// `seq` of the last event read.
        seq: u64,
        /// `seq` of the newest event when it began.
        head_seq: u64,
    },
    /// Everything verified.
    Verified {
        /// Number of events read.
        events: u64,
        /// When it was completed.
        at_unix_ms: u64,
    },
    /// Something does not verify.
    Failed {
        /// `seq` of the first event that does not verify.
        first_bad_seq: Option<u64>,
        /// Number of problems.
        problems_total: u64,
        /// When it was completed.
        at_unix_ms: u64,
    },
    /// It could not be carried out.
    Broken {
        /// The error that prevented it.
        reason: String,
    },
}

impl Verification {
    /// The names of all states.
    pub const STATES: [&str; 5] = ["none", "running", "verified", "failed", "broken"];

    /// The name of its state.
    pub fn state(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Running { .. } => "running",
            Self::Verified { .. } => "verified",
            Self::Failed { .. } => "failed",
            Self::Broken { .. } => "broken",
        }
    }

    /// What the operator should look into, if anything.
    pub fn complaint(&self) -> Option<String> {
        match self {
            Self::Failed { .. } => {
                Some("the journal does not verify; `palyra journal verify` lists what is wrong".to_owned())
            }
            Self::Broken { reason } => Some(format!("the journal could not be verified: {reason}")),
            Self::None | Self::Running { .. } | Self::Verified { .. } => None,
        }
    }
}

/// The state of the verification, readable from any thread.
#[derive(Debug, Clone, Default)]
pub struct VerificationStatus(Arc<Mutex<Verification>>);

impl VerificationStatus {
    /// The current state.
    pub fn now(&self) -> Verification {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: Verification) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

/// Verifies the journal once, and journals a failure.
pub async fn run(app: Arc<AppState>) {
    let for_thread = Arc::clone(&app);
    let verify = move || verify_slowly(&for_thread, &for_thread.actors.journal_files);
    match threads::on_its_own(verify).await {
        Ok(Ok(report)) if report.is_partial => {}
        Ok(Ok(report)) => conclude(&app, &report).await,
        Ok(Err(error)) => {
            let reason = in_full(&error);
            tracing::error!(reason, "the journal could not be verified");
            app.health.verification.set(Verification::Broken { reason });
        }
        Err(error) => app.health.verification.set(Verification::Broken { reason: format!("{error:#}") }),
    }
}

fn verify_slowly(app: &AppState, files: &JournalFiles) -> Result<VerifyReport, JournalError> {
    let mut resumed = Instant::now();
    verify_with(files, &Scope::default(), &mut |progress| {
        app.health.verification.set(Verification::Running { seq: progress.seq, head_seq: progress.head_seq });
        std::thread::sleep(resumed.elapsed().min(REST_MAX));
        resumed = Instant::now();
        if app.is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

async fn conclude(app: &AppState, report: &VerifyReport) {
    let at_unix_ms = app.clock.now_unix_ms();
    if report.is_ok() {
        tracing::info!(events = report.events, "the journal verifies");
        app.health.verification.set(Verification::Verified { events: report.events, at_unix_ms });
        return;
    }
    let (first_bad_seq, problems_total) = (report.first_bad_seq(), report.problems_total);
    tracing::error!(
        first_bad_seq,
        problems_total,
        "the journal does not verify: run `palyra journal verify`"
    );
    app.health.verification.set(Verification::Failed { first_bad_seq, problems_total, at_unix_ms });
    let event = SystemEvent::new(
        "journal.verification.failed",
        "the journal does not verify: it differs from what was appended",
    )
    .severity(Severity::Error)
    .detail("first_bad_seq", first_bad_seq)
    .detail("problems_total", problems_total)
    .detail("missing", report.missing);
    app.actors.journal.append_or_log(event).await;
}

#[cfg(test)]
mod tests {
    use super::Verification;

    #[test]
    fn a_state_is_called_alike_wherever_it_is_written() {
        let states = [
            Verification::None,
            Verification::Running { seq: 1, head_seq: 2 },
            Verification::Verified { events: 2, at_unix_ms: 0 },
            Verification::Failed { first_bad_seq: Some(1), problems_total: 1, at_unix_ms: 0 },
            Verification::Broken { reason: "no thread".to_owned() },
        ];
        assert_eq!(states.each_ref().map(Verification::state), Verification::STATES);
        for state in states {
            assert_eq!(serde_json::json!(state)["state"], state.state());
        }
    }
}
