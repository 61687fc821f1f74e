//! How many files this process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The daemon, and a command that runs its console, need this many before the first connection is served: threads with their
/// event queues, the journal with its readers, and some connections.
const OPEN_FILES_MIN: u64 = 64;

/// The process may have too few files open.
#[derive(Debug, thiserror::Error)]
#[error("this process may have only {0} files open, and needs {OPEN_FILES_MIN} at least")]
pub struct TooFew(u64);

/// Refuses a limit that is too low, after it was raised.
///
/// # Errors
/// The limit.
pub fn check() -> Result<(), TooFew> {
    match raise() {
        few @ ..OPEN_FILES_MIN => Err(TooFew(few)),
        _ => Ok(()),
    }
}

/// Raises the limit of open files as far as this process may, and returns it. No limit counts as [`u64::MAX`].
pub fn raise() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
