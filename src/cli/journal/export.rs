//! `palyra journal export`.

use std::ops::ControlFlow;
use std::path::Path;

use palyra_actors::journal::{Gap, Salvaged, StoredEvent, salvage};
use serde_json::Value;

use super::ExportArgs;
use super::verify::{not_read, refuse_other_file, refuse_without_file};
use crate::cli::client::{route, with_query};
use crate::cli::context::{Context, Need};
use crate::cli::error::CliError;
use crate::event_document;
use crate::exit::Exit;

/// Prints the events of the journal, or those that are left in a file.
pub fn run(args: &ExportArgs, context: &Context) -> Result<Exit, CliError> {
    match &args.database {
        Some(file) => of_a_file(file, args, context),
        None => of_the_console(args, context),
    }
}

/// Prints every sound event of a file, and says what it left out.
fn of_a_file(file: &Path, args: &ExportArgs, context: &Context) -> Result<Exit, CliError> {
    let refused =
        |error: CliError| error.hint("name the database of a journal, such as a damaged `journal.db`");
    refuse_without_file(file).and_then(|()| refuse_other_file(file)).map_err(refused)?;
    let (mut left, mut written) = (args.limit.unwrap_or(u64::MAX), Ok(()));
    let is_asked_for =
        |event: &StoredEvent| args.integration.is_none() || event.integration_id == args.integration;
    let salvaged = salvage(file, args.after.unwrap_or_default(), |event| {
        if is_asked_for(&event) {
            written = context.out.json_line(&event_document::whole(&event));
            left -= 1;
        }
        if left == 0 || written.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    written?;
    context.out.flush()?;
    let salvaged = salvaged.map_err(|error| not_read(&error))?;
    refuse_beyond_the_newest(args.after, &salvaged)?;
    if salvaged.gaps_total == 0 { Ok(Exit::Ok) } else { Err(incomplete(file, &salvaged)) }
}

/// If `--after` is beyond the newest event, nothing was exported, which would look complete.
fn refuse_beyond_the_newest(after: Option<u64>, salvaged: &Salvaged) -> Result<(), CliError> {
    match (after, salvaged.newest) {
        (Some(after), Some(newest)) if after > newest => Err(CliError::failed(format!(
            "--after {after} is beyond the newest event in the file, which has seq {newest}"
        ))
        .hint(
            "events after that are not in this file; `palyra journal verify` says whether any are missing",
        )),
        _ => Ok(()),
    }
}

fn incomplete(file: &Path, salvaged: &Salvaged) -> CliError {
    let message = format!("the export is not complete: events of `{}` could not be read", file.display());
    let hint = "keep the file; what is printed is sound, but only `palyra journal verify --database` tells whether it is what was \
                journaled";
    let mut told = CliError::does_not_verify(message).hint(hint);
    told.issues = salvaged.gaps.iter().map(gap_text).collect();
    let more = salvaged.gaps_total - salvaged.gaps.len();
    told.issues.extend((more > 0).then(|| format!("{more} more gaps")));
    told
}

fn gap_text(Gap { first, last, problem }: &Gap) -> String {
    match last {
        None => format!("seq {first} and all after it: {problem}"),
        Some(last) if last == first => format!("seq {first}: {problem}"),
        Some(last) => format!("seq {first} to {last}: {problem}"),
    }
}

fn of_the_console(args: &ExportArgs, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    let asked = [
        ("after", args.after.map(|seq| seq.to_string())),
        ("limit", args.limit.map(|limit| limit.to_string())),
        ("integration", args.integration.clone()),
    ];
    let mut lines = connection.client.lines(&with_query(route(&["journal", "export"]), &asked))?;
    let mut exported = 0_u64;
    loop {
        match lines.next_line() {
            Ok(Some(line)) => match last_words(&line) {
                None => context.out.json_line(&line)?,
                Some(why) => return broke_off(exported, why, context),
            },
            Ok(None) => break,
            Err(why) => return broke_off(exported, why, context),
        }
        exported += 1;
    }
    context.out.flush()?;
    Ok(Exit::Ok)
}

/// The error in the last line of an export that broke off; `None` if the line is an event.
fn last_words(line: &str) -> Option<CliError> {
    let line = line.starts_with("{\"problem\":").then(|| serde_json::from_str::<Value>(line).ok())??;
    Some(CliError::problem(503, line.get("problem"), None))
}

fn broke_off(exported: u64, why: CliError, context: &Context) -> Result<Exit, CliError> {
    context.out.flush()?;
    let message = format!("the export ended early, after {exported} events: {why}");
    Err(CliError { message, ..why })
}
