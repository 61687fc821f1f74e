//! What can go wrong with the journal, and what to do about it.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::files;
use crate::supervision::DoorError;

/// An error of the system or of SQLite, shared by all whom it concerns.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// What can be done where the anchor or the checkpoint file is lost.
pub(super) const TAKE_AS_IT_IS: &str = "accept the journal as it is";

/// Why the journal did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// An earlier write failed. Nothing is written any more: what that write left behind is known only after a restart.
    #[error(
        "the journal has stopped writing since an earlier failure ({reason}); remove its cause, then restart the daemon"
    )]
    Poisoned {
        /// What failed.
        reason: String,
    },
    /// The writer ended before it answered.
    #[error("it is not known whether the event was stored")]
    Unknown,
    /// The writer could not be reached. It did not act.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// This event cannot be stored; others can.
    #[error("the event was not stored: {field} {problem}")]
    Invalid {
        /// Which part of it.
        field: &'static str,
        /// What is wrong with it, to follow the name of the field.
        problem: String,
    },
    /// Another process holds the journal's write lock. Nothing was written.
    #[error(
        "another process has locked the journal; nothing was written; try again when that process is done"
    )]
    Busy,
    /// All connections for reading stayed in use.
    #[error("the journal's readers are all in use; try again")]
    ReadersBusy,
    /// The file cannot be opened as a journal.
    #[error("cannot open the journal {}: {problem}; {hint}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
        /// What to do.
        hint: &'static str,
        /// The error below, if there is one.
        #[source]
        source: Option<Cause>,
    },
    /// The file was written by a newer program.
    #[error(
        "the journal has format {found}, but this program reads only up to {known}; run the newer program (the file was not changed)"
    )]
    Newer {
        /// Format of the file.
        found: i64,
        /// Newest format known here.
        known: i64,
    },
    /// What the journal holds does not verify.
    #[error(
        "the journal does not verify{}: {problem}; keep a copy of it and run `palyra journal verify`; if that reports the same, restore \
         the newest backup that verifies",
        at(*seq)
    )]
    Corrupt {
        /// The first event that does not verify; 0 for the file as a whole.
        seq: u64,
        /// What does not.
        problem: String,
    },
    /// What shows that the journal is whole is not there any more, or cannot be believed.
    #[error(
        "the journal's integrity cannot be confirmed: {what}; put the file back, or if it is gone, {instead}: start once with `palyra \
         daemon --accept-rollback`"
    )]
    Lost {
        /// What is missing, or was changed.
        what: String,
        /// What else can be done.
        instead: &'static str,
    },
    /// Events that were acknowledged are not there any more.
    #[error(
        "the journal is behind its anchor: {missing} acknowledged events are missing from seq {first_missing} on \
         ({why}); restore a newer copy, or accept the loss: start once with `palyra daemon --accept-rollback`"
    )]
    Behind {
        /// The first of them.
        first_missing: u64,
        /// How many.
        missing: u64,
        /// What gives it away.
        why: &'static str,
    },
    /// The database is gone or empty, and its log holds events. Nothing was touched.
    #[error(
        "the journal's database {} {state}, but its write-ahead log {} holds events; nothing was changed. Put the database back beside \
         its log, or if it is gone for good, move the log away and start again",
        database.display(), log.display()
    )]
    LogAlone {
        /// The database.
        database: PathBuf,
        /// How it is, to follow its name.
        state: &'static str,
        /// Its log.
        log: PathBuf,
    },
    /// The disk does not give back what is on it. What that is, nobody can say.
    #[error("the disk failed to read {}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// No checkpoint could be signed.
    #[error("cannot sign a checkpoint ({reason}); check the disks of the state root and of the anchor")]
    Seal {
        /// What failed.
        reason: String,
    },
    /// No copy was made.
    #[error("the journal could not be copied to {}", path.display())]
    Backup {
        /// Where to.
        path: PathBuf,
        /// What failed.
        #[source]
        source: Cause,
    },
    /// What was asked about is not covered by the journal or its checkpoints.
    #[error("{0}")]
    NotThere(String),
    /// A read failed.
    #[error("cannot read the journal; check its disk, then run `palyra journal verify`")]
    Read {
        /// What SQLite said.
        #[source]
        source: Cause,
    },
    /// The system gives no thread to verify with.
    #[error(
        "verifying the journal needs two threads, and the second could not be started; raise the limit of threads (`ulimit -u`, `TasksMax`)"
    )]
    NoThread {
        /// What the system said.
        #[source]
        source: Cause,
    },
    /// A page of more events than one page may hold was asked for.
    #[error(
        "a page of {asked} events was requested, but a page has 1 to {max}; request that many and follow the cursor"
    )]
    PageLength {
        /// Asked for.
        asked: usize,
        /// Given at most.
        max: usize,
    },
}

impl JournalError {
    /// Whether there was no room on the disk: some room is all that it takes.
    pub fn is_for_want_of_room(&self) -> bool {
        let Self::Open { source: Some(cause), .. } = self else { return false };
        let by_the_system = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let is_full = |kind| matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        by_the_system.is_some_and(is_full) || code_of_sqlite(cause) == Some(ErrorCode::DiskFull)
    }

    /// Whether something is missing, or what vouches for the journal outside of the database cannot be believed: an operator
    /// may go on without it. Events or stored checkpoints that were changed are no loss, nor is what cannot be read.
    pub fn is_a_loss(&self) -> bool {
        matches!(self, Self::Behind { .. } | Self::Lost { .. })
    }

    /// Whether the file is not what was written: cut, or changed.
    pub fn is_for_damage(&self) -> bool {
        matches!(self, Self::Corrupt { .. }) || self.code_of_sqlite() == Some(ErrorCode::DatabaseCorrupt)
    }

    /// Whether it is what SQLite, or a check of ours, says of a file that a disk gives back wrong.
    pub(super) fn may_be_for_the_disk(&self) -> bool {
        self.is_for_damage() || self.code_of_sqlite() == Some(ErrorCode::NotADatabase)
    }

    /// Whether the disk failed to read or to write: that says nothing of what is in the journal.
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

    /// What is wrong, without what to do about it.
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

fn code_of_sqlite(cause: &Cause) -> Option<ErrorCode> {
    cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code)
}

/// Names an event, and nothing when a problem concerns the file as a whole.
fn at(seq: u64) -> String {
    if seq == 0 { String::new() } else { format!(" at seq {seq}") }
}
