//! The console that a command runs in its own process while no daemon runs.

use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};

use actix_rt::System;
use palyra_actors::clock::SystemClock;
use tokio::sync::oneshot;

use crate::cli::{CliError, ConsoleClient, Kind, LastRemarks, Remark};
use crate::daemon::{Daemon, Serve};
use crate::open_files;
use crate::settings::{Flags, Settings};
use crate::state_root::{Role, StateRoot};
use crate::threads;

/// Refuses to start anything while the system clock stands before 1970 or after 9999.
///
/// # Errors
/// What the clock says, and how to set it.
pub fn check_clock() -> Result<(), CliError> {
    SystemClock::check().map_err(|error| {
        CliError::config(error.to_string())
            .hint("set the clock: `timedatectl set-ntp true`, or `date --set` with the correct time")
    })
}

/// The next step for a state root that was open to others.
const CLOSED: &str = "nothing else is to be done: the files in it were closed to them";

/// Refuses to start anything where too few files may be open. The limit is raised as far as it can be.
///
/// # Errors
/// The limit.
pub fn check_open_files() -> Result<(), CliError> {
    open_files::check().map_err(|few| {
        CliError::config(few.to_string())
            .hint("raise it with `ulimit -n 1024`, or with `LimitNOFILE=` in its unit")
    })
}

/// Starts a console in this process, over the files of the stopped daemon. If it does not end well, it adds to `remarks`.
pub(super) fn offline(
    root: &StateRoot,
    serve: Serve,
    remarks: &LastRemarks,
) -> anyhow::Result<(ConsoleClient, Offline)> {
    check_clock()?;
    check_open_files()?;
    let possession = root.take(Role::Command)?;
    if let Some(told) = possession.told_if_it_was_open() {
        remarks.add(Remark::Warning(told, CLOSED.to_owned()));
    }
    let settings = Settings::load(&root.settings_file(), Flags::default())?;
    let token = possession.token()?;
    let (started, start) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        System::new().block_on(async move {
            match Daemon::start(possession, settings, serve).await {
                Err(error) => {
                    drop(started.send(Err(error)));
                    true
                }
                Ok(daemon) => {
                    drop(started.send(Ok(daemon.app.serving.addresses.console.clone())));
                    // Resolves when the guard sends or is dropped.
                    drop(stopped.await);
                    daemon.close().await
                }
            }
        })
    };
    let thread = Builder::new().spawn(run).map_err(threads::Refused)?;
    let guard = Offline { stop: Some(stop), thread: Some(thread), remarks: remarks.clone() };
    match start.recv() {
        Ok(Ok(console)) => Ok((ConsoleClient::new(&console, token), guard)),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            Err(CliError::new(Kind::Internal, "this command's own console ended before it served").into())
        }
    }
}

/// A console in this process. Dropping this stops it and waits for its end.
pub(super) struct Offline {
    stop: Option<oneshot::Sender<()>>,
    /// Returns whether all work was finished.
    thread: Option<JoinHandle<bool>>,
    remarks: LastRemarks,
}

impl Drop for Offline {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // If the console has already ended, there is nobody to receive this.
            stop.send(()).unwrap_or_default();
        }
        let problem = match self.thread.take().map(JoinHandle::join) {
            None | Some(Ok(true)) => return,
            Some(Ok(false)) => "what this command asked for was not finished in time",
            Some(Err(_)) => "this command's own console panicked",
        };
        let next = "check whether it was done before you try again";
        self.remarks.add(Remark::Warning(problem.to_owned(), next.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is remarked about a console that ends so.
    fn remarked(end: impl FnOnce() -> bool + Send + 'static) -> String {
        let remarks = LastRemarks::default();
        let thread = Some(std::thread::spawn(end));
        drop(Offline { stop: None, thread, remarks: remarks.clone() });
        remarks.take().iter().map(|remark| format!("{remark:?}")).collect()
    }

    #[test]
    fn work_that_was_not_finished_is_remarked() {
        assert_eq!(remarked(|| true), "");
        assert!(remarked(|| false).contains("was not finished in time"));
        assert!(remarked(|| panic!("a planted panic")).contains("panicked"));
    }
}
