//! Processes, observed through /proc.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Microseconds in one tick of /proc (USER_HZ is 100 on Linux).
const TICK_US: f64 = 10_000.0;
/// The span over which other processes are observed.
const LOOK: Duration = Duration::from_secs(1);

/// Processor time of a process and of its awaited children, microseconds; 0 if the process has ended.
pub fn cpu_us(pid: u32) -> f64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 0.0 };
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    // utime, stime, cutime and cstime are the fields 14 to 17 of proc(5); the name is the second.
    let ticks: f64 =
        after_name.split(' ').skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks * TICK_US
}

/// Waits until a process is nearly idle, for at most a minute.
pub fn wait_until_idle(pid: u32) {
    for _ in 0..300 {
        let before = cpu_us(pid);
        std::thread::sleep(Duration::from_millis(200));
        if cpu_us(pid) - before <= TICK_US {
            return;
        }
    }
}

/// Resident memory of a process, MiB.
pub fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_default();
    kib / 1_024.0
}

/// Names of the processes that use more than a twentieth of a core, with their share of one.
pub fn busy_now() -> String {
    let before: Vec<(u32, f64)> = pids().map(|pid| (pid, cpu_us(pid))).collect();
    std::thread::sleep(LOOK);
    let busy = before.into_iter().filter_map(|(pid, before)| {
        let share = (cpu_us(pid) - before) / LOOK.as_micros() as f64;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        (share > 0.05).then(|| format!("{} ({:.0} % of a core)", name.trim(), share * 100.0))
    });
    let busy: Vec<String> = busy.collect();
    if busy.is_empty() { "nothing to speak of".to_owned() } else { busy.join(", ") }
}

fn pids() -> impl Iterator<Item = u32> {
    let own = std::process::id();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(move |pid| *pid != own)
}

/// Whether a program is in the `PATH`.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).any(|file: PathBuf| file.is_file())
}

/// The first line of a program's output; empty if it cannot be run.
pub fn says(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}
