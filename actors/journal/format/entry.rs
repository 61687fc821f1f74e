//! What is hashed of an event, read back: so that a proof shows what it is a proof of.

use serde::Serialize;

use crate::clock::UnixMs;
use crate::ids::Digest;

/// The parts of an entry that say which event it is, in the layout of docs/journal-format.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProvenEvent {
    /// Place in the journal.
    pub seq: u64,
    /// Id.
    pub event_id: String,
    /// `webhook` or `system`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Who caused it.
    pub principal: String,
    /// Source.
    pub source: String,
    /// Integration.
    pub integration_id: Option<String>,
    /// The provider's id of the delivery.
    pub delivery_id: Option<String>,
    /// When it was appended.
    pub recorded_at_unix_ms: UnixMs,
    /// One sentence.
    pub summary: String,
    /// SHA-256 of the body.
    pub body_sha256: Digest,
}

impl ProvenEvent {
    /// Reads an entry; `None` when it is none.
    pub fn read(entry: &[u8]) -> Option<Self> {
        let mut rest = Rest(entry);
        if rest.array::<1>()? != [1] {
            return None;
        }
        let seq = rest.unsigned()?;
        rest.array::<32>()?;
        let [event_id, kind, name, _severity, principal, source] = [(); 6].map(|()| rest.text());
        let [integration_id, _provider, delivery_id] = [(); 3].map(|()| rest.optional(Rest::text));
        rest.optional(Rest::unsigned)?;
        let (_occurred_at, recorded_at_unix_ms) = (rest.unsigned()?, rest.unsigned()?);
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

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (found, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*found)
    }

    fn unsigned(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.unsigned()?).ok()?;
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
        self.unsigned().map(drop)
    }
}
