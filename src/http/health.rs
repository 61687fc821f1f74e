//! The health checks for load balancers and process managers.
//!
//! `/healthz`: the process answers. `/readyz`: the data path works, including a commit.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpResponse, guard, web};
use serde_json::json;

use crate::http::problem::RETRY_AFTER_SECONDS;
use crate::service::AppState;
use crate::service::probe::is_ready;

/// `/healthz` and `/readyz`, by `GET` and `HEAD`. They need no token.
pub fn routes(config: &mut ServiceConfig) {
    let asked = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .service(web::resource("/healthz").route(asked().to(alive)))
        .service(web::resource("/readyz").route(asked().to(ready)));
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({"status": "alive"}))
}

/// The answer gives no reasons; only the console does.
async fn ready(app: Data<AppState>) -> HttpResponse {
    let ready = is_ready(&app).await;
    let (status, text) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    let mut answer = HttpResponse::build(status);
    if !ready {
        answer.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS.to_string()));
    }
    answer.insert_header((CACHE_CONTROL, "no-store")).json(json!({"status": text}))
}
