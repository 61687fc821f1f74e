//! Selects the connection to close when a worker has no room for another: the one that has been idle longest.
//!
//! A genuine sender sends its head soon after it connects, and is busy until it has its answer. Connections that are held
//! open just to occupy places are idle, and are closed first, however many there are.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Waker;

use tokio::time::Instant;

/// The connections of one worker.
#[derive(Debug, Clone)]
pub struct WorkerConnections(Rc<Members>);

#[derive(Debug)]
struct Members {
    members_max: usize,
    entered_total: Cell<u64>,
    states: RefCell<BTreeMap<u64, Rc<ConnectionState>>>,
}

/// The state of one connection that the other connections can see.
#[derive(Debug)]
struct ConnectionState {
    is_idle: Cell<bool>,
    quiet_since: Cell<Instant>,
    gives_way: Cell<bool>,
    reader: RefCell<Option<Waker>>,
}

impl WorkerConnections {
    /// Room for `members_max` connections. One more closes an idle one, if there is any.
    pub fn new(members_max: usize) -> Self {
        Self(Rc::new(Members { members_max, entered_total: Cell::default(), states: RefCell::default() }))
    }

    /// Adds a connection, which remains until the result is dropped.
    pub fn enter(&self, now: Instant) -> Member {
        let number = self.0.entered_total.get();
        self.0.entered_total.set(number + 1);
        let mut states = self.0.states.borrow_mut();
        if states.len() >= self.0.members_max
            && let Some(quiet) = quiet_longest(&states).and_then(|number| states.remove(&number))
        {
            quiet.give_way();
        }
        let state = Rc::new(ConnectionState {
            is_idle: Cell::new(true),
            quiet_since: Cell::new(now),
            gives_way: Cell::default(),
            reader: RefCell::default(),
        });
        states.insert(number, Rc::clone(&state));
        Member { number, state, of: self.clone() }
    }
}

fn quiet_longest(states: &BTreeMap<u64, Rc<ConnectionState>>) -> Option<u64> {
    let idle = states.iter().filter(|(_, state)| state.is_idle.get());
    idle.min_by_key(|(_, state)| state.quiet_since.get()).map(|(number, _)| *number)
}

impl ConnectionState {
    fn give_way(&self) {
        self.gives_way.set(true);
        if let Some(reader) = &*self.reader.borrow() {
            reader.wake_by_ref();
        }
    }
}

/// One connection of a [`WorkerConnections`].
#[derive(Debug)]
pub struct Member {
    number: u64,
    state: Rc<ConnectionState>,
    of: WorkerConnections,
}

impl Member {
    /// Sets the `waker` to wake when this connection is to be closed.
    pub fn read_by(&self, waker: &Waker) {
        match &mut *self.state.reader.borrow_mut() {
            Some(reader) => reader.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Sets whether no request is in progress. The connection is closed only while that is so.
    pub fn be_idle(&self, is_idle: bool) {
        self.state.is_idle.set(is_idle);
    }

    /// Notes that something was written.
    pub fn wrote(&self, now: Instant) {
        self.state.quiet_since.set(now);
    }

    /// Whether it is to be closed as soon as there is nothing left to read.
    pub fn gives_way(&self) -> bool {
        self.state.gives_way.get()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.of.0.states.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn over(members: &[Member]) -> Vec<bool> {
        members.iter().map(Member::gives_way).collect()
    }

    #[test]
    fn the_idle_connection_that_is_quiet_longest_gives_way_and_none_twice() {
        let (connections, start) = (WorkerConnections::new(3), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut members: Vec<Member> = (0..3).map(|second| connections.enter(at(second))).collect();
        assert_eq!(over(&members), [false; 3]);
        members[0].be_idle(false);
        members[1].wrote(at(3));
        members.push(connections.enter(at(4)));
        assert_eq!(over(&members), [false, false, true, false]);
        members.push(connections.enter(at(5)));
        assert_eq!(over(&members), [false, true, true, false, false]);
    }

    #[test]
    fn one_that_has_gone_leaves_its_place() {
        let connections = WorkerConnections::new(1);
        drop(connections.enter(Instant::now()));
        let first = connections.enter(Instant::now());
        assert!(!first.gives_way());
        let _second = connections.enter(Instant::now());
        assert!(first.gives_way());
    }
}
