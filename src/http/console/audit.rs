//! Journals every change before it takes effect, and again if it then failed or may not last.

use actix_web::web::Data;
use palyra_actors::cut::cut;
use palyra_actors::event_names;
use palyra_actors::journal::{Severity, SystemEvent};
use serde_json::{Value, json};

use crate::http::problem::{Became, Problem};
use crate::service::AppState;
use crate::service::readiness;

/// Longest subject that is journaled; the rest is cut, so that it fits into the summary after the name of the change.
const SUBJECT_BYTES_MAX: usize = 120;

/// A change that a client of the console requests.
pub struct Change {
    name: &'static str,
    subject: String,
    particulars: Value,
}

impl Change {
    /// A change of kind `name` to `subject`.
    pub fn new(name: &'static str, subject: &str) -> Self {
        Self { name, subject: cut(subject, SUBJECT_BYTES_MAX), particulars: json!({}) }
    }

    /// Adds details. Never a secret.
    #[must_use]
    pub fn particulars(mut self, particulars: Value) -> Self {
        self.particulars = particulars;
        self
    }

    /// Journals the change, then makes it: what cannot be recorded must not happen. The change is completed even if this
    /// future is dropped because the client has disconnected; otherwise the journal could report a change that was never
    /// made.
    ///
    /// # Errors
    /// Those of the change, and 503 when it cannot be journaled or the daemon is stopping.
    pub async fn journaled<T: Send + 'static>(
        self,
        app: &Data<AppState>,
        make: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let of_task = app.clone();
        let make = move || async move { self.make(&of_task, make).await };
        let made = app.changes.under_way.to_the_end(make).await;
        made.unwrap_or_else(|broken| Err(broken.into()))
    }

    async fn make<T>(
        self,
        app: &AppState,
        make: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let asked = app.actors.journal.append_system(self.event(self.name.to_owned(), Severity::Info));
        asked.await.map_err(|error| Problem::unavailable(&error))?;
        let made = make.await;
        if let Err(problem) = &made {
            self.tell_what_became(app, problem).await;
        }
        made
    }

    /// Journals that the change was not made, may not last, or possibly was not made. The client is told so in any case,
    /// even if this event cannot be stored.
    async fn tell_what_became(&self, app: &AppState, problem: &Problem) {
        let became = ending(problem.became());
        let event = self.event(event_names::ended(self.name, became), Severity::Warn);
        app.actors.journal.append_or_log(event.detail("problem", problem.kind().entry().1)).await;
    }

    /// As [`Change::journaled`], for a change of what integrations verify with. Such changes are made one at a time, so that
    /// what one has looked up and probed is still true when it takes effect. Heartbeat and metrics reflect the change before
    /// it is answered.
    ///
    /// # Errors
    /// As [`Change::journaled`].
    pub async fn journaled_and_seen<T: Send + 'static>(
        self,
        app: &Data<AppState>,
        make: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let of_change = app.clone();
        let alone = async move {
            let _alone = of_change.changes.one_at_a_time.lock().await;
            make.await
        };
        let made = self.journaled(app, alone).await;
        readiness::look_anew(app).await;
        made
    }

    /// The event that says that the change, which is journaled before it is made, turned out to change nothing.
    pub fn without_effect(&self) -> SystemEvent {
        self.event(event_names::ended(self.name, "unchanged"), Severity::Info)
    }

    fn event(&self, name: String, severity: Severity) -> SystemEvent {
        let summary = format!("{name} {}", self.subject);
        SystemEvent::new(name, summary)
            .severity(severity)
            .by("console")
            .detail("subject", self.subject.as_str())
            .detail("particulars", self.particulars.clone())
    }
}

/// The suffix of the event name that reports this state.
fn ending(became: Became) -> &'static str {
    match became {
        Became::Refused => event_names::REFUSED,
        Became::Unsynced => "unsynced",
        Became::Unknown => "unknown",
    }
}
