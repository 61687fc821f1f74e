//! Logs go to standard error; standard output is for data.

mod queue;

use std::io::{self, IsTerminal};
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use queue::LineQueue;

/// How long the reader of stderr is waited for where a daemon cannot go on before: at its end, and after a panic.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The log of a daemon, once it has begun.
static QUEUE: OnceLock<LineQueue> = OnceLock::new();

/// Starts the log of a daemon: level `info`, more with `-v`. Nobody who logs waits for the reader of stderr. Panics are
/// logged too.
///
/// # Errors
/// The system refuses a thread.
pub fn for_daemon(verbose: u8, json: bool) -> io::Result<()> {
    let level = match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let started = LineQueue::start(io::stderr(), json)?;
    let queue = QUEUE.get_or_init(|| started);
    start(level, json, BoxMakeWriter::new(|| queue.clone()));
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Starts the log of a command, which prints its own messages: nothing, unless `-v` is given.
pub fn for_commands(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::WARN,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    start(level, false, BoxMakeWriter::new(io::stderr));
}

/// Waits until everything logged before is written, for at most [`PATIENCE`].
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush_within(PATIENCE);
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string);
    let thread = std::thread::current().name().map(ToOwned::to_owned);
    tracing::error!(thread, at, said = panic.payload_as_str(), "panicked");
    // The process may end at once, as it does after a panic within a panic.
    flush();
}

/// Other libraries are limited to warnings at every level, because their debug output may contain request headers.
fn start(level: LevelFilter, json: bool, stderr: BoxMakeWriter) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let ours = Targets::new().with_target("palyra", level).with_target("palyra_actors", level);
    // actix-http logs an error for every request that is not HTTP, and strangers can send any number of those.
    let requests = if level > LevelFilter::INFO { LevelFilter::WARN } else { LevelFilter::OFF };
    let others = ours.with_default(level.min(LevelFilter::WARN)).with_target("actix_http::h1", requests);
    // Errors of the log would go to the stream that has just failed, and failing to write them panics.
    let log = fmt::layer().with_writer(stderr).with_ansi(colour).log_internal_errors(false);
    let log = if json { log.json().boxed() } else { log.boxed() };
    tracing_subscriber::registry().with(log.with_filter(others)).init();
}
