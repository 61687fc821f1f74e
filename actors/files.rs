//! Files of the state root: private to their owner, and always replaced as a whole.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

mod handed_down;
#[cfg(test)]
mod tests;

pub use handed_down::read_secret;

/// Prefix of the name of a file that is being written. After a crash, files with this prefix can be deleted.
pub const UNFINISHED_PREFIX: &str = ".unfinished-";
/// How long to wait for a file descriptor if the process or the machine has none left, and the pause between two
/// attempts.
const DESCRIPTOR_WAIT: Duration = Duration::from_secs(5);
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(20);
/// Bytes of a file rewritten per step.
const REWRITE_BYTES: usize = 1 << 16;
/// Permission bits of group and others.
const NOT_OWNER_BITS: u32 = 0o077;

/// Replaces the file at `path` by `bytes`, with mode 0600.
///
/// After a crash at any moment the file contains either the old or the new bytes completely: they are written to a
/// temporary file in the same folder, which is synced and renamed; then the folder is synced.
///
/// # Errors
/// The error of the file system, with the path. The old file is kept, unless only the last step failed. Then the new one
/// is in place, which [`holds`] can tell, but a power failure may restore the old one.
pub fn atomic_replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let replace = || {
        let folder = folder_of(path);
        let opened = patiently(|| File::open(folder))?;
        // `tempfile` creates with mode 0600 and `O_EXCL`.
        let create = || tempfile::Builder::new().prefix(UNFINISHED_PREFIX).tempfile_in(folder);
        let mut unfinished = patiently(create)?;
        unfinished.write_all(bytes)?;
        unfinished.as_file().sync_all()?;
        unfinished.persist(path)?;
        opened.sync_all()
    };
    replace().map_err(|error| with_path(path, "cannot be written", &error))
}

/// Whether the file at `path` contains `bytes`, after replacing it has failed.
pub fn holds(path: &Path, bytes: &[u8]) -> bool {
    read_private(path, bytes.len() as u64).is_ok_and(|held| held == bytes)
}

/// Removes the file at `path` durably: the folder is synced afterwards.
///
/// # Errors
/// `NotFound` when there is none, else the error of the file system, with the path.
pub fn remove_durably(path: &Path) -> io::Result<()> {
    let remove = || fs::remove_file(path).and_then(|()| sync_folder(folder_of(path)));
    remove().map_err(|error| with_path(path, "cannot be removed", &error))
}

/// Replaces the file `old` by `new`, after overwriting `old` with zeros: for keys that must not be recoverable. A disk
/// that writes to new locations (an SSD) may still keep them; only disk encryption helps there.
///
/// # Errors
/// The error of the file system, with the path. After a crash `old` may be zeros or missing while `new` still exists.
pub fn replace_and_wipe(old: &Path, new: &Path) -> io::Result<()> {
    let wipe = |file: &mut File| {
        let bytes = file.metadata()?.len();
        io::copy(&mut io::repeat(0).take(bytes), file)?;
        file.sync_all()
    };
    let replace = || {
        match patiently(|| open_to_wipe(old)) {
            Ok(mut file) => wipe(&mut file)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::rename(new, old)?;
        sync_folder(folder_of(old))
    };
    replace().map_err(|error| with_path(old, "cannot be replaced", &error))
}

/// Reads a private file: a regular file, not a symbolic link, owned by the user the process runs as, without permissions
/// for group and others, of at most `max_bytes`.
///
/// # Errors
/// `NotFound` when there is none; else the path, the problem and the remedy.
pub fn read_private(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    read_checked(path, max_bytes, |metadata| refuse_if_shared(path, metadata, "600"))
}

/// Reads a regular file of at most `max_bytes`. Symbolic links are followed; owner and mode are not checked.
///
/// # Errors
/// `NotFound` when there is none; else the path, the problem and the remedy.
pub fn read_public(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = fs::canonicalize(path).map_err(|error| with_path(path, "cannot be opened", &error))?;
    read_checked(&file, max_bytes, |_| Ok(()))
}

/// Reads a regular file that is not a symbolic link and passes `check`.
fn read_checked(
    path: &Path,
    max_bytes: u64,
    check: impl FnOnce(&Metadata) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let file = patiently(|| open_no_follow(path))?;
    let metadata = file.metadata().map_err(|error| with_path(path, "cannot be read", &error))?;
    if !metadata.is_file() {
        return Err(refused(path, "is not a regular file", "put a regular file there"));
    }
    check(&metadata)?;
    let too_large =
        || refused(path, &format!("is larger than {max_bytes} bytes"), "put a smaller file there");
    if metadata.len() > max_bytes {
        return Err(too_large());
    }
    // One spare byte prevents the buffer from being reallocated: the old allocation would not be wiped.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0).saturating_add(1));
    let read = file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| with_path(path, "cannot be read", &error))?;
    // It may have grown since its size was read.
    if bytes.len() as u64 > max_bytes { Err(too_large()) } else { Ok(bytes) }
}

/// Rewrites the bytes of a file in place and syncs it. Meanwhile it may be read, but not written.
pub(crate) fn rewrite(path: &Path) -> io::Result<()> {
    let rewrite = || {
        let file = File::options().read(true).write(true).open(path)?;
        let (mut bytes, mut offset) = (vec![0; REWRITE_BYTES], 0);
        loop {
            let read = file.read_at(&mut bytes, offset)?;
            let Some(part) = bytes.get(..read).filter(|part| !part.is_empty()) else { break };
            file.write_all_at(part, offset)?;
            offset += part.len() as u64;
        }
        file.sync_data()
    };
    rewrite().map_err(|error| with_path(path, "cannot be rewritten", &error))
}

/// Ensures that `path` is a private folder, mode 0700; creates it and its missing parents.
///
/// # Errors
/// When it is not a folder, is a link, belongs to another user, or is accessible to group or others: the path, the
/// problem and the remedy.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    if !path.try_exists().map_err(|error| with_path(path, "cannot be accessed", &error))? {
        make_private_dirs(path).map_err(|error| with_path(path, "cannot be created", &error))?;
    }
    let metadata = fs::symlink_metadata(path).map_err(|error| with_path(path, "cannot be read", &error))?;
    if metadata.is_symlink() {
        return Err(refused(path, "is a link, not a folder", "name the folder itself"));
    }
    if !metadata.is_dir() {
        return Err(refused(path, "is not a folder", "move it away"));
    }
    refuse_if_shared(path, &metadata, "700")
}

/// Creates the folder at `path` and its missing parents durably, with mode 0700.
///
/// # Errors
/// The error of the file system.
pub fn make_private_dirs(path: &Path) -> io::Result<()> {
    let is_missing = |folder: &&Path| fs::symlink_metadata(folder).is_err();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    let make = |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder);
    for folder in missing.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()) {
        make(folder)?;
        match sync_folder(folder_of(folder)) {
            // A folder that is writable but not readable cannot be opened to be synced.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    make(path)
}

/// Fails if we could not write to the file, or into the folder, at `path`. Nothing is written for the check.
///
/// # Errors
/// The error of the file system, with the path; `NotFound` when there is nothing.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let checked = || {
        let enter = if fs::metadata(path)?.is_dir() { Access::EXEC_OK } else { Access::empty() };
        match rustix::fs::accessat(CWD, path, Access::READ_OK | Access::WRITE_OK | enter, AtFlags::EACCESS) {
            // An old kernel does not support the check; the write itself will fail instead.
            Err(Errno::NOSYS | Errno::INVAL) => Ok(()),
            checked => Ok(checked?),
        }
    };
    checked().map_err(|error: io::Error| with_path(path, "cannot be written to", &error))
}

/// Fails if the folder can neither be created, with its parents, nor be written to if it exists. Nothing is created for
/// the check.
///
/// # Errors
/// The obstacle, with its path.
pub fn check_makeable(folder: &Path) -> io::Result<()> {
    let there = folder.ancestors().find(|path| fs::symlink_metadata(path).is_ok()).unwrap_or(folder);
    let metadata = fs::metadata(there).map_err(|error| with_path(there, "cannot be accessed", &error))?;
    if !metadata.is_dir() {
        return Err(io::Error::new(
            ErrorKind::NotADirectory,
            format!("`{}` is not a folder", there.display()),
        ));
    }
    if is_of_the_kernel(there) {
        let told = format!("`{}` is on a file system of the kernel, which stores no files", there.display());
        return Err(io::Error::new(ErrorKind::Unsupported, told));
    }
    check_writable(there)
}

/// Whether it is in `/proc`, where not even root, to whom modes do not apply, can create anything.
fn is_of_the_kernel(folder: &Path) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::statfs(folder).is_ok_and(|found| found.f_type == rustix::fs::PROC_SUPER_MAGIC);
    #[cfg(not(target_os = "linux"))]
    return folder.starts_with("/proc");
}

/// Removes the temporary files that a crash left in `folder`, if the folder exists. No other process may be writing to
/// it.
///
/// # Errors
/// The error of the file system, with the path.
pub fn remove_unfinished(folder: &Path) -> io::Result<()> {
    let sweep = || -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED_PREFIX.as_bytes()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    };
    match sweep() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        swept => swept.map_err(|error| with_path(folder, "cannot be cleaned up", &error)),
    }
}

/// Opens `path` for reading, unless it is a symbolic link. Opening a named pipe does not wait for a writer.
pub(crate) fn open_no_follow(path: &Path) -> io::Result<File> {
    // NONBLOCK: otherwise opening a named pipe would wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        Err(Errno::LOOP) => Err(refused(path, "is a symbolic link", "name the file it points to")),
        Err(errno) => Err(with_path(path, "cannot be opened", &errno.into())),
    }
}

fn open_to_wipe(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

fn refuse_if_shared(path: &Path, metadata: &Metadata, mode: &str) -> io::Result<()> {
    let (owner, we) = (metadata.uid(), geteuid().as_raw());
    if owner != we {
        let reason = format!("belongs to user {owner}, but is read by user {we}");
        return Err(refused(path, &reason, &format!("run `chown {we} {}`", path.display())));
    }
    let bits = metadata.mode() & 0o777;
    if bits & NOT_OWNER_BITS != 0 {
        let reason = format!("is open to other users (mode {bits:03o})");
        return Err(refused(path, &reason, &format!("run `chmod {mode} {}`", path.display())));
    }
    Ok(())
}

/// Syncs the entries of `folder`. Without that, a power failure may remove the name of a new file.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    patiently(|| File::open(folder))?.sync_all()
}

/// Opens something. If no file descriptor is free, it retries for a while: such a shortage is usually brief, and an anchor
/// that cannot be opened poisons the journal, which ends the daemon.
pub(crate) fn patiently<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let began = Instant::now();
    loop {
        match open() {
            Err(error) if lacks_descriptor(&error) && began.elapsed() < DESCRIPTOR_WAIT => {
                std::thread::sleep(DESCRIPTOR_PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Whether the process or the machine has reached its limit of open files.
fn lacks_descriptor(error: &io::Error) -> bool {
    matches!(errno_of(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Whether the process or the machine lacks file descriptors or memory. That passes, and says nothing about the file.
pub fn is_for_want_of_resources(error: &io::Error) -> bool {
    lacks_descriptor(error) || errno_of(error) == Some(Errno::NOMEM)
}

/// Why no file at all can be opened at the moment; `None` if one can. For those whose own error does not tell.
pub fn shortage_of_descriptors() -> Option<io::Error> {
    File::open("/dev/null").err().filter(lacks_descriptor)
}

/// Whether such an error says that something cannot grow: the disk is full, a quota is used up, or the process has reached
/// its limit of file size.
pub fn is_want_of_room(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// Whether a disk failed to read or write.
pub fn is_fault_of_the_disk(error: &io::Error) -> bool {
    errno_of(error) == Some(Errno::IO)
}

/// Whether the system cannot lock a file: its file system has no locks, or a filter of system calls forbids them.
pub fn is_refusal_of_locks(error: &io::Error) -> bool {
    matches!(errno_of(error), Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS))
}

/// Whether the system does not know a call, or a filter of system calls forbids it.
pub(crate) fn is_unknown_call(error: &io::Error) -> bool {
    errno_of(error) == Some(Errno::NOSYS)
}

/// Whether such an error says nothing about a file: the disk, or the limits or rights of this process, kept it from being
/// looked at.
pub(crate) fn is_hindrance(error: &io::Error) -> bool {
    is_fault_of_the_disk(error)
        || is_for_want_of_resources(error)
        || is_unknown_call(error)
        || matches!(errno_of(error), Some(Errno::ACCESS | Errno::PERM))
}

/// The error of the operating system, inside the wrappers of [`with_path`] and `tempfile`.
fn errno_of(error: &io::Error) -> Option<Errno> {
    let inner = error.get_ref();
    let wrapped_here = inner.and_then(|inner| inner.downcast_ref()).and_then(|own: &WithPath| own.errno);
    let wrapped = || inner.and_then(|inner| inner.source()).and_then(|source| source.downcast_ref());
    Errno::from_io_error(error).or(wrapped_here).or_else(|| Errno::from_io_error(wrapped()?))
}

/// The folder of `path`. `Path::parent` of a bare file name is the empty path, which cannot be opened.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An error with the path it concerns.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct WithPath {
    text: String,
    errno: Option<Errno>,
}

fn with_path(path: &Path, what: &str, error: &io::Error) -> io::Error {
    let text = format!("`{}` {what}: {error}", path.display());
    io::Error::new(error.kind(), WithPath { text, errno: errno_of(error) })
}

fn refused(path: &Path, reason: &str, remedy: &str) -> io::Error {
    let text = format!("`{}` {reason}; {remedy}", path.display());
    io::Error::new(ErrorKind::PermissionDenied, text)
}
