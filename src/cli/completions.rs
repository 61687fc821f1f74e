//! `palyra completions`: a completion script for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::args::Cli;
use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  palyra completions bash > ~/.local/share/bash-completion/completions/palyra
  palyra completions zsh > \"${fpath[1]}/_palyra\"
  palyra completions fish > ~/.config/fish/completions/palyra.fish")]
pub struct CompletionsArgs {
    /// Shell to complete for
    pub shell: Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, context: &Context) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "palyra", &mut script);
    context.out.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
