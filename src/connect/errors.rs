//! Translates the reasons why a daemon, or the console of a command, did not start into errors with an exit code and a
//! remedy.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use palyra_actors::causes::in_full;
use palyra_actors::files::{
    is_fault_of_the_disk, is_for_want_of_resources, is_want_of_room, shortage_of_descriptors,
};
use palyra_actors::journal::JournalError;
use palyra_actors::registry::RegistryError;
use palyra_actors::vault::VaultError;

use crate::cli::{CliError, how_to_make_room};
use crate::daemon::NotReady;
use crate::settings::SettingsError;
use crate::state_root::StateRootError;
use crate::threads;

/// The error for a state root that cannot be used.
pub fn refused(error: StateRootError) -> CliError {
    unusable(&error, in_full(&error))
}

fn unusable(error: &StateRootError, message: String) -> CliError {
    match error {
        StateRootError::InUse { .. } => CliError::in_use(message)
            .hint("stop that process first, or choose another state root with --state-root; in a container its id is another one outside"),
        StateRootError::Io { source, .. } if is_want_of_room(source.kind()) => {
            no_room(source.kind(), message)
        }
        StateRootError::Io { source, .. } if is_fault_of_the_disk(source) => CliError::failing_disk(message),
        _ if is_shortage(error) => CliError::shortage(message),
        StateRootError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            CliError::config(message).hint("run this as the user who owns the state root")
        }
        StateRootError::Io { source, .. } if source.kind() == ErrorKind::ReadOnlyFilesystem => {
            CliError::config(message)
                .hint("mount its disk read-write, or choose another state root with --state-root")
        }
        _ => CliError::config(message),
    }
}

/// Whether file descriptors or memory are short. Where an error does not say so, whether descriptors are short now.
fn is_shortage(error: &(dyn Error + 'static)) -> bool {
    let of_the_system = |cause: &(dyn Error + 'static)| {
        let shared = cause.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref);
        shared.or_else(|| cause.downcast_ref()).is_some_and(is_for_want_of_resources)
    };
    anyhow::Chain::new(error).any(of_the_system) || shortage_of_descriptors().is_some()
}

fn no_room(kind: ErrorKind, message: String) -> CliError {
    CliError::cannot_write(message).hint(how_to_make_room(kind))
}

/// The error for settings that cannot be used.
pub fn misconfigured(error: SettingsError) -> CliError {
    let shown = CliError::config(error.to_string());
    match error.hint {
        Some(hint) => shown.hint(hint),
        None => shown,
    }
}

/// The error for a daemon that did not start; the cause decides the exit code.
pub fn not_started(error: &anyhow::Error) -> CliError {
    let message = in_full(error.as_ref());
    if is_shortage(error.as_ref()) {
        return CliError::shortage(message);
    }
    if let Some(registry) = error.downcast_ref::<RegistryError>() {
        return faulty(registry, message);
    }
    if let Some(settings) = error.downcast_ref::<SettingsError>() {
        return misconfigured(settings.clone());
    }
    if error.is::<NotReady>() {
        return CliError::cannot_write(message)
            .hint("check whether the disk of the state root is busy or failing, then try again");
    }
    if let Some(threads::Refused(refused)) = error.downcast_ref() {
        return without_threads(refused.kind(), message);
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
    if error.downcast_ref().is_some_and(is_fault_of_the_disk) {
        return CliError::failing_disk(message);
    }
    match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(kind) => not_listening(kind, message),
        None => CliError::failed(message),
    }
}

/// The error for a registry that cannot be read, and therefore not changed by a command either.
fn faulty(error: &RegistryError, message: String) -> CliError {
    let shown = CliError::config(message);
    let by_hand = match error {
        RegistryError::InvalidFile(fault) => Some(format!(
            "correct {} by hand, in line {}: commands cannot repair a file that is not valid",
            fault.file, fault.place.line
        )),
        _ => None,
    };
    let hints: Vec<String> = error.hint().into_iter().chain(by_hand).collect();
    if hints.is_empty() { shown } else { shown.hint(hints.join("; ")) }
}

/// A limit may leave room later; a prohibition stays.
fn without_threads(kind: ErrorKind, message: String) -> CliError {
    match kind {
        ErrorKind::PermissionDenied => CliError::config(message)
            .hint("a filter of system calls forbids it; Docker before 20.10.10 forbids `clone3`: use a newer one"),
        _ => CliError::cannot_write(message)
            .hint("allow more processes, of which each thread is one: `TasksMax=` in its unit, `--pids-limit` of its container, or `ulimit -u`"),
    }
}

const HOW_TO_NAME_ONE: &str = "with `--ingress` or `--console`, or in palyra.toml";

/// An address that can never be bound is a fault of the settings; one that is in use may become free.
fn not_listening(kind: ErrorKind, message: String) -> CliError {
    match kind {
        ErrorKind::AddrNotAvailable => {
            CliError::config(message).hint(format!("name an address of this machine {HOW_TO_NAME_ONE}"))
        }
        ErrorKind::PermissionDenied => CliError::config(message)
            .hint("name a port of 1024 or above, or give the daemon CAP_NET_BIND_SERVICE"),
        ErrorKind::AddrInUse => CliError::failed(message).hint(format!(
            "`ss -ltnp` shows which process listens there; stop it, or name another address {HOW_TO_NAME_ONE}"
        )),
        _ => CliError::failed(message),
    }
}

fn unusable_vault(error: &VaultError, message: String) -> CliError {
    match error {
        VaultError::Storage(source) if is_want_of_room(source.kind()) => no_room(source.kind(), message),
        VaultError::Storage(source) if is_fault_of_the_disk(source) => CliError::failing_disk(message),
        _ => CliError::config(message).hint(error.hint()),
    }
}

#[cfg(test)]
mod tests;
