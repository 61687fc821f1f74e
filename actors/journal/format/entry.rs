//! The hashed form of an event, its entry. It is written and also read back, so that a proof shows what it proves. The
//! hash of the entry is the leaf hash that links the journal into a chain. The layout is format 1 of
//! docs/journal-format.md.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::row::Columns;
use crate::clock::UnixMs;
use crate::ids::Digest;

/// Domain separation of a leaf from an inner node of the Merkle tree (RFC 6962, section 2.1).
const LEAF_PREFIX: u8 = 0x00;
/// First byte of the header: version of the layout.
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

/// The entry of an event: header ‖ SHA-256(body).
pub(in crate::journal) fn entry_of(columns: &Columns<'_>) -> Vec<u8> {
    let mut entry = Vec::new();
    feed(columns, &mut |bytes| entry.extend_from_slice(bytes));
    entry
}

/// The header: every column except the hash and the body, in the order of the layout.
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

/// Feeds columns to a sink. The encoding is injective: two different rows never produce the same bytes.
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

    /// One byte 0, or one byte 1 followed by the value.
    fn optional<T>(&mut self, value: Option<T>, feed: impl FnOnce(&mut Self, T)) {
        self.bytes(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            feed(self, value);
        }
    }
}

/// The parts of a proof's entry that identify the event, in the layout of docs/journal-format.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvenEvent {
    /// Place in the journal.
    pub seq: u64,
    pub event_id: String,
    pub kind: String,
    pub name: String,
    /// Who caused it.
    pub principal: String,
    pub source: String,
    pub integration_id: Option<String>,
    /// The provider's id of the delivery, as the provider states it.
    pub delivery_id: Option<String>,
    /// When it was appended.
    pub recorded_at_unix_ms: UnixMs,
    pub summary: String,
    /// SHA-256 of the body.
    pub body_sha256: Digest,
}

impl ProvenEvent {
    /// Reads an entry; `None` if the bytes are not one.
    pub fn read(entry: &[u8]) -> Option<Self> {
        let mut rest = Rest(entry);
        if rest.array()? != [LAYOUT] {
            return None;
        }
        let seq = rest.integer()?;
        rest.array::<32>()?;
        let [event_id, kind, name, _severity, principal, source] = [(); 6].map(|()| rest.text());
        let [integration_id, _provider, delivery_id] = [(); 3].map(|()| rest.optional(Rest::text));
        rest.optional(Rest::integer)?;
        let (_occurred_at, recorded_at_unix_ms) = (rest.integer()?, rest.integer()?);
        let (summary, _tags) = (rest.text()?, rest.text()?);
        rest.optional(Rest::claim)?;
        rest.text()?;
        let body_sha256 = Digest(rest.array()?);
        let event = Self {
            seq,
            event_id: event_id?,
            kind: kind?,
            name: name?,
            principal: principal?,
            source: source?,
            integration_id: integration_id?,
            delivery_id: delivery_id?,
            recorded_at_unix_ms,
            summary,
            body_sha256,
        };
        rest.0.is_empty().then_some(event)
    }
}

/// The bytes not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (found, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*found)
    }

    fn integer(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.integer()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn optional<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.array()? {
            [0] => Some(None),
            [1] => read(self).map(Some),
            _ => None,
        }
    }

    fn claim(&mut self) -> Option<()> {
        self.array::<64>()?;
        self.text()?;
        self.integer().map(drop)
    }
}
