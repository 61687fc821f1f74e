//! `palyra system event list`, `show` and `emit`.

use palyra_actors::journal::Cursor;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::args::{EmitArgs, ListArgs, ShowArgs};
use super::pager::{Found, Window, collect};
use super::view;
use crate::cli::client::{ConsoleClient, route, with_query};
use crate::cli::context::{Context, Need};
use crate::cli::error::CliError;
use crate::cli::view::{items, shown};
use crate::exit::Exit;

pub(super) fn list(args: &ListArgs, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    let found = find(args, context, &connection.client)?;
    let document = found.to_json();
    context
        .out
        .answer(&document, |document| context.out.table_text(&view::events(items(document, "events"))))?;
    match (found.events.is_empty(), found.next_before) {
        (true, _) => context.out.note("no event matches"),
        (false, Some(before)) if args.after.is_none() => {
            context.out.note(&format!("for older events: --before {before}"))
        }
        _ => {}
    }
    Ok(Exit::Ok)
}

/// The events that `args` select.
pub(super) fn find(args: &ListArgs, context: &Context, client: &ConsoleClient) -> Result<Found, CliError> {
    let since = args.since.map(|since| since.resolve(context.clock.now_unix_ms()));
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    collect(Window { limit, after: args.after, before: args.before }, |cursor, limit| {
        let (after, before) = match cursor {
            Cursor::Newest => (None, None),
            Cursor::After(seq) => (Some(seq), None),
            Cursor::Before(seq) => (None, Some(seq)),
        };
        client.get(&with_query(
            route(&["system", "events"]),
            &[
                ("limit", Some(limit.to_string())),
                ("after", after.map(|seq| seq.to_string())),
                ("before", before.map(|seq| seq.to_string())),
                ("kind", args.kind.map(|kind| kind.as_str().to_owned())),
                ("name", args.name.clone()),
                ("integration", args.integration.clone()),
                ("severity", args.severity.map(|severity| severity.as_str().to_owned())),
                ("since", since.map(|since| since.to_string())),
                ("contains", args.contains.clone()),
            ],
        ))
    })
}

pub(super) fn show(args: &ShowArgs, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    if args.body {
        context.out.bytes(&connection.client.bytes(&route(&["system", "events", &args.event, "body"]))?)?;
        return Ok(Exit::Ok);
    }
    // The envelope may be larger than any other document, and its numbers must keep their exact text.
    let mut lines = connection.client.lines(&route(&["system", "events", &args.event]))?;
    let line = lines.next_line()?.unwrap_or_default();
    if context.out.mode().json {
        context.out.json_line(&line)?;
        context.out.flush()?;
        return Ok(Exit::Ok);
    }
    let Described { event, .. } = serde_json::from_str(&line)
        .map_err(|error| CliError::failed(format!("the console's answer is not JSON: {error}")))?;
    context.out.text(&view::event(&event.into()))?;
    Ok(Exit::Ok)
}

/// What is described of an event in text. The envelope is skipped: it may be large, and nested too deeply for a value.
#[derive(Deserialize)]
struct Described {
    #[serde(default, rename = "envelope")]
    _skipped: IgnoredAny,
    #[serde(flatten)]
    event: Map<String, Value>,
}

pub(super) fn emit(args: &EmitArgs, context: &Context) -> Result<Exit, CliError> {
    let mut event = json!({ "name": args.name, "severity": args.severity.as_str(), "tags": args.tags });
    if let Some(members) = event.as_object_mut() {
        members.extend(args.message.clone().map(|message| ("message".to_owned(), message.into())));
        members.extend(args.details.clone().map(|details| ("details".to_owned(), details.into())));
    }
    let connection = context.connect(Need::Daemon)?;
    let receipt = connection.client.post(&route(&["system", "events", "emit"]), &event)?;
    let [seq, id] = ["seq", "event_id"].map(|name| shown(&receipt, name));
    context.out.done(&receipt, &format!("recorded as seq {seq}, event id {id}"))?;
    Ok(Exit::Ok)
}
