//! Fills a journal with old events, through the journal's own writer.

use std::ops::Range;
use std::path::Path;

use palyra_actors::clock::{Clock, SystemClock, UnixMs};
use palyra_actors::ids::Digest;
use palyra_actors::journal::{
    Appended, BodyFormat, JournalFiles, NewEvent, NewRow, ReplayClaim, Severity, SystemEvent, Verdict,
    WebhookEvent, Writer,
};

/// Rows per commit.
const GROUP_ROWS: u64 = 1_000;
/// Event names, which alternate, as integrations and severities do.
pub const NAMES: [&str; 4] = ["push", "issues", "ping", "release"];
/// Integrations of the seeded deliveries.
pub const INTEGRATIONS: [&str; 8] = ["gh", "a", "b", "c", "d", "e", "f", "g"];

/// The time of the first seeded event, Unix ms, so that `rows` events one millisecond apart end in the past.
pub fn began_at(rows: u64) -> u64 {
    SystemClock.now_unix_ms() - rows - 60_000
}

/// Appends `rows` events under distinct keys.
pub fn fill(root: &Path, rows: u64) {
    extend(root, 0..rows, began_at(rows));
}

/// Appends the events of these numbers; number 0 is recorded at `begun`.
pub fn extend(root: &Path, numbers: Range<u64>, begun: UnixMs) {
    let mut writer = Writer::open(&JournalFiles::in_folder(root), || 7, false, begun).unwrap();
    for first in numbers.clone().step_by(GROUP_ROWS.try_into().unwrap()) {
        append(&mut writer, first..numbers.end.min(first + GROUP_ROWS), begun);
    }
}

/// Appends the events of these numbers as one group.
pub fn append(writer: &mut Writer, numbers: Range<u64>, begun: UnixMs) {
    let recorded_at = begun + numbers.start;
    for outcome in writer.append(numbers.map(row).collect(), recorded_at).unwrap() {
        assert!(matches!(outcome, Ok(Appended::Stored(_))));
    }
}

fn turn<T: Copy>(among: &[T], n: u64) -> T {
    among[usize::try_from(n).unwrap() % among.len()]
}

/// Nine deliveries, then a system event.
fn row(n: u64) -> NewRow {
    let body = format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(200));
    if n.is_multiple_of(10) {
        let severity = turn(&[Severity::Info, Severity::Warn, Severity::Error], n / 10);
        let event = SystemEvent::new("system.operator.seed", format!("number {n}")).severity(severity);
        return NewRow { event: NewEvent::System(event), claim: None };
    }
    let claim = ReplayClaim {
        key: Digest::of(format!("seed {n}").as_bytes()),
        body: Digest::of(body.as_bytes()),
        verdict: Verdict::Accepted,
        expires_at: SystemClock.now_unix_ms() + 7 * 24 * 3_600_000,
        is_whole: true,
        retries_differ: false,
    };
    let event = WebhookEvent {
        name: turn(&NAMES, n / 7).to_owned(),
        source: "octo/cat".to_owned(),
        integration_id: turn(&INTEGRATIONS, n / 3).to_owned(),
        provider: "github".to_owned(),
        delivery_id: Some(format!("d-{n}")),
        key_version: Some(1),
        occurred_at: SystemClock.now_unix_ms(),
        body: body.into_bytes().into(),
        body_format: BodyFormat::Json,
    };
    NewRow { event: NewEvent::Webhook(event), claim: Some(claim) }
}

/// `short`, or `long` when full sweeps are requested by `PALYRA_TEST_LONG=1`.
pub fn scaled<T>(short: T, long: T) -> T {
    if std::env::var_os("PALYRA_TEST_LONG").is_some() { long } else { short }
}
