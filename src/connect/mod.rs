//! How a command finds its console: that of the running daemon, or one of its own while none runs.

use std::io::{self, ErrorKind};
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_rt::System;
use palyra_actors::clock::SystemClock;
use palyra_actors::journal::{JournalError, JournalFiles};
use palyra_actors::registry::RegistryError;
use palyra_actors::vault::VaultError;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::cli::{Bare, CliError, Connection, ConsoleClient, Kind, Need, Remark};
use crate::daemon::{Daemon, Serve};
use crate::settings::{Flags, Settings, SettingsError};
use crate::state_root::{Role, StateRoot, StateRootError};

/// Connects a command to a console.
///
/// # Errors
/// When no daemon runs and one is needed, or the state root cannot be used.
pub fn connect(root: &StateRoot, need: Need, bare: Bare) -> Result<Connection, CliError> {
    root.check_owner().map_err(refused)?;
    if let Some(client) = running(root)? {
        return Ok(Connection::to_daemon(client));
    }
    match need {
        Need::Daemon => Err(no_daemon(root)),
        Need::DaemonOrOffline if root.is_bare().map_err(refused)? => on_bare_ground(root, bare),
        Need::DaemonOrOffline => match offline(root) {
            Err(error) if bare == Bare::BuiltIn && error.downcast_ref::<RegistryError>().is_some() => {
                beside_a_fault(&error)
            }
            started => guarded(started),
        },
    }
}

fn no_daemon(root: &StateRoot) -> CliError {
    let path = root.path().display();
    if root.is_bare().unwrap_or(false) {
        return CliError::unreachable(format!(
            "no daemon runs on `{path}`: there is no state root there"
        ))
        .hint(format!(
            "name the one you mean with --state-root or PALYRA_STATE_ROOT; `palyra --state-root {path} daemon` begins one"
        ));
    }
    CliError::unreachable(format!("no daemon runs on `{path}`"))
        .hint(format!("start it: palyra --state-root {path} daemon"))
}

/// Where the journal's files lie, by the settings.
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

/// The console of the daemon that holds the root; none when none does.
fn running(root: &StateRoot) -> Result<Option<ConsoleClient>, CliError> {
    let holder = root.holder().map_err(refused)?;
    let Some(daemon) = holder.filter(|holder| holder.role == Role::Daemon) else { return Ok(None) };
    let unreadable =
        |error: io::Error| CliError::config(format!("{daemon} cannot be asked anything: {error}"));
    let (runtime, token) = (root.runtime().map_err(unreadable)?, root.token().map_err(unreadable)?);
    let path = root.path().display();
    let Some(runtime) = runtime else {
        let silent = format!("{daemon} holds `{path}` and does not serve: it starts or stops");
        return Err(CliError::unreachable(silent).hint("try again in a moment"));
    };
    let Some(token) = token else {
        let locked = format!("{daemon} cannot be asked anything: there is no `admin.token` in `{path}`");
        return Err(CliError::unreachable(locked).hint("restart the daemon: a start makes a new one"));
    };
    Ok(Some(ConsoleClient::new(&runtime.console, Zeroizing::new(token))))
}

/// What a command does where no state root was begun.
fn on_bare_ground(root: &StateRoot, bare: Bare) -> Result<Connection, CliError> {
    match bare {
        Bare::Begin => {
            let begun = format!("made a new state root at {}", root.path().display());
            guarded(offline(root)).map(|connection| connection.remarking(Remark::Note(begun)))
        }
        Bare::BuiltIn => built_in(),
        Bare::Refuse => Err(nothing_begun(root)),
    }
}

/// A console over a temporary state root, which knows what is built in.
fn built_in() -> Result<Connection, CliError> {
    let folder =
        tempfile::tempdir().map_err(|error| CliError::failed(format!("no temporary folder: {error}")))?;
    let (client, guard) = offline(&StateRoot::at(folder.path())).map_err(|error| not_started(&error))?;
    // The console stops before its folder goes.
    Ok(Connection::guarded(client, (guard, folder)))
}

/// What is built in can be shown whatever is wrong with what is configured.
fn beside_a_fault(fault: &anyhow::Error) -> Result<Connection, CliError> {
    let CliError { message, hint, .. } = not_started(fault);
    let warning = format!("only the built-in profiles are shown: {message}");
    let next = hint.unwrap_or_else(|| "mend that file".to_owned());
    Ok(built_in()?.remarking(Remark::Warning(warning, next)))
}

fn guarded(started: anyhow::Result<(ConsoleClient, Offline)>) -> Result<Connection, CliError> {
    let (client, guard) = started.map_err(|error| not_started(&error))?;
    Ok(Connection::guarded(client, guard))
}

fn nothing_begun(root: &StateRoot) -> CliError {
    let path = root.path().display();
    CliError::config(format!("there is no state root at `{path}`")).hint(format!(
        "name the one you mean with --state-root; `palyra --state-root {path} daemon` begins one, and so do `vault put` and `webhooks add`"
    ))
}

/// Refuses to start anything while the clock of this machine stands before 1970.
///
/// # Errors
/// What it says, and how it is set.
pub fn check_clock() -> Result<(), CliError> {
    SystemClock::check().map_err(|error| {
        CliError::config(error.to_string())
            .hint("set it: `timedatectl set-ntp true`, or `date --set` with the time as it is")
    })
}

/// Starts a console in this process, over the files of the stopped daemon.
fn offline(root: &StateRoot) -> anyhow::Result<(ConsoleClient, Offline)> {
    check_clock()?;
    let possession = root.take(Role::Command)?;
    let settings = Settings::load(&root.settings_file(), Flags::default())?;
    let token = possession.token()?;
    let (started, start) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        System::new().block_on(async move {
            match Daemon::start(possession, settings, Serve::ConsoleOnly).await {
                Err(error) => drop(started.send(Err(error))),
                Ok(daemon) => {
                    drop(started.send(Ok(daemon.gate.addresses.console.clone())));
                    // The command is done when it sends, and when it drops its end without a word.
                    drop(stopped.await);
                    daemon.close().await;
                }
            }
        });
    });
    let guard = Offline { stop: Some(stop), thread: Some(thread) };
    match start.recv() {
        Ok(Ok(console)) => Ok((ConsoleClient::new(&console, Zeroizing::new(token)), guard)),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            Err(CliError::new(Kind::Internal, "the console of this command ended before it began").into())
        }
    }
}

/// A console in this process; stopped when it is dropped, and waited for.
struct Offline {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Offline {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The sender's end is what counts; the console may have ended already.
            stop.send(()).unwrap_or_default();
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the console of this command panicked");
        }
    }
}

/// A state root that cannot be used, with its exit code.
pub fn refused(error: StateRootError) -> CliError {
    unusable(&error, with_sources(&error))
}

fn unusable(error: &StateRootError, message: String) -> CliError {
    match error {
        StateRootError::InUse { .. } => CliError::in_use(message)
            .hint("stop that process first, or choose another state root with --state-root"),
        StateRootError::Io { source, .. } if is_for_want_of_room(source) => no_room(message),
        StateRootError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            CliError::config(message).hint("run it as the user the state root belongs to")
        }
        _ => CliError::config(message),
    }
}

/// A disk that is full, or a quota that is used up.
fn is_for_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn no_room(message: String) -> CliError {
    CliError::cannot_write(message).hint("free some space on its disk, or raise the quota")
}

/// Settings that cannot be used.
pub fn misconfigured(error: SettingsError) -> CliError {
    let shown = CliError::config(error.to_string());
    match error.hint {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}

/// A daemon that did not start: what is wrong decides the exit code.
pub fn not_started(error: &anyhow::Error) -> CliError {
    let message = format!("{error:#}");
    if let Some(registry) = error.downcast_ref::<RegistryError>() {
        let shown = CliError::config(message);
        return match registry.hint() {
            Some(hint) => shown.hint(hint),
            None => shown,
        };
    }
    if let Some(settings) = error.downcast_ref::<SettingsError>() {
        return misconfigured(settings.clone());
    }
    if let Some(known) = error.downcast_ref::<CliError>() {
        return known.clone();
    }
    if let Some(state_root) = error.downcast_ref::<StateRootError>() {
        return unusable(state_root, message);
    }
    if let Some(vault) = error.downcast_ref::<VaultError>() {
        return unusable_vault(vault, message);
    }
    if let Some(journal) = error.downcast_ref::<JournalError>() {
        return CliError::journal(journal, message);
    }
    match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(kind) => not_listening(kind, message),
        None => CliError::failed(message),
    }
}

const HOW_TO_NAME_ONE: &str = "with `--ingress` or `--console`, or in palyra.toml";

/// An address that can never be listened on is a fault of the settings; one that is taken may be free later.
fn not_listening(kind: ErrorKind, message: String) -> CliError {
    match kind {
        ErrorKind::AddrNotAvailable => {
            CliError::config(message).hint(format!("name an address of this machine {HOW_TO_NAME_ONE}"))
        }
        ErrorKind::PermissionDenied => CliError::config(message)
            .hint("name a port from 1024 on, or give the daemon CAP_NET_BIND_SERVICE"),
        ErrorKind::AddrInUse => CliError::failed(message).hint(format!(
            "`ss -ltnp` shows which process listens there; stop it, or name another address {HOW_TO_NAME_ONE}"
        )),
        _ => CliError::failed(message),
    }
}

fn unusable_vault(error: &VaultError, message: String) -> CliError {
    match error {
        VaultError::Storage(source) if is_for_want_of_room(source) => no_room(message),
        _ => CliError::config(message).hint(error.hint()),
    }
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
