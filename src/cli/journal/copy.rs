//! `palyra journal backup`.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use palyra_actors::journal::{self, JournalError, JournalFiles, verify_copy};
use serde_json::{Value, json};

use super::verify::{does_not_verify, not_read, verdict_of};
use crate::cli::client::route;
use crate::cli::context::{Context, Need};
use crate::cli::error::{CliError, Kind, how_to_make_room};
use crate::cli::view::{is_true, items, shown};
use crate::exit::Exit;
use crate::state_root::is_reserved;

/// Most problems that are listed for a copy; `journal verify` lists all.
const PROBLEMS_TOLD_MAX: usize = 10;

fn refuse_without_journal(files: &JournalFiles) -> Result<(), CliError> {
    if let Some(lost) = journal::lost(files).map_err(|error| not_read(&error))? {
        let told = behind(&lost.to_json(Duration::ZERO), "nothing was copied");
        return Err(told);
    }
    let shown = files.database.display();
    match files.database.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::config(format!("there is no journal to copy at `{shown}`"))
            .hint("name the state root that holds it with --state-root")),
        Err(error) => Err(CliError::config(format!("the journal at `{shown}` cannot be examined: {error}"))),
    }
}

/// Refuses a file that the next start would take for one of its own.
fn refuse_name_of_ours(files: &JournalFiles, file: &Path) -> Result<(), CliError> {
    if !is_reserved(files, file) {
        return Ok(());
    }
    let told = format!("palyra keeps `{}` for itself", file.display());
    Err(CliError::usage(told).hint("name a file outside the state root, on another disk if possible"))
}

/// The error for a journal that is incomplete or was changed. Whoever keeps backups must not replace a good one with this
/// copy.
fn behind(verdict: &Value, made: &str) -> CliError {
    let mut told = does_not_verify("journal", verdict)
        .hint("keep the backups you have, and delete none of them for this one; `palyra journal verify` lists every problem");
    told.message.push_str(&format!("; {made}"));
    told.issues = items(verdict, "problems").take(PROBLEMS_TOLD_MAX).map(problem_text).collect();
    told
}

/// A problem on one line; one that concerns the file as a whole has no seq.
fn problem_text(one: &Value) -> String {
    let problem = shown(one, "problem");
    match one.get("seq").and_then(Value::as_u64) {
        Some(seq @ 1..) => format!("seq {seq}: {problem}"),
        _ => problem,
    }
}

fn not_copied(error: &JournalError, file: &Path) -> CliError {
    let told = not_read(error);
    let JournalError::Backup { source: cause, .. } = error else { return told };
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(ErrorKind::AlreadyExists) => CliError::failed(format!("`{}` exists already", file.display()))
            .hint("name a file that does not exist yet; existing files are not overwritten"),
        Some(ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            told.hint("create its folder first, or name another file")
        }
        Some(ErrorKind::PermissionDenied) => {
            told.hint("name a file in a folder that the user of this command may write to")
        }
        Some(kind @ ErrorKind::FileTooLarge) => told.hint(how_to_make_room(kind)),
        _ if error.is_fault_of_the_disk() => told,
        _ if error.is_for_damage() => told.hint("run `palyra journal verify`; keep the backups you have"),
        _ => told.hint("name a file on a disk with enough free space"),
    }
}

/// Asks a running daemon to sign a checkpoint, so that every event in the copy can be proven. If that fails, the copy is
/// made all the same: a failing journal needs a backup most of all.
fn sign_for_what_there_is(context: &Context) {
    let connection = context.connect(Need::Daemon);
    let signed =
        connection.and_then(|found| found.client.post(&route(&["journal", "checkpoint"]), &json!({})));
    let Err(CliError { kind, message, hint, .. }) = signed else { return };
    if kind != Kind::NoDaemon {
        let next = hint.unwrap_or_else(|| "`palyra system heartbeat` says what is wrong".to_owned());
        context.out.warn(
            &format!(
                "the newest events are copied without a signed checkpoint over them, because none could be made: {message}"
            ),
            &next,
        );
    }
}

/// Copies the journal, verifies the copy, and compares it with what was acknowledged and signed before.
pub fn backup(file: &Path, context: &Context) -> Result<Exit, CliError> {
    let files = context.journal_files()?;
    refuse_name_of_ours(&files, file)?;
    refuse_without_journal(&files)?;
    sign_for_what_there_is(context);
    let before = journal::backup(&files, file).map_err(|error| not_copied(&error, file))?;
    let mut verdict = verdict_of(context, |on_progress| verify_copy(file, before, on_progress))?;
    let shown_file = file.display().to_string();
    if !is_true(&verdict, "verified") {
        return Err(behind(&verdict, &format!("what is left of it was copied to {shown_file}")));
    }
    let said = format!("{} events copied to {shown_file} and verified", shown(&verdict, "events"));
    if let Some(members) = verdict.as_object_mut() {
        members.insert("file".to_owned(), json!(shown_file));
    }
    context.out.done(&verdict, &said)?;
    Ok(Exit::Ok)
}
