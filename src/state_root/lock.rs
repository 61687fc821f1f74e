//! The lock of a state root, and the note in it about its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use palyra_actors::files::folder_of;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

const LOCK_FILE_BYTES_MAX: u64 = 256;
/// A process that merely asks for the holder takes the lock for an instant, during which the file may still name a daemon
/// that has ended. So a daemon is reported as the holder only when it appears as such for this long.
const DAEMON_PATIENCE: Duration = Duration::from_millis(250);
/// A command that works on the files of a stopped daemon holds the lock for moments; others wait this long for it.
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);

const UNLOCKED: Holder = Holder { pid: 0, role: Role::Unlocked };

/// The process that holds a state root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id, in the process namespace of the holder.
    pub pid: u32,
    /// What the process does with the state root.
    pub role: Role,
}

/// The purpose for which a process holds a state root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the daemon.
    Daemon,
    /// Runs one command and exits.
    Command,
    /// The lock file does not name its holder yet.
    Unknown,
    /// Holds the lock of the folder, but its lock file was removed or replaced.
    Unlocked,
}

impl Holder {
    /// How long to wait for the lock before this holder is reported.
    pub fn patience(self) -> Duration {
        match self.role {
            Role::Daemon | Role::Unlocked => DAEMON_PATIENCE,
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
            Role::Unlocked if self.pid == 0 => {
                f.write_str("a process whose `lock` was removed: restart that process")
            }
            Role::Unlocked => {
                write!(f, "the daemon with process id {}, whose `lock` was removed: restart it", self.pid)
            }
        }
    }
}

/// The lock, held until this is dropped or the process ends. While the lock is free, the file is empty, unless its last holder
/// ended without dropping this. The folder is locked too, if the file system supports that, because the file could be removed
/// and replaced by another one.
#[derive(Debug)]
pub struct Lock {
    /// Released before the file, so that whoever locks the file finds the folder free, or held by a process whose lock file
    /// is gone.
    folder: Option<File>,
    file: File,
}

impl Lock {
    /// Takes the lock if it is free; the inner `Err` is its holder.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn try_take(path: &Path) -> io::Result<Result<Self, Holder>> {
        let mut file = open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(read_holder(&mut file))),
            Err(TryLockError::Error(source)) => return Err(source),
        }
        let folder = File::open(folder_of(path))?;
        let folder = match folder.try_lock() {
            Ok(()) => Some(folder),
            Err(TryLockError::WouldBlock) => return Ok(Err(UNLOCKED)),
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "the folder of `lock` cannot be locked");
                None
            }
        };
        file.set_len(0)?;
        Ok(Ok(Self { folder, file }))
    }

    /// Writes the holder into the file.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn sign(&mut self, holder: Holder) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(serde_json::to_string(&holder)?.as_bytes())
    }
}

impl Drop for Lock {
    /// Empties the file while it is still locked, so that it names nobody who gave the lock up.
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "the lock still names its last holder");
        }
        drop(self.folder.take());
    }
}

/// The current holder of the lock at `path`.
///
/// # Errors
/// The error of the file system.
pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let mut file = match open_to_ask(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let found = unlocked(path)?;
            let was_made_meanwhile = found.is_some() && path.try_exists()?;
            return if was_made_meanwhile { holder(path) } else { Ok(found) };
        }
        opened => opened?,
    };
    match file.try_lock_shared() {
        // While this shared lock is held, nobody can take the lock of the folder.
        Ok(()) => unlocked(path),
        Err(TryLockError::WouldBlock) => Ok(Some(read_holder(&mut file))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The holder of the folder's lock, when the file's lock is free.
fn unlocked(path: &Path) -> io::Result<Option<Holder>> {
    let folder = match File::open(folder_of(path)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let is_held = matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock));
    Ok(is_held.then_some(UNLOCKED))
}

/// Opens the file, and creates it if it is missing.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    open_regular(&mut options, OFlags::NOFOLLOW, path)
}

/// Opens the file to ask who holds its lock; it has to exist.
fn open_to_ask(path: &Path) -> io::Result<File> {
    open_regular(OpenOptions::new().read(true), OFlags::empty(), path)
}

/// Opens a regular file and nothing else: opening a named pipe would wait for its other end.
fn open_regular(options: &mut OpenOptions, flags: OFlags, path: &Path) -> io::Result<File> {
    let flags = i32::try_from((flags | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let file = options.custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

fn read_holder(lock: &mut File) -> Holder {
    let mut text = String::new();
    let unknown = Holder { pid: 0, role: Role::Unknown };
    match lock.take(LOCK_FILE_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or(unknown),
        Err(_) => unknown,
    }
}
