//! The command line: its grammar, and how each command ends.
//!
//! Every command but `daemon` and `demo` is a client of the console API. A command family is a file (or a
//! folder) with its arguments and one `run`; [`Context`] gives it everything else.

mod args;
mod client;
mod completions;
mod context;
mod error;
mod input;
mod journal;
mod output;
mod providers;
mod refusal;
mod since;
mod sse;
mod system;
mod table;
mod text;
mod vault;
mod view;
mod webhooks;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod testing;

use std::ffi::OsString;

use clap::Parser;

pub use args::{Cli, ClientCommand, Command, DaemonArgs, DemoArgs};
pub use client::{ConsoleClient, route};
pub use context::{Bare, Connection, Context, LastRemarks, Need, Remark};
pub use error::{CliError, Kind, how_to_make_room};
pub use output::{Mode, Output};

use crate::exit::Exit;

/// Parses the command line. Help, the version and usage errors are printed here; `Err` is the exit code then.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Exit> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    Cli::try_parse_from(&arguments).map_err(|refused| {
        let exit = if refused.use_stderr() { Exit::Usage } else { Exit::Ok };
        let wants_json =
            arguments.iter().take_while(|argument| *argument != "--").any(|argument| argument == "--json");
        refusal::print(refused, wants_json);
        exit
    })
}

/// Runs a command that works through the console.
pub fn run(command: ClientCommand, context: &Context) -> Result<Exit, CliError> {
    let ended = run_to_the_end(command, context);
    context.print_last_remarks();
    ended
}

fn run_to_the_end(command: ClientCommand, context: &Context) -> Result<Exit, CliError> {
    match command {
        ClientCommand::Vault(command) => vault::run(command, context),
        ClientCommand::Webhooks(command) => webhooks::run(command, context),
        ClientCommand::System(command) => system::run(command, context),
        ClientCommand::Journal(command) => journal::run(command, context),
        ClientCommand::Providers(command) => providers::run(command, context),
        ClientCommand::Completions(args) => completions::run(&args, context),
    }
}

/// Prints the error of a command and returns the exit code. Fails if the answer cannot be written.
pub fn finish(result: Result<Exit, CliError>, out: &Output) -> Exit {
    result.and_then(|exit| out.flush().map(|()| exit)).unwrap_or_else(|error| {
        out.error(&error);
        error.exit()
    })
}

#[cfg(test)]
mod tests;
