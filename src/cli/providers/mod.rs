//! `palyra providers`: the profiles that describe how each provider signs.

mod bench;
#[cfg(test)]
mod reference;

use bench::{CheckArgs, LintArgs};
use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;
use palyra_actors::ids::nearest;
use serde_json::Value;

use super::client::{ConsoleClient, route};
use super::context::{Context, Need};
use super::error::{CliError, Kind};
use super::table::{Fields, Table, Tone, heading};
use super::text::visible_lines;
use super::view::{items, shown, text};
use crate::exit::Exit;

/// Commands for provider profiles.
#[derive(Debug, Subcommand)]
pub enum ProvidersCommand {
    /// List the profiles
    List,
    /// Show one profile, with the file it comes from
    #[command(after_long_help = "\
The profile is printed as TOML. To change it, save it under `providers/` in the state root and edit it there.

Examples:
  palyra providers show github
  palyra --quiet providers show github > my-github.toml")]
    Show {
        /// Name of the profile
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
    },
    /// Check profiles of your own for mistakes; exit code 1 if there is an error
    #[command(after_long_help = "\
The daemon does not use a profile that has errors. A warning points at a weakness, which may be the provider's.

Examples:
  palyra providers lint my-provider.toml
  palyra --json providers lint providers/*.toml | jq '.findings[] | .line'")]
    Lint(LintArgs),
    /// Run captured signed requests against their profiles; exit code 1 if a verdict differs from the expected one
    #[command(after_long_help = "\
Each request is judged at the time it names. docs/profiles.md describes the file format.

Examples:
  palyra providers check tests/vectors/*.jsonl
  palyra providers check captured.jsonl --profile my-provider.toml")]
    Check(CheckArgs),
}

/// Runs a command for provider profiles.
pub fn run(command: ProvidersCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        ProvidersCommand::List => list(context),
        ProvidersCommand::Show { name } => show(&name, context),
        ProvidersCommand::Lint(args) => bench::run_lint(&args, context),
        ProvidersCommand::Check(args) => bench::run_check(&args, context),
    }
}

fn list(context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    let profiles = connection.client.get(&route(&["providers"]))?;
    context.out.answer(&profiles, |profiles| context.out.table_text(&table(profiles)))?;
    Ok(Exit::Ok)
}

fn show(name: &str, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::WithoutIntegrations)?;
    let profile = find(name, &connection.client)?;
    context.out.answer(&profile, |profile| profile_text(profile, context.out.mode().quiet))?;
    Ok(Exit::Ok)
}

fn table(profiles: &Value) -> Table {
    let mut table = Table::new(&[
        "name",
        "title",
        "scheme",
        "algorithm",
        "signature",
        "timestamp",
        "signed id",
        "origin",
    ]);
    for profile in items(profiles, "providers") {
        let names = ["name", "title", "scheme", "algorithm", "signature", "timestamp", "id_signed"];
        let cells = names.map(|name| shown(profile, name)).into_iter().chain([origin(profile)]);
        table.row(if shadows(profile) { Tone::Warn } else { Tone::Plain }, cells);
    }
    table
}

fn origin(profile: &Value) -> String {
    match profile.pointer("/origin/own/file").and_then(Value::as_str) {
        Some(file) if shadows(profile) => format!("replaces the built-in one: {file}"),
        Some(file) => file.to_owned(),
        None => text(profile, "origin").replace('_', "-"),
    }
}

fn shadows(profile: &Value) -> bool {
    profile.pointer("/origin/own/shadows_built_in") == Some(&Value::Bool(true))
}

fn profile_text(profile: &Value, only_toml: bool) -> String {
    let toml = visible_lines(text(profile, "profile_toml"));
    if only_toml {
        return toml;
    }
    let mut fields = Fields::default();
    for (label, name) in [
        ("name", "name"),
        ("title", "title"),
        ("scheme", "scheme"),
        ("algorithm", "algorithm"),
        ("signature", "signature"),
        ("signed content", "signed_content"),
        ("timestamp", "timestamp"),
        ("tolerance seconds", "tolerance_seconds"),
        ("signed id", "id_signed"),
        ("replays recognised by", "replay_key"),
        ("window seconds", "replay_window_seconds"),
        ("handshakes", "handshakes"),
        ("parameters", "parameters"),
        ("secret parameters", "secret_parameters"),
        ("expected answer", "answer"),
        ("retries", "retries"),
        ("documentation", "docs"),
    ] {
        fields.add(label, shown(profile, name));
    }
    fields.add("origin", origin(profile));
    for note in items(profile, "notes") {
        fields.add("note", super::view::show(note));
    }
    format!("{}\n{}{toml}", fields.render(0), heading("Profile"))
}

/// Finds the profile `name`, or fails with the most similar name.
fn find(name: &str, client: &ConsoleClient) -> Result<Value, CliError> {
    let refused = match client.get(&route(&["providers", name])) {
        Err(refused)
            if refused.hint.is_none() && matches!(refused.kind, Kind::Problem { status: 404, .. }) =>
        {
            refused
        }
        answer => return answer,
    };
    let profiles = client.get(&route(&["providers"]))?;
    let names = items(&profiles, "providers").map(|profile| text(profile, "name"));
    Err(refused.hint(match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`palyra providers list` shows all profiles".to_owned(),
    }))
}

#[cfg(test)]
mod tests;
