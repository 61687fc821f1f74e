//! Runs the daemon and the bare server under the same load, alternately.

use crate::figures::{Table, median, number, spread};
use crate::targets::{Other, Palyra};
use crate::wrk::{Load, Mode, Run};

/// The runs of both servers under one load.
pub struct Duel {
    /// The name of the load.
    pub name: String,
    pub load: Load,
    /// The runs of the daemon, one per round.
    pub ours: Vec<Run>,
    /// The runs of the bare server, one per round.
    pub bare: Vec<Run>,
}

impl Duel {
    /// Starts without rounds.
    pub fn new(name: impl Into<String>, load: Load) -> Self {
        Self { name: name.into(), load, ours: Vec::new(), bare: Vec::new() }
    }

    /// Runs one round; the two alternate in going first.
    pub fn round(&mut self, palyra: &Palyra, bare: &Other) {
        if self.ours.len().is_multiple_of(2) {
            self.ours.push(palyra.drive(&self.load));
            self.bare.push(bare.drive(&self.load));
        } else {
            self.bare.push(bare.drive(&self.load));
            self.ours.push(palyra.drive(&self.load));
        }
    }

    /// The ratio of `of` for the daemon to `of` for the bare server, for each round in which neither had errors.
    pub fn ratios(&self, of: impl Fn(&Run) -> f64) -> Vec<f64> {
        let rounds = self.ours.iter().zip(&self.bare);
        let clean =
            rounds.filter(|(ours, bare)| is_clean(ours, self.load.mode) && is_clean(bare, Mode::Signed));
        clean.map(|(ours, bare)| of(ours) / of(bare)).collect()
    }

    /// The number of rounds that do not count, in words; empty if all count.
    pub fn errors(&self) -> String {
        let lost = self.ours.len() - self.ratios(Run::per_second).len();
        if lost == 0 { String::new() } else { format!("{lost} rounds with errors do not count") }
    }

    /// Its two rows of [`runs_table`].
    pub fn rows(&self) -> [Vec<String>; 2] {
        [
            row(&self.name, "palyra", self.load.mode, &self.ours),
            row(&self.name, "bare", Mode::Signed, &self.bare),
        ]
    }

    /// The medians of `of` over the runs without errors: the daemon's, then the bare server's. NaN if there are no such
    /// runs.
    pub fn medians(&self, of: impl Fn(&Run) -> f64) -> [f64; 2] {
        let figure = |runs: &[Run], mode| {
            let clean = runs.iter().filter(|run| is_clean(run, mode)).map(&of);
            median(&clean.collect::<Vec<_>>()).unwrap_or(f64::NAN)
        };
        [figure(&self.ours, self.load.mode), figure(&self.bare, Mode::Signed)]
    }
}

/// Whether every request got the expected answer.
pub fn is_clean(run: &Run, mode: Mode) -> bool {
    let refused = if mode == Mode::Wrong { run.requests } else { 0 };
    run.failed == 0 && run.refused == refused && run.requests > 0
}

/// An empty table of runs.
pub fn runs_table() -> Table {
    let head = ["load", "target", "answers/s", "all rounds", "p50 ms", "p99 ms", "CPU µs each", "errors"];
    Table::new(&head)
}

/// The row of one target for that table.
pub fn row(name: &str, target: &str, mode: Mode, runs: &[Run]) -> Vec<String> {
    let of = |what: fn(&Run) -> f64| runs.iter().map(what).collect::<Vec<f64>>();
    let shown = |what| median(&of(what)).map_or("-".to_owned(), number);
    let wrong =
        |run: &Run| run.failed + if mode == Mode::Wrong { run.requests - run.refused } else { run.refused };
    vec![
        name.to_owned(),
        target.to_owned(),
        shown(Run::per_second),
        spread(&of(Run::per_second)),
        shown(|run| run.p50_ms),
        shown(|run| run.p99_ms),
        shown(|run| run.cpu_us),
        runs.iter().map(wrong).sum::<u64>().to_string(),
    ]
}
