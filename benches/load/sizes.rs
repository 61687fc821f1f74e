//! Measures how costs grow with the journal: appends, pages, start, verification.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use palyra_actors::clock::ManualClock;
use palyra_actors::journal::{JournalConfig, JournalFiles, OpenJournal, Writer};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::figures::{Criterion, Table, Wanted, median, number};
use crate::options::Options;
use crate::pages::{self, Page};
use crate::plot::{Chart, Line};
use crate::support::seed::{append, began_at, extend};
use crate::support::{Daemon, palyra};
use crate::targets::{self, folder};

/// Rows of the small journal, the reference.
const SMALL_ROWS: u64 = 10_000;
/// Rows per appended group: about as many as 64 connections produce.
const GROUP_ROWS: u64 = 64;
/// Number of groups; their median is the figure of one round.
const GROUPS: usize = 30;
/// Time limit for a daemon to stop, including its last checkpoint.
const PATIENCE: Duration = Duration::from_secs(600);

/// A seeded journal.
struct Journal {
    root: TempDir,
    rows: u64,
    begun: u64,
}

/// The costs at one size. Times in seconds, one figure per round.
struct Stage {
    rows: u64,
    bytes: u64,
    append: Vec<f64>,
    append_ratio: Vec<f64>,
    start: Vec<f64>,
    /// Bytes per second of `journal verify` ÷ those of `sha256sum`.
    verify_ratio: Vec<f64>,
    pages: Vec<Page>,
}

/// Grows a journal and measures it at each size; returns the criteria, the tables and the chart.
pub fn measure(options: &Options) -> (Vec<Criterion>, Vec<(&'static str, Table)>, Chart) {
    let mut large = Journal::new(options.rows());
    let sizes = [SMALL_ROWS, 100_000, 1_000_000, 10_000_000];
    let sizes = sizes.into_iter().filter(|&rows| rows < options.rows()).chain([options.rows()]);
    let stages: Vec<Stage> = sizes
        .map(|rows| {
            eprintln!("sizes: {rows} rows");
            large.grow(rows);
            stage(&mut large, options.rounds())
        })
        .collect();
    let last = stages.last().expect("there is one size at least");
    let tables = vec![
        ("By rows of the journal", by_size(&stages)),
        ("Pages of the largest journal", pages::table(&last.pages)),
    ];
    (criteria(last), tables, chart(&stages))
}

impl Journal {
    fn new(rows_in_the_end: u64) -> Self {
        let journal = Self { root: folder(), rows: 0, begun: began_at(2 * rows_in_the_end) };
        journal.begin_log();
        journal
    }

    /// A journal has no events before its log has begun.
    fn begin_log(&self) {
        let (files, clock) = (JournalFiles::in_folder(self.root.path()), ManualClock::at(self.begun));
        let (random, head) = (|| 7, watch::Sender::new(0));
        let config = JournalConfig { files, accept_rollback: false, clock, random, head };
        drop(OpenJournal::open(config).expect("the journal opens"));
    }

    fn grow(&mut self, rows: u64) {
        extend(self.root.path(), self.rows..rows, self.begun);
        self.rows = self.rows.max(rows);
    }

    fn writer(&self) -> Writer {
        let files = JournalFiles::in_folder(self.root.path());
        Writer::open(&files, || 7, false, self.begun).expect("the journal opens")
    }

    fn append_group(&mut self, writer: &mut Writer) -> f64 {
        let begun = Instant::now();
        append(writer, self.rows..self.rows + GROUP_ROWS, self.begun);
        self.rows += GROUP_ROWS;
        begun.elapsed().as_secs_f64()
    }
}

fn stage(large: &mut Journal, rounds: usize) -> Stage {
    let rows = large.rows;
    let (append, append_ratio) = (0..rounds).map(|_| appends(large)).unzip();
    let root = large.root.path();
    // The first start signs a checkpoint over all seeded events, so that later starts need not.
    stop(targets::start(root));
    let start = (0..rounds).map(|_| start(root)).collect();
    let daemon = targets::start(root);
    let pages = pages::measure(&daemon, root, large.begun, rows);
    stop(daemon);
    Stage {
        rows,
        bytes: std::fs::metadata(root.join("journal.db")).expect("there is a journal").len(),
        append,
        append_ratio,
        start,
        verify_ratio: verify_ratios(root, rounds),
        pages,
    }
}

/// Seconds for a group at the end of the large journal, and their ratio to those for one of [`SMALL_ROWS`]; groups alternate
/// between the two.
fn appends(large: &mut Journal) -> (f64, f64) {
    let mut small = Journal::new(SMALL_ROWS);
    small.grow(SMALL_ROWS);
    let (mut at_large, mut at_small) = (large.writer(), small.writer());
    let turns = (0..GROUPS).map(|_| (large.append_group(&mut at_large), small.append_group(&mut at_small)));
    let (large, small): (Vec<f64>, Vec<f64>) = turns.unzip();
    let (large, small) = (median(&large).unwrap_or(f64::NAN), median(&small).unwrap_or(f64::NAN));
    (large, large / small)
}

fn stop(daemon: Daemon) {
    daemon.signal("TERM");
    assert!(daemon.wait(PATIENCE).success());
}

/// Seconds from starting the process to its ready line; then the process is killed, as in a crash.
fn start(root: &Path) -> f64 {
    let begun = Instant::now();
    let daemon = targets::start(root);
    let took = begun.elapsed().as_secs_f64();
    daemon.kill();
    took
}

/// Both read the same bytes, from memory after the first run.
fn verify_ratios(root: &Path, rounds: usize) -> Vec<f64> {
    let sum = || {
        let mut program = Command::new("sha256sum");
        program.arg(root.join("journal.db"));
        seconds(program)
    };
    let verify = || {
        let mut program = palyra(root);
        program.args(["journal", "verify"]);
        seconds(program)
    };
    sum();
    verify();
    (0..rounds).map(|_| sum() / verify()).collect()
}

fn seconds(mut program: Command) -> f64 {
    let begun = Instant::now();
    let output = program.output().expect("the program runs");
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
    begun.elapsed().as_secs_f64()
}

fn criteria(last: &Stage) -> Vec<Criterion> {
    let rows = number(last.rows as f64);
    let slowest = |of: fn(&Page) -> f64| last.pages.iter().map(of).fold(0.0, f64::max);
    let at = format!("at {rows} rows");
    let start = Criterion::new("start to `ready`, s", Wanted::AtMost(1.0, 0.2), last.start.clone());
    let verify = Criterion::new(
        "`journal verify` bytes/s ÷ `sha256sum` of the same bytes",
        Wanted::AtLeast(0.5, 0.9),
        last.verify_ratio.clone(),
    );
    let append = Criterion::new(
        "append cost ÷ that at 10,000 rows",
        Wanted::AtMost(1.3, 1.1),
        last.append_ratio.clone(),
    );
    let page = |what, wanted, figure| {
        Criterion::new(what, wanted, vec![figure])
            .remark(format!("{at}, the slowest of {} kinds", last.pages.len()))
    };
    vec![
        start.remark(format!("{at}, after a kill")),
        verify.remark(format!("{} MiB", last.bytes >> 20)),
        append.remark(format!("{at}, groups of {GROUP_ROWS}")),
        page("event list page, median ms", Wanted::AtMost(5.0, 2.0), slowest(|page| page.median_ms)),
        page("event list page, p99 ms", Wanted::AtMost(20.0, 8.0), slowest(|page| page.p99_ms)),
    ]
}

fn by_size(stages: &[Stage]) -> Table {
    let mut table = Table::new(&[
        "rows",
        "MiB",
        "append µs a row",
        "÷ 10,000 rows",
        "slowest page median ms",
        "p99 ms",
        "start s",
        "verify ÷ sha256sum",
    ]);
    let shown = |figures: &[f64]| median(figures).map_or("-".to_owned(), number);
    table.rows.extend(stages.iter().map(|stage| {
        let slowest = |of: fn(&Page) -> f64| number(stage.pages.iter().map(of).fold(0.0, f64::max));
        vec![
            stage.rows.to_string(),
            (stage.bytes >> 20).to_string(),
            median(&stage.append).map_or("-".to_owned(), |group| number(group * 1e6 / GROUP_ROWS as f64)),
            shown(&stage.append_ratio),
            slowest(|page| page.median_ms),
            slowest(|page| page.p99_ms),
            shown(&stage.start),
            shown(&stage.verify_ratio),
        ]
    }));
    table
}

fn chart(stages: &[Stage]) -> Chart {
    let first = &stages[0].pages;
    let at = |of: fn(&Stage) -> f64| stages.iter().map(|stage| (stage.rows as f64, of(stage))).collect();
    let append = at(|stage| median(&stage.append_ratio).unwrap_or(f64::NAN));
    let newest: Vec<(f64, f64)> = stages
        .iter()
        .map(|stage| (stage.rows as f64, stage.pages[0].median_ms / first[0].median_ms))
        .collect();
    let lines = vec![Line { name: "append", points: append }, Line { name: "newest page", points: newest }];
    Chart {
        file: "sizes",
        title: "Cost by rows of the journal, ÷ that at 10,000",
        across: "rows",
        up: "ratio",
        lines,
    }
}
