//! The state root: the folder that holds everything the daemon keeps, and the lock that makes it ours.

mod check;
mod lock;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use palyra_actors::files;
use palyra_actors::journal::JournalFiles;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::daemon::reserve::Reserve;
use crate::random::random_u128;
use lock::Lock;
pub use lock::{Holder, Role};

const RUNTIME_FILE_BYTES_MAX: u64 = 4_096;
const TOKEN_FILE_BYTES_MAX: u64 = 256;
/// Shortest token of the console, in characters: nobody guesses one of 128 random bits in hexadecimal.
const TOKEN_CHARACTERS_MIN: usize = 32;
/// Pause between two attempts to take the lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

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
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// No folder was named and none can be derived.
    #[error("no state root is named: set --state-root, PALYRA_STATE_ROOT, STATE_DIRECTORY or HOME")]
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
    /// The folder `named`, or else the one the environment implies. A variable that is empty counts as not set.
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

    /// The folder at this absolute path.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
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
    /// A process in possession is waited for, a daemon for moments only.
    ///
    /// # Errors
    /// When the root is held or unsafe.
    pub fn take(&self, role: Role) -> Result<Possession, StateRootError> {
        check::make(&self.0)?;
        let path = self.lock_file();
        let mut lock = self.wait_for_lock(&path)?;
        self.withdraw()?;
        let holder = Holder { pid: std::process::id(), role };
        lock.sign(holder).map_err(|source| StateRootError::Io { path, source })?;
        let foreign = check::tree(&self.0)?;
        check::writable(&self.0)?;
        let tidied = files::remove_unfinished(&self.0);
        tidied.map_err(|source| StateRootError::Io { path: self.0.clone(), source })?;
        Ok(Possession { root: self.clone(), foreign, _lock: lock })
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

    /// What is told of a root that is held.
    pub fn in_use(&self, holder: Holder) -> StateRootError {
        let announced = || self.runtime().ok().flatten().map_or(0, |runtime| runtime.pid);
        let pid = if holder.role == Role::Unlocked { announced() } else { holder.pid };
        StateRootError::InUse { path: self.0.clone(), holder: Holder { pid, ..holder } }
    }

    /// What keeps a lock from being opened is told as it is of any other file.
    fn lock_refused(&self, path: &Path, source: io::Error) -> StateRootError {
        let looked = || check::tree(&self.0).and_then(|_| check::writable(&self.0));
        match (std::fs::symlink_metadata(path), source.kind()) {
            (Ok(meta), _) if meta.is_symlink() => check::refused(path, "is a symbolic link", "remove it"),
            (Ok(_), ErrorKind::PermissionDenied) => {
                looked().err().unwrap_or_else(|| StateRootError::Io { path: path.to_owned(), source })
            }
            _ => StateRootError::Io { path: path.to_owned(), source },
        }
    }

    /// Removes the announcement of a daemon that does not run: its address may be anybody's by now.
    fn withdraw(&self) -> Result<(), StateRootError> {
        let path = self.runtime_file();
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(StateRootError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// Refuses a root that belongs to another user.
    ///
    /// # Errors
    /// When it does, or cannot be looked at.
    pub fn check_owner(&self) -> Result<(), StateRootError> {
        check::owner(&self.0)
    }

    /// Looks at all that [`StateRoot::take`] and [`Possession::token`] refuse, and changes nothing.
    ///
    /// # Errors
    /// The first of what would be refused.
    pub fn check(&self) -> Result<(), StateRootError> {
        check::folder_itself(&self.0)?;
        check::tree(&self.0)?;
        check::writable(&self.0)?;
        self.usable_token().map(drop)
    }

    /// Refuses a place where no state root could be begun.
    ///
    /// # Errors
    /// What is in the way.
    pub fn check_place(&self) -> Result<(), StateRootError> {
        let io = |source| StateRootError::Io { path: self.0.clone(), source };
        check::owner(&self.0)?;
        files::check_makeable(&self.0).map_err(io)
    }

    /// Whether nothing was begun there: it is missing or empty.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn is_bare(&self) -> Result<bool, StateRootError> {
        check::is_bare(&self.0).map_err(|source| StateRootError::Io { path: self.0.clone(), source })
    }

    /// Which process holds the root now.
    ///
    /// # Errors
    /// When the lock cannot be looked at.
    pub fn holder(&self) -> Result<Option<Holder>, StateRootError> {
        let path = self.lock_file();
        lock::holder(&path).map_err(|source| StateRootError::Io { path, source })
    }

    /// Where the running daemon says it can be reached; none as long as it does not say.
    ///
    /// # Errors
    /// When what it says cannot be read: the file, the reason and what to do.
    pub fn runtime(&self) -> io::Result<Option<Runtime>> {
        let file = self.runtime_file();
        let Some(bytes) = read_if_there(&file, RUNTIME_FILE_BYTES_MAX)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|_| {
            let told = "was not written by a daemon; restart the daemon, which writes it anew";
            io::Error::new(ErrorKind::InvalidData, format!("`{}` {told}", file.display()))
        })
    }

    /// The token of the console, as it lies there.
    ///
    /// # Errors
    /// When it cannot be read: the file, the reason and what to do.
    pub fn token(&self) -> io::Result<Option<Zeroizing<String>>> {
        let bytes = read_if_there(&self.token_file(), TOKEN_FILE_BYTES_MAX)?.map(Zeroizing::new);
        Ok(bytes.map(|bytes| Zeroizing::new(String::from_utf8_lossy(&bytes).trim().to_owned())))
    }

    /// The same, if it is none that could be guessed, or that no header can hold.
    fn usable_token(&self) -> Result<Option<Zeroizing<String>>, StateRootError> {
        let path = self.token_file();
        let token = self.token().map_err(|source| StateRootError::Io { path: path.clone(), source })?;
        match token.as_ref().and_then(|token| token_problem(token)) {
            Some(problem) => Err(check::refused(&path, problem, "delete it: the next start makes a new one")),
            None => Ok(token),
        }
    }
}

/// A state root that is ours until this is dropped.
#[derive(Debug)]
pub struct Possession {
    root: StateRoot,
    foreign: check::Foreign,
    _lock: Lock,
}

impl Possession {
    /// The root.
    pub fn root(&self) -> &StateRoot {
        &self.root
    }

    /// Warns of files that were passed over because they are none of ours.
    pub fn warn_of_foreign_files(&self) {
        for file in &self.foreign.named {
            let file = file.display();
            tracing::warn!(%file, "a file in the state root is not palyra's and is ignored; move it elsewhere");
        }
        if self.foreign.more > 0 {
            tracing::warn!(files = self.foreign.more, "more files in the state root are not palyra's");
        }
    }

    /// The token of the console, made at the first start: 256 random bits in hexadecimal.
    ///
    /// # Errors
    /// When it can be neither read nor written, or is so short that it could be guessed.
    pub fn token(&self) -> Result<Zeroizing<String>, StateRootError> {
        if let Some(token) = self.root.usable_token()? {
            return Ok(token);
        }
        let path = self.root.token_file();
        let mut token = new_token();
        token.push('\n');
        files::atomic_replace(&path, token.as_bytes())
            .map_err(|source| StateRootError::Io { path, source })?;
        token.pop();
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
        if let Err(error) = self.root.withdraw() {
            tracing::debug!(%error, "`daemon.json` was not removed");
        }
    }
}

/// systemd gives all folders of `StateDirectory=`, with colons between them.
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

/// 256 random bits in hexadecimal, with room for the end of its line: one that grew would leave a part behind.
fn new_token() -> Zeroizing<String> {
    let mut token = Zeroizing::new(String::with_capacity(65));
    for _ in 0..2 {
        // A string takes whatever is written to it.
        write!(token, "{:032x}", random_u128()).unwrap_or_default();
    }
    token
}

/// Why a token cannot be one; none where it can.
fn token_problem(token: &str) -> Option<String> {
    if token.chars().count() < TOKEN_CHARACTERS_MIN {
        return Some(format!("has fewer than {TOKEN_CHARACTERS_MIN} characters and could be guessed"));
    }
    let fits_a_header = token.bytes().all(|byte| byte.is_ascii_graphic());
    (!fits_a_header).then(|| "contains characters that cannot be sent in a header".to_owned())
}
