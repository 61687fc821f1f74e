//! The index of the list filters: for each block of 256 events and each value, a bitmap of the events that have it.
//!
//! It needs a few rows per 256 events instead of a few per event, and two filters are combined by an AND of their
//! bitmaps. The events after the last complete block are few enough to be scanned.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::journal::format::row::{Columns, from_sql, to_sql};
use crate::journal::reading::query::EventFilter;

/// Events per block.
pub(in crate::journal) const BLOCK_EVENTS: u64 = 256;

/// The indexed columns, in the order in which the index to walk is chosen: the most selective first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::journal) enum Facet {
    Integration,
    Name,
    Severity,
    Kind,
}

impl Facet {
    const ALL: [Self; 4] = [Self::Integration, Self::Name, Self::Severity, Self::Kind];

    /// The column of `journal_events`.
    pub(in crate::journal) fn column(self) -> &'static str {
        match self {
            Self::Integration => "integration_id",
            Self::Name => "name",
            Self::Severity => "severity",
            Self::Kind => "kind",
        }
    }

    /// The value `filter` requires.
    fn asked(self, filter: &EventFilter) -> Option<&str> {
        match self {
            Self::Integration => filter.integration_id.as_deref(),
            Self::Name => filter.name.as_deref(),
            Self::Severity => filter.severity.map(|severity| severity.as_str()),
            Self::Kind => filter.kind.map(|kind| kind.as_str()),
        }
    }

    /// The values `filter` requires, the most selective first.
    pub(in crate::journal) fn all_asked(filter: &EventFilter) -> Vec<(Self, &str)> {
        Self::ALL.into_iter().filter_map(|facet| Some((facet, facet.asked(filter)?))).collect()
    }
}

/// A bitmap of the events of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::journal) struct Bits([u64; 4]);

impl Bits {
    pub(in crate::journal) const NONE: Self = Self([0; 4]);

    fn set(&mut self, place: u64) {
        if let Some(word) = self.0.get_mut((place / 64) as usize) {
            *word |= 1 << (place % 64);
        }
    }

    /// The intersection.
    pub(in crate::journal) fn and(self, other: Self) -> Self {
        let [a, b, c, d] = self.0;
        let [e, f, g, h] = other.0;
        Self([a & e, b & f, c & g, d & h])
    }

    /// The positions of the set bits, from 0, in ascending order.
    pub(in crate::journal) fn places(self) -> impl DoubleEndedIterator<Item = u64> {
        (0..BLOCK_EVENTS).filter(move |place| {
            let word = self.0.get((place / 64) as usize).copied().unwrap_or(0);
            word >> (place % 64) & 1 == 1
        })
    }

    fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes
            .chunks_exact_mut(8)
            .zip(self.0)
            .for_each(|(place, word)| place.copy_from_slice(&word.to_be_bytes()));
        bytes
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, eight) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = eight.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self(words)
    }
}

/// The block that is being filled.
#[derive(Debug, Default)]
pub(in crate::journal) struct Block {
    integrations: HashMap<String, Bits>,
    names: HashMap<String, Bits>,
    severities: HashMap<String, Bits>,
    kinds: HashMap<String, Bits>,
}

impl Block {
    /// Reads the events after the last complete block of a journal of `events` events.
    pub(super) fn open(db: &Connection, events: u64) -> rusqlite::Result<Self> {
        let mut block = Self::default();
        let select = "SELECT seq, integration_id, name, severity, kind FROM journal_events WHERE seq > ?1";
        let mut statement = db.prepare(select)?;
        let mut rows = statement.query([to_sql(events / BLOCK_EVENTS * BLOCK_EVENTS)])?;
        while let Some(row) = rows.next()? {
            let (seq, integration): (i64, Option<String>) = (row.get(0)?, row.get(1)?);
            let (name, severity, kind): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
            block.set(seq, integration.as_deref(), [&name, &severity, &kind]);
        }
        Ok(block)
    }

    /// Adds an event.
    pub(in crate::journal) fn add(&mut self, columns: &Columns<'_>) {
        let Columns { name, severity, kind, .. } = columns;
        self.set(columns.seq, columns.integration_id.as_deref(), [name, severity, kind]);
    }

    fn set(&mut self, seq: i64, integration: Option<&str>, [name, severity, kind]: [&str; 3]) {
        let place = from_sql(seq.saturating_sub(1)) % BLOCK_EVENTS;
        let values = [integration, Some(name), Some(severity), Some(kind)];
        let maps = [&mut self.integrations, &mut self.names, &mut self.severities, &mut self.kinds];
        for (map, value) in maps.into_iter().zip(values) {
            let Some(value) = value else { continue };
            match map.get_mut(value) {
                Some(bits) => bits.set(place),
                None => map.entry(value.to_owned()).or_insert(Bits::NONE).set(place),
            }
        }
    }

    /// All values of the block with their bitmaps.
    fn entries(&self) -> impl Iterator<Item = (Facet, &str, Bits)> {
        let maps = [&self.integrations, &self.names, &self.severities, &self.kinds];
        let each = Facet::ALL.into_iter().zip(maps);
        each.flat_map(|(facet, map)| map.iter().map(move |(value, bits)| (facet, value.as_str(), *bits)))
    }

    /// Stores it as block `number` (from 0), and begins the next.
    pub(super) fn store(&mut self, db: &Connection, number: u64) -> rusqlite::Result<()> {
        let insert = "INSERT INTO journal_facets (facet, value, block, bits) VALUES (?1, ?2, ?3, ?4)";
        let mut statement = db.prepare_cached(insert)?;
        for (facet, value, bits) in self.entries() {
            statement.execute(params![facet.column(), value, to_sql(number), bits.to_bytes()])?;
        }
        *self = Self::default();
        Ok(())
    }

    /// Compares it with the stored block `number`. Returns how many values it has, and the problem if there is one.
    pub(in crate::journal) fn compare(
        &self,
        db: &Connection,
        number: u64,
    ) -> rusqlite::Result<(u64, Option<String>)> {
        let (mut values, mut problem) = (0, None);
        for (facet, value, bits) in self.entries() {
            values += 1;
            if find(db, facet, value, number)? != Some(bits) {
                problem =
                    Some(format!("the index of `{}` does not match the events of its block", facet.column()));
            }
        }
        Ok((values, problem))
    }
}

/// The events of block `number` that have `value`; `None` if there are none.
pub(in crate::journal) fn find(
    db: &Connection,
    facet: Facet,
    value: &str,
    number: u64,
) -> rusqlite::Result<Option<Bits>> {
    let find = "SELECT bits FROM journal_facets WHERE facet = ?1 AND value = ?2 AND block = ?3";
    let mut statement = db.prepare_cached(find)?;
    let values = params![facet.column(), value, to_sql(number)];
    statement.query_row(values, |row| row.get(0).map(Bits::from_bytes)).optional()
}

/// Calls `visit` with each block from `low` to `high` that has `value`, in ascending or descending order, until it
/// returns false.
pub(in crate::journal) fn walk<E: From<rusqlite::Error>>(
    db: &Connection,
    (facet, value): (Facet, &str),
    (low, high, backward): (u64, u64, bool),
    mut visit: impl FnMut(u64, Bits) -> Result<bool, E>,
) -> Result<(), E> {
    let order = if backward { "DESC" } else { "ASC" };
    let select = format!(
        "SELECT block, bits FROM journal_facets WHERE facet = ?1 AND value = ?2 AND block BETWEEN ?3 AND ?4 \
         ORDER BY block {order}"
    );
    let mut statement = db.prepare_cached(&select)?;
    let mut rows = statement.query(params![facet.column(), value, to_sql(low), to_sql(high)])?;
    while let Some(row) = rows.next()? {
        if !visit(from_sql(row.get(0)?), Bits::from_bytes(row.get(1)?))? {
            break;
        }
    }
    Ok(())
}

/// Number of index rows of blocks before `end`, plus rows whose block is not complete yet or cannot exist.
pub(in crate::journal) fn count(db: &Connection, end: u64) -> rusqlite::Result<u64> {
    let count = "SELECT count(*) FROM journal_facets \
         WHERE block < ?1 OR block >= (SELECT coalesce(max(seq), 0) / ?2 FROM journal_events)";
    db.query_row(count, [to_sql(end), to_sql(BLOCK_EVENTS)], |row| row.get(0)).map(from_sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sets_have_in_common_the_places_that_both_have() {
        let every = |step: u64| {
            let mut bits = Bits::NONE;
            (0..BLOCK_EVENTS).filter(|place| place.is_multiple_of(step)).for_each(|place| bits.set(place));
            bits
        };
        assert!(every(2).and(every(3)).places().eq(every(6).places()));
        assert!(every(6).places().eq((0..BLOCK_EVENTS).step_by(6)));
    }
}
