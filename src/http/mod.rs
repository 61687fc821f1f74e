//! The HTTP layer: turns requests into messages to the actors, and their answers into responses.
//!
//! [`ingress`] is the path of a delivery, [`console`] the admin API, [`health`] serves health checks. Both listeners share
//! one [`AppState`]; nothing here keeps state of its own beyond counters and permits.

pub mod body;
pub mod connection;
pub mod console;
pub mod delivery;
pub mod health;
pub mod ingress;
pub mod problem;

use actix_web::http::{Method, Uri};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};

use crate::service::AppState;
use crate::service::counters::NONE;
use ingress::{Delivery, Head};
use problem::{Kind, Problem};

impl AppState {
    /// The answer that refuses a delivery, counted under `id` only if that is an existing integration, since a stranger may
    /// ask for any id.
    fn respond_and_count(&self, id: &str, problem: &Problem) -> HttpResponse {
        let is_in_force = self.actors.integrations.lookup(id).is_some();
        self.counters.count(if is_in_force { id } else { NONE }, problem.kind().entry().1);
        problem.error_response()
    }
}

/// The routes of the ingress. Hooks are matched by hand: a pattern would run a regular expression for every delivery.
pub fn ingress_routes(config: &mut ServiceConfig) {
    config.configure(health::routes).default_service(web::to(hook));
}

async fn hook(request: HttpRequest, payload: Payload, app: Data<AppState>) -> HttpResponse {
    let Some(id) = hook_id(request.uri()) else {
        return nothing_here().await;
    };
    let delivery = Delivery { app: &app, head: Head::of(&request), id: id.to_owned() };
    let answered = match *request.method() {
        Method::POST => ingress::deliver(&delivery, payload).await,
        _ => delivery::handshake::answer(&delivery).await,
    };
    answered.unwrap_or_else(|problem| app.respond_and_count(&delivery.id, &delivery.remember(problem)))
}

/// The integration id in the path: everything after `/hooks/`, undecoded. A valid id has no character that needs encoding,
/// so an encoded id, or one with more path behind it, matches no integration.
fn hook_id(uri: &Uri) -> Option<&str> {
    match uri.path().strip_prefix("/hooks")? {
        "" => Some(""),
        below => below.strip_prefix('/'),
    }
}

async fn nothing_here() -> HttpResponse {
    Problem::new(Kind::NotFound).error_response()
}
