//! The index of the replay keys. It answers, within the transaction that appends a delivery, whether its key was taken
//! before.
//!
//! The keys themselves are in the rows of their events; the index finds those rows. The newest keys are in memory. The
//! keys of each complete run of 65,536 events are stored once, sorted. For nearly every new key a Bloom filter in memory
//! makes both lookups unnecessary. So the cost of an append does not depend on the number of keys, up to the bound on the
//! filters, and an append writes no page for its key alone.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::filter::KeyFilter;
use crate::clock::UnixMs;
use crate::ids::{Digest, EventId, Receipt};
use crate::journal::claim::{KeyHolder, Verdict};
use crate::journal::format::row::{Columns, digest, from_sql, to_sql};
use crate::limits::KEY_FILTERS_MAX;

/// Events per run. Few in the tests of this crate, so that they cover many runs.
pub(in crate::journal) const RUN_EVENTS: u64 = if cfg!(test) { 64 } else { 65_536 };
/// Parts of a run, split by the first byte of the key.
const PARTS: u64 = 256;
/// Runs per filter; together 1,048,576 events.
const RUNS_PER_FILTER: usize = 16;
/// Bytes of a filter: 16 bits per key.
const FILTER_BYTES: usize = 2 * RUNS_PER_FILTER * RUN_EVENTS as usize;
/// Bytes of an entry: the first eight bytes of the key, and the position of its event in the run.
const ENTRY_BYTES: usize = 10;

/// The first eight bytes of a key, and the position of its event in the run.
type Entry = (u64, u16);

/// The keys of the run that is not complete yet.
#[derive(Debug, Default)]
pub(in crate::journal) struct OpenRun {
    entries: BTreeSet<Entry>,
    /// The latest end of its windows.
    expires_at: UnixMs,
}

impl OpenRun {
    /// Adds the key of an event, if it took one, and returns the prefix of that key.
    pub(in crate::journal) fn add(&mut self, columns: &Columns<'_>) -> Option<u64> {
        let claim = columns.claim.as_ref()?;
        Some(self.insert(columns.seq, claim.key, claim.expires_at))
    }

    fn insert(&mut self, seq: i64, key: Digest, expires_at: i64) -> u64 {
        let (prefix, place) = (prefix(&key), from_sql(seq.saturating_sub(1)) % RUN_EVENTS);
        self.entries.insert((prefix, place as u16));
        self.expires_at = self.expires_at.max(from_sql(expires_at));
        prefix
    }

    /// Its parts as they are stored: number of the part, and the encoded entries.
    fn parts(&self) -> Vec<(u64, Vec<u8>)> {
        let mut parts: Vec<(u64, Vec<u8>)> = Vec::new();
        for (prefix, place) in &self.entries {
            let number = part_of(*prefix);
            if parts.last().is_none_or(|(last, _)| *last != number) {
                parts.push((number, Vec::new()));
            }
            if let Some((_, entries)) = parts.last_mut() {
                entries.extend_from_slice(&prefix.to_be_bytes());
                entries.extend_from_slice(&place.to_be_bytes());
            }
        }
        parts
    }

    /// Compares it with the stored run `run`. Returns how many parts it has, and the problem if there is one.
    pub(in crate::journal) fn compare(
        &self,
        db: &Connection,
        run: u64,
    ) -> rusqlite::Result<(u64, Option<&'static str>)> {
        let parts = self.parts();
        let mut problem = None;
        for (number, entries) in &parts {
            if find_part(db, run, *number)?.as_ref() != Some(entries) {
                problem = Some("the index of replay keys does not match its run");
            }
        }
        let find = "SELECT expires_at FROM replay_runs WHERE run = ?1";
        let stored: Option<i64> = db.query_row(find, [to_sql(run)], |row| row.get(0)).optional()?;
        if stored != Some(to_sql(self.expires_at)) {
            problem = Some("the index of replay keys records a wrong end of its run");
        }
        Ok((parts.len() as u64, problem))
    }
}

/// The index, as the writer holds it.
#[derive(Debug, Default)]
pub(in crate::journal) struct ReplayKeyIndex {
    open: OpenRun,
    /// For each complete run, the latest end of its windows.
    runs: Vec<UnixMs>,
    /// One filter per [`RUNS_PER_FILTER`] runs; the last also covers the open run. Where it is `None`, the stored runs
    /// are read.
    filters: Vec<Option<KeyFilter>>,
}

impl ReplayKeyIndex {
    /// Reads the index of a journal of `events` events. Runs whose windows have all ended at `now` get no filter.
    pub(super) fn open(db: &Connection, events: u64, now: UnixMs) -> rusqlite::Result<Self> {
        let mut index = Self::default();
        let mut statement = db.prepare("SELECT expires_at FROM replay_runs ORDER BY run")?;
        let ends = statement.query_map([], |row| row.get(0).map(from_sql))?;
        index.runs = ends.collect::<Result<_, _>>()?;
        let groups = index.runs.len() / RUNS_PER_FILTER + 1;
        for group in 0..groups {
            let filter = index.is_worth_a_filter(group, groups, now).then(|| read_filter(db, group));
            index.filters.push(filter.transpose()?);
        }
        index.read_open_run(db, events)?;
        Ok(index)
    }

    /// Number of complete runs.
    pub(super) fn runs(&self) -> u64 {
        self.runs.len() as u64
    }

    fn is_worth_a_filter(&self, group: usize, groups: usize, now: UnixMs) -> bool {
        let mut ends = self.runs.iter().skip(group * RUNS_PER_FILTER).take(RUNS_PER_FILTER);
        // The newest filter is still being filled.
        group + 1 == groups || (group + KEY_FILTERS_MAX >= groups && ends.any(|ends| *ends > now))
    }

    fn read_open_run(&mut self, db: &Connection, events: u64) -> rusqlite::Result<()> {
        let select = "SELECT seq, replay_key, replay_expires_at FROM journal_events WHERE seq > ?1 \
             AND replay_key IS NOT NULL";
        let mut statement = db.prepare(select)?;
        let mut rows = statement.query([to_sql(events / RUN_EVENTS * RUN_EVENTS)])?;
        while let Some(row) = rows.next()? {
            let prefix = self.open.insert(row.get(0)?, digest(row, 1)?, row.get(2)?);
            self.add_to_filter(prefix);
        }
        Ok(())
    }

    /// The newest row that took `key`, if its window is open at `now`. Runs whose windows have all ended are skipped, so
    /// an earlier row whose window is still open is found.
    pub(in crate::journal) fn find(
        &self,
        db: &Connection,
        key: &Digest,
        now: UnixMs,
    ) -> rusqlite::Result<Option<KeyHolder>> {
        let newest = match self.find_in_open_run(db, key)? {
            None => self.find_in_stored_runs(db, key, now)?,
            found => found,
        };
        Ok(newest.filter(|holder| holder.expires_at > now))
    }

    fn find_in_open_run(&self, db: &Connection, key: &Digest) -> rusqlite::Result<Option<KeyHolder>> {
        let prefix = prefix(key);
        if !may_hold(self.filters.last(), prefix) {
            return Ok(None);
        }
        let entries = self.open.entries.range((prefix, 0)..=(prefix, u16::MAX));
        first_holder(db, key, self.runs(), entries.rev().map(|(_, place)| *place))
    }

    fn find_in_stored_runs(
        &self,
        db: &Connection,
        key: &Digest,
        now: UnixMs,
    ) -> rusqlite::Result<Option<KeyHolder>> {
        let prefix = prefix(key);
        for (group, runs) in self.runs.chunks(RUNS_PER_FILTER).enumerate().rev() {
            if !may_hold(self.filters.get(group), prefix) {
                continue;
            }
            for (place, _) in runs.iter().enumerate().rev().filter(|(_, ends)| **ends > now) {
                let run = (group * RUNS_PER_FILTER + place) as u64;
                let places = places_in(db, run, prefix)?;
                let found = first_holder(db, key, run, places.into_iter().rev())?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// Adds the key of an event, if it took one.
    pub(super) fn add(&mut self, columns: &Columns<'_>) {
        if let Some(prefix) = self.open.add(columns) {
            self.add_to_filter(prefix);
        }
    }

    fn add_to_filter(&mut self, prefix: u64) {
        if let Some(Some(filter)) = self.filters.last_mut() {
            filter.insert(prefix);
        }
    }

    /// Stores the complete run, and begins the next.
    pub(super) fn store(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let (run, open) = (self.runs.len(), std::mem::take(&mut self.open));
        let insert = "INSERT INTO replay_keys (place, entries) VALUES (?1, ?2)";
        let mut statement = db.prepare_cached(insert)?;
        for (part, entries) in open.parts() {
            statement.execute(params![place_of(run as u64, part), entries])?;
        }
        let insert = "INSERT INTO replay_runs (run, expires_at) VALUES (?1, ?2)";
        db.prepare_cached(insert)?.execute(params![to_sql(run as u64), to_sql(open.expires_at)])?;
        self.runs.push(open.expires_at);
        if self.runs.len().is_multiple_of(RUNS_PER_FILTER) {
            self.begin_filter();
        }
        Ok(())
    }

    /// Begins a filter; beyond the bound the oldest one is dropped.
    fn begin_filter(&mut self) {
        self.filters.push(Some(KeyFilter::of_bytes(FILTER_BYTES)));
        let before = self.filters.len().checked_sub(KEY_FILTERS_MAX + 1);
        if let Some(oldest) = before.and_then(|place| self.filters.get_mut(place)) {
            *oldest = None;
        }
    }
}

/// Number of index rows (parts, and runs) of runs before `end`, plus those whose run is not complete yet or cannot exist.
pub(in crate::journal) fn count(db: &Connection, end: u64) -> rusqlite::Result<(u64, u64)> {
    let counts = "SELECT (SELECT count(*) FROM replay_keys WHERE place < ?1 * ?2 OR place >= complete * ?2), \
         (SELECT count(*) FROM replay_runs WHERE run < ?1 OR run >= complete) \
         FROM (SELECT coalesce(max(seq), 0) / ?3 AS complete FROM journal_events)";
    let values = [to_sql(end), to_sql(PARTS), to_sql(RUN_EVENTS)];
    db.query_row(counts, values, |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))))
}

/// Without a filter, any key may be present.
fn may_hold(filter: Option<&Option<KeyFilter>>, prefix: u64) -> bool {
    filter.and_then(Option::as_ref).is_none_or(|filter| filter.may_contain(prefix))
}

fn prefix(key: &Digest) -> u64 {
    key.0.iter().take(8).fold(0, |prefix, byte| prefix << 8 | u64::from(*byte))
}

fn part_of(prefix: u64) -> u64 {
    prefix >> 56
}

fn place_of(run: u64, part: u64) -> i64 {
    to_sql(run * PARTS + part)
}

fn read_filter(db: &Connection, group: usize) -> rusqlite::Result<KeyFilter> {
    let mut filter = KeyFilter::of_bytes(FILTER_BYTES);
    let first = (group * RUNS_PER_FILTER) as u64;
    let end = first + RUNS_PER_FILTER as u64;
    let mut statement =
        db.prepare_cached("SELECT entries FROM replay_keys WHERE place >= ?1 AND place < ?2")?;
    let mut rows = statement.query([place_of(first, 0), place_of(end, 0)])?;
    while let Some(row) = rows.next()? {
        entries_of(row.get_ref(0)?.as_blob()?).for_each(|(prefix, _)| filter.insert(prefix));
    }
    Ok(filter)
}

fn entries_of(part: &[u8]) -> impl Iterator<Item = Entry> {
    part.chunks_exact(ENTRY_BYTES).filter_map(|entry| {
        let (prefix, place) = entry.split_first_chunk()?;
        Some((u64::from_be_bytes(*prefix), u16::from_be_bytes(place.try_into().ok()?)))
    })
}

fn find_part(db: &Connection, run: u64, part: u64) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut find = db.prepare_cached("SELECT entries FROM replay_keys WHERE place = ?1")?;
    find.query_row([place_of(run, part)], |row| row.get(0)).optional()
}

/// Positions in a run whose keys begin with `prefix`, by its stored part.
fn places_in(db: &Connection, run: u64, prefix: u64) -> rusqlite::Result<Vec<u16>> {
    let part = find_part(db, run, part_of(prefix))?.unwrap_or_default();
    let alike = entries_of(&part).skip_while(|(own, _)| *own < prefix).take_while(|(own, _)| *own == prefix);
    Ok(alike.map(|(_, place)| place).collect())
}

/// The first of these positions in a run whose event took exactly `key`.
fn first_holder(
    db: &Connection,
    key: &Digest,
    run: u64,
    places: impl Iterator<Item = u16>,
) -> rusqlite::Result<Option<KeyHolder>> {
    for place in places {
        if let Some(holder) = holder_at(db, to_sql(run * RUN_EVENTS) + i64::from(place) + 1, key)? {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}

fn holder_at(db: &Connection, seq: i64, key: &Digest) -> rusqlite::Result<Option<KeyHolder>> {
    let find = "SELECT replay_verdict, replay_body, replay_expires_at, event_id, seq, hash FROM journal_events \
         WHERE seq = ?1 AND replay_key = ?2";
    db.prepare_cached(find)?.query_row(params![seq, key.0], read_holder).optional()
}

fn read_holder(row: &rusqlite::Row<'_>) -> rusqlite::Result<KeyHolder> {
    let verdict = parsed(row, 0, Verdict::parse)?;
    let event_id = parsed(row, 3, EventId::parse)?;
    let receipt = Receipt { event_id, seq: from_sql(row.get(4)?), leaf_hash: digest(row, 5)? };
    Ok(KeyHolder { verdict, body: digest(row, 1)?, receipt, expires_at: from_sql(row.get(2)?) })
}

fn parsed<T>(row: &rusqlite::Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    parse(&text).ok_or_else(|| {
        rusqlite::Error::InvalidColumnType(column, "an unknown word".to_owned(), rusqlite::types::Type::Text)
    })
}

#[cfg(test)]
mod tests;
