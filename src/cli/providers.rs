//! `palyra providers`: the profiles that say how each provider signs.

use clap::Subcommand;
use palyra_actors::ids::nearest;
use serde_json::Value;

use super::client::{ConsoleClient, route};
use super::context::{Context, Need};
use super::error::{CliError, Kind};
use super::table::{Fields, Table, Tone, heading};
use super::text::visible_lines;
use super::view::{is_true, items, shown, text};
use crate::exit::Exit;

/// Commands for provider profiles.
#[derive(Debug, Subcommand)]
pub enum ProvidersCommand {
    /// List the profiles
    List,
    /// Show one profile, with the file it comes from
    #[command(after_long_help = "\
The profile is printed as TOML: save it under `providers/` in the state root to change it.

Examples:
  palyra providers show github
  palyra --quiet providers show github > my-github.toml")]
    Show {
        /// Name of the profile
        name: String,
    },
}

/// Runs a command for provider profiles.
pub fn run(command: ProvidersCommand, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    match command {
        ProvidersCommand::List => {
            let profiles = connection.client.get(&route(&["providers"]))?;
            context.out.answer(&profiles, |profiles| context.out.table_text(&table(profiles)))?;
        }
        ProvidersCommand::Show { name } => {
            let profile = find(&name, &connection.client)?;
            context.out.answer(&profile, |profile| profile_text(profile, context.out.mode().quiet))?;
        }
    }
    Ok(Exit::Ok)
}

fn table(profiles: &Value) -> Table {
    let mut table =
        Table::new(&["name", "title", "scheme", "signature header", "timestamp", "signed id", "origin"]);
    for profile in items(profiles, "providers") {
        let names = ["name", "title", "scheme", "header", "timestamp", "id_signed", "origin"];
        table.row(Tone::Plain, names.map(|name| shown(profile, name)));
    }
    table
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
        ("signature header", "header"),
        ("signed content", "signed_content"),
        ("timestamp", "timestamp"),
        ("signed id", "id_signed"),
        ("documentation", "docs"),
        ("origin", "origin"),
    ] {
        let unsigned = name == "id_signed" && !is_true(profile, name);
        fields.add(
            label,
            if unsigned { "no: replays are told by what is signed".to_owned() } else { shown(profile, name) },
        );
    }
    format!("{}\n{}{toml}", fields.render(0), heading("Profile"))
}

/// The profile `name`; when there is none, the refusal with the nearest name there is.
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
        None => "`palyra providers list` shows those there are".to_owned(),
    }))
}

#[cfg(test)]
mod tests;
