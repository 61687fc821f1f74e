//! Pages of events over HTTP, each over a connection of its own.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::figures::{Table, number};
use crate::support::Daemon;
use crate::support::seed::{INTEGRATIONS, NAMES};

/// Number of requests for each page.
const ASKED: usize = 200;
/// Time limit for the verification after a start of the daemon.
const PATIENCE: Duration = Duration::from_secs(900);

/// One kind of page and its latencies.
pub struct Page {
    query: String,
    /// Median, milliseconds.
    pub median_ms: f64,
    /// 99th percentile, milliseconds.
    pub p99_ms: f64,
}

/// Requests every kind of page of a journal of `rows` rows, the first recorded at `begun`, the others one millisecond apart.
/// The newest page comes first.
pub fn measure(daemon: &Daemon, root: &Path, begun: u64, rows: u64) -> Vec<Page> {
    wait_for_verification(daemon, root);
    queries(begun, rows).into_iter().map(|query| page(daemon, root, query)).collect()
}

fn page(daemon: &Daemon, root: &Path, query: String) -> Page {
    let path = format!("/console/v1/system/events?{query}");
    let mut times: Vec<f64> = (0..ASKED)
        .map(|_| {
            let begun = Instant::now();
            let answer = daemon.console(root, "GET", &path, b"");
            assert_eq!(answer.status, 200, "{answer:?}");
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    Page { query, median_ms: times[ASKED / 2], p99_ms: times[ASKED * 99 / 100] }
}

/// Waits for the verification of the journal after the start, so that it does not distort the measurement.
fn wait_for_verification(daemon: &Daemon, root: &Path) {
    let deadline = Instant::now() + PATIENCE;
    let running = || {
        let heartbeat = daemon.console(root, "GET", "/console/v1/system/heartbeat", b"").json();
        heartbeat["verification"]["state"] != "verified"
    };
    while running() {
        assert!(
            Instant::now() < deadline,
            "the verification beside the daemon takes longer than {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The table of all pages.
pub fn table(pages: &[Page]) -> Table {
    let mut table = Table::new(&["page", "median ms", "p99 ms"]);
    let row = |page: &Page| vec![format!("`{}`", page.query), number(page.median_ms), number(page.p99_ms)];
    table.rows.extend(pages.iter().map(row));
    table
}

fn queries(begun: u64, rows: u64) -> Vec<String> {
    let middle = rows / 2;
    let since = begun + middle;
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
