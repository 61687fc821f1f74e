//! The command line as a whole; each family's arguments stand with the family.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use super::completions::CompletionsArgs;
use super::context::Bare;
use super::journal::JournalCommand;
use super::output::Mode;
use super::providers::ProvidersCommand;
use super::system::SystemCommand;
use super::vault::VaultCommand;
use super::webhooks::WebhooksCommand;
use crate::exit::Exit;
use crate::version::VERSION;

const EXAMPLES: &str = "\
Examples:
  palyra demo
  palyra daemon &
  palyra vault put global/github < secret.txt
  palyra webhooks add github github --secret-ref global/github --allow-event push
  palyra system event tail --follow

Exit codes:";

fn examples_and_exit_codes() -> String {
    let codes = Exit::ALL.iter().map(|exit| format!("\n  {:<4}{}", exit.code(), exit.meaning()));
    EXAMPLES.to_owned() + &codes.collect::<String>()
}

/// Receives webhooks and never loses one.
#[derive(Debug, Parser)]
#[command(name = "palyra", version = VERSION, arg_required_else_help = true)]
#[command(after_help = "Use --help for examples and exit codes")]
#[command(after_long_help = examples_and_exit_codes())]
pub struct Cli {
    /// Folder that holds the daemon's state [env: PALYRA_STATE_ROOT]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub state_root: Option<PathBuf>,

    /// Print one JSON document instead of text; errors and warnings are JSON on stderr
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,

    /// Print only the data, warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: bool,

    /// Log more to stderr; give it twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The amount and the format of the output.
    pub fn mode(&self) -> Mode {
        Mode { json: self.json, quiet: self.quiet }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon: receive deliveries and serve the console
    ///
    /// Once it is serving, it prints one line on stdout:
    ///
    ///   ready ingress=http://127.0.0.1:7142 console=http://127.0.0.1:7143
    ///
    /// With --json that line and every line of the log are JSON documents, whatever palyra.toml says:
    ///
    ///   {"console":"http://127.0.0.1:7143","ingress":"http://127.0.0.1:7142","status":"ready"}
    Daemon(DaemonArgs),
    /// Show the whole path of a delivery, on a temporary state root
    Demo(DemoArgs),
    /// What works through the console.
    #[command(flatten)]
    Client(ClientCommand),
}

/// What works through the console.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Store, rotate and remove the secrets that verify deliveries
    #[command(subcommand)]
    Vault(VaultCommand),
    /// Manage, test and try the integrations
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// Inspect the daemon and the events in its journal
    #[command(subcommand)]
    System(SystemCommand),
    /// Verify, prove, back up and export the journal
    #[command(subcommand)]
    Journal(JournalCommand),
    /// List, show and check provider profiles
    #[command(subcommand)]
    Providers(ProvidersCommand),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

impl ClientCommand {
    /// What the command does when no state root exists yet: only commands that store something create one.
    pub fn bare(&self) -> Bare {
        match self {
            Self::Vault(VaultCommand::Put(_)) => Bare::Begin,
            Self::Webhooks(WebhooksCommand::Add(add)) if add.says_what_verifies() => Bare::Begin,
            Self::Webhooks(WebhooksCommand::Add(_)) | Self::Providers(_) => Bare::BuiltIn,
            _ => Bare::Refuse,
        }
    }
}

/// Arguments of `daemon`.
#[derive(Debug, Default, Args)]
pub struct DaemonArgs {
    /// Address on which to receive deliveries; port 0 picks a free port [default: 127.0.0.1:7142]
    #[arg(long, value_name = "ADDR:PORT")]
    pub ingress: Option<SocketAddr>,
    /// Address on which to serve the console; port 0 picks a free port [default: 127.0.0.1:7143]
    #[arg(long, value_name = "ADDR:PORT")]
    pub console: Option<SocketAddr>,
    /// Start this once although the journal is behind its anchor or secrets are older copies; this is journaled
    #[arg(long)]
    pub accept_rollback: bool,
    /// Only check whether the next start would accept palyra.toml, webhooks.toml and providers/; exit code 78 if not
    #[arg(long, conflicts_with = "accept_rollback")]
    pub check: bool,
}

/// Arguments of `demo`.
#[derive(Debug, Default, Args)]
pub struct DemoArgs {
    /// Keep the daemon running afterwards, and print how to point a real webhook at it
    #[arg(long)]
    pub keep: bool,
}
