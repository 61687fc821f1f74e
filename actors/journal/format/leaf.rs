//! The leaf hash of an event: what makes the journal a chain. The layout is format 1 of docs/journal-format.md.

use sha2::{Digest as _, Sha256};

use super::row::Columns;
use crate::ids::Digest;

/// Tells a leaf from an inner node of a Merkle tree over the leaves (RFC 6962, section 2.1).
const LEAF_PREFIX: u8 = 0x00;
/// First byte of the header: the layout.
const LAYOUT: u8 = 1;
/// `prev_hash` of the first event.
pub(in crate::journal) const GENESIS: Digest = Digest([0; 32]);

/// SHA-256(0x00 ‖ entry).
pub(in crate::journal) fn leaf_hash(columns: &Columns<'_>) -> Digest {
    let mut hash = Sha256::new();
    hash.update([LEAF_PREFIX]);
    feed(columns, &mut |bytes| hash.update(bytes));
    Digest(hash.finalize().into())
}

/// What is hashed of an event: header ‖ SHA-256(body).
pub(in crate::journal) fn entry(columns: &Columns<'_>) -> Vec<u8> {
    let mut entry = Vec::new();
    feed(columns, &mut |bytes| entry.extend_from_slice(bytes));
    entry
}

/// The header holds every column but the hash and the body, in the order of the layout.
fn feed(columns: &Columns<'_>, sink: &mut impl FnMut(&[u8])) {
    let mut leaf = Leaf(sink);
    leaf.bytes(&[LAYOUT]);
    leaf.integer(columns.seq);
    leaf.bytes(&columns.prev_hash.0);
    leaf.text(&columns.event_id);
    leaf.text(&columns.kind);
    leaf.text(&columns.name);
    leaf.text(&columns.severity);
    leaf.text(&columns.principal);
    leaf.text(&columns.source);
    leaf.optional(columns.integration_id.as_deref(), Leaf::text);
    leaf.optional(columns.provider.as_deref(), Leaf::text);
    leaf.optional(columns.delivery_id.as_deref(), Leaf::text);
    leaf.optional(columns.key_version, Leaf::integer);
    leaf.integer(columns.occurred_at);
    leaf.integer(columns.recorded_at);
    leaf.text(&columns.summary);
    leaf.text(&columns.tags);
    leaf.optional(columns.claim.as_ref(), |leaf, claim| {
        leaf.bytes(&claim.key.0);
        leaf.bytes(&claim.body.0);
        leaf.text(&claim.verdict);
        leaf.integer(claim.expires_at);
    });
    leaf.text(&columns.body_format);
    leaf.bytes(&columns.body_digest.0);
}

/// Feeds columns to a sink so that no two rows feed it alike.
struct Leaf<'a, S>(&'a mut S);

impl<S: FnMut(&[u8])> Leaf<'_, S> {
    fn bytes(&mut self, value: &[u8]) {
        (self.0)(value);
    }

    /// Eight bytes, big-endian.
    fn integer(&mut self, value: i64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Length in eight bytes, big-endian, then the UTF-8 bytes.
    fn text(&mut self, value: &str) {
        self.bytes(&(value.len() as u64).to_be_bytes());
        self.bytes(value.as_bytes());
    }

    /// One byte 0, or one byte 1 and the value.
    fn optional<T>(&mut self, value: Option<T>, feed: impl FnOnce(&mut Self, T)) {
        self.bytes(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            feed(self, value);
        }
    }
}
