//! The connectors that run.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};
use palyra_actors::connectors::Presence;
use serde_json::json;

use crate::http::problem::Problem;
use crate::service::AppState;

/// `/connectors`.
pub fn routes(config: &mut ServiceConfig) {
    config.route("/connectors", web::get().to(list));
}

async fn list(app: Data<AppState>) -> Result<HttpResponse, Problem> {
    let asked = app.actors.connectors.ask(Presence).await;
    let connectors = asked.map_err(|error| Problem::unavailable(&error))?;
    Ok(HttpResponse::Ok().json(json!({"connectors": connectors})))
}
