//! Counts the instructions of one incoming delivery and of one emitted event, by step, with valgrind, and compares them with
//! `benches/instructions.toml`.
//!
//! `cargo bench --bench instructions`; with `-- --update` the new counts become the baseline. Counts do not depend on other
//! processes. valgrind hides the SHA instructions of the processor, so hashing counts for more than it really costs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[allow(dead_code)]
mod delivery;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};

use delivery::{Delivery, NOW};
use palyra_actors::journal::{BodyFormat, JournalFiles, NewEvent, NewRow, Writer, operator_event};

/// The steps of a delivery, and those of an event emitted through the console.
const WAYS: [(&str, &[&str]); 2] = [
    ("delivery", &["precheck", "verify", "parse", "describe", "replay_key", "judge", "append"]),
    ("emission", &["read_event", "append_event"]),
];
/// Size of an emitted event, about that of a delivery.
const EVENT_TEXT_BYTES: usize = 1_000;
/// Deliveries or events per count.
const DELIVERIES: u64 = 2_000;
/// Rows per commit.
const GROUP_ROWS: u64 = 64;
/// Fraction by which the count of a step may exceed its baseline.
const STEP_MARGIN: f64 = 0.05;
/// Fraction by which the count of a whole delivery or event may exceed its baseline.
const WAY_MARGIN: f64 = 0.02;
/// Fraction of the whole by which any step may exceed its baseline. The compiler inlines otherwise when the sources lie in
/// another folder: the same code then counts up to 50 instructions more or less in a step of 600, but less than a thousandth
/// in the whole.
const SLACK: f64 = 0.001;
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");

type Counts = BTreeMap<String, u64>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [first, step, count] = args.as_slice()
        && first == "do"
    {
        work(step, count.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("valgrind counts the instructions and is not installed: `apt-get install valgrind`");
        return ExitCode::FAILURE;
    }
    let counts = count_all();
    if args.iter().any(|arg| arg == "--update") {
        return update(&counts);
    }
    compare(&counts)
}

/// Runs one step for `count` deliveries.
fn work(step: &str, count: u64) {
    let delivery = Delivery::of_github();
    let body = delivery.body();
    body.document().unwrap();
    let request = delivery.request(&body);
    let (verified, names) = (delivery.verify(&request), delivery.names(&request));
    let key = delivery.key(&verified, &request);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(&JournalFiles::in_folder(folder.path()), || 7, false, NOW).unwrap();
    let repeat = |work: &mut dyn FnMut()| (0..count).for_each(|_| work());
    match step {
        "precheck" => repeat(&mut || delivery.precheck()),
        "verify" => repeat(&mut || {
            black_box(delivery.verify(&request));
        }),
        "parse" => repeat(&mut || assert!(delivery.body().document().is_ok())),
        "describe" => repeat(&mut || drop(black_box(delivery.names(&request)))),
        "replay_key" => repeat(&mut || assert_eq!(delivery.key(&verified, &request), key)),
        "judge" => repeat(&mut || assert_eq!(delivery.judge(&body, &names, key), BodyFormat::Json)),
        "append" => append(&mut writer, count, |n| delivery.row(&names, n)),
        "read_event" => repeat(&mut || assert!(operator_event(&event()).is_ok())),
        "append_event" => {
            let event = operator_event(&event()).unwrap();
            append(&mut writer, count, |_| NewRow { event: NewEvent::System(event.clone()), claim: None });
        }
        _ => panic!("no such step: {step}"),
    }
}

/// An event as a client emits it.
fn event() -> String {
    let text = "x".repeat(EVENT_TEXT_BYTES);
    format!(r#"{{"name":"deploy.done","message":"one","tags":["a","b"],"details":{{"text":"{text}"}}}}"#)
}

fn append(writer: &mut Writer, count: u64, row: impl Fn(u64) -> NewRow) {
    for first in (0..count).step_by(GROUP_ROWS.try_into().unwrap()) {
        let rows = (first..count.min(first + GROUP_ROWS)).map(&row);
        assert!(writer.append(rows.collect(), NOW).unwrap().iter().all(Result::is_ok));
    }
}

/// Instructions of one delivery or event, by step: those of a run minus those of a run that does nothing.
fn count_all() -> Counts {
    let nothing = instructions("precheck", 0);
    let each = |step: &str| instructions(step, DELIVERIES).saturating_sub(nothing) / DELIVERIES;
    WAYS.iter().flat_map(|(_, steps)| *steps).map(|&step| (step.to_owned(), each(step))).collect()
}

fn instructions(step: &str, count: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["do", step, &count.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")).expect("callgrind counts");
    collected.1.trim().parse().unwrap()
}

fn update(counts: &Counts) -> ExitCode {
    let head = "# Instructions of one delivery of 1,200 bytes and of one event emitted, by step. `just instructions --update` writes \
                this file.\n";
    std::fs::write(BASELINE, format!("{head}{}", toml::to_string(counts).unwrap())).unwrap();
    println!("{counts:#?}\nwritten to {BASELINE}");
    ExitCode::SUCCESS
}

fn compare(counts: &Counts) -> ExitCode {
    let baseline: Counts = toml::from_str(&std::fs::read_to_string(BASELINE).unwrap()).unwrap();
    println!("{:<12} {:>12} {:>12} {:>8}", "step", "instructions", "baseline", "change");
    let mut over = Vec::new();
    for (way, steps) in WAYS {
        let all = |of: &Counts| steps.iter().filter_map(|step| of.get(*step)).sum::<u64>();
        let whole = all(&baseline);
        let slack = whole as f64 * SLACK;
        for &step in steps {
            let before = baseline.get(step).copied().unwrap_or_default();
            over.extend(compare_one(step, counts[step], before, slack.max(before as f64 * STEP_MARGIN)));
        }
        over.extend(compare_one(way, all(counts), whole, whole as f64 * WAY_MARGIN));
    }
    if over.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "over the baseline by more than the margin ({:.0} % of a step, {:.0} % of the whole): {}. Where that is meant: `just \
         instructions --update`, and say why in the commit",
        STEP_MARGIN * 100.0,
        WAY_MARGIN * 100.0,
        over.join(", ")
    );
    ExitCode::FAILURE
}

/// Prints a line of the table; gives the name back if the count exceeds its baseline by more than `margin`.
fn compare_one(name: &str, now: u64, before: u64, margin: f64) -> Option<&str> {
    println!("{name:<12} {now:>12} {before:>12} {:>+7.1}%", (now as f64 / before as f64 - 1.0) * 100.0);
    (now as f64 > before as f64 + margin).then_some(name)
}
