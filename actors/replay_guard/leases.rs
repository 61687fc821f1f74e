//! The table of leases: which delivery may append the event of a replay key, and which copies wait for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::error::ReplayError;
use super::lease::{Grant, Lease, LeaseEnd, LeaseEnds};
use super::messages::{ReplaySnapshot, Submit};
use super::recent::Seen;
use crate::clock::UnixMs;
use crate::ids::Digest;
use crate::journal::{Append, AppendReply, Appended, KeyHolder, ReplayClaim};
use crate::limits::{LEASE_WAITERS_MAX, LEASES_MAX};
use crate::replies::Wakes;

/// A lease in flight.
struct OpenLease {
    ticket: u64,
    waiters: Vec<Submit>,
}

/// The leases held, and the keys seen last. It uses no threads, and gets the time as an argument. Anything it does not
/// know, the journal does.
pub(crate) struct Leases {
    ends: LeaseEnds,
    open: HashMap<Digest, OpenLease>,
    seen: Seen,
    last_ticket: u64,
    totals: ReplaySnapshot,
}

impl Leases {
    /// An empty table that adds the results to `seen`. `ends` is called when a lease ends, and has to cause a call of
    /// [`Leases::end`].
    pub(crate) fn new(ends: LeaseEnds, seen: Seen) -> Self {
        Self { ends, open: HashMap::new(), seen, last_ticket: 0, totals: ReplaySnapshot::default() }
    }

    /// Takes a delivery. It is answered at once, waits for the copy that is being appended, or is returned for the
    /// journal to append.
    pub(crate) fn submit(&mut self, submit: Submit, now: UnixMs, wakes: &mut Wakes) -> Option<Append> {
        let Submit { claim, .. } = &submit;
        if let Some(lease) = self.open.get_mut(&claim.key) {
            wait(lease, submit, wakes);
            return None;
        }
        if let Some(held) = self.held(claim, now) {
            answer(submit, Ok(held), wakes);
            return None;
        }
        match self.lease(claim.key) {
            Ok(lease) => Some(hand_on(submit, lease)),
            Err(error) => {
                answer(submit, Err(error), wakes);
                None
            }
        }
    }

    /// Ends a lease, and returns what the journal has to append next. A lease that is not held any more changes nothing.
    pub(crate) fn end(&mut self, grant: Grant, end: LeaseEnd, now: UnixMs, wakes: &mut Wakes) -> Vec<Append> {
        let Entry::Occupied(lease) = self.open.entry(grant.key) else { return Vec::new() };
        if lease.get().ticket != grant.ticket {
            return Vec::new();
        }
        let waiters = lease.remove().waiters;
        match end {
            LeaseEnd::Settled(holder) => self.seen.lock().remember(grant.key, holder),
            LeaseEnd::Released => self.totals.released_total += 1,
        }
        // In order of arrival: after a release, the first gets the lease and the others wait for it.
        let waiters = waiters.into_iter().filter(|waiter| !waiter.reply.is_closed());
        waiters.filter_map(|waiter| self.submit(waiter, now, wakes)).collect()
    }

    /// Its state.
    pub(crate) fn observe(&self) -> ReplaySnapshot {
        let recent = self.seen.lock();
        ReplaySnapshot {
            leases: self.open.len(),
            waiters: self.open.values().map(|lease| lease.waiters.len()).sum(),
            recent_keys: recent.len(),
            seen_total: recent.hits_total,
            ..self.totals.clone()
        }
    }

    /// The row that holds the key against `claim`, if the table remembers it.
    fn held(&self, claim: &ReplayClaim, now: UnixMs) -> Option<Appended> {
        let mut recent = self.seen.lock();
        let holder = recent.find(&claim.key, now)?;
        let because = claim.is_kept_out_by(holder)?;
        let holder = holder.clone();
        recent.hits_total += 1;
        Some(Appended::Held { holder, because })
    }

    fn lease(&mut self, key: Digest) -> Result<Lease, ReplayError> {
        if self.open.len() >= LEASES_MAX {
            return Err(ReplayError::TooManyLeases { leases: LEASES_MAX });
        }
        self.last_ticket += 1;
        self.totals.submitted_total += 1;
        let grant = Grant { key, ticket: self.last_ticket };
        self.open.insert(key, OpenLease { ticket: grant.ticket, waiters: Vec::new() });
        Ok(Lease::new(grant, Arc::clone(&self.ends)))
    }
}

fn wait(lease: &mut OpenLease, submit: Submit, wakes: &mut Wakes) {
    if lease.waiters.len() < LEASE_WAITERS_MAX {
        lease.waiters.push(submit);
    } else {
        answer(submit, Err(ReplayError::TooManyWaiters { waiters: LEASE_WAITERS_MAX }), wakes);
    }
}

fn answer(submit: Submit, answer: Result<Appended, ReplayError>, wakes: &mut Wakes) {
    submit.reply.lay_down(answer.map_err(Into::into), wakes);
}

/// Makes the append for the journal. When it is answered, the lease ends and the caller is answered.
fn hand_on(submit: Submit, lease: Lease) -> Append {
    let Submit { event, claim, reply, held_until_answered } = submit;
    let answered = AppendReply::new(move |outcome, wakes| {
        match &outcome {
            Ok(Appended::Stored(receipt)) => lease.settle(KeyHolder::of(&claim, receipt.clone())),
            Ok(Appended::Held { holder, .. }) => lease.settle(holder.clone()),
            // Either it was not stored, or that is unknown: the next copy may try, and the journal's index prevents a
            // second row.
            Err(_) => drop(lease),
        }
        drop(held_until_answered);
        reply.lay_down(outcome.map_err(Into::into), wakes);
    });
    Append { event, claim: Some(claim), reply: answered }
}
