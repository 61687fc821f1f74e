//! The machine, and its limits.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use crate::figures::{Criterion, Wanted, number};
use crate::process::{busy_now, is_installed, says};
use crate::targets::{Palyra, folder};
use crate::wrk::{BODY_BYTES, Load, Mode};

/// Duration of each measurement.
const SPAN: Duration = Duration::from_secs(1);

/// The description of the machine, before anything is started.
pub fn what_it_is() -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let overridden = std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PROFILE_"));
    let overridden: Vec<String> = overridden.map(|(name, value)| format!("{name}={value}")).collect();
    let programs =
        [("wrk", "-v"), ("webhook", "-version"), ("rustc", "-V")].map(|(name, flag)| says(name, &[flag]));
    let pairs = [
        ("processor", format!("{cores} × {}", model.1.trim())),
        ("kernel", says("uname", &["-sr"])),
        ("file system of the journals", says("stat", &["-f", "-c", "%T", env!("CARGO_TARGET_TMPDIR")])),
        ("programs", programs.join("; ")),
        (
            "build profile",
            if overridden.is_empty() { "as committed".to_owned() } else { overridden.join(" ") },
        ),
        ("load average before", load.split(' ').take(3).collect::<Vec<_>>().join(" ")),
        ("what else ran before", busy_now()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// Limits that no receiver on this machine can exceed.
pub fn limits() -> Vec<(String, String)> {
    let folder = folder();
    let body = vec![b'x'; BODY_BYTES as usize];
    let digest = || {
        black_box(Sha256::digest(black_box(&body)));
    };
    let mac = || {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"a secret").expect("any length will do");
        mac.update(black_box(&body));
        black_box(mac.finalize());
    };
    let file = File::create(folder.path().join("synced")).expect("a file can be made");
    file.set_len(64).expect("it can be written");
    let mut growing = file.try_clone().expect("it can be opened twice");
    let overwrite =
        || file.write_all_at(&[7; 64], 0).and_then(|()| file.sync_data()).expect("it can be synced");
    let overwritten = rate(overwrite);
    let append =
        || growing.write_all(&[7; 4_096]).and_then(|()| growing.sync_data()).expect("it can be synced");
    let pairs = [
        ("fdatasync/s after overwriting 64 bytes", number(overwritten)),
        ("fdatasync/s after appending 4 KiB", number(rate(append))),
        ("SHA-256 of 1.2 KB, /s on one core", number(rate(digest))),
        ("HMAC-SHA256 of 1.2 KB, /s on one core", number(rate(mac))),
        ("system calls per accepted delivery, 64 connections", syscalls()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// The size of the released program.
pub fn binary_size(program: &Path) -> Criterion {
    let bytes = std::fs::metadata(program).map_or(f64::NAN, |program| program.len() as f64);
    Criterion::new("release binary, MiB", Wanted::AtMost(25.0, 15.0), vec![bytes / 1_048_576.0])
}

fn rate(mut work: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut count = 0.0;
    while begun.elapsed() < SPAN {
        work();
        count += 1.0;
    }
    count / begun.elapsed().as_secs_f64()
}

/// System calls, counted by strace for two seconds. Tracing slows the daemon, and the smaller commit groups then cause more
/// calls.
fn syscalls() -> String {
    if !is_installed("strace") {
        return "not counted: strace is not installed".to_owned();
    }
    let palyra = Palyra::start();
    let counts = palyra.root.path().join("strace");
    let mut strace = Command::new("strace");
    strace
        .args(["-c", "-f", "-p", &palyra.daemon.pid().to_string(), "-o"])
        .arg(&counts)
        .stderr(Stdio::null());
    let Ok(mut strace) = strace.spawn() else { return "not counted: strace does not run".to_owned() };
    std::thread::sleep(Duration::from_millis(500));
    let run = palyra.drive(&Load::of(Mode::Signed, 2));
    let stopped = Command::new("kill").args(["-INT", &strace.id().to_string()]).status();
    assert!(stopped.is_ok() && strace.wait().is_ok());
    let table = std::fs::read_to_string(counts).unwrap_or_default();
    match per_delivery(&table, run.requests) {
        Some(text) => text,
        None => "not counted: strace may not attach to the daemon".to_owned(),
    }
}

/// All calls in a table of `strace -c`, and those of the five most frequent.
fn per_delivery(table: &str, deliveries: u64) -> Option<String> {
    let mut calls: Vec<(&str, f64)> = table
        .lines()
        .filter_map(|line| {
            Some((line.split_whitespace().last()?, line.split_whitespace().nth(3)?.parse().ok()?))
        })
        .collect();
    calls.sort_by(|one, other| other.1.total_cmp(&one.1));
    let shown = |&(name, count): &(&str, f64)| format!("{name} {}", number(count / deliveries as f64));
    let all = calls.iter().find(|(name, _)| *name == "total").map(|(_, count)| count / deliveries as f64)?;
    let most: Vec<String> = calls.iter().filter(|(name, _)| *name != "total").take(5).map(shown).collect();
    Some(format!("{} ({})", number(all), most.join(", ")))
}
