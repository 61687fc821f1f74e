//! Resident memory: idle, and under load with many live replay keys.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::figures::{Criterion, Wanted};
use crate::options::Options;
use crate::process::resident_mib;
use crate::targets::Palyra;
use crate::wrk::{Load, Mode};

/// Time after which a daemon without work counts as idle.
const SETTLED: Duration = Duration::from_secs(2);
/// Pause between two samples under load.
const LOOK: Duration = Duration::from_millis(100);

/// Measures memory when idle and under load.
pub fn measure(options: &Options) -> Vec<Criterion> {
    let idle = (0..options.rounds_of_a_point()).map(|_| {
        let palyra = Palyra::start();
        std::thread::sleep(SETTLED);
        resident_mib(palyra.daemon.pid())
    });
    let idle = Criterion::new("resident memory idle, MiB", Wanted::AtMost(25.0, 15.0), idle.collect());
    let what = format!("resident memory under load after {} live replay keys, MiB", options.keys());
    let loaded = Criterion::new(what, Wanted::AtMost(120.0, 80.0), under_load(options.keys()));
    vec![idle, loaded.remark("from there on, as high as it came in 5 s; 64 connections")]
}

/// Sends `keys` deliveries within their replay window, then samples memory while more arrive.
fn under_load(keys: u64) -> Vec<f64> {
    let palyra = Palyra::start();
    let load = Load::of(Mode::Signed, 5);
    while palyra.events() < keys {
        eprintln!("memory: {} of {keys} keys", palyra.events());
        palyra.drive(&load);
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let highest = scope.spawn(|| {
            let mut highest: f64 = 0.0;
            while !done.load(Ordering::Relaxed) {
                highest = highest.max(resident_mib(palyra.daemon.pid()));
                std::thread::sleep(LOOK);
            }
            highest
        });
        palyra.drive(&load);
        done.store(true, Ordering::Relaxed);
        vec![highest.join().expect("it only looks")]
    })
}
