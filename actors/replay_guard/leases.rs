//! The table of leases: who may append which replay key, and who waits for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::ReplayError;
use super::lease::{Grant, Lease, LeaseEnd, LeaseEnds};
use super::messages::{ReplaySnapshot, Reservation, Reserve, conflict_key};
use super::recent::RecentKeys;
use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::journal::{JournalError, JournalReader, KeyHolder, Verdict};
use crate::limits::{LEASE_WAITERS_MAX, LEASES_MAX, RECENT_KEYS_MAX};

/// What remembers every replay key of the window.
pub trait KeyIndex: Send {
    /// The row that holds `key` at `now`.
    ///
    /// # Errors
    /// When it cannot be read now.
    fn find(&self, key: &Digest, now: UnixMs) -> Result<Option<KeyHolder>, JournalError>;
}

impl KeyIndex for JournalReader {
    fn find(&self, key: &Digest, now: UnixMs) -> Result<Option<KeyHolder>, JournalError> {
        self.find_key(key, now)
    }
}

/// The answer to a reservation.
pub(crate) type ReserveReply = oneshot::Sender<Result<Reservation, ReplayError>>;

/// A reservation that is not answered yet.
struct Request {
    reserve: Reserve,
    reply: ReserveReply,
}

/// A lease in flight.
struct Flight {
    ticket: u64,
    waiters: Vec<Request>,
}

/// What to do about a reservation.
enum Decision {
    Answer(Reservation),
    /// A lease of this key is in flight.
    WaitFor(Digest),
}

/// The leases in flight and the keys seen last. It has no threads and no time of its own.
pub(crate) struct Leases {
    index: Box<dyn KeyIndex>,
    ends: LeaseEnds,
    flights: HashMap<Digest, Flight>,
    recent: RecentKeys,
    last_ticket: u64,
    totals: ReplaySnapshot,
}

impl Leases {
    /// An empty table. `ends` is called when a lease ends; it has to bring [`Leases::end`] about.
    pub(crate) fn new(index: Box<dyn KeyIndex>, ends: LeaseEnds) -> Self {
        Self {
            index,
            ends,
            flights: HashMap::new(),
            recent: RecentKeys::with_capacity(RECENT_KEYS_MAX),
            last_ticket: 0,
            totals: ReplaySnapshot::default(),
        }
    }

    /// Answers a reservation, now or when the lease it has to wait for ends.
    pub(crate) fn reserve(&mut self, reserve: Reserve, reply: ReserveReply, now: UnixMs) {
        match self.decide(&reserve, now) {
            Ok(Decision::Answer(reservation)) => give(reply, Ok(reservation)),
            Ok(Decision::WaitFor(key)) => self.wait(key, Request { reserve, reply }),
            Err(error) => give(reply, Err(error)),
        }
    }

    /// Ends a lease. One that is not in flight any more changes nothing.
    pub(crate) fn end(&mut self, grant: Grant, end: LeaseEnd, now: UnixMs) {
        let Entry::Occupied(flight) = self.flights.entry(grant.key) else { return };
        if flight.get().ticket != grant.ticket {
            return;
        }
        let waiters = flight.remove().waiters;
        match end {
            LeaseEnd::Settled(holder) => self.recent.remember(grant.key, holder),
            LeaseEnd::Released => self.totals.released_total += 1,
        }
        // In their order: on a release the first gets the lease and the others wait for it.
        for Request { reserve, reply } in waiters {
            if !reply.is_closed() {
                self.reserve(reserve, reply, now);
            }
        }
    }

    /// What it shows of itself.
    pub(crate) fn observe(&self) -> ReplaySnapshot {
        ReplaySnapshot {
            leases: self.flights.len(),
            waiters: self.flights.values().map(|flight| flight.waiters.len()).sum(),
            recent_keys: self.recent.len(),
            ..self.totals.clone()
        }
    }

    fn decide(&mut self, reserve: &Reserve, now: UnixMs) -> Result<Decision, ReplayError> {
        if self.flights.contains_key(&reserve.key) {
            return Ok(Decision::WaitFor(reserve.key));
        }
        let Some(holder) = self.find(&reserve.key, now)? else {
            let lease = self.lease(reserve.key)?;
            self.totals.fresh_total += 1;
            return Ok(Decision::Answer(Reservation::Fresh(lease)));
        };
        if holder.body != reserve.body {
            return self.conflict(reserve, holder, now);
        }
        let reservation = match holder.verdict {
            Verdict::Accepted => Reservation::Duplicate(holder.receipt),
            _ => Reservation::Rejudge { lease: self.lease(reserve.key)?, holder },
        };
        self.totals.seen_total += 1;
        Ok(Decision::Answer(reservation))
    }

    /// Each distinct body that conflicts is journaled once, under a key of its own.
    fn conflict(
        &mut self,
        reserve: &Reserve,
        first: KeyHolder,
        now: UnixMs,
    ) -> Result<Decision, ReplayError> {
        let key = conflict_key(reserve.key, reserve.body);
        if self.flights.contains_key(&key) {
            return Ok(Decision::WaitFor(key));
        }
        let lease = if self.find(&key, now)?.is_some() { None } else { Some(self.lease(key)?) };
        self.totals.conflict_total += 1;
        Ok(Decision::Answer(Reservation::Conflict { first: first.receipt, lease }))
    }

    /// The row that holds `key`, from memory or from the index.
    fn find(&mut self, key: &Digest, now: UnixMs) -> Result<Option<KeyHolder>, ReplayError> {
        if let Some(holder) = self.recent.find(key, now) {
            return Ok(Some(holder.clone()));
        }
        self.totals.index_lookups_total += 1;
        let found = self.index.find(key, now).map_err(ReplayError::Index)?;
        if let Some(holder) = &found {
            self.recent.remember(*key, holder.clone());
        }
        Ok(found)
    }

    fn lease(&mut self, key: Digest) -> Result<Lease, ReplayError> {
        if self.flights.len() >= LEASES_MAX {
            return Err(ReplayError::TooManyLeases { leases: LEASES_MAX });
        }
        self.last_ticket += 1;
        let grant = Grant { key, ticket: self.last_ticket };
        self.flights.insert(key, Flight { ticket: grant.ticket, waiters: Vec::new() });
        Ok(Lease::new(grant, Arc::clone(&self.ends)))
    }

    fn wait(&mut self, key: Digest, request: Request) {
        match self.flights.get_mut(&key) {
            Some(flight) if flight.waiters.len() < LEASE_WAITERS_MAX => flight.waiters.push(request),
            _ => give(request.reply, Err(ReplayError::TooManyWaiters { waiters: LEASE_WAITERS_MAX })),
        }
    }
}

/// When nobody waits for the answer any more, a lease in it is dropped and so frees its key.
fn give(reply: ReserveReply, answer: Result<Reservation, ReplayError>) {
    drop(reply.send(answer));
}
