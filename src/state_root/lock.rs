//! The lock of a state root, and what it says of who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const LOCK_FILE_BYTES_MAX: u64 = 256;
/// Who asks for the holder has the lock for an instant, while the file may still name a daemon that was killed: a daemon
/// is believed in possession only when it is so for this long.
const DAEMON_PATIENCE: Duration = Duration::from_millis(250);
/// A command that works on the files of a stopped daemon holds the lock for moments; others wait this long for it.
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);

/// Who holds a state root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id, in the holder's process namespace.
    pub pid: u32,
    /// What it does there.
    pub role: Role,
}

/// What a process does in a state root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Serves.
    Daemon,
    /// Runs one command and leaves.
    Command,
    /// The lock file says nothing yet.
    Unknown,
}

impl Holder {
    /// How long to wait for the lock before it is believed that this one holds it.
    pub fn patience(self) -> Duration {
        match self.role {
            Role::Daemon => DAEMON_PATIENCE,
            Role::Command | Role::Unknown => COMMAND_PATIENCE,
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.role {
            Role::Daemon => write!(f, "the daemon with process id {}", self.pid),
            Role::Command => write!(f, "a command with process id {}", self.pid),
            Role::Unknown => f.write_str("another process"),
        }
    }
}

/// The lock, ours until this is dropped. The file is empty when it is free.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock if it is free; `Err` inside names who holds it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn try_take(path: &Path) -> io::Result<Result<Self, Holder>> {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(read_holder(&mut file))),
            Err(TryLockError::Error(source)) => return Err(source),
        }
        file.set_len(0)?;
        Ok(Ok(Self(file)))
    }

    /// Says who holds it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn sign(&mut self, holder: Holder) -> io::Result<()> {
        self.0.rewind()?;
        self.0.write_all(serde_json::to_string(&holder)?.as_bytes())
    }
}

impl Drop for Lock {
    /// Empties the file while it is ours: what the next reader finds there was written by who holds the lock then.
    fn drop(&mut self) {
        if let Err(error) = self.0.set_len(0) {
            tracing::debug!(%error, "the lock still names its last holder");
        }
    }
}

/// Who holds the lock at `path` now.
///
/// # Errors
/// What the file system says; a lock that is not there is held by nobody.
pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&mut file))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(no_follow)
        .open(path)
}

fn read_holder(lock: &mut File) -> Holder {
    let mut text = String::new();
    let unknown = Holder { pid: 0, role: Role::Unknown };
    match lock.take(LOCK_FILE_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or(unknown),
        Err(_) => unknown,
    }
}
