//! What every command is given: where to write, how to reach the console, the time.

use std::any::Any;
use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use palyra_actors::clock::{SharedClock, SystemClock};
use palyra_actors::journal::JournalFiles;

use super::client::ConsoleClient;
use super::error::CliError;
use super::output::Output;

/// Which console a command can do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// That of the running daemon.
    Daemon,
    /// That of the running daemon; while it is stopped, one in this process, over the same state root.
    DaemonOrOffline,
    /// The same, for what has no use for integrations: it works beside a `webhooks.toml` that was lost.
    NoIntegrations,
}

/// What a command does without a daemon where no state root was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    /// Begins one.
    Begin,
    /// Shows what is built in, and leaves nothing behind.
    BuiltIn,
    /// Says that there is none.
    Refuse,
}

/// A console that answers.
pub struct Connection {
    /// Speaks to it.
    pub client: ConsoleClient,
    _guard: Option<Box<dyn Any>>,
    remark: Option<Remark>,
}

/// What the person is told of how a console was found.
pub enum Remark {
    /// Something that was done on the way.
    Note(String),
    /// Something that is not as it should be, and the next step.
    Warning(String, String),
}

impl Connection {
    /// To the console of a running daemon.
    pub fn to_daemon(client: ConsoleClient) -> Self {
        Self { client, _guard: None, remark: None }
    }

    /// To a console that lives as long as `guard`, which is dropped when the command is done: an offline
    /// console stops then and frees the state root.
    pub fn guarded(client: ConsoleClient, guard: impl Any) -> Self {
        Self { client, _guard: Some(Box::new(guard)), remark: None }
    }

    /// With something to be told of it.
    #[must_use]
    pub fn remarking(mut self, remark: Remark) -> Self {
        self.remark = Some(remark);
        self
    }
}

/// Reaches a console. Its errors carry the exit code: 69 not reachable, 73 in use, 78 configuration.
pub type Connect = Box<dyn Fn(Need) -> Result<Connection, CliError>>;

/// Where the journal's files lie. Its errors are those of settings that cannot be used.
pub type FindJournal = Box<dyn Fn() -> Result<JournalFiles, CliError>>;

/// What every command is given.
pub struct Context {
    /// Where it writes.
    pub out: Output,
    /// Where payloads and secrets come from when no file is named.
    pub stdin: RefCell<Box<dyn Read>>,
    /// The time, for `--since 15m`.
    pub clock: SharedClock,
    /// Waits between attempts to reach the daemon again.
    pub pause: fn(Duration),
    connect: Connect,
    find_journal: FindJournal,
}

impl Context {
    /// With the process's own stdin, clock and sleep.
    pub fn new(out: Output, connect: Connect, find_journal: FindJournal) -> Self {
        Self {
            out,
            stdin: RefCell::new(Box::new(io::stdin())),
            clock: Arc::new(SystemClock),
            pause: std::thread::sleep,
            connect,
            find_journal,
        }
    }

    /// Where the journal's files lie, for a command that only reads them.
    pub fn journal_files(&self) -> Result<JournalFiles, CliError> {
        (self.find_journal)()
    }

    /// Reaches a console of the kind the command needs, and tells what there is to say of it.
    pub fn connect(&self, need: Need) -> Result<Connection, CliError> {
        let connection = (self.connect)(need)?;
        match &connection.remark {
            Some(Remark::Note(note)) => self.out.note(note),
            Some(Remark::Warning(warning, next)) => self.out.warn(warning, next),
            None => {}
        }
        Ok(connection)
    }
}
