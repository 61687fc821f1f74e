//! What a page of events costs over HTTP, and what an append costs, as the journal grows.
//!
//! `cargo bench --bench journal_size [-- ROWS]`; 1,000,000 rows unless told. Beside each figure stands the newest
//! page of a journal of 1,000 rows, asked for in the same breath.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use support::seed::{INTEGRATIONS, NAMES, began_at, fill};
use support::{Daemon, state_root};

/// How often each page is asked for.
const ASKED: usize = 200;

fn main() {
    let rows = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(1_000_000);
    let (small, large) = (state_root(), state_root());
    fill(small.path(), 1_000);
    show_appends(rows, &fill(large.path(), rows));
    let few = Daemon::start(small.path());
    let begun = Instant::now();
    let many = Daemon::start(large.path());
    println!("from the start to `ready`: {:?}\n", begun.elapsed());
    println!("{:68} {:>9} {:>9} {:>9}", "page", "median ms", "p99 ms", "÷ small");
    for query in queries(rows) {
        let beside = times(&few, small.path(), "limit=50");
        let took = times(&many, large.path(), &query);
        let (median, p99) = (took[ASKED / 2], took[ASKED * 99 / 100]);
        let ratio = median.as_secs_f64() / beside[ASKED / 2].as_secs_f64();
        println!("{query:68} {:9.2} {:9.2} {ratio:9.2}", ms(median), ms(p99));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn show_appends(rows: u64, tenths: &[Duration]) {
    println!("{rows} rows appended, groups of 1,000; each tenth of them ÷ the first:");
    let ratio = |tenth: &Duration| format!("{:.2}", tenth.as_secs_f64() / tenths[0].as_secs_f64());
    println!("{}\n", tenths.iter().map(ratio).collect::<Vec<_>>().join("  "));
}

/// The times of one page, in order of size.
fn times(daemon: &Daemon, root: &Path, query: &str) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..ASKED)
        .map(|_| {
            let begun = Instant::now();
            let answer = daemon.console(root, "GET", &format!("/console/v1/system/events?{query}"), b"");
            assert_eq!(answer.status, 200, "{answer:?}");
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}

fn queries(rows: u64) -> Vec<String> {
    let middle = rows / 2;
    let since = began_at(rows) + middle;
    vec![
        "limit=50".to_owned(),
        format!("limit=50&after={middle}"),
        format!("limit=50&before={middle}"),
        format!("limit=50&integration={}", INTEGRATIONS[3]),
        format!("limit=50&name={}&before={middle}", NAMES[2]),
        format!("limit=50&kind=system&after={middle}"),
        format!("limit=50&since={since}&after=0"),
        format!("limit=50&since={since}&integration={}&after=0", INTEGRATIONS[5]),
        format!("limit=50&name={}&integration={}&after=0", NAMES[1], INTEGRATIONS[2]),
        "limit=50&severity=error".to_owned(),
        "limit=50&name=never&after=0".to_owned(),
        "limit=50&contains=nowhere".to_owned(),
    ]
}
