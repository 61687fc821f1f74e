//! Verifies the whole journal: what it holds is what was appended.

use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use serde::Serialize;

use super::JournalFiles;
use super::anchor::Records;
use super::chain::ChainWalk;
use super::error::JournalError;
use super::leaf::GENESIS;
use super::open;
use super::row::{COLUMNS, ClaimColumns, Columns, digest, signed, unsigned};
use crate::ids::Digest;
use crate::limits::VERIFY_PROBLEMS_MAX;

/// Rows read in one go; between two goes the write-ahead log may be moved into the database.
const BATCH_ROWS: i64 = 1_000;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Events read.
    pub events: u64,
    /// `seq` of the newest event; 0 in an empty journal.
    pub head_seq: u64,
    /// Its leaf hash, as it is stored.
    pub head_hash: Digest,
    /// What does not verify, at most [`VERIFY_PROBLEMS_MAX`] problems, first those of the events in the order of `seq`.
    pub problems: Vec<Problem>,
    /// All problems there are, listed or not.
    pub problems_total: u64,
}

/// One thing that does not verify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The event it was found at; 0 when it concerns the file.
    pub seq: u64,
    /// What does not verify.
    pub problem: String,
}

impl VerifyReport {
    /// Whether everything verifies.
    pub fn is_ok(&self) -> bool {
        self.problems_total == 0
    }

    /// The first event that does not verify.
    pub fn first_bad_seq(&self) -> Option<u64> {
        self.problems.iter().map(|problem| problem.seq).filter(|seq| *seq > 0).min()
    }

    fn add(&mut self, seq: i64, problem: String) {
        self.problems_total += 1;
        if self.problems.len() < VERIFY_PROBLEMS_MAX {
            self.problems.push(Problem { seq: unsigned(seq), problem });
        }
    }
}

/// Verifies the journal: every leaf, every link, the replay keys against the events and the events against the replay
/// keys, the anchor, the schema, and SQLite's own structure. A daemon may go on appending to it meanwhile.
///
/// # Errors
/// [`JournalError::Open`], [`JournalError::Newer`] or [`JournalError::Read`] when it cannot be verified at all.
pub fn verify(files: &JournalFiles) -> Result<VerifyReport, JournalError> {
    // Before the events: whatever it names then has to be among them.
    let records = open::anchor_records(files)?;
    let db = open::for_reading(&files.database)?;
    let mut report =
        VerifyReport { events: 0, head_seq: 0, head_hash: GENESIS, problems: Vec::new(), problems_total: 0 };
    for check in [check_events, check_keys, check_schema, check_structure] {
        check(&db, &mut report).or_else(|error| damage(error, &mut report)).map_err(JournalError::read)?;
    }
    check_anchor(&db, records.as_ref(), &mut report)
        .or_else(|error| damage(error, &mut report))
        .map_err(JournalError::read)?;
    Ok(report)
}

/// Every event that the anchor names has to be there, and to be the one.
fn check_anchor(
    db: &Connection,
    records: Option<&Records>,
    report: &mut VerifyReport,
) -> rusqlite::Result<()> {
    let Some(records) = records else {
        if report.head_seq > 0 {
            report.add(0, "its anchor is missing".to_owned());
        }
        return Ok(());
    };
    if records.is_damaged() {
        report.add(0, "its anchor was changed".to_owned());
    }
    let mut find = db.prepare("SELECT hash FROM journal_events WHERE seq = ?1")?;
    let head_seq = report.head_seq;
    for anchored in records.all.iter().filter(|anchored| (1..=head_seq).contains(&anchored.seq)) {
        let found = find.query_row([signed(anchored.seq)], |row| digest(row, 0)).optional()?;
        if found.is_some_and(|hash| hash != anchored.hash) {
            report.add(signed(anchored.seq), "it is not the event that the anchor names".to_owned());
        }
    }
    if let Some(newest) = records.newest().filter(|newest| newest.seq > report.head_seq) {
        let missing = newest.seq - report.head_seq;
        let problem = format!("missing: {missing} acknowledged events from here on are not there any more");
        report.add(signed(report.head_seq + 1), problem);
    }
    Ok(())
}

/// A damaged page ends the check that met it, not the verification: it is what was looked for.
fn damage(error: rusqlite::Error, report: &mut VerifyReport) -> rusqlite::Result<()> {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            report.add(0, format!("SQLite cannot read on after seq {} ({error})", report.head_seq));
            Ok(())
        }
        _ => Err(error),
    }
}

fn check_schema(db: &Connection, report: &mut VerifyReport) -> rusqlite::Result<()> {
    if let Some(problem) = open::schema_problem(db)? {
        report.add(0, problem);
    }
    Ok(())
}

fn check_events(db: &Connection, report: &mut VerifyReport) -> rusqlite::Result<()> {
    let mut walk = ChainWalk::from_start();
    let mut after = i64::MIN;
    while let Some(last) = check_batch(db, after, &mut walk, report)? {
        after = last;
    }
    Ok(())
}

/// Checks the next rows; gives the last of them, none at the end of the journal.
fn check_batch(
    db: &Connection,
    after: i64,
    walk: &mut ChainWalk,
    report: &mut VerifyReport,
) -> rusqlite::Result<Option<i64>> {
    let select = format!("SELECT {COLUMNS} FROM journal_events WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    let mut statement = db.prepare_cached(&select)?;
    let mut rows = statement.query([after, BATCH_ROWS])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        last = Some(seq);
        report.events += 1;
        report.head_seq = unsigned(seq);
        if let Some((seq, problem)) = walk.arrive(seq) {
            report.add(seq, problem);
        }
        match Columns::read(row) {
            Ok(columns) => check_row(db, &columns, walk, report)?,
            Err(error) => {
                walk.skip();
                report.add(seq, format!("its columns cannot be read ({error})"));
            }
        }
    }
    Ok(last)
}

fn check_row(
    db: &Connection,
    columns: &Columns,
    walk: &mut ChainWalk,
    report: &mut VerifyReport,
) -> rusqlite::Result<()> {
    report.head_hash = columns.hash;
    if let Some(problem) = walk.inspect(columns) {
        report.add(columns.seq, problem);
    }
    let Some(claim) = &columns.claim else { return Ok(()) };
    if let Some(problem) = key_problem(db, columns.seq, claim)? {
        report.add(columns.seq, problem.to_owned());
    }
    Ok(())
}

/// Whether the key of an event points to it, with what the event says of it, or to a newer event.
fn key_problem(db: &Connection, seq: i64, claim: &ClaimColumns) -> rusqlite::Result<Option<&'static str>> {
    let find = "SELECT seq, body, verdict, expires_at FROM replay_keys WHERE key = ?1";
    let row = db.prepare_cached(find)?.query_row([claim.key.0], |row| {
        let stored = ClaimColumns {
            key: claim.key,
            body: digest(row, 1)?,
            verdict: row.get(2)?,
            expires_at: row.get(3)?,
        };
        Ok((row.get::<_, i64>(0)?, stored))
    });
    Ok(match row.optional()? {
        None => Some("its replay key is missing"),
        Some((at, _)) if at < seq => Some("its replay key points to an older event"),
        Some((at, stored)) if at == seq && stored != *claim => {
            Some("its replay key says something else than it does")
        }
        Some(_) => None,
    })
}

/// The other direction: every replay key points to an event that took it.
fn check_keys(db: &Connection, report: &mut VerifyReport) -> rusqlite::Result<()> {
    let strays = "SELECT k.seq FROM replay_keys k LEFT JOIN journal_events e ON e.seq = k.seq \
         WHERE e.replay_key IS NOT k.key ORDER BY k.seq";
    let mut statement = db.prepare(strays)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        report.add(row.get(0)?, "a replay key points to it that it did not take".to_owned());
    }
    Ok(())
}

/// SQLite's own structure: every page, and every index against its table.
fn check_structure(db: &Connection, report: &mut VerifyReport) -> rusqlite::Result<()> {
    let mut statement = db.prepare(&format!("PRAGMA integrity_check({VERIFY_PROBLEMS_MAX})"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            report.add(0, line);
        }
    }
    Ok(())
}
