//! Compares the daemon with a bare server and adnanh/webhook, under the same load at the same time.
//!
//! `cargo bench --bench load -- --help`. It needs wrk. A complete run writes `docs/performance.md`; `--quick` and `--only`
//! print, and write into the build folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod bare;
mod duel;
mod figures;
mod growth;
mod machine;
mod memory;
mod options;
mod pages;
mod plot;
mod process;
mod ratios;
mod report;
mod sizes;
#[allow(dead_code)]
#[path = "../../tests/support/mod.rs"]
mod support;
mod targets;
mod wrk;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use options::{Options, Part};
use report::Report;
use rustix::process::{Resource, getrlimit, setrlimit};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("bare") {
        bare::serve().expect("the bare server serves");
        return ExitCode::SUCCESS;
    }
    let options = Options::parse();
    if !process::is_installed("wrk") {
        eprintln!("wrk drives the load and is not installed: `apt-get install wrk`, or github.com/wg/wrk");
        return ExitCode::FAILURE;
    }
    open_files_as_allowed();
    let report = measure(&options);
    println!("{}", report.markdown(&options));
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
    let folder = if options.is_whole() { docs } else { env!("CARGO_TARGET_TMPDIR") };
    let written = report.write(Path::new(folder), &options).expect("the report can be written");
    println!("written to {}", written.display());
    ExitCode::SUCCESS
}

/// 1,024 connections exceed the default limit of most shells. The programs started here inherit the raised limit.
fn open_files_as_allowed() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("a limit can be raised to its maximum");
}

fn measure(options: &Options) -> Report {
    let mut report = Report { machine: machine::what_it_is(), ..Report::default() };
    let program = targets::build_release();
    report.limits = machine::limits();
    if options.wants(Part::Ratios) {
        let (criteria, runs) = ratios::measure(options);
        report.criteria.extend(criteria);
        report.tables.push(("Runs", runs));
    }
    if options.wants(Part::Memory) {
        report.criteria.extend(memory::measure(options));
    }
    report.criteria.push(machine::binary_size(&program));
    if options.wants(Part::Sizes) {
        let (criteria, tables, chart) = sizes::measure(options);
        report.criteria.extend(criteria);
        report.tables.extend(tables);
        report.charts.push(chart);
    }
    if options.wants(Part::Growth) {
        let (tables, charts) = growth::measure(options);
        report.tables.extend(tables);
        report.charts.extend(charts);
    }
    report.machine.push(("what else ran after".to_owned(), process::busy_now()));
    report
}
