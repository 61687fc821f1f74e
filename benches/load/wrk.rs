//! One run of wrk against one target.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process;

/// Bytes of a delivery, unless the size is varied.
pub const BODY_BYTES: u32 = 1_200;

/// The kind of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// New and genuine deliveries.
    Signed,
    /// Deliveries signed with another secret.
    Wrong,
    /// The same delivery again and again.
    Repeat,
    /// System events for the console.
    Emit,
}

#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// The kind of requests.
    pub mode: Mode,
    /// Connections, each with one request at a time.
    pub connections: u32,
    /// Bytes of a body.
    pub bytes: u32,
    /// Number of integrations, used in turn.
    pub hooks: u32,
    /// Requests per second over all connections; 0: as many as are answered.
    pub rate: f64,
    pub seconds: u64,
}

impl Load {
    /// New deliveries of [`BODY_BYTES`] to one integration over 64 connections, at full speed.
    pub fn of(mode: Mode, seconds: u64) -> Self {
        Self { mode, connections: 64, bytes: BODY_BYTES, hooks: 1, rate: 0.0, seconds }
    }
}

/// The result of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    pub requests: u64,
    /// Duration, in seconds.
    pub seconds: f64,
    /// Answered with a status of 400 or more.
    pub refused: u64,
    /// Not answered: connections that failed, broke off or timed out.
    pub failed: u64,
    /// Median latency, milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the latency, milliseconds.
    pub p99_ms: f64,
    /// Processor time of the target per request, microseconds.
    pub cpu_us: f64,
}

impl Run {
    /// Answers per second.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// Puts the load on the server at `base`, whose process is `pid`.
///
/// # Panics
/// When wrk cannot be run or prints no result.
pub fn drive(base: &str, pid: u32, secret: &str, load: &Load) -> Run {
    let before = process::cpu_us(pid);
    let output = command(base, secret, load).output().expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("requests="));
    let line = line.unwrap_or_else(|| panic!("wrk: {text} {}", String::from_utf8_lossy(&output.stderr)));
    let field = |name: &str| -> u64 {
        let value = line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse().ok()).expect("signed.lua prints the field")
    };
    let requests = field("requests");
    Run {
        requests,
        seconds: field("us") as f64 / 1e6,
        refused: field("refused"),
        failed: field("failed"),
        p50_ms: field("p50_us") as f64 / 1e3,
        p99_ms: field("p99_us") as f64 / 1e3,
        cpu_us: (process::cpu_us(pid) - before) / requests.max(1) as f64,
    }
}

fn command(base: &str, secret: &str, load: &Load) -> Command {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let mode = match load.mode {
        Mode::Signed => "signed",
        Mode::Wrong => "wrong",
        Mode::Repeat => "repeat",
        Mode::Emit => "emit",
    };
    let mut command = Command::new("wrk");
    command
        .args(["-t1", &format!("-c{}", load.connections), &format!("-d{}s", load.seconds), "--latency", "-s"])
        .args([concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/signed.lua"), base])
        .env("LOAD_MODE", mode)
        .env("LOAD_SECRET", secret)
        .env("LOAD_RUN", format!("{run:08x}"))
        .env("LOAD_BYTES", load.bytes.to_string())
        .env("LOAD_HOOKS", load.hooks.to_string())
        .env("LOAD_RATE", load.rate.to_string());
    command
}
