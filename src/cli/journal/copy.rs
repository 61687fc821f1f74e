//! `palyra journal backup`.

use std::path::Path;

use palyra_actors::journal;
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

/// Copies the journal and verifies the copy. A running daemon signs for what there is first, so that all of the copy
/// can be proven.
pub fn backup(file: &Path, context: &Context) -> Result<Exit, CliError> {
    let files = context.journal_files()?;
    refuse_without_journal(&files.database)?;
    if let Ok(connection) = context.connect(Need::Daemon) {
        connection.client.post(&route(&["journal", "checkpoint"]), &json!({}))?;
    }
    journal::backup(&files, file).map_err(|error| {
        let because =
            std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        CliError::journal(&error, format!("{error}{because}"))
            .hint("name a file that is not there yet, on a disk with room")
    })?;
    let mut verdict = verify::of_copy(file, 1, None, context)?;
    if let Some(members) = verdict.as_object_mut() {
        members.insert("file".to_owned(), json!(file));
    }
    let said = format!("{} events copied to {} and verified", shown(&verdict, "events"), file.display());
    let judged = verify::judge(&verdict)?;
    context.out.done(&verdict, &said)?;
    Ok(judged)
}
