//! `palyra journal verify`.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use palyra_actors::journal::{JournalFiles, Scope, VerifyReport, verify_with};
use palyra_actors::tlog::VerifierKey;
use serde_json::Value;

use super::VerifyArgs;
use super::proofs::read_key;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::table::{Fields, Table, Tone};
use crate::cli::view::{is_true, items, shown};
use crate::exit::Exit;

/// Verifies the journal of the state root, or a copy.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<Exit, CliError> {
    let public_key = args.public_key.as_deref().map(read_key).transpose()?;
    let verdict = match &args.database {
        Some(copy) => of_copy(copy, args.from, public_key, context)?,
        None => {
            let scope = Scope { from: args.from, public_key, is_copy: false };
            of(&context.journal_files()?, &scope, context)?
        }
    };
    refuse_beyond_the_newest(args.from, &verdict)?;
    context.out.answer(&verdict, |verdict| verdict_text(verdict, context))?;
    judge(&verdict)
}

/// Where no event was read nothing was verified. What is damaged or missing is told all the same.
fn refuse_beyond_the_newest(from: u64, verdict: &Value) -> Result<(), CliError> {
    let head_seq = verdict.get("head_seq").and_then(Value::as_u64).unwrap_or_default();
    if from <= head_seq.max(1) || !is_true(verdict, "verified") {
        return Ok(());
    }
    let refused = format!("--from {from} is beyond the journal: its newest event has seq {head_seq}");
    Err(CliError::usage(refused).hint(format!("name a seq up to {head_seq}, or leave --from out")))
}

/// Verifies a copy: a database without anchor and checkpoint file.
pub fn of_copy(
    copy: &Path,
    from: u64,
    public_key: Option<VerifierKey>,
    context: &Context,
) -> Result<Value, CliError> {
    let files = JournalFiles { database: copy.to_owned(), anchor: copy.to_owned() };
    of(&files, &Scope { from, public_key, is_copy: true }, context)
}

/// Exit code 65 and what to do, when it does not verify.
pub fn judge(verdict: &Value) -> Result<Exit, CliError> {
    if is_true(verdict, "verified") {
        return Ok(Exit::Ok);
    }
    let problems = match verdict.get("problems_total").and_then(Value::as_u64) {
        Some(1) => "1 problem".to_owned(),
        Some(count) => format!("{count} problems"),
        None => "it has problems".to_owned(),
    };
    Err(CliError::does_not_verify(format!("the journal does not verify: {problems}")).hint(
        "stop the daemon, keep a copy of the state root as it is, and compare with a backup or an export",
    ))
}

fn of(files: &JournalFiles, scope: &Scope, context: &Context) -> Result<Value, CliError> {
    let started = Instant::now();
    let report = verify_with(files, scope, &mut |progress| {
        context.out.progress("verifying events", progress.seq, progress.head_seq);
        ControlFlow::Continue(())
    });
    context.out.progress_is_over();
    let report: VerifyReport = report.map_err(|error| {
        let because =
            std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        CliError::journal(&error, format!("{error}{because}"))
    })?;
    Ok(report.verdict(started.elapsed()))
}

fn verdict_text(verdict: &Value, context: &Context) -> String {
    let mut fields = Fields::default();
    let verified = is_true(verdict, "verified");
    let (tone, word) = if verified { (Tone::Good, "yes") } else { (Tone::Bad, "NO") };
    fields.toned(tone, "verified", word);
    for (label, name) in [("events", "events"), ("head seq", "head_seq"), ("head hash", "head_hash")] {
        fields.add(label, shown(verdict, name));
    }
    let signed = format!(
        "{}, the newest over {} events",
        shown(verdict, "checkpoints"),
        shown(verdict, "checkpoint_size")
    );
    fields.add("checkpoints", signed);
    if !verified {
        fields.add("first bad seq", shown(verdict, "first_bad_seq"));
        fields.add("missing", format!("{} acknowledged events", shown(verdict, "missing")));
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
