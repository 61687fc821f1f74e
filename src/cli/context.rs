//! What every command is given: its output, access to the console, and the time.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use palyra_actors::clock::{SharedClock, SystemClock};
use palyra_actors::journal::JournalFiles;

use super::client::ConsoleClient;
use super::error::CliError;
use super::output::Output;

/// The kind of console that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The console of the running daemon.
    Daemon,
    /// The console of the running daemon or, if none runs, one in this process over the same state root.
    DaemonOrOffline,
    /// As [`Need::DaemonOrOffline`], for commands that do not use integrations: a lost `webhooks.toml` is no obstacle to
    /// them.
    WithoutIntegrations,
}

/// What a command does when no daemon runs and no state root exists yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    /// It creates a state root.
    Begin,
    /// It shows what is built in. It starts and writes nothing.
    BuiltIn,
    /// It fails and says that there is none.
    Refuse,
}

/// A connection to a console.
pub struct Connection {
    /// The client for it.
    pub client: ConsoleClient,
    _guard: Option<Box<dyn Any>>,
    remark: Option<Remark>,
}

/// A message about how the console was found, or how it ended.
#[derive(Debug)]
pub enum Remark {
    /// Something that was done in the process.
    Note(String),
    /// A fault, and the next step.
    Warning(String, String),
}

/// Messages that come up when a connection ends. They are printed at the end of the command.
#[derive(Clone, Default)]
pub struct LastRemarks(Rc<RefCell<Vec<Remark>>>);

impl LastRemarks {
    /// Adds a message.
    pub fn add(&self, remark: Remark) {
        self.0.borrow_mut().push(remark);
    }

    /// Takes all messages out, the oldest first.
    pub fn take(&self) -> Vec<Remark> {
        self.0.take()
    }
}

impl Connection {
    /// A connection to the running daemon.
    pub fn to_daemon(client: ConsoleClient) -> Self {
        Self { client, _guard: None, remark: None }
    }

    /// A connection to a console that lives as long as `guard`, which is dropped at the end of the command: a console in
    /// this process then stops and releases the state root.
    pub fn guarded(client: ConsoleClient, guard: impl Any) -> Self {
        Self { client, _guard: Some(Box::new(guard)), remark: None }
    }

    /// Adds a message for the user.
    #[must_use]
    pub fn remarking(mut self, remark: Remark) -> Self {
        self.remark = Some(remark);
        self
    }
}

/// Connects to a console. Its errors carry the exit code: 69 not reachable, 73 in use, 78 configuration.
pub type Connect = Box<dyn Fn(Need) -> Result<Connection, CliError>>;

/// Finds the files of the journal. Its errors are those of settings that cannot be used.
pub type FindJournal = Box<dyn Fn() -> Result<JournalFiles, CliError>>;

/// What every command is given.
pub struct Context {
    pub out: Output,
    /// The source of payloads and secrets when no file is named.
    pub stdin: RefCell<Box<dyn Read>>,
    /// The time, for `--since 15m`.
    pub clock: SharedClock,
    /// Waits between attempts to reconnect to the daemon.
    pub pause: fn(Duration),
    connect: Connect,
    find_journal: FindJournal,
    last_remarks: LastRemarks,
}

impl Context {
    /// A context with the stdin, clock and sleep of the process. The connections add to `last_remarks` when they end.
    pub fn new(out: Output, connect: Connect, find_journal: FindJournal, last_remarks: LastRemarks) -> Self {
        Self {
            out,
            stdin: RefCell::new(Box::new(io::stdin())),
            clock: Arc::new(SystemClock),
            pause: std::thread::sleep,
            connect,
            find_journal,
            last_remarks,
        }
    }

    /// The files of the journal, for a command that only reads them.
    pub fn journal_files(&self) -> Result<JournalFiles, CliError> {
        (self.find_journal)()
    }

    /// Connects to a console of the kind the command needs, and prints its message, if any.
    pub fn connect(&self, need: Need) -> Result<Connection, CliError> {
        let connection = (self.connect)(need)?;
        connection.remark.iter().for_each(|remark| self.print(remark));
        Ok(connection)
    }

    /// Prints what came up when the connections of the command ended.
    pub(super) fn print_last_remarks(&self) {
        self.last_remarks.take().iter().for_each(|remark| self.print(remark));
    }

    fn print(&self, remark: &Remark) {
        match remark {
            Remark::Note(note) => self.out.note(note),
            Remark::Warning(warning, next) => self.out.warn(warning, next),
        }
    }
}
