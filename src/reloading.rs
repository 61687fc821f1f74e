//! `SIGHUP`: the registry and the operator's profiles are read again; the settings wait for a start.

use std::path::Path;

use palyra_actors::journal::{Severity, SystemEvent};
use palyra_actors::provider::Origin;
use palyra_actors::registry::{Changes, Profiles, Reload};
use serde_json::{Value, json};

use crate::daemon::journal_lifecycle;
use crate::http::Gate;
use crate::settings::Since;

/// Names of each kind that the event of a reload holds at most.
const RELOADED_NAMES_MAX: usize = 24;

/// It is journaled before it takes effect, and what came of it after.
pub async fn reload(gate: &Gate, settings_file: &Path) {
    let asked =
        SystemEvent::new("registry.reload.asked", "webhooks.toml and providers/ are to be read again");
    if let Err(error) = gate.actors.journal.append_system(asked).await {
        tracing::error!(%error, "nothing is read again: that cannot be journaled");
        return;
    }
    let event = match gate.actors.registry.ask(Reload).await {
        Ok(Ok(changes)) => {
            tell_hidden_profiles(gate).await;
            taken(&changes)
        }
        Ok(Err(error)) => {
            tracing::error!(%error, hint = error.hint(), "what is configured has a fault; what was in force stays so");
            let summary = "what is configured has a fault; what was in force stays so";
            SystemEvent::new("registry.reload.refused", summary)
                .severity(Severity::Error)
                .detail("fault", error.to_string())
        }
        Err(error) => {
            tracing::error!(%error, "the registry did not read its files again");
            return;
        }
    };
    warn_of_settings(gate, settings_file);
    journal_lifecycle(&gate.actors, event).await;
}

/// A profile under the name of a built-in one goes for every integration of that provider: it may be meant so, or not.
pub async fn tell_hidden_profiles(gate: &Gate) {
    let Ok(catalogue) = gate.actors.registry.ask(Profiles).await else { return };
    for profile in catalogue.iter() {
        if let Origin::Own { file, shadows_built_in: true } = profile.origin() {
            let (profile, file) = (profile.name(), file.display());
            tracing::warn!(profile, %file, "a profile of one's own takes the place of the built-in one");
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
        "webhooks.toml and providers/ were read again"
    );
    SystemEvent::new("registry.reloaded", "webhooks.toml and providers/ were read again")
        .detail("added", some_of(added))
        .detail("removed", some_of(removed))
        .detail("changed", some_of(changed))
        .detail("profiles", some_of(profiles))
}

/// `palyra.toml` is read at a start alone.
fn warn_of_settings(gate: &Gate, file: &Path) {
    match gate.settings.since(file) {
        Since::Same => {}
        Since::Changed => {
            tracing::warn!(file = %file.display(), "the settings were changed; they take effect with a restart");
        }
        Since::Faulty(error) => {
            let hint = error.hint.as_deref();
            tracing::warn!(%error, hint, "the settings have a fault; the next start would refuse them");
        }
    }
}

/// How many there are, and as many of their names as fit an event.
fn some_of(names: &[String]) -> Value {
    json!({ "count": names.len(), "names": names.iter().take(RELOADED_NAMES_MAX).collect::<Vec<_>>() })
}
