//! The events that the daemon journals by itself: its start, and periodic summaries of the refusals that leave no row of
//! their own.

use std::sync::Arc;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use palyra_actors::causes::in_full;
use palyra_actors::journal::{JournalError, SystemEvent};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::daemon::stopper::CLOSE_DEADLINE;
use crate::service::AppState;
use crate::service::counters::Summary;
use crate::version::VERSION;

/// Interval of the summaries of unauthenticated deliveries.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(60);

/// The task that writes these events.
pub struct Journaling {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Journaling {
    /// Journals the start, then periodically the refusals, one row for each integration and reason.
    pub fn start(app: &Arc<AppState>) -> Self {
        let (end, told_to_end) = oneshot::channel();
        Self { task: actix_rt::spawn(run(Arc::clone(app), told_to_end)), end }
    }

    /// Journals the refusals since the last summary, and ends. An append in progress is awaited: its counts have already
    /// been taken out of the counters, so aborting would lose them.
    pub async fn end(self) {
        let Self { mut task, end } = self;
        drop(end);
        match timeout(CLOSE_DEADLINE, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the last refusals were not journaled"),
            Err(_) => {
                task.abort();
                tracing::error!("the last refusals were not journaled in time");
            }
        }
    }
}

async fn run(app: Arc<AppState>, mut told_to_end: oneshot::Receiver<()>) {
    app.actors.journal.append_or_log(started(&app)).await;
    let mut ticks = interval(summary_interval());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => journal_refusals(&app).await,
            _ = &mut told_to_end => break,
        }
    }
    journal_refusals(&app).await;
    let untold = app.counters.untold();
    if untold > 0 {
        tracing::error!(untold, "the daemon stops with refusals that were not journaled");
    }
}

fn summary_interval() -> Duration {
    fail::fail_point!("journaling::sums_up_soon", |_| Duration::from_secs(1));
    SUMMARY_INTERVAL
}

fn started(app: &AppState) -> SystemEvent {
    SystemEvent::new("system.daemon.started", "the daemon started and accepts deliveries")
        .detail("version", VERSION)
        .detail("pid", std::process::id())
        .detail("ingress", app.serving.addresses.ingress.as_str())
        .detail("console", app.serving.addresses.console.as_str())
}

async fn journal_refusals(app: &AppState) {
    let summaries = app.counters.sum_up();
    let appended = app.actors.append_together(summaries.iter().map(Summary::event)).await;
    let outcomes = summaries.into_iter().zip(appended);
    let (mut rows, mut why) = (0, None);
    for (summary, error) in outcomes.filter_map(|(summary, appended)| Some((summary, appended.err()?))) {
        // If it is unknown whether the row was stored, a duplicate is better than a loss; a row that can never be stored is
        // not retried.
        if !matches!(error, JournalError::Invalid { .. }) {
            app.counters.put_back(summary);
        }
        rows += 1;
        why = Some(error);
    }
    if let Some(error) = why {
        tracing::error!(error = %in_full(&error), rows, "refusals could not be journaled");
    }
}
