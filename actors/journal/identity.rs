//! Whether the files that SQLite writes are still the files that a restart will find.
//!
//! SQLite goes on writing to files that were deleted or replaced under it, without an error.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The database and its write-ahead log, as they were when the journal was opened.
#[derive(Debug)]
pub(super) struct OpenFiles {
    database: Identity,
    wal: Identity,
}

#[derive(Debug)]
struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OpenFiles {
    pub(super) fn of(database: &Path) -> io::Result<Self> {
        Ok(Self { database: Identity::of(database.to_owned())?, wal: Identity::of(wal_path(database))? })
    }

    /// Fails when one of them was deleted or replaced.
    pub(super) fn check(&self) -> Result<(), String> {
        self.database.check()?;
        self.wal.check()
    }

    /// Size of the write-ahead log; 0 when it is gone.
    pub(super) fn wal_bytes(&self) -> u64 {
        fs::metadata(&self.wal.path).map_or(0, |wal| wal.len())
    }
}

impl Identity {
    fn of(path: PathBuf) -> io::Result<Self> {
        let found = fs::symlink_metadata(&path)?;
        Ok(Self { path, device: found.dev(), inode: found.ino() })
    }

    fn check(&self) -> Result<(), String> {
        let path = self.path.display();
        let found = fs::symlink_metadata(&self.path).map_err(|error| format!("{path} is gone: {error}"))?;
        let same = (found.dev(), found.ino()) == (self.device, self.inode);
        if same { Ok(()) } else { Err(format!("{path} was replaced by another file")) }
    }
}

fn wal_path(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push("-wal");
    name.into()
}
