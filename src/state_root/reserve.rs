//! A reserve of disk space in the state root, for an orderly end.
//!
//! When the disk is full the journal is poisoned and the daemon ends. The next start has to write: it moves the write-ahead
//! log into the database, appends its first events and signs a checkpoint. So does a stop on a disk that is filling up. The
//! reserve is released first thing on the way out, and taken again at the start.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};
use rustix::io::Errno;

/// Largest reserve: several times the size at which the write-ahead log is reset.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// On a small disk, the reserve is one part in this many.
const PART_OF_DISK: u64 = 8;

/// A file that only occupies disk space. The space is released when this is dropped.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Allocates the space, unless a killed daemon has left it allocated.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when the disk lacks the space, or another error of the system.
    pub fn take(folder: &Path) -> io::Result<Self> {
        let path = folder.join("reserve");
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow);
        let reserve = Self { path };
        let file = options.open(&reserve.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, bytes_of(folder)?) {
            Ok(()) => {}
            // A file system that cannot preallocate, a filter that forbids it or a limit on file sizes means no reserve.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::FBIG) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(reserve)
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "the disk space reserved for stopping could not be freed");
            }
            _ => {}
        }
    }
}

fn bytes_of(folder: &Path) -> io::Result<u64> {
    let disk = statvfs(folder)?;
    Ok((disk.f_blocks.saturating_mul(disk.f_frsize) / PART_OF_DISK).clamp(1, BYTES_MAX))
}
