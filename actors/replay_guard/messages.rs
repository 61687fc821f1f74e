//! The replay guard's doors.

use actix::Message;
use serde::Serialize;

use super::{Lease, ReplayError};
use crate::ids::{Digest, Receipt};
use crate::journal::{KeyHolder, Verdict};

/// Reserves the replay key of an authentic delivery. Copies of a delivery in flight wait for its verdict.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Reservation, ReplayError>")]
pub struct Reserve {
    /// What identifies the delivery (its integration is part of it).
    pub key: Digest,
    /// SHA-256 of its body.
    pub body: Digest,
}

/// What is known of a delivery.
#[derive(Debug)]
pub enum Reservation {
    /// Never seen: judge it and settle the lease.
    Fresh(Lease),
    /// Seen and filtered or rejected: judge it again. A new row only if the verdict is higher than the old one.
    Rejudge {
        /// The right to append.
        lease: Lease,
        /// The row the key points to.
        holder: KeyHolder,
    },
    /// Seen and accepted: answer with its receipt.
    Duplicate(Receipt),
    /// Same key, other bytes than the first. With a lease while this conflict has no row of its own yet.
    Conflict {
        /// Receipt of the first.
        first: Receipt,
        /// The right to append the conflict; its key is that of the conflict, not of the delivery.
        lease: Option<Lease>,
    },
}

/// Ends a lease with what the journal says now. Sent by [`Lease::settle`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Settle {
    pub(super) key: Digest,
    pub(super) ticket: u64,
    pub(super) holder: KeyHolder,
}

/// Gives a lease back unused. Sent when a [`Lease`] is dropped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Release {
    pub(super) key: Digest,
    pub(super) ticket: u64,
}

/// Asks for the [`ReplaySnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "ReplaySnapshot")]
pub struct Observe;

/// What the replay guard shows of itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReplaySnapshot {
    /// Leases in flight.
    pub leases: usize,
    /// Deliveries waiting for the verdict on another copy.
    pub waiters: usize,
    /// Keys remembered in memory.
    pub recent_keys: usize,
    /// Reservations answered fresh.
    pub fresh_total: u64,
    /// Reservations answered from what was seen before.
    pub seen_total: u64,
    /// Conflicts.
    pub conflict_total: u64,
    /// Leases given back unused.
    pub released_total: u64,
    /// Look-ups in the journal's index.
    pub index_lookups_total: u64,
}

/// The key under which a conflict with `key` is journaled: one row for each distinct body.
pub fn conflict_key(key: Digest, body: Digest) -> Digest {
    let mut text = b"palyra conflict v1".to_vec();
    text.extend_from_slice(&key.0);
    text.extend_from_slice(&body.0);
    Digest::of(&text)
}

/// Whether a key held with `held` is pointed to a new row of verdict `new`.
pub fn supersedes(new: Verdict, held: Verdict) -> bool {
    new > held
}
