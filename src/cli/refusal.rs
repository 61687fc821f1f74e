//! What is said of a command line that cannot be parsed. It quotes what was typed, which may hold characters that steer
//! the terminal.

use std::io::Write as _;

use clap::Error;
use clap::error::{ContextValue, ErrorKind};

use super::error::CliError;
use super::output::{Mode, Output};
use super::text::{visible, visible_lines};

/// Prints help and the version as they are, and anything else so that it is safe to show.
pub fn print(refused: Error, as_json: bool) {
    // If a stream is closed, there is nowhere to report that.
    match refused.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => refused.print().unwrap_or_default(),
        _ if as_json => {
            Output::terminal(Mode { json: true, quiet: false }).error(&usage_error(&quoting_safely(refused)))
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => refused.print().unwrap_or_default(),
        _ => {
            let text = visible_lines(&quoting_safely(refused).render().to_string());
            std::io::stderr().write_all(text.as_bytes()).unwrap_or_default();
        }
    }
}

/// The first paragraph of clap's error is the message; the usage and the tips become the hint.
pub fn usage_error(refused: &Error) -> CliError {
    let text = refused.render().to_string();
    let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let message = message.trim_start_matches("error: ").lines().map(str::trim).collect::<Vec<_>>().join(" ");
    CliError::usage(message).hint(rest.trim())
}

/// Makes all it quotes visible, each on one line: rendered, a line feed could not be told from one of clap's own, and
/// colour sequences would be left out with clap's.
fn quoting_safely(mut refused: Error) -> Error {
    let safe = |text: &str| visible(text).into_owned();
    let quoted: Vec<_> = refused.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in quoted {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(safe(&text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| safe(text)).collect())
            }
            ContextValue::StyledStrs(tips) => {
                ContextValue::StyledStrs(tips.iter().map(|tip| safe(&tip.to_string()).into()).collect())
            }
            // Numbers, and the usage, which quotes nothing.
            other => other,
        };
        refused.insert(kind, value);
    }
    refused
}
