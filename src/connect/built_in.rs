//! What a command can learn without a state root: the built-in profiles.

use actix_web::ResponseError as _;
use palyra_actors::provider::Catalogue;
use serde_json::Value;

use crate::cli::{CliError, Connection, ConsoleClient, route};
use crate::http::console::providers;
use crate::http::problem::{Kind, Problem};

/// A connection that answers what the console answers about profiles, from the built-in ones. It starts and writes
/// nothing.
pub(super) fn built_in() -> Result<Connection, CliError> {
    let catalogue = Catalogue::built_in().map_err(|fault| CliError::config(fault.to_string()))?;
    let answer = move |route: &str| {
        answer(&catalogue, route).map_err(|problem| {
            CliError::problem(problem.status_code().as_u16(), Some(&problem.document()), None)
        })
    };
    Ok(Connection::to_daemon(ConsoleClient::answered_by(Box::new(answer))))
}

fn answer(catalogue: &Catalogue, asked: &str) -> Result<Value, Problem> {
    let all = route(&["providers"]);
    match asked.strip_prefix(&all) {
        Some("") => Ok(providers::all(catalogue)),
        Some(name) => {
            // A route has no `+`, `=` and `&` of its own, so this decodes it as the console does.
            let mut decoded = form_urlencoded::parse(name.trim_start_matches('/').as_bytes());
            providers::one(catalogue, &decoded.next().unwrap_or_default().0)
        }
        None => Err(Problem::new(Kind::NotFound)),
    }
}
