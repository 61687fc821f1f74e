//! Tampering by chance. The short form runs with the other tests; the figures come from the long one
//! (`just tampering`: 10,000 events, 10,000 flipped bits, 1,000 edits, 1,000 clean verifications, in a release build).

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::sealing::{Open, open, root_key};
use super::*;

/// `short`, or `long` when the sweeps are asked for in full by `PALYRA_TEST_LONG=1`.
pub(super) fn scaled(short: u64, long: u64) -> u64 {
    if std::env::var_os("PALYRA_TEST_LONG").is_some() { long } else { short }
}

/// SplitMix64: the same seed gives the same throws.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// A journal of deliveries with bodies of all sizes, signed now and then, its log moved into the database.
fn grown(events: u64) -> Place {
    let place = Place::new();
    let mut journal: Open = open(&place);
    let mut dice = Dice(5);
    let mut left = events;
    while left > 0 {
        let group = left.min(250);
        let rows = (0..group).map(|n| {
            let body = format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(dice.below(2_500) as usize));
            delivery(&format!("{left} {n}"), &body, Verdict::Accepted)
        });
        journal.writer.append(rows.collect(), NOW).unwrap();
        journal.seal();
        left -= group;
    }
    journal.writer.empty_wal().unwrap();
    place
}

fn verifies(files: &JournalFiles, key: &crate::tlog::VerifierKey) -> bool {
    let scope = Scope { public_key: Some(key.clone()), ..Scope::default() };
    verify_with(files, &scope, &mut |_| std::ops::ControlFlow::Continue(()))
        .is_ok_and(|report| report.is_ok())
}

fn copy_of(place: &Place) -> Place {
    let copy = Place::new();
    crate::files::create_private_dir(&copy.folder.path().join("anchor")).unwrap();
    for name in ["journal.db", "journal.key", "anchor/journal", "anchor/checkpoint"] {
        fs::copy(place.folder.path().join(name), copy.folder.path().join(name)).unwrap();
    }
    copy
}

/// Splits `count` rounds among two threads, each with a copy of its own, and adds up what they give.
fn on_both_cores<const N: usize>(
    place: &Place,
    count: u64,
    round: impl Fn(&Place, &mut Dice) -> [u64; N] + Sync,
) -> [u64; N] {
    let halves = std::thread::scope(|scope| {
        let threads = [1, 2].map(|seed| {
            let round = &round;
            scope.spawn(move || {
                let (copy, mut dice) = (copy_of(place), Dice(seed));
                (0..count / 2).map(|_| round(&copy, &mut dice)).fold([0; N], add)
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    halves.into_iter().fold([0; N], add)
}

fn add<const N: usize>(mut left: [u64; N], right: [u64; N]) -> [u64; N] {
    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
    left
}

/// Flips bits of the three files one at a time: how many `verifies` found, how many of the others stand in bytes that
/// hold nothing, how many it missed.
fn flipped(place: &Place, count: u64, verifies: impl Fn(&JournalFiles) -> bool + Sync) -> [u64; 3] {
    let used = slack::bytes_in_use(&fs::read(place.path()).unwrap());
    on_both_cores(place, count, |copy, dice| {
        let files = ["journal.db", "journal.db", "journal.db", "anchor/journal", "anchor/checkpoint"];
        let name = files[dice.below(5) as usize];
        let path = copy.folder.path().join(name);
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let bit = dice.below(file.metadata().unwrap().len() * 8);
        flip(&file, bit);
        let is_found = !verifies(&copy.files());
        flip(&file, bit);
        let is_used = name != "journal.db" || used[(bit / 8) as usize];
        [u64::from(is_found), u64::from(!is_found && !is_used), u64::from(!is_found && is_used)]
    })
}

#[test]
fn every_flipped_bit_of_anything_that_is_stored_is_found() {
    let place = grown(scaled(400, 10_000));
    let key = root_key(&place);
    let [found, unused, missed] = flipped(&place, scaled(400, 10_000), |files| verifies(files, &key));
    println!("flipped bits: {found} found, {unused} in bytes that hold nothing, {missed} missed");
    assert!(missed == 0 && found > 3 * unused);
    assert!(verifies(&place.files(), &key));
}

#[test]
fn a_flipped_bit_that_nothing_checks_would_be_seen() {
    let place = grown(100);
    // The planted fault: only what SQLite itself would notice is looked for.
    let sqlite_alone = |files: &JournalFiles| {
        let check =
            |db: Connection| db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        Connection::open(&files.database).and_then(check).is_ok_and(|said| said == "ok")
    };
    let [_, _, missed] = flipped(&place, 100, sqlite_alone);
    assert!(missed > 50, "{missed}");
}

fn flip(file: &fs::File, bit: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).unwrap();
    byte[0] ^= 1 << (bit % 8);
    file.write_all_at(&byte, bit / 8).unwrap();
}

/// An edit by somebody with a database tool who knows the format, but not the key.
fn edit(place: &Place, dice: &mut Dice) -> String {
    let count: i64 =
        place.intruder().query_row("SELECT max(seq) FROM journal_events", [], |row| row.get(0)).unwrap();
    let count = count as u64;
    let (one, other) = (1 + dice.below(count), 1 + dice.below(count));
    let other = if one == other { 1 + one % count } else { other };
    let column = ["name", "source", "summary", "tags", "delivery_id", "body_format", "principal"]
        [dice.below(7) as usize];
    let number = ["occurred_at", "recorded_at", "key_version", "replay_expires_at"][dice.below(4) as usize];
    match dice.below(16) {
        0 => format!("UPDATE journal_events SET {column} = {column} || 'x' WHERE seq = {one}"),
        1 => format!("UPDATE journal_events SET {number} = {number} + 1 WHERE seq = {one}"),
        2 => format!("UPDATE journal_events SET body = zeroblob(length(body)) WHERE seq = {one}"),
        3 => format!("DELETE FROM journal_events WHERE seq = {one}"),
        4 => format!("DELETE FROM journal_events WHERE seq >= {one}"),
        5 => format!(
            "UPDATE journal_events SET seq = -1 WHERE seq = {one}; UPDATE journal_events SET seq = {one} WHERE seq = \
             {other}; UPDATE journal_events SET seq = {other} WHERE seq = -1"
        ),
        6 => format!(
            "UPDATE journal_events SET body = (SELECT CAST(body || ' ' AS BLOB) FROM journal_events WHERE seq = {other}) WHERE seq = {one}"
        ),
        7 => "DELETE FROM replay_keys WHERE place = (SELECT place FROM replay_keys ORDER BY random() LIMIT 1)".to_owned(),
        8 => format!("UPDATE replay_runs SET expires_at = expires_at + 1 WHERE run = {one} % (SELECT count(*) FROM replay_runs)"),
        9 => "DELETE FROM journal_checkpoints WHERE number = (SELECT 1 + abs(random()) % max(number) FROM journal_checkpoints)".to_owned(),
        10 => "UPDATE journal_checkpoints SET size = size + 1 WHERE number = 1".to_owned(),
        11 => "DELETE FROM journal_subtrees WHERE place = 0".to_owned(),
        12 => format!("UPDATE journal_events SET hash = zeroblob(32) WHERE seq = {one}"),
        13 => format!("UPDATE journal_facets SET bits = randomblob(32) WHERE block = {one} / 256 % (SELECT 1 + max(block) FROM journal_facets)"),
        14 => "DELETE FROM journal_facets WHERE facet = 'severity' AND block = 0".to_owned(),
        _ => format!("INSERT INTO replay_keys VALUES (256000000 + {one}, zeroblob(10))"),
    }
}

#[test]
fn every_edit_of_the_structure_is_found() {
    let place = grown(scaled(400, 10_000));
    let key = root_key(&place);
    let database = fs::read(place.path()).unwrap();
    let [found, missed] = on_both_cores(&place, scaled(60, 1_000), |copy, dice| {
        let edit = match dice.below(8) {
            0 => rewritten(copy, dice),
            1 => {
                let anchor = fs::read(copy.files().anchor).unwrap();
                fs::write(copy.files().anchor, [&anchor[64..], &anchor[..64]].concat()).unwrap();
                "the records of the anchor in another order".to_owned()
            }
            _ => {
                let edit = edit(copy, dice);
                tamper(copy, &edit);
                edit
            }
        };
        let is_found = !verifies(&copy.files(), &key);
        if !is_found {
            println!("missed: {edit}");
        }
        restore(copy, &place, &database);
        [u64::from(is_found), u64::from(!is_found)]
    });
    println!("edits: {found} found, {missed} missed");
    assert_eq!(missed, 0);
}

/// History written anew with every hash, the anchor included.
fn rewritten(place: &Place, dice: &mut Dice) -> String {
    let head = place.reader().head().unwrap().seq;
    let from = 1 + dice.below(head);
    super::sealing::rewrite(place, from, |columns| columns.summary = "nothing happened".into());
    format!("all hashed again from {from} on")
}

fn restore(copy: &Place, place: &Place, database: &[u8]) {
    for name in ["journal.db-wal", "journal.db-shm"] {
        drop(fs::remove_file(copy.folder.path().join(name)));
    }
    fs::write(copy.path(), database).unwrap();
    let anchor: &Path = &place.files().anchor;
    fs::copy(anchor, copy.files().anchor).unwrap();
}

#[test]
fn an_untouched_journal_never_raises_an_alarm() {
    let place = grown(scaled(400, 10_000));
    let key = root_key(&place);
    let [verified] =
        on_both_cores(&place, scaled(20, 1_000), |copy, _| [u64::from(verifies(&copy.files(), &key))]);
    assert_eq!(verified, scaled(20, 1_000));
}
