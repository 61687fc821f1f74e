//! Logs go to standard error; standard output is for data.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;

/// Of a daemon: `info`, more with `-v`.
pub fn for_daemon(verbose: u8, json: bool) {
    let level = match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    start(level, json);
}

/// Of a command, which speaks for itself: errors, more with `-v`.
pub fn for_commands(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::WARN,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    start(level, false);
}

fn start(level: LevelFilter, json: bool) {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(colour);
    if json {
        log.json().init();
    } else {
        log.init();
    }
}
