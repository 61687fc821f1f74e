//! `palyra journal backup`.

use std::io::{self, ErrorKind};
use std::path::Path;

use palyra_actors::journal::{self, JournalError};
use serde_json::json;

use super::verify;
use crate::cli::client::route;
use crate::cli::context::{Context, Need};
use crate::cli::error::CliError;
use crate::cli::view::shown;
use crate::exit::Exit;

fn refuse_without_journal(database: &Path) -> Result<(), CliError> {
    let shown = database.display();
    match database.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(CliError::config(format!("there is no journal to copy at `{shown}`"))
            .hint("name the state root that holds it with --state-root")),
        Err(error) => Err(CliError::config(format!("the journal at `{shown}` cannot be looked at: {error}"))),
    }
}

fn not_copied(error: &JournalError, file: &Path) -> CliError {
    let source = std::error::Error::source(error);
    let because = source.map(|source| format!(": {source}")).unwrap_or_default();
    let told = CliError::journal(error, format!("{error}{because}"));
    let JournalError::Backup { source: cause, .. } = error else { return told };
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(ErrorKind::AlreadyExists) => CliError::failed(format!("`{}` is there already", file.display()))
            .hint("name a file that is not there yet; nothing is written over"),
        Some(ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            told.hint("make its folder first, or name another")
        }
        Some(ErrorKind::PermissionDenied) => {
            told.hint("name a file in a folder that the user of this command may write to")
        }
        _ => told.hint("name a file on a disk with room"),
    }
}

/// Copies the journal and verifies the copy. A running daemon signs for what there is first, so that all of the copy
/// can be proven.
pub fn backup(file: &Path, context: &Context) -> Result<Exit, CliError> {
    let files = context.journal_files()?;
    refuse_without_journal(&files.database)?;
    if let Ok(connection) = context.connect(Need::Daemon) {
        connection.client.post(&route(&["journal", "checkpoint"]), &json!({}))?;
    }
    journal::backup(&files, file).map_err(|error| not_copied(&error, file))?;
    let mut verdict = verify::of_copy(file, 1, None, context)?;
    if let Some(members) = verdict.as_object_mut() {
        members.insert("file".to_owned(), json!(file));
    }
    let said = format!("{} events copied to {} and verified", shown(&verdict, "events"), file.display());
    let judged = verify::judge(&verdict)?;
    context.out.done(&verdict, &said)?;
    Ok(judged)
}
