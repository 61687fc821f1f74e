//! How many connections the process may hold open, and how many are open. Each takes a file descriptor, and the journal
//! needs some as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::open_files;

/// Most connections one worker of the ingress holds open; more wait in the backlog.
const CONNECTIONS_PER_WORKER_MAX: u64 = 4_096;
/// Connections the console holds open, at most and at least.
const CONSOLE_CONNECTIONS_MAX: u64 = 1_024;
const CONSOLE_CONNECTIONS_MIN: u64 = 4;
/// File descriptors reserved for other uses: the journal and its readers, secrets, fetches of published keys, and the event
/// queues of the threads.
const OTHER_DESCRIPTORS: u64 = 192;

/// Connections each listener may hold open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// For each worker of the ingress.
    pub per_worker: usize,
    /// For the console.
    pub console: usize,
}

impl ConnectionLimits {
    /// Raises the limit of open files as far as this process may, and divides it between the listeners.
    pub fn make(workers: usize) -> Self {
        let limits = Self::within(open_files::raise(), workers);
        if limits.per_worker < 64 {
            let Self { per_worker, console } = limits;
            tracing::warn!(
                per_worker,
                console,
                "the limit of open files allows only few connections; raise `ulimit -n`"
            );
        }
        limits
    }

    /// Number of connections of an ingress worker above which idle ones are closed. The places above it are for those that
    /// are still closing.
    pub fn before_idle_give_way(self) -> usize {
        self.per_worker.saturating_sub((self.per_worker / 16).max(1))
    }

    fn within(open_files_max: u64, workers: usize) -> Self {
        let workers = u64::try_from(workers).unwrap_or(u64::MAX).max(1);
        let console = (open_files_max / 16).clamp(CONSOLE_CONNECTIONS_MIN, CONSOLE_CONNECTIONS_MAX);
        let per_worker = open_files_max.saturating_sub(OTHER_DESCRIPTORS + console) / workers;
        let per_worker = per_worker.clamp(1, CONNECTIONS_PER_WORKER_MAX);
        Self { per_worker: small(per_worker), console: small(console) }
    }
}

/// Counts the open connections of a listener.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<AtomicUsize>);

impl Connections {
    /// Counts one more connection until the result is dropped.
    pub fn open(&self) -> OpenConnection {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One open connection.
#[derive(Debug)]
pub struct OpenConnection(Connections);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn small(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_journal_and_are_bounded_where_there_are_many() {
        let table = [
            (u64::MAX, 2, 4_096, 1_024),
            (65_536, 2, 4_096, 1_024),
            (1_024, 2, 384, 64),
            (1_024, 8, 96, 64),
            (300, 2, 45, 18),
            (64, 2, 1, 4),
            (0, 0, 1, 4),
        ];
        for (limit, workers, per_worker, console) in table {
            assert_eq!(
                ConnectionLimits::within(limit, workers),
                ConnectionLimits { per_worker, console },
                "{limit}, {workers} workers"
            );
        }
    }
}
