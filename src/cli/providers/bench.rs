//! `providers lint` and `providers check`: check profiles locally, without a daemon or a state root.

use std::path::{Path, PathBuf};

use clap::Args;
use palyra_actors::limits::{PROFILE_FILE_BYTES_MAX, VECTOR_FILE_BYTES_MAX};
use palyra_actors::provider::{Case, Catalogue, Outcome, Weight, lint, read_profile};
use palyra_actors::text_places::{TextFault, TextPlace};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::input;
use crate::cli::table::{Table, Tone};
use crate::cli::text::{FIELD_CHARS_MAX, clipped};
use crate::cli::view::{is_true, items, text};
use crate::exit::Exit;

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Files of profiles
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files with one signed request a line
    #[arg(required = true, value_name = "FILE.jsonl")]
    pub files: Vec<PathBuf>,
    /// A profile to try instead of the built-in one of its name; can be given several times
    #[arg(long, value_name = "FILE")]
    pub profile: Vec<PathBuf>,
}

/// Looks for mistakes in profiles; fails when there is an error.
pub fn run_lint(args: &LintArgs, context: &Context) -> Result<Exit, CliError> {
    let mut findings = Vec::new();
    for path in &args.files {
        findings.extend(lint_file(path)?);
    }
    let errors = findings.iter().filter(|finding| text(finding, "weight") == "error").count();
    let document = json!({ "findings": findings, "errors": errors, "files": args.files.len() });
    context.out.answer(&document, |document| items(document, "findings").map(finding_text).collect())?;
    let warnings = findings.len() - errors;
    context.out.note(&format!("files: {}, errors: {errors}, warnings: {warnings}", args.files.len()));
    Ok(if errors == 0 { Exit::Ok } else { Exit::Failed })
}

/// The findings in one file; a profile that cannot be read at all counts as one finding.
fn lint_file(path: &Path) -> Result<Vec<Value>, CliError> {
    let (file, profile) = (path.display().to_string(), read_text(path, PROFILE_FILE_BYTES_MAX)?);
    let view = |weight, rule, place: TextPlace, field: String, message: String, remedy: String| {
        json!({"file": file, "line": place.line, "column": place.column, "weight": weight, "rule": rule,
            "field": field, "message": message, "remedy": remedy})
    };
    let findings = match lint(&file, &profile) {
        Ok(findings) => findings,
        Err(TextFault { place, field, message, hint, .. }) => {
            let remedy = hint.unwrap_or_else(|| {
                "correct the profile at that place; docs/profiles.md says what is allowed there".into()
            });
            return Ok(vec![view(Weight::Error, "unreadable", place, field, message, remedy)]);
        }
    };
    let one = |found: palyra_actors::provider::Finding| {
        view(found.weight, found.rule, found.place, found.field, found.message, found.remedy.to_owned())
    };
    Ok(findings.into_iter().map(one).collect())
}

/// The format of compilers, so that editors can jump to the place.
fn finding_text(finding: &Value) -> String {
    let number = |name| finding.get(name).and_then(Value::as_u64).unwrap_or(1);
    let tone = if text(finding, "weight") == "error" { Tone::Bad } else { Tone::Warn };
    let [file, field, message, remedy] =
        ["file", "field", "message", "remedy"].map(|name| clipped(text(finding, name), FIELD_CHARS_MAX));
    let label = tone.paint(&format!("{}[{}]", text(finding, "weight"), text(finding, "rule")));
    format!(
        "{file}:{}:{}: {label}: {field}: {message}\n  remedy: {remedy}\n",
        number("line"),
        number("column")
    )
}

/// Runs signed requests against their profiles; fails if a verdict differs from the expected one.
pub fn run_check(args: &CheckArgs, context: &Context) -> Result<Exit, CliError> {
    let catalogue = catalogue(&args.profile)?;
    let mut cases = Vec::new();
    for path in &args.files {
        for case in read_cases(path)? {
            cases.push(judged(&case, &catalogue));
        }
    }
    if cases.is_empty() {
        return Err(CliError::usage("these files contain no cases")
            .hint("write one JSON object per line; docs/profiles.md describes it"));
    }
    let differences = cases.iter().filter(|case| !is_true(case, "agrees")).count();
    let document = json!({ "cases": cases, "differences": differences });
    context.out.answer(&document, |document| context.out.table_text(&table(document)))?;
    context.out.note(&match differences {
        0 => format!("all {} cases have the expected result", cases.len()),
        _ => format!("{differences} of {} cases have an unexpected result", cases.len()),
    });
    Ok(if differences == 0 { Exit::Ok } else { Exit::Failed })
}

fn catalogue(own: &[PathBuf]) -> Result<Catalogue, CliError> {
    let refused = |error: TextFault| {
        let shown = CliError::config(error.to_string());
        match error.hint {
            Some(hint) => shown.hint(hint),
            None => shown,
        }
    };
    let mut catalogue = Catalogue::built_in().map_err(refused)?;
    for path in own {
        let profile = read_profile(&path.display().to_string(), &read_text(path, PROFILE_FILE_BYTES_MAX)?);
        catalogue.add_own(profile.map_err(refused)?, path.clone()).map_err(refused)?;
    }
    Ok(catalogue)
}

fn read_cases(path: &Path) -> Result<Vec<Case>, CliError> {
    let lines = read_text(path, VECTOR_FILE_BYTES_MAX)?;
    let lines = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| {
            let message = format!("{}:{}: this line is not a case: {error}", path.display(), index + 1);
            CliError::failed(message).hint("docs/profiles.md describes the form of a case")
        })
    };
    lines.map(read).collect()
}

fn judged(case: &Case, catalogue: &Catalogue) -> Value {
    let expected = case.expected();
    let outcome = match catalogue.get(&case.provider) {
        Some(profile) => case.run(profile),
        None => {
            Outcome::untold(format!("no profile `{}` is built in or given with --profile", case.provider))
        }
    };
    json!({"provider": case.provider, "case": case.case, "agrees": outcome.agrees_with(&expected),
        "expected": expected, "outcome": outcome})
}

fn table(document: &Value) -> Table {
    let mut table = Table::new(&["provider", "case", "agrees", "outcome", "expected"]);
    for case in items(document, "cases") {
        let side = |name| case.get(name).map_or_else(String::new, outcome_text);
        let (provider, name) = (text(case, "provider").to_owned(), text(case, "case").to_owned());
        match is_true(case, "agrees") {
            true => {
                table.row(Tone::Plain, [provider, name, "yes".to_owned(), side("outcome"), String::new()])
            }
            false => {
                table.row(Tone::Bad, [provider, name, "NO".to_owned(), side("outcome"), side("expected")])
            }
        }
    }
    table
}

fn outcome_text(outcome: &Value) -> String {
    let mut words = vec![text(outcome, "verdict").to_owned()];
    for (label, name) in [("", "reason"), ("event ", "event"), ("id ", "delivery_id")] {
        words.extend(outcome.get(name).and_then(Value::as_str).map(|text| format!("{label}{text}")));
    }
    words.join(", ")
}

fn read_text(path: &Path, bytes_max: u64) -> Result<String, CliError> {
    let not_text = || CliError::failed(format!("{} is not UTF-8", path.display()));
    String::from_utf8(input::file(path, bytes_max)?).map_err(|_| not_text())
}
