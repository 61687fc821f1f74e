//! Exclusive use of a state root, and what only its holder may write.

use std::fmt::Write as _;

use palyra_actors::files;
use zeroize::Zeroizing;

use super::check::Foreign;
use super::lock::Lock;
use super::reserve::Reserve;
use super::{Runtime, StateRoot, StateRootError};
use crate::random::random_u128;

/// Exclusive use of a state root, until this is dropped.
#[derive(Debug)]
pub struct Possession {
    pub(super) root: StateRoot,
    /// The mode it had, if others could list or enter it.
    pub(super) was_open: Option<u32>,
    pub(super) foreign: Foreign,
    pub(super) _lock: Lock,
}

impl Possession {
    /// The state root.
    pub fn root(&self) -> &StateRoot {
        &self.root
    }

    /// Says that others could list or enter the state root until its mode was changed to 700, if that was so.
    pub fn told_if_it_was_open(&self) -> Option<String> {
        let mode = self.was_open?;
        let path = self.root.path().display();
        Some(format!("`{path}` was open to other users (mode {mode:03o}); its mode was changed to 700"))
    }

    /// Warns of foreign files in the state root, which are ignored.
    pub fn warn_of_foreign_files(&self) {
        for file in &self.foreign.named {
            let file = file.display();
            tracing::warn!(%file, "a file in the state root is not palyra's and is ignored; move it elsewhere");
        }
        if self.foreign.more > 0 {
            tracing::warn!(files = self.foreign.more, "more files in the state root are not palyra's");
        }
    }

    /// The token of the console, created at the first start: 256 random bits in hexadecimal.
    ///
    /// # Errors
    /// When it can be neither read nor written, or is short enough to be guessed.
    pub fn token(&self) -> Result<Zeroizing<String>, StateRootError> {
        if let Some(token) = self.root.usable_token()? {
            return Ok(token);
        }
        let path = self.root.token_file();
        let mut token = new_token();
        token.push('\n');
        files::atomic_replace(&path, token.as_bytes())
            .map_err(|source| StateRootError::Io { path, source })?;
        token.pop();
        Ok(token)
    }

    /// Reserves disk space for an orderly end of the daemon.
    ///
    /// # Errors
    /// [`StateRootError::Io`], of kind [`std::io::ErrorKind::StorageFull`] when the disk lacks the space.
    pub fn reserve(&self) -> Result<Reserve, StateRootError> {
        let path = self.root.path().to_owned();
        Reserve::take(&path).map_err(|source| StateRootError::Io { path, source })
    }

    /// Writes the addresses of the daemon for commands to find.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&self, runtime: &Runtime) -> Result<(), StateRootError> {
        let path = self.root.runtime_file();
        let text = serde_json::to_string(runtime).unwrap_or_default();
        files::atomic_replace(&path, text.as_bytes()).map_err(|source| StateRootError::Io { path, source })
    }

    /// Removes the addresses. Those left by a killed daemon are recognised by the lock, which is free.
    pub fn withdraw(&self) {
        if let Err(error) = self.root.withdraw() {
            tracing::debug!(%error, "`daemon.json` was not removed");
        }
    }
}

/// 256 random bits in hexadecimal, with capacity for the line end: a string that grew would leave an unwiped copy behind.
fn new_token() -> Zeroizing<String> {
    let mut token = Zeroizing::new(String::with_capacity(65));
    for _ in 0..2 {
        // Writing to a String cannot fail.
        write!(token, "{:032x}", random_u128()).unwrap_or_default();
    }
    token
}
