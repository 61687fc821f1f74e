//! The errors of the journal, each with its remedy.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::files;
use crate::supervision::DoorError;

/// An error of the operating system or of SQLite, shared by all callers it concerns.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// The alternative remedy when the anchor or the checkpoint file is lost.
pub(super) const TAKE_AS_IT_IS: &str = "accept the journal as it is";

/// Why something that is stored for events may reach beyond the events. A database without its write-ahead log may be a mixture
/// of older and newer pages, so nobody need have removed an event.
pub(super) const REACHES_BEYOND: &str =
    "its write-ahead log (`journal.db-wal`) was removed or left behind, or events were removed";

/// The remedy for a file that may not grow.
pub(super) const RAISE_LIMIT_OF_FILE_SIZE: &str = "raise that limit (`ulimit -f`, `LimitFSIZE=`)";

#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// An earlier write failed. Nothing more is written: only a restart can find out what that write left behind.
    #[error(
        "the journal has stopped writing since an earlier failure ({reason}); remove its cause, then restart the daemon"
    )]
    Poisoned {
        /// The failure.
        reason: String,
    },
    /// The writer ended before it answered.
    #[error("it is not known whether the event was stored")]
    Unknown,
    /// The writer could not be reached, so nothing was done.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// This event cannot be stored; others can.
    #[error("the event was not stored: {field} {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it; follows the name of the field in the message.
        problem: String,
    },
    /// Another process holds the journal's write lock. Nothing was written.
    #[error(
        "another process has locked the journal; nothing was written; try again when that process is done"
    )]
    Busy,
    /// All connections for reading stayed in use until the timeout.
    #[error("the journal's readers are all in use; try again")]
    ReadersBusy,
    /// The file cannot be opened as a journal.
    #[error("cannot open the journal {}: {problem}; {hint}", path.display())]
    Open {
        path: PathBuf,
        problem: &'static str,
        hint: &'static str,
        /// The underlying error, if there is one.
        #[source]
        source: Option<Cause>,
    },
    /// The file was written by a newer version of the program.
    #[error(
        "the journal has format {found}, but this program reads only up to {known}; run the newer program (the file was not changed)"
    )]
    Newer {
        found: i64,
        /// Newest format this program knows.
        known: i64,
    },
    /// What the journal holds does not verify.
    #[error(
        "the journal does not verify{}: {problem}; keep a copy of it and run `palyra journal verify`; if that reports the same, restore \
         the newest backup that verifies",
        at(*seq)
    )]
    Corrupt {
        /// The first event that does not verify; 0 if the problem concerns the file as a whole.
        seq: u64,
        problem: String,
    },
    /// A file that vouches for the journal's integrity is missing or cannot be trusted.
    #[error(
        "the journal's integrity cannot be confirmed: {what}; put the file back, or if it is gone, {instead}: start once with `palyra \
         daemon --accept-rollback`"
    )]
    Lost {
        /// What is missing or was changed.
        what: String,
        /// The alternative to putting the file back.
        instead: &'static str,
    },
    /// Acknowledged events are missing.
    #[error(
        "the journal is behind its anchor: {missing} acknowledged events are missing from seq {first_missing} on \
         ({why}); restore a newer copy, or accept the loss: start once with `palyra daemon --accept-rollback`"
    )]
    Behind {
        /// `seq` of the first missing event.
        first_missing: u64,
        /// Number of missing events.
        missing: u64,
        /// How it was detected.
        why: &'static str,
    },
    /// The database is missing or empty although its write-ahead log holds events. Nothing was changed.
    #[error(
        "the journal's database {} {state}, but its write-ahead log {} holds events; nothing was changed. Put the database back beside \
         its log, or if it is gone for good, move the log away and start again",
        database.display(), log.display()
    )]
    LogAlone {
        database: PathBuf,
        /// Its state; follows its name in the message.
        state: &'static str,
        /// Its write-ahead log.
        log: PathBuf,
    },
    /// The database is sound without its write-ahead log, and its pages are damaged with it. Nothing was changed.
    #[error(
        "the journal's database {} and its write-ahead log {} do not belong together, as when a backup lies beside the log of what it \
         replaced, or the log was changed; nothing was changed by this start. Keep a copy of both. Put the database back that the log \
         belongs to, or if it is gone for good, move the log away and start once with `palyra daemon --accept-rollback`",
        database.display(), log.display()
    )]
    OtherLog {
        database: PathBuf,
        /// Its write-ahead log.
        log: PathBuf,
    },
    /// The disk fails to return what is stored on it, so nothing can be said about the content.
    #[error("the disk failed to read {}", path.display())]
    Disk {
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: Cause,
    },
    /// No checkpoint could be signed.
    #[error("cannot sign a checkpoint ({reason}); check the disks of the state root and of the anchor")]
    Seal {
        /// The failure.
        reason: String,
    },
    /// No copy was made.
    #[error("the journal could not be copied to {}", path.display())]
    Backup {
        /// The destination.
        path: PathBuf,
        #[source]
        source: Cause,
    },
    /// Neither the journal nor its checkpoints cover what was asked for.
    #[error("{0}")]
    NotThere(String),
    /// A read failed.
    #[error("cannot read the journal; check its disk, then run `palyra journal verify`")]
    Read {
        /// The error of SQLite.
        #[source]
        source: Cause,
    },
    /// The operating system refused the thread that verification needs.
    #[error(
        "verifying the journal needs two threads, and the second could not be started; raise the limit of threads (`ulimit -u`, `TasksMax`)"
    )]
    NoThread {
        #[source]
        source: Cause,
    },
    /// The caller asked for a page of more events than a page may hold.
    #[error(
        "a page of {asked} events was requested, but a page has 1 to {max}; request that many and follow the cursor"
    )]
    PageLength {
        /// Events asked for.
        asked: usize,
        /// Most events of a page.
        max: usize,
    },
}

impl JournalError {
    /// Whether the disk is full, or a file may not grow: giving it room is the whole remedy.
    pub fn is_for_want_of_room(&self) -> bool {
        let Self::Open { source: Some(cause), .. } = self else { return false };
        let by_the_system = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        by_the_system.is_some_and(files::is_want_of_room)
            || code_of_sqlite(cause) == Some(ErrorCode::DiskFull)
    }

    /// Whether the process or the machine lacks file descriptors or memory; such an error says nothing about the journal.
    pub fn is_for_want_of_resources(&self) -> bool {
        let by_the_system = || self.cause()?.downcast_ref().map(files::is_for_want_of_resources);
        self.code_of_sqlite() == Some(ErrorCode::OutOfMemory) || by_the_system().unwrap_or(false)
    }

    /// Whether something is missing, or a file outside the database that vouches for the journal cannot be trusted. An
    /// operator may accept that. Changed events or stored checkpoints are not a loss, and neither is a file that cannot
    /// be read.
    pub fn is_a_loss(&self) -> bool {
        matches!(self, Self::Behind { .. } | Self::Lost { .. })
    }

    /// Whether the file is truncated or altered.
    pub fn is_for_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. }) || self.code_of_sqlite() == Some(ErrorCode::DatabaseCorrupt)
    }

    /// Whether SQLite or one of our own checks may report this error also when a disk returns wrong data.
    pub(super) fn may_be_for_the_disk(&self) -> bool {
        self.is_for_damage() || self.code_of_sqlite() == Some(ErrorCode::NotADatabase)
    }

    /// Whether SQLite finds pages of the file damaged. Our own checks of sound pages do not count.
    pub(super) fn is_of_damaged_pages(&self) -> bool {
        self.code_of_sqlite().is_some_and(is_code_of_damaged_pages)
    }

    /// Whether the disk failed to read or write; such an error says nothing about the journal's content.
    pub fn is_fault_of_the_disk(&self) -> bool {
        let by_the_system = || self.cause()?.downcast_ref().map(files::is_fault_of_the_disk);
        matches!(self, Self::Disk { .. })
            || self.code_of_sqlite() == Some(ErrorCode::SystemIoFailure)
            || by_the_system().unwrap_or(false)
    }

    fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Open { source, .. } => source.as_ref(),
            Self::Backup { source, .. } | Self::Read { source } => Some(source),
            _ => None,
        }
    }

    fn code_of_sqlite(&self) -> Option<ErrorCode> {
        self.cause().and_then(code_of_sqlite)
    }

    /// The problem without its remedy.
    pub fn reason(&self) -> String {
        match self {
            Self::Lost { what, .. } => what.clone(),
            Self::Behind { first_missing, missing, why } => {
                format!("{missing} acknowledged events are missing from seq {first_missing} on ({why})")
            }
            Self::Corrupt { seq, problem } => format!("the journal does not verify{}: {problem}", at(*seq)),
            other => other.to_string(),
        }
    }

    pub(super) fn lost(what: impl Into<String>, instead: &'static str) -> Self {
        Self::Lost { what: what.into(), instead }
    }

    pub(super) fn read(error: rusqlite::Error) -> Self {
        Self::Read { source: Arc::new(error) }
    }

    pub(crate) fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid { field, problem: problem.into() }
    }
}

/// Whether SQLite finds pages of the file damaged.
pub(super) fn is_of_damaged_pages(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_some_and(is_code_of_damaged_pages)
}

fn is_code_of_damaged_pages(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
}

fn code_of_sqlite(cause: &Cause) -> Option<ErrorCode> {
    cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code)
}

/// Names the event in a message; empty if the problem concerns the file as a whole.
fn at(seq: u64) -> String {
    if seq == 0 { String::new() } else { format!(" at seq {seq}") }
}
