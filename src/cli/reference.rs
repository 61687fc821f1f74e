//! Checks that `docs/cli.md` matches the command line. `UPDATE=1 cargo test reference` rewrites it.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use super::Cli;
use crate::exit::Exit;

#[test]
fn the_reference_of_commands_fits_the_program() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    let reference = reference();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, &reference).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap() == reference,
        "docs/cli.md is out of date: run `UPDATE=1 cargo test reference`"
    );
}

fn reference() -> String {
    let mut palyra = Cli::command();
    palyra.build();
    let mut text = "# Command line\n\nGenerated from the program by `UPDATE=1 cargo test reference`. `palyra help COMMAND` has details and examples.\n".to_owned();
    text += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for exit in Exit::ALL {
        writeln!(text, "| {} | {} |", exit.code(), exit.meaning()).unwrap();
    }
    text += "\n## Global options\n\n";
    palyra.get_arguments().filter(|arg| arg.is_global_set()).for_each(|arg| text += &argument(arg));
    text += "\n## Commands\n";
    palyra.get_subcommands().for_each(|command| describe(command, &mut text));
    text
}

fn describe(command: &Command, text: &mut String) {
    if command.get_name() == "help" {
        return;
    }
    if command.has_subcommands() {
        return command.get_subcommands().for_each(|command| describe(command, text));
    }
    let aliases: Vec<&str> = command.get_visible_aliases().collect();
    let also =
        if aliases.is_empty() { String::new() } else { format!(" (alias `{}`)", aliases.join("`, `")) };
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let about = command.get_about().unwrap().to_string();
    writeln!(text, "\n### `{}`{also}\n\n{about}.\n\n`{usage}`", command.get_bin_name().unwrap()).unwrap();
    let own = command.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help");
    let own: String = own.map(argument).collect();
    if !own.is_empty() {
        *text += &format!("\n{own}");
    }
}

fn argument(arg: &Arg) -> String {
    let long = arg.to_string();
    let name = long.trim_matches(['[', ']']).trim_end_matches("...");
    let name = arg.get_short().map_or_else(|| name.to_owned(), |short| format!("-{short}, {name}"));
    let takes_values = arg.get_action().takes_values();
    let choices: Vec<_> = arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let choices = if choices.is_empty() || !takes_values {
        String::new()
    } else {
        format!(" ({})", choices.join(", "))
    };
    let default: Vec<_> = arg.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    let default = if default.is_empty() || !takes_values {
        String::new()
    } else {
        format!(" [default: {}]", default.join(", "))
    };
    format!("- `{name}`: {}{choices}{default}\n", arg.get_help().unwrap())
}
