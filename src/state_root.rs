//! The state root: the folder that holds everything the daemon keeps, and the lock that makes it ours.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use palyra_actors::files;
use palyra_actors::journal::JournalFiles;
use serde::{Deserialize, Serialize};

use crate::reserve::Reserve;

const LOCK_FILE_BYTES_MAX: u64 = 256;
const RUNTIME_FILE_BYTES_MAX: u64 = 4_096;
const TOKEN_FILE_BYTES_MAX: u64 = 256;
/// A command that works on the files of a stopped daemon holds the lock for moments; others wait this long for it.
const COMMAND_WAIT: Duration = Duration::from_secs(10);

/// Why a state root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateRootError {
    /// Another process holds it.
    #[error("the state root `{path}` is in use by {holder}")]
    InUse {
        /// The root.
        path: PathBuf,
        /// Who holds it, as far as the lock file says.
        holder: Holder,
    },
    /// It, or something in it, could be read or changed by others, or is not what it seems.
    #[error("`{path}` {problem}; {remedy}")]
    Unsafe {
        /// What.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// What to do.
        remedy: String,
    },
    /// No folder was named and none can be derived.
    #[error("no state root: set --state-root, PALYRA_STATE_ROOT, STATE_DIRECTORY or HOME")]
    Unnamed,
    /// The operating system refused.
    #[error("cannot use the state root `{path}`")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

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

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.role {
            Role::Daemon => write!(f, "the daemon with process id {}", self.pid),
            Role::Command => write!(f, "a command with process id {}", self.pid),
            Role::Unknown => f.write_str("another process"),
        }
    }
}

/// Where the running daemon can be reached; written to `daemon.json` once it serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Runtime {
    /// Process id.
    pub pid: u32,
    /// `http://ADDR:PORT` of the ingress.
    pub ingress: String,
    /// `http://ADDR:PORT` of the console.
    pub console: String,
    /// When it began to serve.
    pub started_at_unix_ms: u64,
}

/// The names of what lies in a state root.
#[derive(Debug, Clone)]
pub struct StateRoot(PathBuf);

impl StateRoot {
    /// The folder `named`, or else the one the environment implies.
    ///
    /// # Errors
    /// [`StateRootError::Unnamed`].
    pub fn locate(
        named: Option<PathBuf>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StateRootError> {
        let from_env = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = named
            .or_else(|| from_env("PALYRA_STATE_ROOT"))
            .or_else(|| from_env("STATE_DIRECTORY"))
            .or_else(|| from_env("XDG_STATE_HOME").map(|home| home.join("palyra")))
            .or_else(|| from_env("HOME").map(|home| home.join(".local/state/palyra")));
        let path = path.ok_or(StateRootError::Unnamed)?;
        std::path::absolute(&path).map(Self).map_err(|source| StateRootError::Io { path, source })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// `palyra.toml`, the settings.
    pub fn settings_file(&self) -> PathBuf {
        self.0.join("palyra.toml")
    }

    /// `webhooks.toml`, the registry.
    pub fn registry_file(&self) -> PathBuf {
        self.0.join("webhooks.toml")
    }

    /// `vault/`, the secrets.
    pub fn vault_dir(&self) -> PathBuf {
        self.0.join("vault")
    }

    /// `journal.db`, the events, and `anchor/journal`, unless the anchor is to be in another folder.
    pub fn journal_files(&self, anchor_dir: Option<&Path>) -> JournalFiles {
        let mut files = JournalFiles::in_folder(&self.0);
        if let Some(dir) = anchor_dir {
            files.anchor = dir.join("journal");
        }
        files
    }

    /// `providers/`, the operator's own profiles.
    pub fn profiles_dir(&self) -> PathBuf {
        self.0.join("providers")
    }

    fn token_file(&self) -> PathBuf {
        self.0.join("admin.token")
    }

    fn runtime_file(&self) -> PathBuf {
        self.0.join("daemon.json")
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Makes the folder if need be, takes its lock and checks that nothing in it is open to others.
    /// A daemon in possession is reported at once; a command in possession is waited for.
    ///
    /// # Errors
    /// When the root is held or unsafe.
    pub fn take(&self, role: Role) -> Result<Possession, StateRootError> {
        self.make()?;
        let patience = Instant::now();
        loop {
            match self.try_take(role)? {
                Ok(possession) => return Ok(possession),
                Err(holder) if holder.role != Role::Daemon && patience.elapsed() < COMMAND_WAIT => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(holder) => return Err(StateRootError::InUse { path: self.0.clone(), holder }),
            }
        }
    }

    /// Takes the lock if it is free; `Err` inside names who holds it.
    fn try_take(&self, role: Role) -> Result<Result<Possession, Holder>, StateRootError> {
        let path = self.lock_file();
        let mut lock = open_lock(&path).map_err(|source| self.refused(&path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(read_holder(&mut lock))),
            Err(TryLockError::Error(source)) => return Err(StateRootError::Io { path, source }),
        }
        check_tree(&self.0, 0)?;
        let holder = Holder { pid: std::process::id(), role };
        write_holder(&mut lock, holder).map_err(|source| StateRootError::Io { path, source })?;
        Ok(Ok(Possession { root: self.clone(), _lock: lock }))
    }

    fn refused(&self, path: &Path, source: std::io::Error) -> StateRootError {
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_symlink() => {
                unsafe_entry(path, "is a symbolic link", "remove it")
            }
            _ => StateRootError::Io { path: path.to_owned(), source },
        }
    }

    /// Whether a process holds the root now, and which.
    pub fn holder(&self) -> Option<Holder> {
        let mut lock = File::open(self.lock_file()).ok()?;
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(read_holder(&mut lock)),
            _ => None,
        }
    }

    /// Where the running daemon says it can be reached.
    pub fn runtime(&self) -> Option<Runtime> {
        let bytes = files::read_private(&self.runtime_file(), RUNTIME_FILE_BYTES_MAX).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// The token of the console, as it lies there.
    pub fn token(&self) -> Option<String> {
        let bytes = files::read_private(&self.token_file(), TOKEN_FILE_BYTES_MAX).ok()?;
        String::from_utf8(bytes).ok().map(|text| text.trim().to_owned()).filter(|token| !token.is_empty())
    }

    fn make(&self) -> Result<(), StateRootError> {
        let io = |source| StateRootError::Io { path: self.0.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(io)?;
        let meta = std::fs::metadata(&self.0).map_err(io)?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(unsafe_entry(&self.0, "belongs to another user", "choose another state root"));
        }
        if meta.mode() & 0o022 != 0 {
            let remedy = format!("check what is in it, then run `chmod 700 {}`", self.0.display());
            return Err(unsafe_entry(&self.0, "can be written to by others", remedy));
        }
        std::fs::set_permissions(&self.0, Permissions::from_mode(0o700)).map_err(io)
    }
}

/// A state root that is ours until this is dropped.
#[derive(Debug)]
pub struct Possession {
    root: StateRoot,
    _lock: File,
}

impl Possession {
    /// The root.
    pub fn root(&self) -> &StateRoot {
        &self.root
    }

    /// The token of the console, made at the first start: 256 random bits in hexadecimal.
    ///
    /// # Errors
    /// When it can be neither read nor written.
    pub fn token(&self) -> Result<String, StateRootError> {
        if let Some(token) = self.root.token() {
            return Ok(token);
        }
        let token = format!("{:032x}{:032x}", crate::random::random_u128(), crate::random::random_u128());
        let path = self.root.token_file();
        files::atomic_replace(&path, format!("{token}\n").as_bytes())
            .map_err(|source| StateRootError::Io { path, source })?;
        Ok(token)
    }

    /// Keeps some room on the disk for the end of the daemon.
    ///
    /// # Errors
    /// [`StateRootError::Io`], of kind [`std::io::ErrorKind::StorageFull`] when there is none.
    pub fn reserve(&self) -> Result<Reserve, StateRootError> {
        let path = self.root.path().to_owned();
        Reserve::take(&path).map_err(|source| StateRootError::Io { path, source })
    }

    /// Tells commands where the daemon can be reached.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&self, runtime: &Runtime) -> Result<(), StateRootError> {
        let path = self.root.runtime_file();
        let text = serde_json::to_string(runtime).unwrap_or_default();
        files::atomic_replace(&path, text.as_bytes()).map_err(|source| StateRootError::Io { path, source })
    }

    /// Takes the announcement back. What a killed daemon leaves behind is told apart by the lock.
    pub fn withdraw(&self) {
        if let Err(error) = std::fs::remove_file(self.root.runtime_file()) {
            tracing::debug!(%error, "no announcement to take back");
        }
    }
}

fn open_lock(path: &Path) -> std::io::Result<File> {
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

fn write_holder(lock: &mut File, holder: Holder) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(serde_json::to_string(&holder)?.as_bytes())
}

fn unsafe_entry(path: &Path, problem: &'static str, remedy: impl Into<String>) -> StateRootError {
    StateRootError::Unsafe { path: path.to_owned(), problem, remedy: remedy.into() }
}

/// Refuses symbolic links, hard links, foreign owners and anything open to group or others.
fn check_tree(dir: &Path, depth: usize) -> Result<(), StateRootError> {
    const DEPTH_MAX: usize = 4;
    let io = |source| StateRootError::Io { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let meta = std::fs::symlink_metadata(&path).map_err(io)?;
        check_entry(&path, &meta)?;
        if meta.is_dir() && depth < DEPTH_MAX {
            check_tree(&path, depth + 1)?;
        }
    }
    Ok(())
}

fn check_entry(path: &Path, meta: &std::fs::Metadata) -> Result<(), StateRootError> {
    let shown = path.display();
    if meta.file_type().is_symlink() {
        return Err(unsafe_entry(path, "is a symbolic link", "replace it by the file it points to"));
    }
    if !meta.is_dir() && !meta.is_file() {
        return Err(unsafe_entry(path, "is neither a file nor a folder", "remove it"));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(unsafe_entry(path, "belongs to another user", format!("run `chown` on {shown}")));
    }
    if meta.mode() & 0o077 != 0 {
        let mode = if meta.is_dir() { "700" } else { "600" };
        return Err(unsafe_entry(path, "is open to other users", format!("run `chmod {mode} {shown}`")));
    }
    if meta.is_file() && meta.nlink() > 1 {
        return Err(unsafe_entry(path, "has a second name (hard link)", "remove the other name"));
    }
    Ok(())
}
