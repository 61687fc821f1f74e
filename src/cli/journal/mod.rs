//! `palyra journal`: proof that nothing was changed, and everything to take away.
//!
//! `verify`, `backup` and `export --database` read the files directly, with or without a running daemon, so that even a
//! journal that no daemon would open gets a verdict. `check-proof` needs neither journal nor daemon. The others ask the
//! console.

mod copy;
mod export;
mod proofs;
#[cfg(test)]
mod tests;
mod verify;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Commands for the journal as a whole.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Verify every event, the hash chain and tree over them, and every signed checkpoint; exit code 65 if something
    /// was changed or is missing
    #[command(after_long_help = "\
Examples:
  palyra journal verify
  palyra journal verify --public-key kept-elsewhere.pub
  palyra journal verify --from 1000000
  palyra journal verify --database backup.db
  palyra --json journal verify | jq .head_hash")]
    Verify(VerifyArgs),
    /// Print the proof that an event is in the journal
    #[command(after_long_help = "\
Examples:
  palyra journal prove 17 > proof.json
  palyra journal prove 01ARZ3NDEKTSV4RRFFQ69G5FAV > proof.json
  palyra journal check-proof proof.json --public-key journal.pub")]
    Prove {
        /// Seq or event id of the event
        #[arg(value_name = "SEQ|EVENT_ID", value_parser = NonEmptyStringValueParser::new())]
        event: String,
    },
    /// Check a proof against a public key; needs neither journal nor daemon
    #[command(after_long_help = "\
Example:
  palyra journal check-proof proof.json --public-key journal.pub")]
    CheckProof(CheckArgs),
    /// Print the proof that a later checkpoint contains an earlier one
    #[command(after_long_help = "\
OLD and NEW are sizes, or files with checkpoints you kept. With a file, the proof also shows that this is still the journal
that the checkpoint was signed for.

Examples:
  palyra journal consistency 1000 2000 > proof.json
  palyra journal consistency checkpoint-of-january newest > proof.json")]
    Consistency {
        /// Size (number of events) of the earlier checkpoint, or a file that holds it
        old: String,
        /// Size of the later checkpoint, a file that holds it, or `newest`
        new: String,
    },
    /// Sign a checkpoint over all events so far, and print it
    #[command(after_long_help = "\
Example:
  palyra journal checkpoint > checkpoint-of-today")]
    Checkpoint,
    /// Print the public key of the journal; keep it on another machine
    #[command(after_long_help = "\
Example:
  palyra journal public-key > journal.pub")]
    PublicKey,
    /// Copy the journal to a new file while the daemon runs, verify the copy, and compare it with the anchor; exit
    /// code 65 if an acknowledged event is missing or something was changed
    #[command(after_long_help = "\
Example:
  palyra journal backup /backups/palyra-monday.db

After exit code 65 the file holds all that is left of the journal. Delete older backups only after a backup with exit code 0.")]
    Backup {
        /// File to create
        file: PathBuf,
    },
    /// Print every event as NDJSON, webhook events with their envelope under `envelope`
    #[command(after_long_help = "\
Examples:
  palyra journal export > journal.ndjson
  palyra journal export --after 1200 --limit 100 --integration github
  palyra journal export --database damaged.db > what-is-left.ndjson
  palyra journal export | jq -c 'select(.kind == \"webhook\") | .envelope'")]
    Export(ExportArgs),
}

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Only events after this seq
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// Most events to print
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Only events of this integration
    #[arg(long, value_name = "ID")]
    integration: Option<String>,
    /// Read this file instead of the state root's journal, and go on past events that cannot be read; exit code 65 if
    /// there are any
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Read events from this seq on; earlier events are not read, and their stored hashes are trusted
    #[arg(long, value_name = "SEQ", default_value_t = 1)]
    pub from: u64,
    /// File with the public key that must have signed the journal's checkpoints
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// Verify this copy instead of the state root's journal
    #[arg(long, value_name = "FILE")]
    pub database: Option<PathBuf>,
}

/// Arguments of `check-proof`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// File with the proof
    pub file: PathBuf,
    /// File with the journal's public key
    #[arg(long, value_name = "FILE")]
    pub public_key: PathBuf,
}

/// Runs a command for the journal.
pub fn run(command: JournalCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        JournalCommand::Verify(args) => verify::run(&args, context),
        JournalCommand::Prove { event } => proofs::prove(&event, context),
        JournalCommand::CheckProof(args) => proofs::check(&args, context),
        JournalCommand::Consistency { old, new } => proofs::consistency(&old, &new, context),
        JournalCommand::Checkpoint => proofs::checkpoint(context),
        JournalCommand::PublicKey => proofs::public_key(context),
        JournalCommand::Backup { file } => copy::backup(&file, context),
        JournalCommand::Export(args) => export::run(&args, context),
    }
}
