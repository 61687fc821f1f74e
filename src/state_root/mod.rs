//! The state root: the folder that holds everything the daemon keeps, and the lock that gives one process exclusive use of
//! it.

mod check;
mod lock;
mod names;
mod possession;
mod reserve;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use palyra_actors::files;
use palyra_actors::journal::JournalFiles;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use lock::Lock;
pub use lock::{Holder, Role};
pub use names::is_reserved;
pub use possession::Possession;
pub use reserve::Reserve;

const RUNTIME_FILE_BYTES_MAX: u64 = 4_096;
const TOKEN_FILE_BYTES_MAX: u64 = 256;
/// Shortest token of the console, in characters: 128 random bits in hexadecimal cannot be guessed.
const TOKEN_CHARACTERS_MIN: usize = 32;
/// What to do about a file system without locks.
const LOCAL_DISK: &str = "choose a state root on a local disk with --state-root; over NFS, locks need `rpc.statd` on both machines";
/// Pause between two attempts to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Why a state root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateRootError {
    /// Another process holds it.
    #[error("the state root `{path}` is in use by {holder}")]
    InUse {
        /// The state root.
        path: PathBuf,
        /// Its holder, as far as the lock file says.
        holder: Holder,
    },
    /// The state root, or something in it, is accessible to others or is not of the expected kind.
    #[error("`{path}` {problem}; {remedy}")]
    Unsafe {
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// No folder was named, and none can be derived from the environment.
    #[error("no state root is named: set --state-root, PALYRA_STATE_ROOT, STATE_DIRECTORY or HOME")]
    Unnamed,
    /// An error of the operating system.
    #[error("cannot use the state root `{path}`")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// The addresses of the running daemon, written to `daemon.json` once it serves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Runtime {
    pub pid: u32,
    /// `http://ADDR:PORT` of the ingress.
    pub ingress: String,
    /// `http://ADDR:PORT` of the console.
    pub console: String,
    /// When it began to serve.
    pub started_at_unix_ms: u64,
}

/// The state root as a path, and the names of the files in it.
#[derive(Debug, Clone)]
pub struct StateRoot(PathBuf);

impl StateRoot {
    /// The folder `named`, or else the one that the environment implies. An empty variable counts as not set.
    ///
    /// # Errors
    /// [`StateRootError::Unnamed`].
    pub fn locate(
        named: Option<PathBuf>,
        env: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, StateRootError> {
        let from_env = |name: &str| env(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = named
            .or_else(|| from_env("PALYRA_STATE_ROOT"))
            .or_else(|| env("STATE_DIRECTORY").as_deref().and_then(first_of_list))
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

    /// `journal.db`, the events, and `anchor/journal`, unless the anchor is in another folder.
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

    /// Creates the folder if needed, takes its lock and checks that nothing in it is accessible to others. Waits for another
    /// holder: for a command up to ten seconds, for a daemon only moments.
    ///
    /// # Errors
    /// When the state root is held or unsafe.
    pub fn take(&self, role: Role) -> Result<Possession, StateRootError> {
        let was_open = check::make(&self.0)?;
        let path = self.lock_file();
        let mut lock = self.wait_for_lock(&path)?;
        self.withdraw()?;
        let holder = Holder { pid: std::process::id(), role };
        lock.sign(holder).map_err(|source| StateRootError::Io { path, source })?;
        let foreign = check::tree(&self.0)?;
        check::writable(&self.0)?;
        let tidied = files::remove_unfinished(&self.0);
        tidied.map_err(|source| StateRootError::Io { path: self.0.clone(), source })?;
        Ok(Possession { root: self.clone(), was_open, foreign, _lock: lock })
    }

    fn wait_for_lock(&self, path: &Path) -> Result<Lock, StateRootError> {
        let began = Instant::now();
        loop {
            match Lock::try_take(path).map_err(|source| self.lock_refused(path, source))? {
                Ok(lock) => return Ok(lock),
                Err(holder) if began.elapsed() < holder.patience() => std::thread::sleep(LOCK_PAUSE),
                Err(holder) => return Err(self.in_use(holder)),
            }
        }
    }

    /// The error for a state root that is held by another process.
    pub fn in_use(&self, holder: Holder) -> StateRootError {
        let announced = || self.runtime().ok().flatten().map_or(0, |runtime| runtime.pid);
        let pid = if holder.role == Role::Unlocked { announced() } else { holder.pid };
        StateRootError::InUse { path: self.0.clone(), holder: Holder { pid, ..holder } }
    }

    /// An error when opening a lock is reported like that of any other file.
    fn lock_refused(&self, path: &Path, source: io::Error) -> StateRootError {
        let looked = || check::tree(&self.0).and_then(|_| check::writable(&self.0));
        match (std::fs::symlink_metadata(path), source.kind()) {
            (Ok(meta), _) if meta.is_symlink() => check::refused(path, "is a symbolic link", "remove it"),
            (Ok(meta), _) if !meta.is_file() => check::refused(path, "is not a regular file", "move it away"),
            _ if files::is_refusal_of_locks(&source) => {
                check::refused(path, format!("cannot be locked ({source})"), LOCAL_DISK)
            }
            (Ok(_), ErrorKind::PermissionDenied) => {
                looked().err().unwrap_or_else(|| StateRootError::Io { path: path.to_owned(), source })
            }
            _ => StateRootError::Io { path: path.to_owned(), source },
        }
    }

    /// Removes `daemon.json` when no daemon runs: its address may belong to another program.
    fn withdraw(&self) -> Result<(), StateRootError> {
        let path = self.runtime_file();
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(StateRootError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// Refuses a state root that belongs to another user.
    ///
    /// # Errors
    /// When it does, or cannot be examined.
    pub fn check_owner(&self) -> Result<(), StateRootError> {
        check::owner(&self.0)
    }

    /// Checks everything that [`StateRoot::take`], [`Possession::token`] and [`StateRoot::check_anchor`] check, and changes
    /// nothing. The result is the mode of the state root if others can list or enter it, which `take` changes to 700.
    ///
    /// # Errors
    /// The first fault that a start would refuse.
    pub fn check(&self, anchor_dir: Option<&Path>) -> Result<Option<u32>, StateRootError> {
        check::folder_itself(&self.0)?;
        check::tree(&self.0)?;
        Self::check_anchor(anchor_dir)?;
        check::writable(&self.0)?;
        self.usable_token()?;
        check::open_mode(&self.0).map_err(|source| StateRootError::Io { path: self.0.clone(), source })
    }

    /// Checks the files in `anchor_dir`, if the anchor is in another folder, as [`StateRoot::take`] does those in the state
    /// root.
    ///
    /// # Errors
    /// The first that is of another kind, has a second name, belongs to another user or is accessible to others.
    pub fn check_anchor(anchor_dir: Option<&Path>) -> Result<(), StateRootError> {
        anchor_dir.map_or(Ok(()), check::beside_the_anchor)
    }

    /// Refuses a place in which no state root can be created.
    ///
    /// # Errors
    /// The obstacle.
    pub fn check_place(&self) -> Result<(), StateRootError> {
        let io = |source| StateRootError::Io { path: self.0.clone(), source };
        check::owner(&self.0)?;
        files::check_makeable(&self.0).map_err(io)
    }

    /// Whether the folder is missing or empty.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn is_bare(&self) -> Result<bool, StateRootError> {
        check::is_bare(&self.0).map_err(|source| StateRootError::Io { path: self.0.clone(), source })
    }

    /// The process that holds the state root.
    ///
    /// # Errors
    /// When the lock cannot be examined.
    pub fn holder(&self) -> Result<Option<Holder>, StateRootError> {
        let path = self.lock_file();
        lock::holder(&path).map_err(|source| self.lock_refused(&path, source))
    }

    /// The addresses in `daemon.json`; `None` if there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read: its path, the reason and what to do.
    pub fn runtime(&self) -> io::Result<Option<Runtime>> {
        let file = self.runtime_file();
        let Some(bytes) = read_if_there(&file, RUNTIME_FILE_BYTES_MAX)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| {
            let told = "was not written by a daemon; restart the daemon, which writes it anew";
            io::Error::new(ErrorKind::InvalidData, format!("`{}` {told}", file.display()))
        })
    }

    /// The token of the console, as stored; `None` if there is none.
    ///
    /// # Errors
    /// When the file cannot be read: its path, the reason and what to do.
    pub fn token(&self) -> io::Result<Option<Zeroizing<String>>> {
        let bytes = read_if_there(&self.token_file(), TOKEN_FILE_BYTES_MAX)?.map(Zeroizing::new);
        Ok(bytes.map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).trim().to_owned())))
    }

    /// The token, provided that it is long enough and can be sent in a header.
    fn usable_token(&self) -> Result<Option<Zeroizing<String>>, StateRootError> {
        let path = self.token_file();
        let token = self.token().map_err(|source| StateRootError::Io { path: path.clone(), source })?;
        match token.as_ref().and_then(|token| token_problem(token)) {
            Some(problem) => Err(check::refused(&path, problem, "delete it: the next start makes a new one")),
            None => Ok(token),
        }
    }
}

/// The first folder of a list separated by colons, as systemd passes those of `StateDirectory=`.
fn first_of_list(folders: &OsStr) -> Option<PathBuf> {
    let first = folders.as_bytes().split(|byte| *byte == b':').next();
    first.filter(|first| !first.is_empty()).map(|first| PathBuf::from(OsStr::from_bytes(first)))
}

fn read_if_there(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    match files::read_private(path, bytes_max) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Why a text cannot be a token; `None` if it can.
fn token_problem(token: &str) -> Option<String> {
    if token.chars().count() < TOKEN_CHARACTERS_MIN {
        return Some(format!("has fewer than {TOKEN_CHARACTERS_MIN} characters and could be guessed"));
    }
    let fits_a_header = token.bytes().all(|byte| byte.is_ascii_graphic());
    (!fits_a_header).then(|| "contains characters that cannot be sent in a header".to_owned())
}
