//! The JSON documents of the console for integrations.

use std::sync::Arc;

use palyra_actors::registry::{Integration, ReadinessReport};
use serde_json::{Value, json};

use crate::service::AppState;
use crate::service::readiness::{report, reports};

/// An integration with its readiness.
pub async fn integration(app: &AppState, integration: &Integration) -> Value {
    integration_view(app, integration, &report(app, integration).await)
}

/// Integrations, each with its readiness.
pub async fn integrations(app: &AppState, integrations: &[Arc<Integration>]) -> Vec<Value> {
    let reports = reports(app, integrations.iter().map(AsRef::as_ref)).await;
    let reported = integrations.iter().zip(&reports);
    reported.map(|(integration, report)| integration_view(app, integration, report)).collect()
}

fn integration_view(app: &AppState, integration: &Integration, report: &ReadinessReport) -> Value {
    let record = &integration.record;
    let of_profile = integration.profile.as_ref().and_then(|profile| profile.replay_window_seconds());
    let mut view = json!(record);
    let members = [
        ("profile_replay_window_seconds", json!(of_profile)),
        ("url", json!(app.hook_url(&record.integration_id))),
        ("local_url", json!(app.local_url(&record.integration_id))),
        ("readiness", json!(report.readiness)),
        ("issues", json!(report.issues)),
    ];
    if let Some(view) = view.as_object_mut() {
        view.extend(members.map(|(name, value)| (name.to_owned(), value)));
    }
    view
}
