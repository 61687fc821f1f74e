//! One row of `journal_events` as it stands in the file, and the ways between it and an event.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::leaf::{GENESIS, leaf_hash};
use super::messages::{
    BodyFormat, EventKind, NewEvent, ReplayClaim, Severity, StoredEvent, SystemEvent, Verdict, WebhookEvent,
};
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId, Receipt};
use crate::limits::SUMMARY_BYTES_MAX;

/// The columns, in the order of [`Columns::read`].
pub(super) const COLUMNS: &str = "seq, event_id, kind, name, severity, principal, source, integration_id, provider, \
     delivery_id, key_version, occurred_at, recorded_at, summary, tags, replay_key, replay_body, replay_verdict, \
     replay_expires_at, body_format, prev_hash, hash, body";

const INSERT: &str = "INSERT INTO journal_events (seq, event_id, kind, name, severity, principal, source, \
     integration_id, provider, delivery_id, key_version, occurred_at, recorded_at, summary, tags, replay_key, \
     replay_body, replay_verdict, replay_expires_at, body_format, prev_hash, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, \
     ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";

/// The newest event, to which the next one is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its place; 0 when there is none.
    pub seq: u64,
    /// Its leaf hash; zeros when there is none.
    pub hash: Digest,
    /// When it was recorded; 0 when there is none.
    pub recorded_at: UnixMs,
}

impl Head {
    /// The head of an empty journal.
    pub(super) const EMPTY: Self = Self { seq: 0, hash: GENESIS, recorded_at: 0 };

    /// Reads it from the file.
    pub(super) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let newest = "SELECT seq, hash, recorded_at FROM journal_events ORDER BY seq DESC LIMIT 1";
        let mut statement = db.prepare_cached(newest)?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok(Self::EMPTY) };
        Ok(Self { seq: unsigned(row.get(0)?), hash: digest(row, 1)?, recorded_at: unsigned(row.get(2)?) })
    }
}

/// A row, value for value as it is stored: what is hashed is what is in the file, not what was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) seq: i64,
    pub(super) event_id: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) severity: String,
    pub(super) principal: String,
    pub(super) source: String,
    pub(super) integration_id: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) delivery_id: Option<String>,
    pub(super) key_version: Option<i64>,
    pub(super) occurred_at: i64,
    pub(super) recorded_at: i64,
    pub(super) summary: String,
    pub(super) tags: String,
    pub(super) claim: Option<ClaimColumns>,
    pub(super) body_format: String,
    pub(super) prev_hash: Digest,
    pub(super) hash: Digest,
    pub(super) body: Vec<u8>,
}

/// The four columns of a claim: all there or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimColumns {
    pub(super) key: Digest,
    pub(super) body: Digest,
    pub(super) verdict: String,
    pub(super) expires_at: i64,
}

impl From<&ReplayClaim> for ClaimColumns {
    fn from(claim: &ReplayClaim) -> Self {
        Self {
            key: claim.key,
            body: claim.body,
            verdict: claim.verdict.as_str().to_owned(),
            expires_at: signed(claim.expires_at),
        }
    }
}

impl Columns {
    /// The row of a checked event, not linked to the chain yet.
    pub(super) fn new(event: NewEvent, claim: Option<&ReplayClaim>, event_id: EventId, now: UnixMs) -> Self {
        let mut columns = match event {
            NewEvent::Webhook(event) => Self::webhook(event),
            NewEvent::System(event) => Self::system(event, now),
        };
        columns.event_id = event_id.to_string();
        columns.recorded_at = signed(now);
        columns.claim = claim.map(ClaimColumns::from);
        columns
    }

    fn webhook(event: WebhookEvent) -> Self {
        Self {
            kind: EventKind::Webhook.as_str().to_owned(),
            summary: shortened(format!("{} from {}", event.name, event.source)),
            name: event.name,
            severity: Severity::Info.as_str().to_owned(),
            principal: format!("integration:{}", event.integration_id),
            source: event.source,
            integration_id: Some(event.integration_id),
            provider: Some(event.provider),
            delivery_id: event.delivery_id,
            key_version: event.key_version.map(i64::from),
            occurred_at: signed(event.occurred_at),
            tags: "[]".to_owned(),
            body_format: event.body_format.as_str().to_owned(),
            body: event.body,
            ..Self::blank()
        }
    }

    fn system(event: SystemEvent, now: UnixMs) -> Self {
        let format = if event.details.is_empty() { BodyFormat::None } else { BodyFormat::Json };
        let body =
            if event.details.is_empty() { String::new() } else { Value::Object(event.details).to_string() };
        Self {
            kind: EventKind::System.as_str().to_owned(),
            name: event.name,
            severity: event.severity.as_str().to_owned(),
            principal: event.principal,
            source: event.source,
            integration_id: event.integration_id,
            provider: event.provider,
            delivery_id: event.delivery_id,
            occurred_at: signed(now),
            summary: event.summary,
            tags: Value::from(event.tags).to_string(),
            body_format: format.as_str().to_owned(),
            body: body.into_bytes(),
            ..Self::blank()
        }
    }

    fn blank() -> Self {
        Self {
            seq: 0,
            event_id: String::new(),
            kind: String::new(),
            name: String::new(),
            severity: String::new(),
            principal: String::new(),
            source: String::new(),
            integration_id: None,
            provider: None,
            delivery_id: None,
            key_version: None,
            occurred_at: 0,
            recorded_at: 0,
            summary: String::new(),
            tags: String::new(),
            claim: None,
            body_format: String::new(),
            prev_hash: GENESIS,
            hash: GENESIS,
            body: Vec::new(),
        }
    }

    /// Makes it the event after `head`. `recorded_at` never goes back, even when the clock does: it is what
    /// lets a moment be found as a place in the order of `seq`.
    pub(super) fn link(&mut self, head: &Head) {
        self.seq = signed(head.seq) + 1;
        self.recorded_at = self.recorded_at.max(signed(head.recorded_at));
        self.prev_hash = head.hash;
        self.hash = leaf_hash(self);
    }

    /// The head once this row is the newest.
    pub(super) fn as_head(&self) -> Head {
        Head { seq: unsigned(self.seq), hash: self.hash, recorded_at: unsigned(self.recorded_at) }
    }

    pub(super) fn receipt(&self, event_id: EventId) -> Receipt {
        Receipt { event_id, seq: unsigned(self.seq), leaf_hash: self.hash }
    }

    pub(super) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
        let claim = self.claim.as_ref();
        db.prepare_cached(INSERT)?.execute(params![
            self.seq,
            self.event_id,
            self.kind,
            self.name,
            self.severity,
            self.principal,
            self.source,
            self.integration_id,
            self.provider,
            self.delivery_id,
            self.key_version,
            self.occurred_at,
            self.recorded_at,
            self.summary,
            self.tags,
            claim.map(|claim| claim.key.0),
            claim.map(|claim| claim.body.0),
            claim.map(|claim| claim.verdict.as_str()),
            claim.map(|claim| claim.expires_at),
            self.body_format,
            self.prev_hash.0,
            self.hash.0,
            self.body,
        ])?;
        Ok(())
    }

    /// Reads a row that was selected with [`COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            event_id: row.get(1)?,
            kind: row.get(2)?,
            name: row.get(3)?,
            severity: row.get(4)?,
            principal: row.get(5)?,
            source: row.get(6)?,
            integration_id: row.get(7)?,
            provider: row.get(8)?,
            delivery_id: row.get(9)?,
            key_version: row.get(10)?,
            occurred_at: row.get(11)?,
            recorded_at: row.get(12)?,
            summary: row.get(13)?,
            tags: row.get(14)?,
            claim: Self::read_claim(row)?,
            body_format: row.get(19)?,
            prev_hash: digest(row, 20)?,
            hash: digest(row, 21)?,
            body: row.get(22)?,
        })
    }

    fn read_claim(row: &Row<'_>) -> rusqlite::Result<Option<ClaimColumns>> {
        let parts: [bool; 4] = [
            row.get_ref(15)?.data_type() == Type::Null,
            row.get_ref(16)?.data_type() == Type::Null,
            row.get_ref(17)?.data_type() == Type::Null,
            row.get_ref(18)?.data_type() == Type::Null,
        ];
        if parts == [true; 4] {
            return Ok(None);
        }
        Ok(Some(ClaimColumns {
            key: digest(row, 15)?,
            body: digest(row, 16)?,
            verdict: row.get(17)?,
            expires_at: row.get(18)?,
        }))
    }

    /// The event it holds, or which column holds what it may not.
    pub(super) fn into_event(self) -> Result<StoredEvent, &'static str> {
        Ok(StoredEvent {
            seq: unsigned(self.seq),
            event_id: EventId::parse(&self.event_id).ok_or("event_id")?,
            kind: EventKind::parse(&self.kind).ok_or("kind")?,
            name: self.name,
            severity: Severity::parse(&self.severity).ok_or("severity")?,
            principal: self.principal,
            source: self.source,
            integration_id: self.integration_id,
            provider: self.provider,
            delivery_id: self.delivery_id,
            key_version: self.key_version.map(u32::try_from).transpose().map_err(|_| "key_version")?,
            occurred_at: unsigned(self.occurred_at),
            recorded_at: unsigned(self.recorded_at),
            summary: self.summary,
            tags: serde_json::from_str(&self.tags).map_err(|_| "tags")?,
            claim: self.claim.map(ClaimColumns::into_claim).transpose()?,
            body: self.body,
            body_format: BodyFormat::parse(&self.body_format).ok_or("body_format")?,
            prev_hash: self.prev_hash,
            hash: self.hash,
        })
    }
}

impl ClaimColumns {
    pub(super) fn into_claim(self) -> Result<ReplayClaim, &'static str> {
        Ok(ReplayClaim {
            key: self.key,
            body: self.body,
            verdict: Verdict::parse(&self.verdict).ok_or("replay_verdict")?,
            expires_at: unsigned(self.expires_at),
        })
    }
}

/// Reads a digest.
pub(super) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest)
}

/// SQLite's integers are signed. A number beyond them (292 million years in ms) is stored as the greatest.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The way back. A negative number, which no writer stores and no CHECK lets in, reads as 0.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// At most [`SUMMARY_BYTES_MAX`] bytes, cut between characters.
fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SUMMARY_BYTES_MAX));
    text
}
