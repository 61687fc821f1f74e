//! `SIGHUP` and `system reload`: reads the registry and the operator's profiles again. Settings are read only at a start.

use std::sync::Arc;

use palyra_actors::causes::in_full;
use palyra_actors::journal::{JournalError, Severity, SystemEvent};
use palyra_actors::provider::Origin;
use palyra_actors::registry::{Changes, Profiles, RegistryError, Reload};
use palyra_actors::supervision::DoorError;
use serde::Serialize;

use crate::service::AppState;
use crate::service::readiness;
use crate::service::under_way::Broken;
use crate::settings::Since;

/// The result of a reload.
#[derive(Debug, Serialize)]
pub struct Reloaded {
    /// What changed.
    #[serde(flatten)]
    pub changes: Changes,
    /// What has changed in `palyra.toml` since the start; `None` if nothing has.
    pub settings: Option<Waiting>,
    /// Enabled integrations that are not ready, with what each lacks.
    pub warnings: Vec<String>,
}

/// Changed settings that wait for the next start.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// What has changed.
    pub problem: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why a reload changed nothing, or may have changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotReloaded {
    /// It could not be journaled, and what cannot be recorded must not happen.
    #[error("nothing was reloaded, because the reload cannot be journaled")]
    Unjournaled(#[source] JournalError),
    /// A file has an error; the running configuration stays in force.
    #[error("{0}")]
    Refused(RegistryError),
    /// The registry was not there to read the files; nothing changed.
    #[error("the registry did not take the reload: {0}")]
    NotTaken(DoorError),
    /// The registry ended before it answered. The reload runs to its end nevertheless, so it may be in force.
    #[error("the registry did not confirm the reload: {0}; it is not known whether it is in force")]
    Unconfirmed(DoorError),
    /// It was not completed.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Reloads the files on behalf of `asked_by`. The reload is journaled before it takes effect, and its result afterwards. It
/// is completed even if this future is dropped because the client has disconnected or the daemon stops.
///
/// # Errors
/// Why nothing changed; that is also logged.
pub async fn reload(app: &Arc<AppState>, asked_by: &'static str) -> Result<Reloaded, NotReloaded> {
    let of_task = Arc::clone(app);
    app.changes.under_way.to_the_end(move || async move { read_again(&of_task, asked_by).await }).await?
}

async fn read_again(app: &AppState, asked_by: &str) -> Result<Reloaded, NotReloaded> {
    let asked =
        SystemEvent::new("registry.reload.asked", "a reload of webhooks.toml and providers/ was requested");
    if let Err(error) = app.actors.journal.append_system(asked.by(asked_by)).await {
        tracing::error!(error = %in_full(&error), "nothing was reloaded, because the reload cannot be journaled");
        return Err(NotReloaded::Unjournaled(error));
    }
    let _alone = app.changes.one_at_a_time.lock().await;
    let read = match app.actors.registry.ask(Reload).await {
        Ok(read) => read,
        Err(error) => return Err(unanswered(app, asked_by, error).await),
    };
    let event = match &read {
        Ok(changes) => {
            tell_hidden_profiles(app).await;
            taken(changes)
        }
        Err(error) => refused(error),
    };
    let settings = since_the_start(app);
    app.actors.journal.append_or_log(event.by(asked_by)).await;
    let changes = read.map_err(NotReloaded::Refused)?;
    Ok(Reloaded { changes, settings, warnings: warnings(app).await })
}

/// Journals what is known of a reload that the registry did not answer.
async fn unanswered(app: &AppState, asked_by: &str, error: DoorError) -> NotReloaded {
    let (name, summary, not_reloaded) = match error {
        DoorError::Lost => (
            "registry.reload.unknown",
            "the registry ended during the reload; it is not known whether the files are in force",
            NotReloaded::Unconfirmed(error),
        ),
        DoorError::NotRunning | DoorError::Full => (
            "registry.reload.refused",
            "nothing was reloaded, because the registry did not take the reload",
            NotReloaded::NotTaken(error),
        ),
    };
    tracing::error!(%error, "{summary}");
    let event = SystemEvent::new(name, summary).severity(Severity::Error).detail("fault", error.to_string());
    app.actors.journal.append_or_log(event.by(asked_by)).await;
    not_reloaded
}

async fn warnings(app: &AppState) -> Vec<String> {
    if readiness::look_anew(app).await {
        return app.health.last_look.warnings();
    }
    vec![
        "the enabled integrations could not be checked in time: some may be unable to verify deliveries"
            .to_owned(),
    ]
}

/// Warns of profiles that replace a built-in one, for every integration of that provider: it may be intended or a mistake.
pub async fn tell_hidden_profiles(app: &AppState) {
    let Ok(catalogue) = app.actors.registry.ask(Profiles).await else { return };
    for profile in catalogue.iter() {
        if let Origin::Own { file, shadows_built_in: true } = profile.origin() {
            let (profile, file) = (profile.name(), file.display());
            tracing::warn!(profile, %file, "a profile in providers/ replaces the built-in one of the same name");
        }
    }
}

fn taken(changes: &Changes) -> SystemEvent {
    let Changes { added, removed, changed, profiles } = changes;
    tracing::info!(
        added = added.len(),
        removed = removed.len(),
        changed = changed.len(),
        profiles = profiles.len(),
        "webhooks.toml and providers/ were reloaded"
    );
    SystemEvent::new("registry.reloaded", "webhooks.toml and providers/ were reloaded")
        .names("added", added)
        .names("removed", removed)
        .names("changed", changed)
        .names("profiles", profiles)
}

fn refused(error: &RegistryError) -> SystemEvent {
    let summary =
        "the reload was refused because of an error in the files; the previous configuration stays in force";
    tracing::error!(%error, hint = error.hint(), "{summary}");
    SystemEvent::new("registry.reload.refused", summary)
        .severity(Severity::Error)
        .detail("fault", error.to_string())
}

/// `palyra.toml` is read at a start only. Reports and logs what has changed since.
fn since_the_start(app: &AppState) -> Option<Waiting> {
    match app.settings.since() {
        Since::Same => None,
        Since::Changed => {
            let told = "palyra.toml was changed; the new settings take effect after a restart";
            tracing::warn!("{told}");
            Some(Waiting { problem: told.to_owned(), hint: None })
        }
        Since::Faulty(error) => {
            let told = "palyra.toml has an error, and the next start would refuse it";
            tracing::warn!(%error, hint = error.hint.as_deref(), "{told}");
            Some(Waiting { problem: format!("{told}: {error}"), hint: error.hint })
        }
    }
}
