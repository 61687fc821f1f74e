//! How a command finds its console: that of the running daemon, or one of its own while none runs.

use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_rt::System;
use palyra_actors::journal::{JournalError, JournalFiles};
use palyra_actors::registry::RegistryError;
use palyra_actors::vault::VaultError;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::cli::{CliError, Connection, ConsoleClient, Kind, Need};
use crate::daemon::{Daemon, Serve};
use crate::settings::{Flags, Settings, SettingsError};
use crate::state_root::{Role, StateRoot, StateRootError};

/// Connects a command to a console.
///
/// # Errors
/// When no daemon runs and one is needed, or the state root cannot be used.
pub fn connect(root: &StateRoot, need: Need) -> Result<Connection, CliError> {
    if let Some(client) = running(root) {
        return Ok(Connection::to_daemon(client));
    }
    match need {
        Need::Daemon => Err(CliError::unreachable(format!("no daemon runs on `{}`", root.path().display()))
            .hint(format!("start it: palyra --state-root {} daemon", root.path().display()))),
        Need::DaemonOrOffline => offline(root),
    }
}

/// Where the journal's files lie, by the settings.
///
/// # Errors
/// When the settings cannot be used.
pub fn journal_files(root: &StateRoot) -> Result<JournalFiles, CliError> {
    let settings = Settings::load(&root.settings_file(), Flags::default()).map_err(misconfigured)?;
    Ok(root.journal_files(settings.anchor_dir.as_deref()))
}

/// The console of the daemon that holds the root.
fn running(root: &StateRoot) -> Option<ConsoleClient> {
    root.holder().filter(|holder| holder.role == Role::Daemon)?;
    let runtime = root.runtime()?;
    Some(ConsoleClient::new(&runtime.console, Zeroizing::new(root.token()?)))
}

/// Starts a console in this process, over the files of the stopped daemon.
fn offline(root: &StateRoot) -> Result<Connection, CliError> {
    let possession = root.take(Role::Command).map_err(refused)?;
    let settings = Settings::load(&root.settings_file(), Flags::default()).map_err(misconfigured)?;
    let token = possession.token().map_err(refused)?;
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
        Ok(Ok(console)) => {
            Ok(Connection::guarded(ConsoleClient::new(&console, Zeroizing::new(token)), guard))
        }
        Ok(Err(error)) => Err(not_started(&error)),
        Err(_) => Err(CliError::new(Kind::Internal, "the console of this command ended before it began")),
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
        StateRootError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            CliError::cannot_write(message).hint("free some space on its disk")
        }
        _ => CliError::config(message),
    }
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
    if let Some(state_root) = error.downcast_ref::<StateRootError>() {
        return unusable(state_root, message);
    }
    if let Some(vault) = error.downcast_ref::<VaultError>() {
        return unusable_vault(vault, message);
    }
    match error.downcast_ref::<JournalError>() {
        Some(journal) => CliError::journal(journal, message),
        None => CliError::failed(message),
    }
}

fn unusable_vault(error: &VaultError, message: String) -> CliError {
    match error {
        VaultError::Storage(source) if source.kind() == std::io::ErrorKind::StorageFull => {
            CliError::cannot_write(message).hint("free some space on its disk")
        }
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
