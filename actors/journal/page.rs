//! One page of a list of events: a bounded walk along the index that narrows the list most.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Rows, ToSql};

use super::error::JournalError;
use super::messages::{Cursor, EventFilter, Page, Severity};
use super::reader::event_at;
use super::row::{Head, signed, unsigned};
use crate::clock::UnixMs;
use crate::limits::{PAGE_BODY_BYTES_MAX, PAGE_EXAMINED_ROWS_MAX};

/// Whether a text stands in an event, ASCII case ignored (SQLite's `lower` knows no other).
const CONTAINS: &str = "(instr(lower(name), :text) > 0 OR instr(lower(summary), :text) > 0 \
     OR instr(lower(source), :text) > 0 OR instr(lower(ifnull(delivery_id, '')), :text) > 0)";

/// Reads the page of `filter` at `cursor`.
pub(super) fn read(
    db: &Connection,
    filter: &EventFilter,
    cursor: Cursor,
    limit: usize,
) -> Result<Page, JournalError> {
    let head = Head::read(db).map_err(JournalError::read)?.seq;
    let first = first_since(db, filter.since, head).map_err(JournalError::read)?;
    let span = Span::of(cursor, first, head);
    let mut page = Page::default();
    let stopped_at = Walk::new(filter, span).run(db, limit, &mut page)?;
    span.set_cursors(&mut page, stopped_at, head);
    if span.backward {
        page.events.reverse();
    }
    Ok(page)
}

/// The first event recorded at or after `since`. As `recorded_at` never decreases, all that follow are too.
fn first_since(db: &Connection, since: Option<UnixMs>, head: u64) -> rusqlite::Result<u64> {
    let Some(since) = since else { return Ok(1) };
    let first = "SELECT seq FROM journal_events WHERE recorded_at >= ?1 ORDER BY recorded_at, seq LIMIT 1";
    let found = db.prepare_cached(first)?.query_row([signed(since)], |row| row.get(0)).optional()?;
    Ok(found.map_or(head + 1, unsigned))
}

/// The part of the journal a page may come from, both ends included; empty when `low > high`.
#[derive(Debug, Clone, Copy)]
struct Span {
    low: u64,
    high: u64,
    /// From the newest to the oldest.
    backward: bool,
    /// The oldest event that can match.
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

    /// Where to go on, when the walk examined everything up to `stopped_at`, or the whole span if that is `None`.
    fn set_cursors(self, page: &mut Page, stopped_at: Option<u64>, head: u64) {
        let (oldest, newest) = match (self.backward, stopped_at) {
            (true, Some(seq)) => (seq, self.high),
            (true, None) => (self.first, self.high),
            (false, Some(seq)) => (self.low, seq),
            // A cursor ahead of the head stays where it is.
            (false, None) => (self.low, self.high.max(self.low.saturating_sub(1))),
        };
        page.next_after = (head > 0).then_some(newest);
        page.next_before = (oldest > self.first && self.first <= head).then_some(oldest);
    }
}

/// The statement that walks: it yields `(seq, whether it matches)` in the order of `seq`, narrowed by one index.
struct Walk {
    sql: String,
    values: Vec<(&'static str, Value)>,
}

impl Walk {
    fn new(filter: &EventFilter, span: Span) -> Self {
        let mut values = vec![(":low", Value::from(signed(span.low))), (":high", signed(span.high).into())];
        let mut terms = vec!["true"];
        let mut term = |condition, name, value: Option<String>| {
            let Some(value) = value else { return };
            terms.push(condition);
            values.push((name, value.into()));
        };
        term("kind = :kind", ":kind", filter.kind.map(|kind| kind.as_str().to_owned()));
        term("name = :name", ":name", filter.name.clone());
        term(
            "severity = :severity",
            ":severity",
            filter.severity.map(|severity| severity.as_str().to_owned()),
        );
        term("integration_id = :integration", ":integration", filter.integration_id.clone());
        term(CONTAINS, ":text", filter.contains.as_ref().map(|text| text.to_ascii_lowercase()));
        let matches = terms.join(" AND ");
        let (index, narrowing) = narrowest(filter);
        let order = if span.backward { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT seq, {matches} FROM journal_events {index} \
             WHERE {narrowing} AND seq BETWEEN :low AND :high ORDER BY seq {order}"
        );
        Self { sql, values }
    }

    /// Collects what matches until the page is full or has cost enough. Gives the last place examined in that case.
    fn run(&self, db: &Connection, limit: usize, page: &mut Page) -> Result<Option<u64>, JournalError> {
        let mut statement = db.prepare_cached(&self.sql).map_err(JournalError::read)?;
        let values: Vec<(&str, &dyn ToSql)> =
            self.values.iter().map(|(name, value)| (*name, value as &dyn ToSql)).collect();
        let mut rows = statement.query(values.as_slice()).map_err(JournalError::read)?;
        let (mut examined, mut body_bytes) = (0, 0);
        while let Some((seq, matches)) = next_place(&mut rows).map_err(JournalError::read)? {
            examined += 1;
            if matches && let Some(event) = event_at(db, seq)? {
                body_bytes += event.body.len();
                page.events.push(event);
            }
            let is_full = page.events.len() >= limit || body_bytes >= PAGE_BODY_BYTES_MAX;
            if is_full || examined >= PAGE_EXAMINED_ROWS_MAX {
                return Ok(Some(unsigned(seq)));
            }
        }
        Ok(None)
    }
}

fn next_place(rows: &mut Rows<'_>) -> rusqlite::Result<Option<(i64, bool)>> {
    rows.next()?.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// The index to walk along and the condition it serves. Integrations and names are many, severities and kinds few.
fn narrowest(filter: &EventFilter) -> (&'static str, &'static str) {
    match filter {
        EventFilter { integration_id: Some(_), .. } => {
            ("INDEXED BY journal_by_integration", "integration_id = :integration")
        }
        EventFilter { name: Some(_), .. } => ("INDEXED BY journal_by_name", "name = :name"),
        EventFilter { severity: Some(Severity::Warn | Severity::Error), .. } => {
            ("INDEXED BY journal_by_severity", "severity = :severity AND severity <> 'info'")
        }
        EventFilter { kind: Some(_), .. } => ("INDEXED BY journal_by_kind", "kind = :kind"),
        _ => ("NOT INDEXED", "true"),
    }
}

/// How SQLite goes about the page.
#[cfg(test)]
pub(super) fn plan(db: &Connection, filter: &EventFilter, cursor: Cursor) -> String {
    let walk = Walk::new(filter, Span::of(cursor, 1, 100));
    let values: Vec<(&str, &dyn ToSql)> =
        walk.values.iter().map(|(name, value)| (*name, value as &dyn ToSql)).collect();
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {}", walk.sql)).unwrap();
    let steps = statement.query_map(values.as_slice(), |row| row.get::<_, String>(3)).unwrap();
    steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
}
