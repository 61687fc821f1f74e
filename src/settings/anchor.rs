//! Which folders can hold the anchor.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use palyra_actors::files;

/// Why a folder cannot hold the anchor of the state root at `root`; `None` if it can, or if a start can create it.
pub fn problem(dir: &Path, root: &Path) -> Option<String> {
    let we = rustix::process::geteuid().as_raw();
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            files::check_makeable(dir).err().map(|error| format!("cannot be created: {error}"))
        }
        Err(error) => Some(format!("cannot be accessed: {error}")),
        Ok(meta) if meta.is_symlink() => Some("is a symbolic link".to_owned()),
        Ok(meta) if !meta.is_dir() => Some("is not a folder".to_owned()),
        Ok(meta) if meta.uid() != we => {
            Some(format!("belongs to user {}, but this runs as user {we}", meta.uid()))
        }
        // Each of the two takes a lock on its own folder, so they cannot be the same.
        Ok(meta) if is_same(&meta, root) => Some("is the state root itself".to_owned()),
        Ok(meta) if meta.mode() & 0o077 != 0 => {
            Some(format!("is open to other users (mode {:03o})", meta.mode() & 0o777))
        }
        Ok(_) => files::check_writable(dir).err().map(|error| format!("cannot be used: {error}")),
    }
}

fn is_same(dir: &Metadata, other: &Path) -> bool {
    fs::metadata(other).is_ok_and(|other| (other.dev(), other.ino()) == (dir.dev(), dir.ino()))
}
