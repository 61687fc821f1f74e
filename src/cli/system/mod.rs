//! `palyra system`: how the daemon is, and what happened.

mod args;
mod events;
mod pager;
mod tail;
mod view;

use serde_json::Value;

use args::EventCommand;
pub use args::SystemCommand;

use super::client::route;
use super::context::{Context, Need};
use super::error::CliError;
use crate::exit::Exit;

/// Runs a command for the daemon and its events.
pub fn run(command: SystemCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        SystemCommand::Heartbeat => report("heartbeat", view::heartbeat, context),
        SystemCommand::Presence => {
            report("presence", |presence| view::presence(presence, &context.out), context)
        }
        SystemCommand::Insights => {
            report("insights", |insights| view::insights(insights, &context.out), context)
        }
        SystemCommand::Event(EventCommand::List(args)) => events::list(&args, context),
        SystemCommand::Event(EventCommand::Emit(args)) => events::emit(&args, context),
        SystemCommand::Event(EventCommand::Tail(args)) => tail::run(&args, context),
    }
}

fn report(what: &str, text: impl FnOnce(&Value) -> String, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::Daemon)?;
    let report = connection.client.get(&route(&["system", what]))?;
    context.out.answer(&report, text)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests;
