//! `palyra vault`: the secrets that deliveries are verified with. Values can be stored but never read back.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use ureq::http::Method;

use super::client::{route, with_query};
use super::context::{Context, Need};
use super::error::CliError;
use super::input;
use super::table::{Table, Tone};
use super::view::{NONE, is_true, items, show, shown, shown_time, text};
use crate::exit::Exit;

/// Commands of the vault.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Store a secret as a single version; earlier versions of it are removed
    #[command(after_long_help = "\
Deliveries signed with an earlier version are refused from then on. With `rotate`, the previous version stays valid beside the new one. A value
that is current already gets no new version.

Examples:
  palyra vault put global/github < secret.txt
  openssl rand -hex 32 | tee secret.txt | palyra vault put global/github
  palyra vault put skill:deploy/hook --value-file secret.txt")]
    Put(ValueArgs),
    /// List the secrets, without their values
    List,
    /// Remove a secret and every version of it
    Remove(RemoveArgs),
    /// Give a secret a new value; the previous one stays valid beside it
    #[command(after_long_help = "\
Deliveries signed with either value are accepted, so there is time to enter the new one at the provider. Only one previous version
stays valid; older ones end. If no integration can use the previous version, the newest one that works stays valid instead. A value that is current
already changes nothing.

Examples:
  palyra vault rotate global/github < new-secret.txt")]
    Rotate(ValueArgs),
    /// End the previous version of a secret; deliveries signed with it are refused from then on
    #[command(after_long_help = "\
Examples:
  palyra vault retire global/github")]
    Retire(RefArgs),
}

/// Names a secret.
#[derive(Debug, Args)]
pub struct RefArgs {
    /// `<scope>/<key>`; scope is `global`, `principal:<id>`, `channel:<name>:<account>` or `skill:<id>`
    #[arg(value_name = "REF", value_parser = NonEmptyStringValueParser::new())]
    vault_ref: String,
}

/// Names a secret and says where its value is.
#[derive(Debug, Args)]
pub struct ValueArgs {
    #[command(flatten)]
    secret: RefArgs,
    /// Read the value from this file instead of stdin; in both cases one trailing line end is dropped
    #[arg(long, value_name = "F")]
    value_file: Option<PathBuf>,
    /// Store it even if an enabled integration cannot use it
    #[arg(long)]
    force: bool,
}

/// Names a secret that is to go.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    secret: RefArgs,
    /// Remove it even if an enabled integration uses it
    #[arg(long)]
    force: bool,
}

/// Runs a command of the vault.
pub fn run(command: VaultCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        VaultCommand::Put(args) => store(&args, Method::PUT, &["vault", &args.secret.vault_ref], context),
        VaultCommand::Rotate(args) => {
            store(&args, Method::POST, &["vault", &args.secret.vault_ref, "rotate"], context)
        }
        VaultCommand::List => list(context),
        VaultCommand::Retire(args) => retire(&args.vault_ref, context),
        VaultCommand::Remove(args) => remove(&args, context),
    }
}

fn store(args: &ValueArgs, method: Method, segments: &[&str], context: &Context) -> Result<Exit, CliError> {
    if args.value_file.is_none() && std::io::stdin().is_terminal() {
        context
            .out
            .note("type the value, then press Ctrl-D (the value is visible while you type; a file or a pipe is better)");
    }
    let value = input::secret(args.value_file.as_deref(), &mut **context.stdin.borrow_mut())?;
    let connection = context.connect(Need::DaemonOrOffline)?;
    let (route, secret) = (forced(route(segments), args.force), ("value_base64", value.as_slice()));
    let entry = connection.client.send_with_secret(method, &route, &Map::new(), secret)?;
    let name = text(&entry, "vault_ref");
    let done = match is_true(&entry, "unchanged") {
        true => format!(
            "{name}: version {} already has this value; nothing was changed",
            shown(&entry, "version")
        ),
        false => format!("stored {name}: {}", versions(&entry)),
    };
    context.out.done(&entry, &done)?;
    warn_of_the_ended(&entry, context);
    for warning in items(&entry, "warnings") {
        context.out.warn(&show(warning), "correct this, then check with `palyra webhooks list`");
    }
    Ok(Exit::Ok)
}

fn forced(route: String, force: bool) -> String {
    with_query(route, &[("force", force.then(|| "true".to_owned()))])
}

/// The versions that verify deliveries.
fn versions(entry: &Value) -> String {
    let current = format!("version {} is current", shown(entry, "version"));
    match shown(entry, "previous_version") {
        previous if previous == NONE => current,
        previous => format!("{current}, version {previous} is still valid"),
    }
}

/// The versions that a change ended, if any.
fn ended(entry: &Value) -> Option<String> {
    let ended: Vec<String> = items(entry, "ended_versions").map(show).collect();
    match ended.as_slice() {
        [] => None,
        [version] => Some(format!("version {version} is no longer valid")),
        versions => Some(format!("versions {} are no longer valid", versions.join(", "))),
    }
}

fn warn_of_the_ended(entry: &Value, context: &Context) {
    if let Some(ended) = ended(entry) {
        let told = format!("{}: {ended}", text(entry, "vault_ref"));
        context.out.warn(&told, "make sure that the provider signs with a valid version");
    }
}

fn retire(vault_ref: &str, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let entry = connection.client.post(&route(&["vault", vault_ref, "retire"]), &json!({}))?;
    let ended = ended(&entry).unwrap_or_else(|| "there was no other version".to_owned());
    context.out.done(&entry, &format!("{}: {}; {ended}", text(&entry, "vault_ref"), versions(&entry)))?;
    Ok(Exit::Ok)
}

fn list(context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let secrets = connection.client.get(&route(&["vault"]))?;
    context.out.answer(&secrets, |secrets| context.out.table_text(&table(secrets)))?;
    if items(&secrets, "secrets").next().is_none() {
        context.out.note("the vault is empty; store a secret with `palyra vault put global/NAME < FILE`");
    }
    for entry in items(&secrets, "secrets").filter(|entry| is_unreadable(entry)) {
        let told = format!("{} cannot be read: {}", shown(entry, "vault_ref"), text(entry, "problem"));
        context.out.warn(&told, text(entry, "hint"));
    }
    Ok(Exit::Ok)
}

fn table(secrets: &Value) -> Table {
    let mut table = Table::new(&["secret", "version", "versions", "created", "updated"]).right(1).right(2);
    for entry in items(secrets, "secrets") {
        let [created, updated] =
            ["created_at_unix_ms", "updated_at_unix_ms"].map(|name| shown_time(entry, name));
        let [name, version, versions] = ["vault_ref", "version", "versions"].map(|name| shown(entry, name));
        let (tone, version) =
            if is_unreadable(entry) { (Tone::Bad, "UNREADABLE".to_owned()) } else { (Tone::Plain, version) };
        table.row(tone, [name, version, versions, created, updated]);
    }
    table
}

fn is_unreadable(entry: &Value) -> bool {
    shown(entry, "problem") != NONE
}

fn remove(args: &RemoveArgs, context: &Context) -> Result<Exit, CliError> {
    let connection = context.connect(Need::DaemonOrOffline)?;
    let removed = connection.client.delete(&forced(route(&["vault", &args.secret.vault_ref]), args.force))?;
    let name = shown(&removed, "removed");
    context.out.done(&removed, &format!("removed {name}"))?;
    for warning in items(&removed, "warnings") {
        let next = format!(
            "store it again with `palyra vault put {name} < FILE`, or disable the integrations that use it"
        );
        context.out.warn(&show(warning), &next);
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests;
