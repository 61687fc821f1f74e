//! One row of `journal_events` with its stored values, and the conversions between it and an event.

use std::borrow::Cow;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use super::entry::{GENESIS, leaf_hash};
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId, Receipt};
use crate::journal::bounds::shortened;
use crate::journal::claim::{ReplayClaim, Verdict};
use crate::journal::event::{
    BodyFormat, EventKind, NewEvent, Severity, StoredEvent, SystemEvent, WebhookEvent,
};

/// The columns, in the order of [`Columns::read`].
pub(in crate::journal) const COLUMNS: &str = "seq, event_id, kind, name, severity, principal, source, integration_id, provider, \
     delivery_id, key_version, occurred_at, recorded_at, summary, tags, replay_key, replay_body, replay_verdict, \
     replay_expires_at, body_format, prev_hash, hash, body";

const INSERT: &str = "INSERT INTO journal_events (seq, event_id, kind, name, severity, principal, source, \
     integration_id, provider, delivery_id, key_version, occurred_at, recorded_at, summary, tags, replay_key, \
     replay_body, replay_verdict, replay_expires_at, body_format, prev_hash, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, \
     ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";

/// `tags` of an event that has none.
const NO_TAGS: &str = "[]";

/// The newest event, which the next one is linked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its `seq`; 0 in an empty journal.
    pub seq: u64,
    /// Its leaf hash; zeros in an empty journal.
    pub hash: Digest,
    /// When it was recorded; 0 in an empty journal.
    pub recorded_at: UnixMs,
}

impl Head {
    /// The head of an empty journal.
    pub(in crate::journal) const EMPTY: Self = Self { seq: 0, hash: GENESIS, recorded_at: 0 };

    /// Reads it from the file.
    pub(in crate::journal) fn read(db: &Connection) -> rusqlite::Result<Self> {
        let newest = "SELECT seq, hash, recorded_at FROM journal_events ORDER BY seq DESC LIMIT 1";
        let mut statement = db.prepare_cached(newest)?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok(Self::EMPTY) };
        Ok(Self { seq: from_sql(row.get(0)?), hash: digest(row, 1)?, recorded_at: from_sql(row.get(2)?) })
    }
}

/// A row with its values exactly as they are stored: the hash covers what is in the file, not an interpretation of it. A
/// row that is read borrows from SQLite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::journal) struct Columns<'a> {
    pub(in crate::journal) seq: i64,
    pub(in crate::journal) event_id: Cow<'a, str>,
    pub(in crate::journal) kind: Cow<'a, str>,
    pub(in crate::journal) name: Cow<'a, str>,
    pub(in crate::journal) severity: Cow<'a, str>,
    pub(in crate::journal) principal: Cow<'a, str>,
    pub(in crate::journal) source: Cow<'a, str>,
    pub(in crate::journal) integration_id: Option<Cow<'a, str>>,
    pub(in crate::journal) provider: Option<Cow<'a, str>>,
    pub(in crate::journal) delivery_id: Option<Cow<'a, str>>,
    pub(in crate::journal) key_version: Option<i64>,
    pub(in crate::journal) occurred_at: i64,
    pub(in crate::journal) recorded_at: i64,
    pub(in crate::journal) summary: Cow<'a, str>,
    pub(in crate::journal) tags: Cow<'a, str>,
    pub(in crate::journal) claim: Option<ClaimColumns<'a>>,
    pub(in crate::journal) body_format: Cow<'a, str>,
    pub(in crate::journal) prev_hash: Digest,
    pub(in crate::journal) hash: Digest,
    pub(in crate::journal) body: Cow<'a, [u8]>,
    /// SHA-256 of the body. Derived; all other values are stored.
    pub(in crate::journal) body_digest: Digest,
}

/// The four columns of a claim. Either all are set or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::journal) struct ClaimColumns<'a> {
    pub(in crate::journal) key: Digest,
    pub(in crate::journal) body: Digest,
    pub(in crate::journal) verdict: Cow<'a, str>,
    pub(in crate::journal) expires_at: i64,
}

impl From<&ReplayClaim> for ClaimColumns<'_> {
    fn from(claim: &ReplayClaim) -> Self {
        Self {
            key: claim.key,
            body: claim.body,
            verdict: claim.verdict.as_str().into(),
            expires_at: to_sql(claim.expires_at),
        }
    }
}

impl<'a> Columns<'a> {
    /// The row of a checked event, not yet linked to the chain.
    pub(in crate::journal) fn new(
        event: NewEvent,
        claim: Option<&ReplayClaim>,
        event_id: EventId,
        now: UnixMs,
    ) -> Self {
        let mut columns = match event {
            NewEvent::Webhook(event) => Self::webhook(event),
            NewEvent::System(event) => Self::system(event, now),
        };
        columns.event_id = event_id.to_string().into();
        columns.recorded_at = to_sql(now);
        columns.claim = claim.map(ClaimColumns::from);
        columns
    }

    fn webhook(event: WebhookEvent) -> Self {
        Self {
            kind: EventKind::Webhook.as_str().into(),
            summary: shortened(format!("{} from {}", event.name, event.source)).into(),
            name: event.name.into(),
            severity: Severity::Info.as_str().into(),
            principal: format!("integration:{}", event.integration_id).into(),
            source: event.source.into(),
            integration_id: Some(event.integration_id.into()),
            provider: Some(event.provider.into()),
            delivery_id: event.delivery_id.map(Cow::Owned),
            key_version: event.key_version.map(i64::from),
            occurred_at: to_sql(event.occurred_at),
            tags: NO_TAGS.into(),
            body_format: event.body_format.as_str().into(),
            body_digest: event.body.digest(),
            body: event.body.into_bytes().into(),
            ..Self::blank()
        }
    }

    fn system(event: SystemEvent, now: UnixMs) -> Self {
        let format = if event.details.is_empty() { BodyFormat::None } else { BodyFormat::Json };
        let body =
            if event.details.is_empty() { String::new() } else { Value::Object(event.details).to_string() };
        Self {
            kind: EventKind::System.as_str().into(),
            name: event.name.into(),
            severity: event.severity.as_str().into(),
            principal: event.principal.into(),
            source: event.source.into(),
            integration_id: event.integration_id.map(Cow::Owned),
            provider: event.provider.map(Cow::Owned),
            delivery_id: event.delivery_id.map(Cow::Owned),
            occurred_at: to_sql(now),
            summary: event.summary.into(),
            tags: Value::from(event.tags).to_string().into(),
            body_format: format.as_str().into(),
            body_digest: Digest::of(body.as_bytes()),
            body: body.into_bytes().into(),
            ..Self::blank()
        }
    }

    fn blank() -> Self {
        Self {
            seq: 0,
            event_id: Cow::default(),
            kind: Cow::default(),
            name: Cow::default(),
            severity: Cow::default(),
            principal: Cow::default(),
            source: Cow::default(),
            integration_id: None,
            provider: None,
            delivery_id: None,
            key_version: None,
            occurred_at: 0,
            recorded_at: 0,
            summary: Cow::default(),
            tags: Cow::default(),
            claim: None,
            body_format: Cow::default(),
            prev_hash: GENESIS,
            hash: GENESIS,
            body: Cow::default(),
            body_digest: GENESIS,
        }
    }

    /// Whether the claim's body hash must be that of the stored body. A delivery that was not accepted is stored without
    /// its body.
    pub(in crate::journal) fn claims_its_body(&self) -> bool {
        let claim = self.claim.as_ref().filter(|_| self.kind == EventKind::Webhook.as_str());
        claim.is_none_or(|claim| claim.body == self.body_digest)
    }

    /// Makes it the event after `head`. `recorded_at` never decreases, even when the clock goes back: therefore a point
    /// in time corresponds to a place in the order of `seq`.
    pub(in crate::journal) fn link(&mut self, head: &Head) {
        self.seq = to_sql(head.seq) + 1;
        self.recorded_at = self.recorded_at.max(to_sql(head.recorded_at));
        self.prev_hash = head.hash;
        self.hash = leaf_hash(self);
    }

    /// The head when this row is the newest.
    pub(in crate::journal) fn as_head(&self) -> Head {
        Head { seq: from_sql(self.seq), hash: self.hash, recorded_at: from_sql(self.recorded_at) }
    }

    pub(in crate::journal) fn receipt(&self, event_id: EventId) -> Receipt {
        Receipt { event_id, seq: from_sql(self.seq), leaf_hash: self.hash }
    }

    pub(in crate::journal) fn insert(&self, db: &Connection) -> rusqlite::Result<()> {
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
            claim.map(|claim| claim.verdict.as_ref()),
            claim.map(|claim| claim.expires_at),
            self.body_format,
            self.prev_hash.0,
            self.hash.0,
            self.body,
        ])?;
        Ok(())
    }

    /// Reads a row that was selected with [`COLUMNS`].
    pub(in crate::journal) fn read(row: &'a Row<'_>) -> rusqlite::Result<Self> {
        let body = row.get_ref(22)?.as_blob().map_err(|error| of_column(22, error))?;
        Ok(Self {
            seq: row.get(0)?,
            event_id: text(row, 1)?,
            kind: text(row, 2)?,
            name: text(row, 3)?,
            severity: text(row, 4)?,
            principal: text(row, 5)?,
            source: text(row, 6)?,
            integration_id: optional_text(row, 7)?,
            provider: optional_text(row, 8)?,
            delivery_id: optional_text(row, 9)?,
            key_version: row.get(10)?,
            occurred_at: row.get(11)?,
            recorded_at: row.get(12)?,
            summary: text(row, 13)?,
            tags: text(row, 14)?,
            claim: Self::read_claim(row)?,
            body_format: text(row, 19)?,
            prev_hash: digest(row, 20)?,
            hash: digest(row, 21)?,
            body: body.into(),
            body_digest: Digest::of(body),
        })
    }

    fn read_claim(row: &'a Row<'_>) -> rusqlite::Result<Option<ClaimColumns<'a>>> {
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
            verdict: text(row, 17)?,
            expires_at: row.get(18)?,
        }))
    }

    /// The first column with a value that is not allowed.
    pub(super) fn odd_column(&self) -> Option<&'static str> {
        let columns = [
            ("event_id", EventId::parse(&self.event_id).is_none()),
            ("kind", EventKind::parse(&self.kind).is_none()),
            ("severity", Severity::parse(&self.severity).is_none()),
            ("key_version", self.key_version.is_some_and(|version| u32::try_from(version).is_err())),
            ("tags", tags_of(&self.tags).is_none()),
            ("replay_verdict", self.claim.as_ref().is_some_and(|one| Verdict::parse(&one.verdict).is_none())),
            ("body_format", BodyFormat::parse(&self.body_format).is_none()),
        ];
        columns.into_iter().find(|(_, is_odd)| *is_odd).map(|(column, _)| column)
    }

    /// The event it holds, or the name of a column with a value that is not allowed.
    pub(in crate::journal) fn into_event(self) -> Result<StoredEvent, &'static str> {
        Ok(StoredEvent {
            seq: from_sql(self.seq),
            event_id: EventId::parse(&self.event_id).ok_or("event_id")?,
            kind: EventKind::parse(&self.kind).ok_or("kind")?,
            name: self.name.into_owned(),
            severity: Severity::parse(&self.severity).ok_or("severity")?,
            principal: self.principal.into_owned(),
            source: self.source.into_owned(),
            integration_id: self.integration_id.map(Cow::into_owned),
            provider: self.provider.map(Cow::into_owned),
            delivery_id: self.delivery_id.map(Cow::into_owned),
            key_version: self.key_version.map(u32::try_from).transpose().map_err(|_| "key_version")?,
            occurred_at: from_sql(self.occurred_at),
            recorded_at: from_sql(self.recorded_at),
            summary: self.summary.into_owned(),
            tags: tags_of(&self.tags).ok_or("tags")?,
            claim: self.claim.map(ClaimColumns::into_claim).transpose()?,
            body: self.body.into_owned(),
            body_format: BodyFormat::parse(&self.body_format).ok_or("body_format")?,
            prev_hash: self.prev_hash,
            hash: self.hash,
        })
    }
}

impl ClaimColumns<'_> {
    pub(super) fn into_claim(self) -> Result<ReplayClaim, &'static str> {
        Ok(ReplayClaim {
            key: self.key,
            body: self.body,
            verdict: Verdict::parse(&self.verdict).ok_or("replay_verdict")?,
            expires_at: from_sql(self.expires_at),
            is_whole: false,
            retries_differ: false,
        })
    }
}

fn tags_of(text: &str) -> Option<Vec<String>> {
    if text == NO_TAGS { Some(Vec::new()) } else { serde_json::from_str(text).ok() }
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Cow<'a, str>> {
    row.get_ref(column)?.as_str().map(Cow::Borrowed).map_err(|error| of_column(column, error))
}

fn optional_text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Option<Cow<'a, str>>> {
    let text = row.get_ref(column)?.as_str_or_null().map_err(|error| of_column(column, error))?;
    Ok(text.map(Cow::Borrowed))
}

fn of_column(column: usize, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Null, Box::new(error))
}

/// Reads a digest.
pub(in crate::journal) fn digest(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get(column).map(Digest)
}

/// A number that must not be negative; an error if it is.
pub(in crate::journal) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// A number for SQLite, whose integers are signed. Anything larger than `i64::MAX` (292 million years in ms) is stored as
/// `i64::MAX`.
pub(in crate::journal) fn to_sql(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The reverse of [`to_sql`]. A negative number, which no writer stores and no CHECK permits, reads as 0.
pub(in crate::journal) fn from_sql(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
