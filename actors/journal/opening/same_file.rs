//! Whether the files SQLite has open are still the ones a restart will find under their names.
//!
//! SQLite goes on writing to a file that was deleted or replaced, without reporting an error.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

pub(in crate::journal) use platform::{look, look_open};

/// The identity of the database and its write-ahead log when the journal was opened.
#[derive(Debug)]
pub(in crate::journal) struct OpenFiles {
    database: KnownFile,
    wal: KnownFile,
}

#[derive(Debug)]
struct KnownFile {
    path: PathBuf,
    file: FileId,
}

/// Identifies a file independently of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) struct FileId {
    device: u64,
    inode: u64,
}

/// The file at a path; symbolic links are not followed.
#[derive(Debug)]
pub(in crate::journal) struct Found {
    pub(in crate::journal) file: FileId,
    pub(in crate::journal) bytes: u64,
}

impl OpenFiles {
    pub(in crate::journal) fn of(database: &Path) -> io::Result<Self> {
        Ok(Self { database: KnownFile::of(database.to_owned())?, wal: KnownFile::of(wal_path(database))? })
    }

    /// Fails if one of them was deleted or replaced.
    pub(in crate::journal) fn check(&self) -> Result<(), String> {
        self.database.check()?;
        self.wal.check()
    }

    /// Whether one of them has reached the process's limit of file size.
    pub(in crate::journal) fn may_not_grow(&self) -> bool {
        may_not_grow(&self.database.path)
    }

    /// Size of the database; 0 if it is gone.
    pub(in crate::journal) fn database_bytes(&self) -> u64 {
        self.database.bytes()
    }

    /// Size of the write-ahead log; 0 if it is gone.
    pub(in crate::journal) fn wal_bytes(&self) -> u64 {
        self.wal.bytes()
    }
}

impl KnownFile {
    fn of(path: PathBuf) -> io::Result<Self> {
        let file = look(&path)?.file;
        Ok(Self { path, file })
    }

    fn bytes(&self) -> u64 {
        look(&self.path).map_or(0, |found| found.bytes)
    }

    fn check(&self) -> Result<(), String> {
        let path = self.path.display();
        let found = look(&self.path).map_err(|error| format!("{path} is gone: {error}"))?;
        if found.file == self.file { Ok(()) } else { Err(format!("{path} was replaced by another file")) }
    }
}

/// Does not request timestamps. Since Linux 6.13 reading them makes the next write store a new one, and the following
/// fsync then writes the inode as well, which costs one more wait for the disk.
#[cfg(target_os = "linux")]
mod platform {
    use rustix::fs::{AtFlags, CWD, Statx, StatxFlags, makedev, statx};

    use super::{File, FileId, Found, Path, io};

    /// The file at `path`.
    pub(in crate::journal) fn look(path: &Path) -> io::Result<Found> {
        Ok(found(&statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted())?))
    }

    /// The file behind an open handle.
    pub(in crate::journal) fn look_open(file: &File) -> io::Result<Found> {
        Ok(found(&statx(file, c"", AtFlags::EMPTY_PATH, wanted())?))
    }

    fn wanted() -> StatxFlags {
        StatxFlags::TYPE | StatxFlags::INO | StatxFlags::SIZE
    }

    fn found(stat: &Statx) -> Found {
        let device = makedev(stat.stx_dev_major, stat.stx_dev_minor);
        let file = FileId { device, inode: stat.stx_ino };
        Found { file, bytes: stat.stx_size }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt as _;

    use super::{File, FileId, Found, Path, io};

    /// The file at `path`.
    pub(in crate::journal) fn look(path: &Path) -> io::Result<Found> {
        Ok(found(&std::fs::symlink_metadata(path)?))
    }

    /// The file behind an open handle.
    pub(in crate::journal) fn look_open(file: &File) -> io::Result<Found> {
        Ok(found(&file.metadata()?))
    }

    fn found(stat: &Metadata) -> Found {
        Found { file: FileId { device: stat.dev(), inode: stat.ino() }, bytes: stat.len() }
    }
}

/// Whether the database or a file beside it has reached the process's limit of file size. SQLite calls that an I/O error,
/// like a failing disk.
pub(in crate::journal) fn may_not_grow(database: &Path) -> bool {
    let Some(bytes_max) = getrlimit(Resource::Fsize).current else { return false };
    names_of(database).iter().any(|file| look(file).is_ok_and(|found| found.bytes >= bytes_max))
}

pub(in crate::journal) fn wal_path(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// The database and all files that SQLite may keep beside it.
pub(super) fn names_of(database: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|ending| beside(database, ending))
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(ending);
    name.into()
}
