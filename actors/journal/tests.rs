//! What the journal promises, accident by accident.

mod accepting;
mod acting;
mod claims;
mod connecting;
mod copies;
mod gathering;
mod moving;
mod opening;
mod pages;
mod proving;
mod reading;
mod rollback;
mod rows;
mod sealing;
mod signing;
mod simulation;
mod slack;
mod sweeps;
mod tampering;
mod telling;
mod unsigned;
mod verifying;
mod writing;

use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::clock::UnixMs;
use crate::ids::{Digest, Receipt};

const NOW: UnixMs = 1_700_000_000_000;
const LATER: UnixMs = NOW + 1_000_000;

/// A journal in a folder of its own.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn files(&self) -> JournalFiles {
        JournalFiles::in_folder(self.folder.path())
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    fn writer(&self) -> Writer {
        let mut writer = Writer::open(&self.files(), || 7, false, NOW).unwrap();
        if writer.head().seq == 0 {
            // A journal has no events before its log has begun.
            drop(open_sealer(&sealing::config(self, NOW, false), &mut writer).unwrap());
        }
        writer
    }

    fn reader(&self) -> JournalReader {
        JournalReader::open(&self.path()).unwrap()
    }

    /// A connection without any of the journal's settings, as from a database tool.
    fn intruder(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn problems(&self) -> Vec<Discrepancy> {
        verify(&self.files()).unwrap().problems
    }
}

fn webhook(body: &str) -> WebhookEvent {
    WebhookEvent {
        name: "push".to_owned(),
        source: "octo/cat".to_owned(),
        integration_id: "gh".to_owned(),
        provider: "github".to_owned(),
        delivery_id: Some("d-1".to_owned()),
        key_version: Some(1),
        occurred_at: NOW - 5,
        body: body.as_bytes().to_vec().into(),
        body_format: BodyFormat::Json,
    }
}

fn system(name: &str) -> NewRow {
    NewRow { event: NewEvent::System(SystemEvent::new(name, "it happened").detail("k", 1)), claim: None }
}

fn claim(key: &str, body: &str, verdict: Verdict) -> ReplayClaim {
    ReplayClaim {
        key: Digest::of(key.as_bytes()),
        body: Digest::of(body.as_bytes()),
        verdict,
        expires_at: LATER,
        is_whole: false,
        retries_differ: false,
    }
}

/// A delivery with `verdict` under `key`: a webhook event when it is accepted, else a system event.
fn delivery(key: &str, body: &str, verdict: Verdict) -> NewRow {
    let event = match verdict {
        Verdict::Accepted => NewEvent::Webhook(webhook(body)),
        _ => left_out(verdict, "push", "octo/cat"),
    };
    NewRow { event, claim: Some(claim(key, body, verdict)) }
}

/// The system event of a delivery that was not accepted.
fn left_out(verdict: Verdict, event: &str, source: &str) -> NewEvent {
    let told = SystemEvent::new(format!("webhook.{}", verdict.as_str()), "judged").about("gh");
    NewEvent::System(SystemEvent { source: source.to_owned(), ..told.detail(EVENT_DETAIL, event) })
}

fn append_one(writer: &mut Writer, row: NewRow, now: UnixMs) -> RowOutcome {
    writer.append(vec![row], now).unwrap().pop().unwrap()
}

fn stored(outcome: RowOutcome) -> Receipt {
    match outcome.unwrap() {
        Appended::Stored(receipt) => receipt,
        Appended::Held { holder, .. } => panic!("held by {holder:?}"),
    }
}

/// Edits the database behind the guards' back, and puts them back as they were, so that only the edit is to be found.
fn tamper(place: &Place, edit: &str) {
    tamper_with(place, |db| db.execute_batch(edit).unwrap());
}

fn tamper_with(place: &Place, edit: impl FnOnce(&Connection)) {
    let db = place.intruder();
    let guards: Vec<(String, String)> = {
        let mut statement = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    guards.iter().for_each(|(name, _)| db.execute_batch(&format!("DROP TRIGGER {name}")).unwrap());
    db.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
    edit(&db);
    guards.iter().for_each(|(_, sql)| db.execute_batch(sql).unwrap());
}
