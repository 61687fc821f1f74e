//! The options: what is measured, how often and how long.

use clap::{Parser, ValueEnum};

/// Measures the release daemon beside a bare server, and writes `docs/performance.md`.
#[derive(Debug, Parser)]
#[command(name = "load")]
pub struct Options {
    /// Rounds in which the targets take turns; a figure is their median [default: 5]
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of one run of wrk [default: 5]
    #[arg(long)]
    seconds: Option<u64>,
    /// Rows of the largest journal [default: 1000000]
    #[arg(long)]
    rows: Option<u64>,
    /// Live replay keys, taken in over HTTP, after which memory is read [default: 1000000]
    #[arg(long)]
    keys: Option<u64>,
    /// Only these parts; nothing is written to `docs/`
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Everything in small, to see that it works; nothing is written to `docs/`
    #[arg(long)]
    quick: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Rates and latencies against the bare server.
    Ratios,
    /// How they grow with bodies, connections and integrations.
    Growth,
    /// What a journal costs as it grows.
    Sizes,
    /// Resident memory.
    Memory,
}

impl Options {
    /// Number of rounds.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 }).max(1)
    }

    /// Number of rounds for each point of a curve.
    pub fn rounds_of_a_point(&self) -> usize {
        self.rounds().min(3)
    }

    /// Duration of one run, in seconds.
    pub fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 5 }).max(1)
    }

    /// Rows of the largest journal, at least 20,000.
    pub fn rows(&self) -> u64 {
        self.rows.unwrap_or(if self.quick { 20_000 } else { 1_000_000 }).max(20_000)
    }

    /// Number of live replay keys.
    pub fn keys(&self) -> u64 {
        self.keys.unwrap_or(if self.quick { 10_000 } else { 1_000_000 })
    }

    /// Whether this part is requested.
    pub fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// Whether the run is complete, so that its results may go into `docs/`.
    pub fn is_whole(&self) -> bool {
        !self.quick && self.only.is_empty()
    }

    /// Every value of a curve, or only the first and the last.
    pub fn points<'a>(&self, all: &'a [u32]) -> Vec<&'a u32> {
        if self.quick {
            [all.first(), all.last()].into_iter().flatten().collect()
        } else {
            all.iter().collect()
        }
    }
}
