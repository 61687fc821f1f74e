//! One page of a list of events: a bounded walk over the blocks that contain the values of the filter, and over their
//! rows.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Rows, ToSql};

use super::query::{Cursor, EventFilter, Page};
use super::reader::event_at;
use crate::clock::UnixMs;
use crate::journal::error::JournalError;
use crate::journal::format::row::{Head, from_sql, to_sql};
use crate::journal::index::facets::{self, BLOCK_EVENTS, Bits, Facet};
use crate::limits::{PAGE_BODY_BYTES_MAX, PAGE_EXAMINED_MAX};

/// Whether an event contains a text, ignoring ASCII case (SQLite's `lower` changes ASCII letters only).
const CONTAINS: &str = "(instr(lower(name), :text) > 0 OR instr(lower(summary), :text) > 0 \
     OR instr(lower(source), :text) > 0 OR instr(lower(ifnull(delivery_id, '')), :text) > 0)";

/// Reads the page of `filter` at `cursor`.
pub(in crate::journal) fn read(
    db: &Connection,
    filter: &EventFilter,
    cursor: Cursor,
    limit: usize,
) -> Result<Page, JournalError> {
    let head = Head::read(db).map_err(JournalError::read)?.seq;
    let first =
        filter.since.map_or(Ok(1), |since| first_since(db, since, head)).map_err(JournalError::read)?;
    let span = Span::of(cursor, first, head);
    let mut walk = Walk::new(db, filter, limit, span.backward);
    walk.run(span, head)?;
    let Walk { mut page, stopped_at, .. } = walk;
    span.set_cursors(&mut page, stopped_at, head);
    if span.backward {
        page.events.reverse();
    }
    Ok(page)
}

/// The first event recorded at or after `since`, or the one after `head` if there is none. Binary search works because
/// `recorded_at` never decreases with `seq`.
pub(super) fn first_since(db: &Connection, since: UnixMs, head: u64) -> rusqlite::Result<u64> {
    let mut recorded_at = db.prepare_cached("SELECT recorded_at FROM journal_events WHERE seq = ?1")?;
    let (mut low, mut high) = (1, head + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let recorded: Option<i64> = recorded_at.query_row([to_sql(middle)], |row| row.get(0)).optional()?;
        match recorded {
            Some(recorded) if from_sql(recorded) >= since => high = middle,
            _ => low = middle + 1,
        }
    }
    Ok(low)
}

/// The range of events a page may contain, both ends included; empty when `low > high`.
#[derive(Debug, Clone, Copy)]
struct Span {
    low: u64,
    high: u64,
    /// From the newest to the oldest event.
    backward: bool,
    /// The oldest event the filter can match.
    first: u64,
}

impl Span {
    fn of(cursor: Cursor, first: u64, head: u64) -> Self {
        let (low, high, backward) = match cursor {
            Cursor::Newest => (first, head, true),
            Cursor::Before(seq) => (first, head.min(seq.saturating_sub(1)), true),
            Cursor::After(seq) => (first.max(seq.saturating_add(1)), head, false),
        };
        Self { low, high, backward, first }
    }

    /// Sets where to continue: after the walk examined everything up to `stopped_at`, or the whole span if that is
    /// `None`.
    fn set_cursors(self, page: &mut Page, stopped_at: Option<u64>, head: u64) {
        let (oldest, newest) = match (self.backward, stopped_at) {
            (true, Some(seq)) => (seq, self.high),
            (true, None) => (self.first, self.high),
            (false, Some(seq)) => (self.low, seq),
            // A cursor ahead of the head is kept.
            (false, None) => (self.low, self.high.max(self.low.saturating_sub(1))),
        };
        page.next_after = (head > 0).then_some(newest);
        page.next_before = (oldest > self.first && self.first <= head).then_some(oldest);
    }
}

/// A walk that collects a page.
struct Walk<'a> {
    db: &'a Connection,
    asked: Vec<(Facet, &'a str)>,
    /// The conditions of the filter as SQL, and their parameters.
    matches: String,
    values: Vec<(&'static str, Value)>,
    backward: bool,
    limit: usize,
    page: Page,
    body_bytes: usize,
    examined: u64,
    /// The last event examined, once the page is full or the walk has reached its bound.
    stopped_at: Option<u64>,
}

impl<'a> Walk<'a> {
    fn new(db: &'a Connection, filter: &'a EventFilter, limit: usize, backward: bool) -> Self {
        let asked = Facet::all_asked(filter);
        let (mut terms, mut values) = (vec!["true".to_owned()], Vec::new());
        for (name, (facet, value)) in [":a", ":b", ":c", ":d"].into_iter().zip(&asked) {
            terms.push(format!("{} = {name}", facet.column()));
            values.push((name, Value::from((*value).to_owned())));
        }
        if let Some(id) = &filter.delivery_id {
            terms.push("delivery_id = :delivery".to_owned());
            values.push((":delivery", id.clone().into()));
        }
        if let Some(text) = &filter.contains {
            terms.push(CONTAINS.to_owned());
            values.push((":text", text.to_ascii_lowercase().into()));
        }
        let (matches, page) = (format!("({}) IS TRUE", terms.join(" AND ")), Page::default());
        let (body_bytes, examined, stopped_at) = (0, 0, None);
        Self { db, asked, matches, values, backward, limit, page, body_bytes, examined, stopped_at }
    }

    /// Complete blocks are searched by the index of their values. The rows after them are examined one by one, and so are
    /// all rows if the filter names no indexed value.
    fn run(&mut self, Span { low, high, backward, .. }: Span, head: u64) -> Result<(), JournalError> {
        let indexed = if self.asked.is_empty() { 0 } else { head / BLOCK_EVENTS * BLOCK_EVENTS };
        let (blocks, rows) = ((low, high.min(indexed)), (low.max(indexed + 1), high));
        if backward {
            self.rows(rows)?;
            self.blocks(blocks)
        } else {
            self.blocks(blocks)?;
            self.rows(rows)
        }
    }

    fn is_done(&self) -> bool {
        self.stopped_at.is_some()
    }

    fn rows(&mut self, (low, high): (u64, u64)) -> Result<(), JournalError> {
        let (db, order) = (self.db, if self.backward { "DESC" } else { "ASC" });
        let sql = format!(
            "SELECT seq, {} FROM journal_events WHERE seq BETWEEN :low AND :high ORDER BY seq {order}",
            self.matches
        );
        let mut statement = db.prepare_cached(&sql).map_err(JournalError::read)?;
        let ends = [(":low", to_sql(low).into()), (":high", to_sql(high).into())];
        let values = self.values.clone();
        let values: Vec<(&str, &dyn ToSql)> =
            values.iter().chain(&ends).map(|(name, value)| (*name, value as &dyn ToSql)).collect();
        let mut rows = statement.query(values.as_slice()).map_err(JournalError::read)?;
        while !self.is_done()
            && let Some((seq, matches)) = next_place(&mut rows).map_err(JournalError::read)?
        {
            self.examine(seq, matches)?;
        }
        Ok(())
    }

    /// Examines the rows of a span of complete blocks that the index selects.
    fn blocks(&mut self, (low, high): (u64, u64)) -> Result<(), JournalError> {
        if self.is_done() || low > high {
            return Ok(());
        }
        let asked = self.asked.clone();
        let Some((narrowest, others)) = asked.split_first() else { return Ok(()) };
        let (db, backward) = (self.db, self.backward);
        let span = (block_of(low), block_of(high), backward);
        let walked = facets::walk(db, *narrowest, span, |number, bits| {
            self.block(number, bits, others, (low, high))?;
            Ok::<_, Interrupted>(!self.is_done())
        });
        walked.map_err(|Interrupted(error)| error)
    }

    /// Examines the rows of one block that have all values of the filter.
    fn block(
        &mut self,
        number: u64,
        mut bits: Bits,
        others: &[(Facet, &str)],
        (low, high): (u64, u64),
    ) -> Result<(), JournalError> {
        for (facet, value) in others {
            let found = facets::find(self.db, *facet, value, number).map_err(JournalError::read)?;
            bits = bits.and(found.unwrap_or(Bits::NONE));
        }
        let first = number * BLOCK_EVENTS + 1;
        let inside = bits.places().map(|place| first + place).filter(|seq| (low..=high).contains(seq));
        let mut places: Vec<u64> = inside.collect();
        if self.backward {
            places.reverse();
        }
        for seq in places {
            let matches = self.matches_at(seq).map_err(JournalError::read)?;
            self.examine(to_sql(seq), matches)?;
            if self.is_done() {
                return Ok(());
            }
        }
        let end = if self.backward { first.max(low) } else { (first + BLOCK_EVENTS - 1).min(high) };
        self.count(end);
        Ok(())
    }

    /// Checks the row itself against the filter, so that an index that was tampered with cannot add a wrong event to a
    /// page.
    fn matches_at(&self, seq: u64) -> rusqlite::Result<bool> {
        let sql = format!("SELECT {} FROM journal_events WHERE seq = :seq", self.matches);
        let (seq, mut statement) = (to_sql(seq), self.db.prepare_cached(&sql)?);
        let mut values: Vec<(&str, &dyn ToSql)> = vec![(":seq", &seq)];
        values.extend(self.values.iter().map(|(name, value)| (*name, value as &dyn ToSql)));
        statement
            .query_row(values.as_slice(), |row| row.get(0))
            .optional()
            .map(|found| found.unwrap_or(false))
    }

    /// Adds a row that matches; the page is complete when it is full.
    fn examine(&mut self, seq: i64, matches: bool) -> Result<(), JournalError> {
        if matches && let Some(event) = event_at(self.db, seq)? {
            self.body_bytes += event.body.len();
            self.page.events.push(event);
        }
        if self.page.events.len() >= self.limit || self.body_bytes >= PAGE_BODY_BYTES_MAX {
            self.stopped_at = Some(from_sql(seq));
        }
        self.count(from_sql(seq));
        Ok(())
    }

    /// Counts `seq` as examined.
    fn count(&mut self, seq: u64) {
        self.examined += 1;
        if self.examined >= PAGE_EXAMINED_MAX {
            self.stopped_at.get_or_insert(seq);
        }
    }
}

/// The error that ended a walk over blocks.
struct Interrupted(JournalError);

impl From<rusqlite::Error> for Interrupted {
    fn from(error: rusqlite::Error) -> Self {
        Self(JournalError::read(error))
    }
}

impl From<JournalError> for Interrupted {
    fn from(error: JournalError) -> Self {
        Self(error)
    }
}

fn block_of(seq: u64) -> u64 {
    seq.saturating_sub(1) / BLOCK_EVENTS
}

fn next_place(rows: &mut Rows<'_>) -> rusqlite::Result<Option<(i64, bool)>> {
    rows.next()?.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}
