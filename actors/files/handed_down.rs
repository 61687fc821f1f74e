//! Secrets that others place on the disk for us: root, a container runtime or the service manager.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::process::geteuid;

use super::{read_checked, read_private, refuse_if_shared, refused, with_path};

/// Most symbolic links followed on the way to one file, the same as in the kernel. More: refused.
const LINKS_MAX: usize = 40;
/// Permission bits that allow group or others to write.
const OTHERS_WRITE_BITS: u32 = 0o022;
/// In a folder with this bit, nobody may rename or remove the files of other users.
const STICKY_BIT: u32 = 0o1000;
const ROOT: u32 = 0;

/// Reads a secret outside the state root: a private file as [`read_private`] does, or one that root provides.
///
/// Docker, Kubernetes and systemd create such files as root, readable by a group or by everybody within the container,
/// and behind symbolic links. Only root decides who can read them, so that is not checked. What is checked is that nobody
/// else can substitute another file: the file, the links and every folder on the way belong to root or us, and only their
/// owner can change them.
///
/// # Errors
/// `NotFound` when there is none; else the path, the problem and the remedy.
pub fn read_secret(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let metadata = fs::symlink_metadata(path).map_err(|error| with_path(path, "cannot be read", &error))?;
    let is_private = metadata.is_file() && refuse_if_shared(path, &metadata, "600").is_ok();
    let is_roots_or_link = metadata.uid() == ROOT || metadata.is_symlink();
    if is_private || !is_roots_or_link {
        return read_private(path, max_bytes);
    }
    let file = resolve(path)?;
    read_checked(&file, max_bytes, |metadata| match metadata.uid() {
        ROOT => refuse_if_changeable(&file, metadata),
        _ => refuse_if_shared(&file, metadata, "600"),
    })
}

/// Resolves the links in `path`, provided that only root and we can change them.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut reached = PathBuf::from("/");
    let mut ahead = names_backwards(path);
    let mut links = 0;
    while let Some(name) = ahead.pop() {
        if name == ".." {
            reached.pop();
            continue;
        }
        let next = reached.join(&name);
        let metadata =
            fs::symlink_metadata(&next).map_err(|error| with_path(&next, "cannot be read", &error))?;
        refuse_if_changeable(&next, &metadata)?;
        if !metadata.is_symlink() {
            reached = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Err(refused(path, "leads through too many symbolic links", "name the file itself"));
        }
        let target = fs::read_link(&next).map_err(|error| with_path(&next, "cannot be read", &error))?;
        if target.is_absolute() {
            reached = PathBuf::from("/");
        }
        ahead.extend(names_backwards(&target));
    }
    Ok(reached)
}

/// The components of `path`, the last one first.
fn names_backwards(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    names.collect()
}

/// A symbolic link has no mode of its own: its folder determines who can change it.
fn refuse_if_changeable(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let (owner, we) = (metadata.uid(), geteuid().as_raw());
    if owner != ROOT && owner != we {
        let reason =
            format!("belongs to user {owner}, but must belong to root or to user {we}, who reads it");
        return Err(refused(path, &reason, "make root its owner"));
    }
    let bits = metadata.mode() & 0o7777;
    let is_guarded = metadata.is_symlink() || metadata.is_dir() && bits & STICKY_BIT != 0;
    if bits & OTHERS_WRITE_BITS != 0 && !is_guarded {
        let reason = format!("can be changed by other users (mode {bits:03o})");
        let mode = if metadata.is_dir() { "go-w" } else { "600" };
        return Err(refused(path, &reason, &format!("run `chmod {mode} {}`", path.display())));
    }
    Ok(())
}
