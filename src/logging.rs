//! Logs go to standard error; standard output is for data.

mod stream;

use std::io::{self, IsTerminal};
use std::sync::Mutex;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use stream::{LogStream, PATIENCE, write_within};

/// Starts the log of a daemon: level `info`, more with `-v`.
pub fn for_daemon(verbose: u8, json: bool) {
    let level = match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    start(level, json);
}

/// Starts the log of a command, which prints its own messages: nothing, unless `-v` is given.
pub fn for_commands(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::WARN,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    start(level, false);
}

/// Writes a line to stdout; nobody has to read it.
///
/// # Errors
/// It could not be written, or nobody read stdout for as long as [`PATIENCE`].
pub fn say_on_stdout(line: &str) -> io::Result<()> {
    write_within(rustix::stdio::stdout(), format!("{line}\n").as_bytes(), PATIENCE)
}

/// Other libraries are limited to warnings at every level, because their debug output may contain request headers.
fn start(level: LevelFilter, json: bool) {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let ours = Targets::new().with_target("palyra", level).with_target("palyra_actors", level);
    // actix-http logs an error for every request that is not HTTP, and strangers can send any number of those.
    let requests = if level > LevelFilter::INFO { LevelFilter::WARN } else { LevelFilter::OFF };
    let others = ours.with_default(level.min(LevelFilter::WARN)).with_target("actix_http::h1", requests);
    // Errors of the log would go to the stream that has just failed, and failing to write them panics.
    let stderr = Mutex::new(LogStream::new(rustix::stdio::stderr(), json, PATIENCE));
    let log = fmt::layer().with_writer(stderr).with_ansi(colour).log_internal_errors(false);
    let log = if json { log.json().boxed() } else { log.boxed() };
    tracing_subscriber::registry().with(log.with_filter(others)).init();
}
