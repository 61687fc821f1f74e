//! Finds the console for a command: that of the running daemon, or one in this process if none runs.

mod built_in;
mod errors;
mod offline;

use std::io;

use palyra_actors::journal::JournalFiles;
use palyra_actors::registry::RegistryError;

use crate::cli::{Bare, CliError, Connection, ConsoleClient, LastRemarks, Need, Remark};
use crate::daemon::Serve;
use crate::settings::{Flags, Settings};
use crate::state_root::{Role, StateRoot};
use built_in::built_in;
use offline::{Offline, offline};

pub use errors::{misconfigured, not_started, refused};
pub use offline::{check_clock, check_open_files};

/// Connects a command to a console. If that runs in this process and does not end well, it adds to `remarks`.
///
/// # Errors
/// When no daemon runs and one is needed, or the state root cannot be used.
pub fn connect(
    root: &StateRoot,
    need: Need,
    bare: Bare,
    remarks: &LastRemarks,
) -> Result<Connection, CliError> {
    root.check_owner().map_err(refused)?;
    if let Some(client) = running(root)? {
        return Ok(Connection::to_daemon(client));
    }
    let serve = match need {
        Need::Daemon => return Err(no_daemon(root)),
        Need::DaemonOrOffline => Serve::ConsoleOnly,
        Need::WithoutIntegrations => Serve::ConsoleWithoutIntegrations,
    };
    if root.is_bare().map_err(refused)? {
        return on_bare_ground(root, bare, remarks);
    }
    match offline(root, serve, remarks) {
        Err(error) if bare == Bare::BuiltIn && error.downcast_ref::<RegistryError>().is_some() => {
            beside_a_fault(&error)
        }
        started => guarded(started),
    }
}

fn no_daemon(root: &StateRoot) -> CliError {
    let path = root.path().display();
    if root.is_bare().unwrap_or(false) {
        return CliError::no_daemon(format!(
            "no daemon runs on `{path}`, because there is no state root there"
        ))
        .hint(format!(
            "name an existing state root with --state-root or PALYRA_STATE_ROOT; `palyra --state-root {path} daemon` creates this one"
        ));
    }
    CliError::no_daemon(format!("no daemon runs on `{path}`"))
        .hint(format!("start one: palyra --state-root {path} daemon"))
}

/// The files of the journal, according to the settings.
///
/// # Errors
/// When the state root or the settings cannot be used.
pub fn journal_files(root: &StateRoot) -> Result<JournalFiles, CliError> {
    root.check_owner().map_err(refused)?;
    if root.is_bare().map_err(refused)? {
        return Err(nothing_begun(root));
    }
    let settings = Settings::load(&root.settings_file(), Flags::default()).map_err(misconfigured)?;
    Ok(root.journal_files(settings.anchor_dir.as_deref()))
}

/// The console of the daemon that holds the state root; `None` if no daemon does.
fn running(root: &StateRoot) -> Result<Option<ConsoleClient>, CliError> {
    let holder = root.holder().map_err(refused)?;
    if let Some(unlocked) = holder.filter(|holder| holder.role == Role::Unlocked) {
        return Err(refused(root.in_use(unlocked)));
    }
    let Some(daemon) = holder.filter(|holder| holder.role == Role::Daemon) else { return Ok(None) };
    let unreadable = |error: io::Error| CliError::config(format!("{daemon} cannot be contacted: {error}"));
    let (runtime, token) = (root.runtime().map_err(unreadable)?, root.token().map_err(unreadable)?);
    let path = root.path().display();
    let Some(runtime) = runtime else {
        let silent = format!(
            "{daemon} holds `{path}` but its console's address is not known: it is starting or stopping, or its `daemon.json` is gone"
        );
        return Err(CliError::unreachable(silent).hint(
            "try again in a moment; if this persists, restart the daemon, which writes `daemon.json` anew",
        ));
    };
    let Some(token) = token else {
        let locked = format!("{daemon} cannot be contacted: there is no `admin.token` in `{path}`");
        return Err(CliError::unreachable(locked).hint("restart the daemon, which makes a new one"));
    };
    Ok(Some(ConsoleClient::new(&runtime.console, token)))
}

/// What a command does when no state root exists yet.
fn on_bare_ground(root: &StateRoot, bare: Bare, remarks: &LastRemarks) -> Result<Connection, CliError> {
    match bare {
        Bare::Begin => {
            let begun = format!("created a new state root at {}", root.path().display());
            guarded(offline(root, Serve::ConsoleOnly, remarks))
                .map(|connection| connection.remarking(Remark::Note(begun)))
        }
        Bare::BuiltIn => built_in(),
        Bare::Refuse => Err(nothing_begun(root)),
    }
}

/// Shows the built-in profiles even though the configuration has a fault, and warns of the fault.
fn beside_a_fault(fault: &anyhow::Error) -> Result<Connection, CliError> {
    let CliError { message, hint, .. } = not_started(fault);
    let warning = format!("only the built-in profiles are shown: {message}");
    let next = hint.unwrap_or_else(|| "correct that file".to_owned());
    Ok(built_in()?.remarking(Remark::Warning(warning, next)))
}

fn guarded(started: anyhow::Result<(ConsoleClient, Offline)>) -> Result<Connection, CliError> {
    let (client, guard) = started.map_err(|error| not_started(&error))?;
    Ok(Connection::guarded(client, guard))
}

fn nothing_begun(root: &StateRoot) -> CliError {
    let path = root.path().display();
    CliError::config(format!("there is no state root at `{path}`")).hint(format!(
        "name an existing state root with --state-root; `palyra --state-root {path} daemon`, `vault put` and `webhooks add` create this one"
    ))
}
