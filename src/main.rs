//! Palyra: takes webhooks in and never loses one.

// The daemon uses what the client alone does not.
#![allow(dead_code, unused_imports)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod cli;
mod exit;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cli::{CliError, Command, Connection, ConsoleClient, Context, Output};

fn main() -> ExitCode {
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let state_root = cli.state_root.clone().unwrap_or_else(|| PathBuf::from("."));
    let context = Context::new(Output::terminal(cli.mode()), Box::new(move |_need| connect(&state_root)));
    let result = match cli.command {
        Command::Client(command) => cli::run(command, &context),
        Command::Daemon(_) | Command::Demo(_) => {
            Err(CliError::failed("the daemon is not part of this build"))
        }
    };
    cli::finish(result, &context.out).into()
}

fn connect(state_root: &Path) -> Result<Connection, CliError> {
    let read = |name: &str| {
        std::fs::read_to_string(state_root.join(name)).map_err(|_| {
            CliError::unreachable("no daemon runs on this state root").hint("start it with `palyra daemon`")
        })
    };
    let daemon: serde_json::Value = serde_json::from_str(&read("daemon.json")?)
        .map_err(|error| CliError::config(format!("daemon.json cannot be read: {error}")))?;
    let console = daemon.get("console").and_then(serde_json::Value::as_str).unwrap_or_default();
    let token = zeroize::Zeroizing::new(read("admin.token")?.trim().to_owned());
    Ok(Connection::to_daemon(ConsoleClient::new(console, token)))
}
