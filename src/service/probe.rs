//! Whether the data path works, including a commit.

use std::time::Duration;

use palyra_actors::journal::ProbeCommit;
use palyra_actors::supervision::DoorError;
use palyra_actors::{registry, replay_guard, vault};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::AppState;
use crate::within::{Late, within};

/// Time the actors are given to answer a probe.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(2);
/// A verdict is cached this long, so that any number of probes costs the journal one commit.
const PROBE_KEPT: Duration = Duration::from_secs(1);

/// Whether deliveries can be accepted; the verdict is at most a second old.
pub async fn is_ready(app: &AppState) -> bool {
    let find = async { reasons_not_ready(app, PROBE_DEADLINE).await.is_empty() };
    !app.is_stopping() && app.health.probe.get_or_find(Instant::now, find).await
}

/// The latest verdict on readiness. Concurrent requests wait for the same probe.
#[derive(Debug, Default)]
pub struct LatestProbe(Mutex<Option<(Instant, bool)>>);

impl LatestProbe {
    /// The age counts from the end of the probe, which may take longer than its result is cached.
    async fn get_or_find(&self, now: impl Fn() -> Instant, find: impl Future<Output = bool>) -> bool {
        let mut last = self.0.lock().await;
        if let Some((found_at, ready)) = *last
            && now().saturating_duration_since(found_at) < PROBE_KEPT
        {
            return ready;
        }
        let ready = find.await;
        *last = Some((now(), ready));
        ready
    }
}

/// Probes the actors and lists why deliveries cannot be accepted; empty when they can. Takes at most as long as `limit`.
pub async fn reasons_not_ready(app: &AppState, limit: Duration) -> Vec<String> {
    let actors = &app.actors;
    let (committed, registry, vault, replay_guard) = tokio::join!(
        answer_within(limit, actors.journal.door.ask(ProbeCommit)),
        answer_within(limit, actors.registry.ask(registry::Observe)),
        answer_within(limit, actors.vault.ask(vault::Observe)),
        answer_within(limit, actors.replay_guard.door.ask(replay_guard::Observe)),
    );
    let mut reasons = Vec::new();
    if app.is_stopping() {
        reasons.push("the daemon is stopping".to_owned());
    }
    match committed {
        Err(Unanswered::Late(Late(limit))) => {
            reasons.push(format!("the journal did not commit within {} s", limit.as_secs()));
        }
        Err(Unanswered::Gone(error)) => reasons.push(format!("journal: {error}")),
        Ok(Err(error)) => reasons.push(format!("journal: {error}")),
        Ok(Ok(())) => {}
    }
    let silent =
        [("registry", registry.is_err()), ("vault", vault.is_err()), ("replay guard", replay_guard.is_err())];
    let silent = silent.iter().filter(|(_, is_silent)| *is_silent);
    reasons.extend(silent.map(|(name, _)| format!("the {name} does not answer")));
    reasons
}

/// Why an actor gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// It is busy or stuck.
    #[error(transparent)]
    Late(#[from] Late),
    /// It is not running.
    #[error(transparent)]
    Gone(#[from] DoorError),
}

/// Awaits the answer of an actor for at most [`PROBE_DEADLINE`].
///
/// # Errors
/// Why there is no answer.
pub async fn answer_of<T>(asked: impl Future<Output = Result<T, DoorError>>) -> Result<T, Unanswered> {
    answer_within(PROBE_DEADLINE, asked).await
}

async fn answer_within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, DoorError>>,
) -> Result<T, Unanswered> {
    Ok(within(limit, asked).await??)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    #[actix_web::test]
    async fn probes_of_one_second_cost_one_look_however_many_come_at_once() {
        let (verdict, looks, start) = (&LatestProbe::default(), &Cell::new(0), Instant::now());
        let ask = |at, ready| {
            verdict.get_or_find(move || at, async move {
                looks.set(looks.get() + 1);
                yield_now().await;
                ready
            })
        };
        let at_once = tokio::join!(ask(start, true), ask(start, false), ask(start, false));
        assert_eq!((at_once, looks.get()), ((true, true, true), 1));
        assert!(ask(start + PROBE_KEPT - Duration::from_millis(1), false).await, "a verdict is kept");
        assert!(!ask(start + PROBE_KEPT, false).await, "and found out anew");
        assert_eq!(looks.get(), 2);
    }

    #[actix_web::test]
    async fn a_verdict_that_was_long_in_coming_is_given_to_those_who_waited_for_it() {
        let (verdict, looks, now) = (&LatestProbe::default(), &Cell::new(0), &Cell::new(Instant::now()));
        let ask = || {
            verdict.get_or_find(|| now.get(), async {
                looks.set(looks.get() + 1);
                yield_now().await;
                now.set(now.get() + 2 * PROBE_KEPT);
                false
            })
        };
        tokio::join!(ask(), ask(), ask());
        assert_eq!(looks.get(), 1);
    }

    #[actix_web::test]
    async fn a_verdict_that_nobody_waited_for_is_found_out_by_the_next() {
        let (verdict, now) = (LatestProbe::default(), Instant::now);
        let given_up = timeout(Duration::ZERO, verdict.get_or_find(now, std::future::pending())).await;
        assert!(given_up.is_err() && verdict.get_or_find(now, async { true }).await);
    }
}
