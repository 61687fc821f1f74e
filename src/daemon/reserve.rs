//! Room that is kept free on the disk of the state root, for the end.
//!
//! When the disk is full the journal is poisoned and the daemon ends. To begin again it has to write: the log moved into
//! the database, its first events, a checkpoint. So has one that is told to stop on a disk that fills up. The reserve is
//! given back to the disk first thing on the way out, and taken again at the start.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};
use rustix::io::Errno;

/// Largest reserve: several times what the write-ahead log holds before it begins anew.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
/// On a small disk, the reserve is this part of it.
const PART_OF_DISK: u64 = 8;

/// A file that holds nothing but room. The room is given back when this is dropped.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
}

impl Reserve {
    /// Takes the room, unless a daemon that was killed left it taken.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when the disk has no such room, else what the system says.
    pub fn take(folder: &Path) -> io::Result<Self> {
        let path = folder.join("reserve");
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow);
        let reserve = Self { path };
        let file = options.open(&reserve.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, bytes_of(folder)?) {
            Ok(()) => {}
            // Where room cannot be promised, or files may not be so large, there is no reserve.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::FBIG) => {}
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
