//! `palyra journal verify`.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use palyra_actors::causes::in_full;
use palyra_actors::journal::{JournalError, JournalFiles, OnProgress, Scope, VerifyReport, verify_with};
use serde_json::Value;

use super::VerifyArgs;
use super::proofs::read_key;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::table::{Fields, Table, Tone};
use crate::cli::view::{is_true, items, shown};
use crate::exit::Exit;

/// How every SQLite database begins.
const SQLITE_HEAD: &[u8; 16] = b"SQLite format 3\0";

/// Verifies the journal of the state root, or a copy.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<Exit, CliError> {
    let public_key = args.public_key.as_deref().map(read_key).transpose()?;
    let files = match &args.database {
        Some(copy) => {
            refuse_without_file(copy)?;
            refuse_other_file(copy)?;
            JournalFiles { database: copy.clone(), anchor: copy.clone() }
        }
        None => context.journal_files()?,
    };
    let scope = Scope { from: args.from, public_key, is_copy: args.database.is_some() };
    let verdict = verdict_of(context, |on_progress| {
        let verified = verify_with(&files, &scope, on_progress);
        if scope.is_copy { verified.map_err(of_copy) } else { verified }
    })?;
    refuse_beyond_the_newest(args.from, &verdict)?;
    context.out.answer(&verdict, |verdict| verdict_text(verdict, context))?;
    if is_true(&verdict, "verified") {
        return Ok(Exit::Ok);
    }
    let what = if scope.is_copy { "copy" } else { "journal" };
    Err(does_not_verify(what, &verdict).hint(hint(&verdict, scope.is_copy)))
}

/// The next step for a journal that does not verify. If its events do verify, an older copy would not help.
fn hint(verdict: &Value, is_copy: bool) -> &'static str {
    let are_all_of = |concerns: &[&str]| {
        items(verdict, "problems").all(|one| concerns.contains(&shown(one, "concerns").as_str()))
    };
    let are_all = |concern: &str| are_all_of(&[concern]);
    let are_any = |concern: &str| items(verdict, "problems").any(|one| shown(one, "concerns") == concern);
    if are_all("public_key") {
        "its events and checkpoints verify, but not with this key. Check that the key is this journal's. An accepted loss begins a new log \
         with a new key (`palyra system event list --name journal.rollback.accepted` lists them): use that key. If no loss was \
         accepted, somebody replaced the log"
    } else if are_all("outside") {
        "its events and checkpoints verify: put the file back, or if it is gone, start once with `palyra daemon --accept-rollback`; \
         do not restore an older copy for this"
    } else if are_any("other_log") && is_copy {
        "a copy that `palyra journal backup` made has no log. The `-wal` file beside it belongs to another database, or the log was changed: \
         move that file away and verify again"
    } else if are_any("other_log") {
        "keep a copy of both: the log (`journal.db-wal`) belongs to another database, or the log was changed. Put the database back that \
         the log belongs to: then every event is there. If it is gone for good and the database is a backup, move the log away and start \
         once with `palyra daemon --accept-rollback`"
    } else if is_copy {
        "restore another copy that verifies, and do not use this one"
    } else if are_any("log_alone") {
        "put the database back beside its log (`journal.db-wal`), as it was and not from a backup: then every event is there. If it is \
         gone for good, move the log away and restore the newest backup"
    } else if are_any("unsigned") {
        "nothing of what was signed is left, so nobody knows whether events were changed. This does not happen by itself: keep a copy of \
         the state root as it is, and compare it with a backup or an export before you accept anything"
    } else if are_all_of(&["missing", "outside"]) {
        "what is there verifies, but the newest events are gone: put a newer copy of `journal.db` back with its log \
         (`journal.db-wal`), or accept the loss: start once with `palyra daemon --accept-rollback`"
    } else {
        "verify again, because a failing disk can cause this; if it fails again, stop the daemon, keep a copy of the state root as it \
         is, and compare it with a backup or an export"
    }
}

/// A fault of a copy is reported for its file, not for a state root.
pub fn refuse_without_file(copy: &Path) -> Result<(), CliError> {
    let problem = match copy.metadata() {
        Ok(found) if found.is_file() => return Ok(()),
        Ok(_) => "is not a file".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => "does not exist".to_owned(),
        Err(error) => format!("cannot be examined: {error}"),
    };
    Err(CliError::config(format!("`{}` {problem}", copy.display()))
        .hint("name a file that `palyra journal backup` made"))
}

/// Refuses a file that does not begin as a database. An empty one, and one that cannot be read, are left to the
/// verification.
pub fn refuse_other_file(copy: &Path) -> Result<(), CliError> {
    let mut head = [0; SQLITE_HEAD.len()];
    let read = File::open(copy).and_then(|mut file| file.read(&mut head));
    if !matches!(read, Ok(1..)) || head == *SQLITE_HEAD {
        return Ok(());
    }
    Err(CliError::config(format!("`{}` is not a journal: it does not begin as a SQLite database", copy.display())).hint(
        "name a file that `palyra journal backup` made; if this is one, its beginning was changed: verify again, because a failing \
         disk can cause this, then use another copy",
    ))
}

/// The error for a copy, to which a hint about a state root does not apply.
fn of_copy(error: JournalError) -> JournalError {
    match error {
        JournalError::Open { path, problem, hint, source } if hint.contains("--state-root") => {
            let hint = "name a file that `palyra journal backup` made";
            JournalError::Open { path, problem, hint, source }
        }
        other => other,
    }
}

/// If `--from` is beyond the newest event nothing was verified, which is an error. Damage that was found is reported first.
fn refuse_beyond_the_newest(from: u64, verdict: &Value) -> Result<(), CliError> {
    let head_seq = verdict.get("head_seq").and_then(Value::as_u64).unwrap_or_default();
    if from <= head_seq.max(1) || !is_true(verdict, "verified") {
        return Ok(());
    }
    let refused = format!("--from {from} is beyond the journal: its newest event has seq {head_seq}");
    Err(CliError::usage(refused).hint(format!("name a seq up to {head_seq}, or leave out --from")))
}

/// The error with exit code 65, with the number of problems in the journal or a copy.
pub fn does_not_verify(what: &str, verdict: &Value) -> CliError {
    let count = |name: &str| verdict.get(name).and_then(Value::as_u64).unwrap_or_default();
    let problems = match count("problems_total") {
        1 => "1 problem".to_owned(),
        problems => format!("{problems} problems"),
    };
    let missing = match count("missing") {
        0 => String::new(),
        1 => ", 1 acknowledged event is missing".to_owned(),
        missing => format!(", {missing} acknowledged events are missing"),
    };
    CliError::does_not_verify(format!("the {what} does not verify: {problems}{missing}"))
}

/// Runs a verification and returns its JSON document. Shows the progress to a user at a terminal.
pub fn verdict_of(
    context: &Context,
    verify: impl FnOnce(OnProgress<'_>) -> Result<VerifyReport, JournalError>,
) -> Result<Value, CliError> {
    let started = Instant::now();
    let report = verify(&mut |progress| {
        context.out.progress("verifying events", progress.seq, progress.head_seq);
        ControlFlow::Continue(())
    });
    context.out.progress_is_over();
    Ok(report.map_err(|error| not_read(&error))?.to_json(started.elapsed()))
}

/// The error for a journal that cannot be read, with its cause.
pub fn not_read(error: &JournalError) -> CliError {
    CliError::journal(error, in_full(error))
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
    let mut problems = Table::new(&["seq", "problem"]).right(0).whole(1);
    for problem in items(verdict, "problems") {
        problems.row(Tone::Bad, ["seq", "problem"].map(|name| shown(problem, name)));
    }
    format!("{}\n{}", fields.render(0), context.out.table_text(&problems))
}
