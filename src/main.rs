//! Palyra: takes webhooks in and never loses one.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

mod checking;
mod cli;
mod connect;
mod daemon;
mod demo;
mod event_document;
mod exit;
mod http;
mod logging;
mod open_files;
mod published_keys;
mod random;
mod rates;
mod service;
mod settings;
mod state_root;
mod threads;
mod version;
mod within;

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use mimalloc::MiMalloc;
use signal_hook::consts::SIGXFSZ;

use cli::{Cli, CliError, Command, Context, DaemonArgs, LastRemarks, Mode, Output};
use exit::Exit;
use settings::Flags;
use state_root::StateRoot;

/// Memory is often allocated on one thread and freed on another, which this allocator handles well.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    take_memory_in_small_pages();
    keep_memory_to_ourselves();
    outlive_limits_of_file_size();
    // Enables planted faults in builds made for tests; does nothing in any other.
    let faults = fail::FailScenario::setup();
    let cli = match cli::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let output = Output::terminal(cli.mode());
    let exit = match cli.command {
        Command::Client(_) => client(cli, output),
        Command::Daemon(args) => {
            let DaemonArgs { ingress, console, accept_rollback, check } = args;
            let flags = Flags { ingress, console, accept_rollback, json: cli.json };
            match check {
                true => cli::finish(check_root(cli.state_root, flags, &output), &output),
                false => end(serve(cli.state_root, flags, cli.verbose), output.mode()),
            }
        }
        Command::Demo(args) => cli::finish(demo::run(&args, &output), &output),
    };
    faults.teardown();
    exit.into()
}

/// A huge page is zeroed as a whole, all 2 MiB, by the thread that touches it first, which delays the deliveries on that
/// thread; and an idle daemon would hold many mostly unused ones. If the kernel refuses, nothing else is lost.
fn take_memory_in_small_pages() {
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).unwrap_or_default();
}

/// Memory contains secrets: no core file may be written, and no other process than root's may read it.
fn keep_memory_to_ourselves() {
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .unwrap_or_default();
}

/// A limit of file size then shows as a failed write, which is told; its signal would end the process without a word. A
/// process that is started from here does not inherit this. Rust already ignores SIGPIPE.
fn outlive_limits_of_file_size() {
    // Nobody reads it: the failed write says it all.
    static IS_MET: AtomicBool = AtomicBool::new(false);
    drop(signal_hook::flag::register(SIGXFSZ, &IS_MET));
}

fn client(cli: Cli, output: Output) -> Exit {
    logging::for_commands(cli.verbose);
    let Command::Client(command) = cli.command else { return Exit::Usage };
    let (named, bare) = (cli.state_root, command.bare());
    let (for_console, for_files, last_remarks) = (named.clone(), named, LastRemarks::default());
    let of_console = last_remarks.clone();
    let connect =
        Box::new(move |need| connect::connect(&locate(for_console.clone())?, need, bare, &of_console));
    let find_journal = Box::new(move || connect::journal_files(&locate(for_files.clone())?));
    let context = Context::new(output, connect, find_journal, last_remarks);
    cli::finish(cli::run(command, &context), &context.out)
}

fn serve(named: Option<std::path::PathBuf>, flags: Flags, verbose: u8) -> Result<Exit, CliError> {
    let root = locate(named)?;
    connect::check_clock()?;
    connect::check_open_files()?;
    daemon::run(root, flags, verbose).map_err(|error| connect::not_started(&error))
}

/// Prints why the daemon ended, if it failed, after its log. Nobody has to read either.
fn end(served: Result<Exit, CliError>, mode: Mode) -> Exit {
    logging::flush();
    served.unwrap_or_else(|error| {
        let exit = error.exit();
        threads::for_at_most(logging::PATIENCE, move || Output::terminal(mode).error(&error));
        exit
    })
}

fn check_root(named: Option<std::path::PathBuf>, flags: Flags, output: &Output) -> Result<Exit, CliError> {
    checking::check(&locate(named)?, flags, output)
}

fn locate(named: Option<std::path::PathBuf>) -> Result<StateRoot, CliError> {
    StateRoot::locate(named, |name| std::env::var_os(name)).map_err(connect::refused)
}
