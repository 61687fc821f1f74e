//! The admin API: `/console/v1/…`, on its own listener.
//!
//! Every request passes [`auth`]; every change is journaled before it takes effect. Handlers turn requests into messages,
//! and the replies into the documents of [`views`].

mod audit;
mod auth;
mod connectors;
mod dispatch;
mod events;
mod explain;
pub mod exposition;
mod input;
mod journal;
mod metrics;
mod particulars;
pub mod providers;
mod query;
mod snapshots;
mod stream;
mod system;
mod vault;
mod views;
mod webhooks;
mod workbench;

use actix_web::middleware::from_fn;
use actix_web::web::{self, ServiceConfig};

pub use auth::{Token, close_to_strangers};

use super::health;

/// Largest body of a console request: a payload of 25 MiB in base64, with some margin.
const CONSOLE_BODY_BYTES_MAX: usize = 36 * 1024 * 1024;

/// The routes of the console.
pub fn routes(config: &mut ServiceConfig, token: &Token) {
    let api = web::scope("/console/v1")
        .app_data(web::Data::new(token.clone()))
        .app_data(input::json_config(CONSOLE_BODY_BYTES_MAX))
        .wrap(from_fn(auth::guard))
        // Scopes are tried in order, and each pattern with a parameter is a regular expression, so the most frequent come
        // first.
        .configure(events::routes)
        .configure(system::routes)
        .configure(metrics::routes)
        .configure(webhooks::routes)
        .configure(explain::routes)
        .configure(workbench::routes)
        .configure(dispatch::routes)
        .configure(vault::routes)
        .configure(providers::routes)
        .configure(connectors::routes)
        .configure(journal::routes)
        .default_service(web::to(super::nothing_here));
    // Health needs no token, because some probes can only reach this listener.
    config.service(api).configure(health::routes).default_service(web::to(super::nothing_here));
}
