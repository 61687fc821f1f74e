//! `palyra system event tail`: the latest events, then new ones.

use std::time::Duration;

use serde_json::Value;

use super::args::{ListArgs, TailArgs};
use super::events::find;
use super::pager::seq;
use super::view;
use crate::cli::client::{route, with_query};
use crate::cli::context::{Context, Need};
use crate::cli::error::{CliError, Kind};
use crate::cli::sse::FrameParser;
use crate::exit::Exit;

/// Number of past events shown first.
const LATEST_EVENTS: u64 = 20;
/// Consecutive attempts to reconnect to the daemon; then exit code 69.
const ATTEMPTS_MAX: u32 = 10;
/// Longest pause between two attempts, in seconds.
const PAUSE_SECONDS_MAX: u64 = 15;

pub(super) fn run(args: &TailArgs, context: &Context) -> Result<Exit, CliError> {
    let latest = {
        // Past events can be read without a daemon; new ones need one.
        let need = if args.follow { Need::Daemon } else { Need::WithoutIntegrations };
        let connection = context.connect(need)?;
        find(&ListArgs { limit: LATEST_EVENTS, ..ListArgs::default() }, context, &connection.client)?
    };
    latest.events.iter().try_for_each(|event| print(event, context))?;
    context.out.flush()?;
    if args.follow { follow(latest.next_after.unwrap_or(0), context) } else { Ok(Exit::Ok) }
}

fn print(event: &Value, context: &Context) -> Result<(), CliError> {
    if context.out.mode().json {
        context.out.json_line(&event.to_string())
    } else {
        context.out.text(&view::event_line(event))
    }
}

/// Prints the events after `after`, until the output is closed or the daemon stays unreachable.
fn follow(after: u64, context: &Context) -> Result<Exit, CliError> {
    let mut progress = Progress { after, attempts: 0 };
    loop {
        let lost = match stream(&mut progress, context) {
            // The daemon ends each stream after a while; the next one continues from there.
            Ok(Brought::Lines) => continue,
            Ok(Brought::Nothing) => CliError::unreachable("the daemon closed the event stream"),
            Err(error) if may_come_back(&error) => error,
            Err(error) => return Err(error),
        };
        progress.attempts += 1;
        if progress.attempts > ATTEMPTS_MAX {
            return Err(lost);
        }
        let pause = pause_after(progress.attempts);
        context.out.note(&format!("{lost}; trying again in {} s", pause.as_secs()));
        (context.pause)(pause);
    }
}

/// What a stream delivered before it ended.
enum Brought {
    /// Events or keep-alives.
    Lines,
    /// Nothing at all.
    Nothing,
}

/// The state of following the events.
struct Progress {
    /// The last event printed.
    after: u64,
    /// Failed attempts since something was last received.
    attempts: u32,
}

fn may_come_back(error: &CliError) -> bool {
    matches!(error.kind, Kind::Unreachable | Kind::NoDaemon | Kind::Problem { status: 503, .. })
}

/// 1, 2, 4, 8, then 15 seconds.
fn pause_after(attempts: u32) -> Duration {
    let seconds = 1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(PAUSE_SECONDS_MAX);
    Duration::from_secs(seconds.min(PAUSE_SECONDS_MAX))
}

/// Follows one stream to its end. The address of the daemon is looked up each time, because a restart may change it.
fn stream(progress: &mut Progress, context: &Context) -> Result<Brought, CliError> {
    let connection = context.connect(Need::Daemon)?;
    let after = progress.after.to_string();
    let from = with_query(route(&["system", "events", "stream"]), &[("after", Some(after))]);
    let mut lines = connection.client.lines(&from)?;
    let (mut parser, mut brought) = (FrameParser::default(), Brought::Nothing);
    while let Some(line) = lines.next_line()? {
        progress.attempts = 0;
        brought = Brought::Lines;
        let Some(frame) = parser.push(&line) else { continue };
        let event: Value = serde_json::from_str(&frame.data).map_err(|error| {
            CliError::failed(format!("the event stream has an event that is not JSON: {error}"))
        })?;
        if seq(&event) > progress.after {
            progress.after = seq(&event);
            print(&event, context)?;
            context.out.flush()?;
        }
    }
    Ok(brought)
}

#[cfg(test)]
mod tests;
