//! `palyra system`: the health of the daemon, and its events.

mod args;
mod events;
mod pager;
mod tail;
mod view;

use serde_json::{Value, json};

use args::EventCommand;
pub use args::SystemCommand;

use super::client::route;
use super::context::{Context, Need};
use super::error::CliError;
use super::text::visible_lines;
use super::view::{items, show, text};
use crate::exit::Exit;

/// Runs a command for the daemon and its events.
pub fn run(command: SystemCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        SystemCommand::Heartbeat => heartbeat(context),
        SystemCommand::Presence => {
            report("presence", |presence| view::presence(presence, &context.out), context)?;
            Ok(Exit::Ok)
        }
        SystemCommand::Insights => {
            report("insights", |insights| view::insights(insights, &context.out), context)?;
            Ok(Exit::Ok)
        }
        SystemCommand::Metrics => metrics(context),
        SystemCommand::Reload => reload(context),
        SystemCommand::Event(EventCommand::List(args)) => events::list(&args, context),
        SystemCommand::Event(EventCommand::Show(args)) => events::show(&args, context),
        SystemCommand::Event(EventCommand::Emit(args)) => events::emit(&args, context),
        SystemCommand::Event(EventCommand::Tail(args)) => tail::run(&args, context),
    }
}

/// An unhealthy daemon gives a failure exit code, for scripts.
fn heartbeat(context: &Context) -> Result<Exit, CliError> {
    let heartbeat = report("heartbeat", view::heartbeat, context)?;
    Ok(if text(&heartbeat, "status") == "ok" { Exit::Ok } else { Exit::Failed })
}

/// Prints the page unchanged.
fn metrics(context: &Context) -> Result<Exit, CliError> {
    let page = context.connect(Need::Daemon)?.client.bytes(&route(&["metrics"]))?;
    let page = String::from_utf8_lossy(&page);
    context.out.answer(&json!({ "metrics": page }), |_| visible_lines(&page))?;
    Ok(Exit::Ok)
}

fn reload(context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::Daemon)?;
    let reloaded = connection.client.post(&route(&["system", "reload"]), &json!({}))?;
    context.out.answer(&reloaded, view::reloaded)?;
    if let Some(settings) = reloaded.get("settings").filter(|settings| settings.is_object()) {
        let next = settings.get("hint").and_then(Value::as_str).unwrap_or("restart the daemon");
        context.out.warn(text(settings, "problem"), next);
    }
    for warning in items(&reloaded, "warnings") {
        context
            .out
            .warn(&show(warning), "correct this; `palyra system heartbeat` says when everything is in order");
    }
    Ok(Exit::Ok)
}

fn report(what: &str, text: impl FnOnce(&Value) -> String, context: &Context) -> Result<Value, CliError> {
    let connection = context.connect(Need::Daemon)?;
    let report = connection.client.get(&route(&["system", what]))?;
    context.out.answer(&report, text)?;
    Ok(report)
}

#[cfg(test)]
mod tests;
