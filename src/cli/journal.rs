//! `palyra journal`: proof that nothing was changed, and everything to take away.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::route;
use super::context::{Context, Need};
use super::error::CliError;
use super::table::{Fields, Table, Tone};
use super::view::{is_true, items, shown};
use crate::exit::Exit;

/// Commands for the journal as a whole.
#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Verify every event and the chain over them; exit code 65 when something was changed
    #[command(after_long_help = "\
Examples:
  palyra journal verify
  palyra --json journal verify | jq .head_hash")]
    Verify,
    /// Print every event as NDJSON, webhook events with their envelope under `envelope`
    #[command(after_long_help = "\
Examples:
  palyra journal export > journal.ndjson
  palyra journal export | jq -c 'select(.kind == \"webhook\") | .envelope'")]
    Export,
}

/// Runs a command for the journal.
pub fn run(command: JournalCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        JournalCommand::Verify => verify(context),
        JournalCommand::Export => export(context),
    }
}

fn verify(context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let verdict = connection.client.post_patiently(&route(&["journal", "verify"]), &json!({}))?;
    context.out.answer(&verdict, |verdict| verdict_text(verdict, context))?;
    if is_true(&verdict, "verified") {
        return Ok(Exit::Ok);
    }
    let problems = match items(&verdict, "problems").count() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    Err(CliError::does_not_verify(format!("the journal does not verify: {problems}")).hint(
        "stop the daemon, keep a copy of the state root as it is, and compare with a backup or an export",
    ))
}

fn verdict_text(verdict: &Value, context: &Context) -> String {
    let mut fields = Fields::default();
    let verified = is_true(verdict, "verified");
    let (tone, word) = if verified { (Tone::Good, "yes") } else { (Tone::Bad, "NO") };
    fields.toned(tone, "verified", word);
    for (label, name) in [("events", "events"), ("head seq", "head_seq"), ("head hash", "head_hash")] {
        fields.add(label, shown(verdict, name));
    }
    fields.add("took", format!("{} ms", shown(verdict, "elapsed_ms")));
    if verified {
        return fields.render(0);
    }
    let mut problems = Table::new(&["seq", "problem"]).right(0);
    for problem in items(verdict, "problems") {
        problems.row(Tone::Bad, ["seq", "problem"].map(|name| shown(problem, name)));
    }
    format!("{}\n{}", fields.render(0), context.out.table_text(&problems))
}

fn export(context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let mut lines = connection.client.lines(&route(&["journal", "export"]))?;
    let mut exported = 0_u64;
    loop {
        match lines.next_line() {
            Ok(Some(line)) => context.out.json_line(&line)?,
            Ok(None) => break,
            Err(broken) => {
                context.out.flush()?;
                let message = format!("the export broke off after {exported} events: {broken}");
                return Err(CliError { message, ..broken });
            }
        }
        exported += 1;
    }
    context.out.flush()?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests;
