//! Checks that a folder is a safe state root, and that everything in it is.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use palyra_actors::files;

use super::StateRootError;
use super::names::{
    BESIDE_THE_ANCHOR, IS_A_FOLDER, MARKS, PARTS, is_ours, is_unfinished, wrong_kind, wrong_kind_below,
};

/// Created by the file system at the root of a volume, accessible to root only. It is allowed and ignored.
const OF_THE_VOLUME: &str = "lost+found";

/// The user id of root.
const ROOT: u32 = 0;

/// The kind of contents of a folder.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Nothing,
    StateRoot,
    /// Other files only, none of a state root.
    Foreign,
}

/// Creates the folder if needed and makes it private. A folder that contains only foreign files is left unchanged. The
/// result is that of [`open_mode`], from before.
///
/// # Errors
/// When it belongs to another user, contains only foreign files, or is a state root that others could write to.
pub fn make(root: &Path) -> Result<Option<u32>, StateRootError> {
    let io = |source| StateRootError::Io { path: root.to_owned(), source };
    files::make_private_dirs(root).map_err(io)?;
    folder_itself(root)?;
    let was_open = open_mode(root).map_err(io)?;
    fs::set_permissions(root, Permissions::from_mode(0o700)).map_err(io)?;
    Ok(was_open)
}

/// The mode of a state root that others can list or enter; `None` for a private one, and for a folder that is not one yet.
///
/// # Errors
/// The error of the file system.
pub fn open_mode(root: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(root)?.mode() & 0o777;
    Ok((mode & 0o077 != 0 && content(root)? == Content::StateRoot).then_some(mode))
}

/// Refuses a folder that belongs to another user, contains only foreign files, or is a state root that others could write
/// to.
///
/// # Errors
/// Which of these applies, or the error of the file system.
pub fn folder_itself(root: &Path) -> Result<(), StateRootError> {
    let io = |source| StateRootError::Io { path: root.to_owned(), source };
    owner(root)?;
    let content = content(root).map_err(io)?;
    if content == Content::Foreign {
        let remedy = "name a separate folder with --state-root; it is created if it is missing";
        return Err(refused(root, "is not a state root: it contains other files", remedy));
    }
    let meta = fs::metadata(root).map_err(io)?;
    if content == Content::StateRoot && meta.mode() & 0o022 != 0 {
        let remedy = format!("check its contents, then run `chmod 700 {}`", root.display());
        return Err(refused(root, "is writable by other users", remedy));
    }
    Ok(())
}

/// Refuses a folder that belongs to another user; a missing one is accepted.
///
/// # Errors
/// When it belongs to another user, or cannot be examined.
pub fn owner(root: &Path) -> Result<(), StateRootError> {
    let meta = match fs::metadata(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        meta => meta.map_err(|source| StateRootError::Io { path: root.to_owned(), source })?,
    };
    let (owner, we) = (meta.uid(), rustix::process::geteuid().as_raw());
    if owner == we {
        return Ok(());
    }
    let problem = format!("belongs to user {owner}, but this runs as user {we}");
    let is_for_us = || is_bare(root).unwrap_or(false) && files::check_writable(root).is_ok();
    Err(refused(root, problem, remedy_for_foreign(root, owner, we, is_for_us)))
}

/// A volume often belongs to root, and its user can write to it, which `is_for_us` tells of an empty one: then a folder in it
/// can be the state root. Root can write to any folder, so for root that says nothing.
pub(super) fn remedy_for_foreign(
    root: &Path,
    owner: u32,
    we: u32,
    is_for_us: impl FnOnce() -> bool,
) -> String {
    if owner == ROOT && we != ROOT && is_for_us() {
        return format!("name a folder in it, which is created: `--state-root {}/state`", root.display());
    }
    format!(
        "run this as that user: `sudo -u '#{owner}' palyra …`, or choose another state root with --state-root"
    )
}

/// Folders in which files are created, and files that are written in place; all other files are replaced as a whole. The
/// empty name stands for the state root itself.
const WRITTEN: [&str; 7] = ["", "vault", "anchor", "lock", "journal.db", "journal.db-wal", "journal.db-shm"];

/// Refuses a state root in which a daemon could not write everything it has to.
///
/// # Errors
/// The first item that is not writable.
pub fn writable(root: &Path) -> Result<(), StateRootError> {
    for name in WRITTEN {
        let path = if name.is_empty() { root.to_owned() } else { root.join(name) };
        match files::check_writable(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let mode = if path.is_dir() { "700" } else { "600" };
                let remedy = format!("run `chmod {mode} {}`", path.display());
                return Err(refused(&path, "is not writable by its owner", remedy));
            }
            Err(source) => return Err(StateRootError::Io { path: root.to_owned(), source }),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Whether the folder is missing or empty.
///
/// # Errors
/// The error of the file system.
pub fn is_bare(root: &Path) -> io::Result<bool> {
    match content(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        content => Ok(content? == Content::Nothing),
    }
}

fn content(root: &Path) -> io::Result<Content> {
    let mut content = Content::Nothing;
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name();
        let is_one_of = |names: &[&str]| names.iter().any(|known| name == *known);
        if is_one_of(&MARKS) {
            return Ok(Content::StateRoot);
        }
        content = match content {
            content if name == OF_THE_VOLUME || is_unfinished(&name) => content,
            Content::Nothing if is_one_of(&PARTS) => Content::StateRoot,
            content if is_one_of(&PARTS) => content,
            _ => Content::Foreign,
        };
    }
    Ok(content)
}

/// Refuses symbolic links, hard links, foreign owners, anything accessible to group or others, and a folder in the place of
/// a file, also in the folders of the anchor and the vault. Regular files at the top level with unknown names are neither
/// read nor written, so their permissions do not matter: they are ignored and returned, so that the caller can warn of them.
///
/// # Errors
/// The first item that is refused.
pub fn tree(root: &Path) -> Result<Foreign, StateRootError> {
    let mut foreign = Foreign::default();
    let io = |source| StateRootError::Io { path: root.to_owned(), source };
    for entry in fs::read_dir(root).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.ends_with(OF_THE_VOLUME) {
            continue;
        }
        let Some(meta) = metadata(&path).map_err(io)? else { continue };
        if meta.is_file() && !is_ours(&path) {
            foreign.add(path);
            continue;
        }
        entry_of_ours(&path, &meta)?;
        refuse_if(wrong_kind(&path, &meta), &path)?;
        if meta.is_dir() {
            folder(&path, 1)?;
        }
    }
    Ok(foreign)
}

/// Files in a state root that palyra neither reads nor writes.
#[derive(Debug, Default)]
pub struct Foreign {
    /// The first of them.
    pub named: Vec<PathBuf>,
    /// The number of the others.
    pub more: usize,
}

impl Foreign {
    const NAMED_MAX: usize = 16;

    fn add(&mut self, path: PathBuf) {
        if self.named.len() < Self::NAMED_MAX {
            self.named.push(path);
        } else {
            self.more += 1;
        }
    }
}

fn folder(dir: &Path, depth: usize) -> Result<(), StateRootError> {
    const DEPTH_MAX: usize = 4;
    let io = |source| StateRootError::Io { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let Some(meta) = metadata(&path).map_err(io)? else { continue };
        entry_of_ours(&path, &meta)?;
        if depth == 1 {
            refuse_if(wrong_kind_below(&path, &meta), &path)?;
        }
        if meta.is_dir() && depth < DEPTH_MAX {
            folder(&path, depth + 1)?;
        }
    }
    Ok(())
}

/// Refuses a folder of the anchor outside the state root in which a file of palyra's is of the wrong kind, or not its own.
/// All else in it, and a missing folder, is accepted.
///
/// # Errors
/// The first item that is refused.
pub fn beside_the_anchor(dir: &Path) -> Result<(), StateRootError> {
    for path in BESIDE_THE_ANCHOR.map(|name| dir.join(name)) {
        let found = metadata(&path).map_err(|source| StateRootError::Io { path: path.clone(), source })?;
        if let Some(meta) = found {
            entry_of_ours(&path, &meta)?;
            refuse_if(meta.is_dir().then_some(IS_A_FOLDER), &path)?;
        }
    }
    Ok(())
}

fn refuse_if(wrong_kind: Option<&'static str>, path: &Path) -> Result<(), StateRootError> {
    wrong_kind.map_or(Ok(()), |problem| Err(refused(path, problem, "move it away")))
}

/// The metadata of a file; `None` if a running daemon has moved it away in the meantime.
fn metadata(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        meta => meta.map(Some),
    }
}

fn entry_of_ours(path: &Path, meta: &Metadata) -> Result<(), StateRootError> {
    private(path, meta)?;
    if meta.is_file() && meta.nlink() > 1 {
        return Err(refused(path, "has a second name (a hard link)", "remove the other name"));
    }
    Ok(())
}

/// Refuses what is not a file or folder of this user alone.
fn private(path: &Path, meta: &Metadata) -> Result<(), StateRootError> {
    let (shown, we) = (path.display(), rustix::process::geteuid().as_raw());
    if meta.file_type().is_symlink() {
        return Err(refused(path, "is a symbolic link", "replace it with the file it points to"));
    }
    if !meta.is_dir() && !meta.is_file() {
        return Err(refused(path, "is neither a file nor a folder", "remove it"));
    }
    if meta.uid() != we {
        let problem = format!("belongs to user {}, but its state root belongs to user {we}", meta.uid());
        return Err(refused(path, problem, format!("run `chown {we} {shown}`")));
    }
    if meta.mode() & 0o077 != 0 {
        let mode = if meta.is_dir() { "700" } else { "600" };
        return Err(refused(path, "is open to other users", format!("run `chmod {mode} {shown}`")));
    }
    Ok(())
}

/// The error for a path that is refused.
pub fn refused(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> StateRootError {
    StateRootError::Unsafe { path: path.to_owned(), problem: problem.into(), remedy: remedy.into() }
}
