//! Journals when an enabled integration is not ready any more, and when it recovers. The heartbeat names such
//! integrations, the metrics count them.

mod reports;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palyra_actors::causes::in_full;
use palyra_actors::journal::{Severity, SystemEvent};
use palyra_actors::registry::{List, Readiness, ReadinessReport};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::service::AppState;

pub use reports::{report, reports, secret_status, secret_statuses};

/// Interval of the checks.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// Most integrations that a complaint names.
const NAMED_MAX: usize = 5;
/// Most integrations whose faults a reload lists.
const WARNINGS_MAX: usize = 24;
/// Time a change waits for the check that follows it; secrets may be on slow disks.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Checks the enabled integrations at once, then periodically, and whenever [`look_anew`] requests it.
pub async fn watch(app: Arc<AppState>) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = app.health.last_look.asked.subscribe();
    let mut before = Reports::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = asked.changed() => {}
        }
        let number = *asked.borrow_and_update();
        // The registry may be restarting.
        let Some(look) = look(&app).await else { continue };
        let now = look.reports.clone();
        app.health.last_look.set(look);
        app.health.last_look.answered.send_replace(number);
        let (ids, events): (Vec<String>, Vec<SystemEvent>) = changes(&before, &now).into_iter().unzip();
        let appended = app.actors.append_together(events).await;
        let mut untold = Vec::new();
        for (id, error) in ids.into_iter().zip(appended).filter_map(|(id, done)| Some((id, done.err()?))) {
            tracing::warn!(error = %in_full(&error), "a change of readiness could not be journaled");
            untold.push(id);
        }
        before = as_told(before, now, &untold);
    }
}

/// Requests a check after a change, so that heartbeat and metrics show its effect. Returns whether it was done in time.
/// Later it is done all the same, but only while [`watch()`] runs, which it does not beside the console of a command.
pub async fn look_anew(app: &AppState) -> bool {
    let LastLook { asked, answered, .. } = &app.health.last_look;
    if asked.receiver_count() == 0 {
        return false;
    }
    let mut number = 0;
    asked.send_modify(|newest| {
        *newest += 1;
        number = *newest;
    });
    let mut answered = answered.subscribe();
    let done = answered.wait_for(|answered| *answered >= number);
    matches!(timeout(LOOK_PATIENCE, done).await, Ok(Ok(_)))
}

/// The result of the latest check; empty before the first one.
#[derive(Debug, Default)]
pub struct LastLook {
    look: Mutex<Option<Look>>,
    /// Counts the checks requested.
    asked: watch::Sender<u64>,
    /// The number of the latest request that was served, together with all before it.
    answered: watch::Sender<u64>,
}

#[derive(Debug)]
struct Look {
    reports: Reports,
    disabled: usize,
}

impl LastLook {
    fn look(&self) -> MutexGuard<'_, Option<Look>> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, look: Look) {
        *self.look() = Some(look);
    }

    /// The number of integrations in each state. A disabled one counts as disabled, whatever else it lacks.
    pub fn by_readiness(&self) -> Option<[(Readiness, usize); Readiness::ALL.len()]> {
        let look = self.look();
        let Look { reports, disabled } = look.as_ref()?;
        Some(Readiness::ALL.map(|state| match state {
            Readiness::Disabled => (state, *disabled),
            _ => (state, reports.values().filter(|report| report.readiness == state).count()),
        }))
    }

    /// What the operator should look into, if anything.
    pub fn complaint(&self) -> Option<String> {
        let look = self.look();
        let of = |accepts_some| {
            let unready = unready(look.as_ref()).filter(|(_, report)| report.accepts_some == accepts_some);
            unready.map(|(id, _)| id.as_str()).collect::<Vec<_>>()
        };
        let none = named("enabled integrations that cannot verify deliveries", &of(false));
        let some =
            named("enabled integrations that are not ready, but still accept some deliveries", &of(true));
        let unfetched: Vec<_> = ready_with_issue(look.as_ref()).map(String::as_str).collect();
        let unfetched = named(
            "enabled integrations whose provider's keys could not be fetched the last time",
            &unfetched,
        );
        let said: Vec<String> = none.into_iter().chain(some).chain(unfetched).collect();
        (!said.is_empty()).then(|| format!("{}; `palyra webhooks show ID` says why", said.join("; ")))
    }

    /// As [`LastLook::complaint`], but each integration with what it lacks; of very many, only some, and the number of the
    /// others.
    pub fn warnings(&self) -> Vec<String> {
        let look = self.look();
        let mut warnings: Vec<String> =
            unready(look.as_ref()).map(|(id, report)| not_ready(id, report)).collect();
        let more = warnings.len().saturating_sub(WARNINGS_MAX);
        if more > 0 {
            warnings.truncate(WARNINGS_MAX);
            warnings.push(format!("{more} more enabled integrations are not ready"));
        }
        warnings
    }
}

fn unready(look: Option<&Look>) -> impl Iterator<Item = (&String, &ReadinessReport)> {
    let reports = look.into_iter().flat_map(|look| &look.reports);
    reports.filter(|(_, report)| report.readiness != Readiness::Ready)
}

/// The ready integrations for which keys could not be fetched, which is the only issue a ready one may have.
fn ready_with_issue(look: Option<&Look>) -> impl Iterator<Item = &String> {
    let reports = look.into_iter().flat_map(|look| &look.reports);
    let with_issue =
        reports.filter(|(_, report)| report.readiness == Readiness::Ready && !report.issues.is_empty());
    with_issue.map(|(id, _)| id)
}

/// Names the integrations `ids`, of very many only some; `None` if there are none.
fn named(what: &str, ids: &[&str]) -> Option<String> {
    let named = ids.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = if ids.len() > NAMED_MAX { ", …" } else { "" };
    (!ids.is_empty()).then(|| format!("{what}: {named}{more} ({} in all)", ids.len()))
}

/// The message for an enabled integration that is not ready, with what it lacks.
pub fn not_ready(id: &str, report: &ReadinessReport) -> String {
    format!("{}: {}", unreadiness(id, report), report.issues.join("; "))
}

/// Says that an enabled integration is not ready, and whether it accepts deliveries nevertheless.
pub fn unreadiness(id: &str, report: &ReadinessReport) -> String {
    match report.accepts_some {
        true => format!("`{id}` is not ready, but still accepts some deliveries"),
        false => format!("`{id}` is enabled but cannot verify deliveries"),
    }
}

/// The readiness of each enabled integration, by id.
type Reports = BTreeMap<String, ReadinessReport>;

async fn look(app: &AppState) -> Option<Look> {
    let integrations = app.actors.registry.ask(List).await.ok()?;
    let enabled: Vec<_> = integrations.iter().filter(|integration| integration.record.enabled).collect();
    let reports = reports(app, enabled.iter().map(|integration| integration.as_ref())).await;
    let ids = enabled.iter().map(|integration| integration.record.integration_id.clone());
    let disabled = integrations.len().saturating_sub(enabled.len());
    Some(Look { reports: ids.zip(reports).collect(), disabled })
}

/// The state that the next check is compared with. Integrations whose change could not be journaled keep their previous
/// state, so that the next check reports the change again.
fn as_told(mut before: Reports, mut now: Reports, untold: &[String]) -> Reports {
    for id in untold {
        match before.remove(id) {
            Some(report) => now.insert(id.clone(), report),
            None => now.remove(id),
        };
    }
    now
}

/// The changes of readiness, by id, including whether some deliveries are accepted. An integration that was not checked
/// before counts as ready, so that a new one that is ready causes no event.
fn changes(before: &Reports, now: &Reports) -> Vec<(String, SystemEvent)> {
    let state = |report: &ReadinessReport| (report.readiness, report.accepts_some);
    let was = |id: &String| before.get(id).map_or((Readiness::Ready, false), state);
    let changed = now.iter().filter(|(id, report)| was(id) != state(report));
    changed.map(|(id, report)| (id.clone(), event(id, was(id).0, report))).collect()
}

fn event(id: &str, was: Readiness, report: &ReadinessReport) -> SystemEvent {
    let (severity, said) = match report.readiness {
        Readiness::Ready => (Severity::Info, format!("`{id}` is ready again")),
        _ => (Severity::Warn, unreadiness(id, report)),
    };
    if severity == Severity::Warn {
        let accepts_some = report.accepts_some;
        tracing::warn!(integration = id, issues = ?report.issues, accepts_some, "an enabled integration is not ready");
    }
    SystemEvent::new("webhook.readiness.changed", said)
        .severity(severity)
        .about(id)
        .detail("from", json!(was))
        .detail("to", json!(report.readiness))
        .detail("accepts_some", report.readiness == Readiness::Ready || report.accepts_some)
        .detail("issues", json!(report.issues))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(of: &[(&str, Readiness)]) -> Reports {
        let report = |readiness| ReadinessReport {
            readiness,
            issues: vec!["mend it".to_owned()],
            accepts_some: readiness == Readiness::InvalidConfiguration,
        };
        of.iter().map(|(id, readiness)| ((*id).to_owned(), report(*readiness))).collect()
    }

    #[test]
    fn an_integration_is_counted_in_one_state_and_nothing_is_before_the_first_look() {
        use Readiness::{Disabled, Ready, SecretNotFound};
        let last_look = LastLook::default();
        assert_eq!((last_look.by_readiness(), last_look.complaint()), (None, None));
        let reports = reports(&[("a", Ready), ("b", SecretNotFound), ("c", Ready)]);
        last_look.set(Look { reports, disabled: 4 });
        let counted = last_look.by_readiness().unwrap();
        let counted: Vec<_> = counted.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(Ready, 2), (Disabled, 4), (SecretNotFound, 1)]);
        assert!(last_look.complaint().is_some_and(|told| told.contains(": b (1 in all)")));
    }

    #[test]
    fn integrations_that_accept_some_deliveries_are_named_apart_from_those_that_accept_none() {
        use Readiness::{InvalidConfiguration, SecretNotFound};
        let last_look = LastLook::default();
        let reports = reports(&[("a", InvalidConfiguration), ("b", SecretNotFound)]);
        last_look.set(Look { reports, disabled: 0 });
        assert_eq!(
            last_look.complaint().unwrap(),
            "enabled integrations that cannot verify deliveries: b (1 in all); enabled integrations that are not \
             ready, but still accept some deliveries: a (1 in all); `palyra webhooks show ID` says why"
        );
    }

    #[test]
    fn an_integration_that_accepts_none_any_more_is_told_of_again() {
        let (mut before, after) =
            (reports(&[("a", Readiness::SecretNotFound)]), reports(&[("a", Readiness::SecretNotFound)]));
        assert!(changes(&before, &after).is_empty());
        before.get_mut("a").unwrap().accepts_some = true;
        assert_eq!(ids_of(&changes(&before, &after)), ["a"]);
    }

    #[test]
    fn what_changed_is_told_once_and_what_is_well_from_the_start_is_not() {
        use Readiness::{Ready, SecretNotFound, SecretUnavailable};
        let looks = [
            (&[("a", Ready), ("b", SecretNotFound)][..], &["b"][..]),
            (&[("a", Ready), ("b", SecretNotFound)], &[]),
            (&[("a", SecretNotFound), ("b", SecretUnavailable)], &["a", "b"]),
            (&[("b", Ready)], &["b"]),
            (&[("a", Ready), ("b", Ready)], &[]),
        ];
        let mut before = Reports::new();
        for (now, told) in looks {
            let now = reports(now);
            assert_eq!(ids_of(&changes(&before, &now)), told);
            before = now;
        }
    }

    #[test]
    fn a_change_that_was_not_journaled_is_told_at_the_next_look() {
        use Readiness::{Ready, SecretNotFound};
        let before = reports(&[("a", SecretNotFound), ("c", SecretNotFound)]);
        let now = reports(&[("a", Ready), ("b", SecretNotFound), ("c", Ready)]);
        let told = as_told(before.clone(), now.clone(), &["a".to_owned(), "b".to_owned()]);
        assert_eq!(ids_of(&changes(&told, &now)), ["a", "b"]);
        assert!(changes(&as_told(before, now.clone(), &[]), &now).is_empty());
    }

    fn ids_of(changes: &[(String, SystemEvent)]) -> Vec<&str> {
        changes.iter().map(|(id, _)| id.as_str()).collect()
    }
}
