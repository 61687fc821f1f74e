//! Signed checkpoints and proofs, as an operator and an auditor meet them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::dice::Dice;
use crate::support::seed::scaled;
use crate::support::{
    Answer, Daemon, add_github, events_named, eventually, fail, json, run, state_root, succeed, write_private,
};

/// A daemon with some events, and its public key in a file.
struct Journal {
    root: tempfile::TempDir,
    daemon: Option<Daemon>,
}

impl Journal {
    fn with_events(count: usize) -> Self {
        let root = state_root();
        let daemon = Daemon::start(root.path());
        let journal = Self { root, daemon: Some(daemon) };
        for number in 0..count {
            journal.emit();
            if number % 7 == 3 {
                journal.palyra(&["journal", "checkpoint"]);
            }
        }
        let key = journal.palyra(&["journal", "public-key"]);
        fs::write(journal.key(), key).unwrap();
        journal
    }

    fn console(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.daemon.as_ref().unwrap().console(self.root.path(), method, path, body)
    }

    fn emit(&self) {
        let body = br#"{"name": "test"}"#;
        let answer = self.console("POST", "/console/v1/system/events/emit", body);
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Beside the state root, not in it: it is what an auditor has.
    fn beside(&self, name: &str) -> PathBuf {
        self.root.path().with_extension(name)
    }

    fn key(&self) -> PathBuf {
        self.beside("pub")
    }

    fn palyra(&self, args: &[&str]) -> String {
        succeed(self.root.path(), args, b"")
    }

    fn prove(&self, event: &str) -> Value {
        serde_json::from_str(&self.palyra(&["journal", "prove", event])).unwrap()
    }

    fn check(&self, proof: &[u8]) -> (Option<i32>, String) {
        let file = self.beside("proof");
        fs::write(&file, proof).unwrap();
        let nowhere = Path::new("/nonexistent");
        let key = self.key();
        let args = ["journal", "check-proof", file.to_str().unwrap(), "--public-key", key.to_str().unwrap()];
        let output = run(nowhere, &args, b"");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        for name in ["pub", "proof", "old", "db"] {
            drop(fs::remove_file(self.beside(name)));
        }
    }
}

/// Runs the second implementation over proofs, one a line.
fn second_opinion(key: &Path, proofs: &[String]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rigs/check_proof.py");
    let mut python = Command::new("python3");
    let mut child = python
        .arg(script)
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed");
    let mut stdin = child.stdin.take().unwrap();
    let lines = proofs.join("\n") + "\n";
    let writing = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn an_event_is_proven_by_its_seq_or_id_and_checked_without_a_journal() {
    let journal = Journal::with_events(5);
    let proof = journal.prove("3");
    let by_id = journal.prove(proof["event_id"].as_str().unwrap());
    assert_eq!(proof, by_id);
    let (code, said) = journal.check(proof.to_string().as_bytes());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("holds           yes") && said.contains(proof["event_id"].as_str().unwrap()),
        "{said}"
    );
    for unknown in ["999", "01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        let output = run(journal.root.path(), &["journal", "prove", unknown], b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no event has"));
    }
}

#[test]
#[ignore = "needs python3"]
fn two_implementations_agree_on_every_proof_and_refuse_every_forged_one() {
    let journal = Journal::with_events(scaled(60, 600));
    let mut dice = Dice::new();
    let head = json(journal.root.path(), &["system", "heartbeat"])["journal"]["head_seq"].as_u64().unwrap();
    // Checkpoints of many sizes are made as the events come: each is proven by the first that covers it.
    let proofs: Vec<Value> = (1..=head)
        .map(|seq| {
            let path = format!("/console/v1/journal/proof/{seq}");
            journal.console("GET", &path, b"").json()
        })
        .collect();
    let rounds = scaled(100, 1_000);
    let good: Vec<String> = (0..rounds).map(|_| proofs[dice.below(proofs.len())].to_string()).collect();
    let verdicts = second_opinion(&journal.key(), &good);
    assert_eq!(verdicts.len(), rounds);
    assert!(verdicts.iter().all(|verdict| verdict.starts_with("ok ")), "{verdicts:?}");
    let forged: Vec<String> = (0..rounds).map(|_| forge(&mut dice, &proofs)).collect();
    let verdicts = second_opinion(&journal.key(), &forged);
    assert_eq!(verdicts.len(), rounds);
    for (forged, verdict) in forged.iter().zip(&verdicts) {
        assert!(verdict.starts_with("refused "), "{verdict}: {forged}");
        let (code, said) = journal.check(forged.as_bytes());
        assert_eq!(code, Some(65), "{said}: {forged}");
    }
    let (code, _) = journal.check(good[0].as_bytes());
    assert_eq!(code, Some(0));
}

/// A proof with another seq, size, hash, event or signature than it was made with.
fn forge(dice: &mut Dice, proofs: &[Value]) -> String {
    let mut proof = proofs[dice.below(proofs.len())].clone();
    let seq = proof["seq"].as_u64().unwrap();
    let other = proofs.iter().find(|other| other["checkpoint"] != proof["checkpoint"]).unwrap();
    let flip_hex = |text: &str, at: usize| {
        let mut bytes = hex::decode(text).unwrap();
        bytes[at % 32] ^= 1 << (at % 8);
        Value::from(hex::encode(bytes))
    };
    let path = proof["path"].as_array().unwrap().len();
    match dice.below(7) {
        0 => proof["seq"] = Value::from(seq + 1),
        1 => proof["leaf_hash"] = flip_hex(proof["leaf_hash"].as_str().unwrap(), dice.below(256)),
        2 if path > 0 => {
            let at = dice.below(path);
            proof["path"][at] = flip_hex(proof["path"][at].as_str().unwrap(), dice.below(256));
        }
        3 => proof["checkpoint"] = other["checkpoint"].clone(),
        4 => proof["entry"] = other["entry"].clone(),
        5 => {
            let leaf_hash = proof["leaf_hash"].clone();
            proof["path"].as_array_mut().unwrap().push(leaf_hash);
        }
        _ => {
            let note = proof["checkpoint"].as_str().unwrap();
            let grown = note.replacen('\n', &format!("\n{}", 1 + dice.below(9)), 1);
            proof["checkpoint"] = Value::from(grown);
        }
    }
    proof.to_string()
}

#[test]
fn a_checkpoint_that_was_kept_shows_that_the_journal_is_still_the_same() {
    let journal = Journal::with_events(4);
    let kept = journal.palyra(&["journal", "checkpoint"]);
    fs::write(journal.beside("old"), &kept).unwrap();
    (0..3).for_each(|_| journal.emit());
    journal.palyra(&["journal", "checkpoint"]);
    let old = journal.beside("old");
    let proof = journal.palyra(&["journal", "consistency", old.to_str().unwrap(), "newest"]);
    let (code, said) = journal.check(proof.as_bytes());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("contains the first ") && said.contains(" unchanged"), "{said}");
    let other = Journal::with_events(9);
    let output = run(other.root.path(), &["journal", "consistency", old.to_str().unwrap(), "newest"], b"");
    assert_eq!(output.status.code(), Some(65), "a checkpoint of another journal");
    let (code, _) = other.check(proof.as_bytes());
    assert_eq!(code, Some(65), "and its proof means nothing to another key");
}

#[test]
fn a_daemon_that_signs_no_checkpoint_keeps_no_backup_from_being_made() {
    let (root, copies) = (state_root(), state_root());
    add_github(root.path());
    let back_up = |name: &str| {
        let copy = copies.path().join(name);
        let output = run(root.path(), &["journal", "backup", copy.to_str().unwrap()], b"");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{name}: {said}");
        json(root.path(), &["journal", "verify", "--database", copy.to_str().unwrap()]);
        said
    };
    assert_eq!(back_up("no-daemon"), "");
    let faults = [("FAILPOINTS", "journal::sign=1*panic->off")];
    let daemon = Daemon::start_with(root.path(), &[], &faults);
    let said = back_up("not-signed");
    assert!(said.contains("without a signed checkpoint over them"), "{said}");
    eventually("it signs again", || run(root.path(), &["journal", "checkpoint"], b"").status.success());
    assert_eq!(back_up("signed"), "");
    fs::remove_file(root.path().join("admin.token")).unwrap();
    let said = back_up("not-asked");
    assert!(
        said.contains("without a signed checkpoint over them") && said.contains("`admin.token`"),
        "{said}"
    );
    drop(daemon);
}

#[test]
fn a_copy_of_a_journal_that_is_not_there_is_refused_with_where_it_was_looked_for() {
    let root = state_root();
    write_private(&root.path().join("palyra.toml"), "");
    let copy = root.path().join("copy.db");
    let refused = run(root.path(), &["journal", "backup", copy.to_str().unwrap()], b"");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("no journal to copy at") && said.contains("journal.db"), "{said}");
    assert!(!said.contains("not there yet") && !copy.try_exists().unwrap(), "{said}");
}

#[test]
fn a_backup_is_made_beside_the_daemon_and_verifies_anywhere() {
    let journal = Journal::with_events(5);
    let (copy, key) = (journal.beside("db"), journal.key());
    let said = journal.palyra(&["journal", "backup", copy.to_str().unwrap()]);
    assert!(said.contains("copied to") && said.contains("verified"), "{said}");
    journal.emit();
    let nowhere = Path::new("/nonexistent");
    let args =
        ["journal", "verify", "--database", copy.to_str().unwrap(), "--public-key", key.to_str().unwrap()];
    let verdict = json(nowhere, &args);
    assert_eq!((verdict["verified"].as_bool(), verdict["missing"].as_u64()), (Some(true), Some(0)));
    assert_eq!(verdict["events"], verdict["checkpoint_size"], "all of it is signed");
    let again = run(journal.root.path(), &["journal", "backup", copy.to_str().unwrap()], b"");
    assert_eq!(again.status.code(), Some(1), "nothing is written over");
    // Restored on a machine that has neither anchor nor key, it is taken once that is accepted, and named.
    let elsewhere = state_root();
    crate::support::write_private(&elsewhere.path().join("journal.db"), "");
    fs::copy(&copy, elsewhere.path().join("journal.db")).unwrap();
    crate::support::write_private(&elsewhere.path().join("webhooks.toml"), "version = 1\n");
    drop(Daemon::start_with(elsewhere.path(), &["--accept-rollback"], &[]));
    assert_eq!(events_named(elsewhere.path(), "journal.rollback.accepted").len(), 1);
    succeed(elsewhere.path(), &["journal", "verify"], b"");
    let output = run(elsewhere.path(), &["journal", "verify", "--public-key", key.to_str().unwrap()], b"");
    assert_eq!(output.status.code(), Some(65), "the first journal's key does not vouch for what came after");
}

#[test]
fn what_was_signed_before_an_accepted_loss_is_still_proven_by_the_key_of_then() {
    let mut journal = Journal::with_events(5);
    let (key, old, proof) = (journal.key(), journal.beside("checkpoint"), journal.beside("proof"));
    fs::write(&old, journal.palyra(&["journal", "checkpoint"])).unwrap();
    journal.emit();
    let (newer, forged) = (journal.beside("newer"), journal.beside("forged"));
    let note = journal.palyra(&["journal", "checkpoint"]);
    fs::write(&newer, &note).unwrap();
    let root_line = note.lines().nth(2).unwrap().to_owned();
    let another = fs::read_to_string(&old).unwrap().lines().nth(2).unwrap().to_owned();
    fs::write(&forged, note.replace(&root_line, &another)).unwrap();
    let (root, old) = (journal.root.path().to_owned(), old.to_str().unwrap());
    journal.daemon.take().unwrap().kill();
    fs::remove_file(root.join("anchor/checkpoint")).unwrap();
    let _daemon = Daemon::start_with(&root, &["--accept-rollback"], &[]);
    let proven = run(&root, &["journal", "prove", "2"], b"");
    assert!(proven.status.success());
    let said = String::from_utf8_lossy(&proven.stderr).into_owned();
    assert!(said.contains("belongs to an earlier log") && said.contains("check-proof"), "{said}");
    fs::write(&proof, &proven.stdout).unwrap();
    let check = ["journal", "check-proof", proof.to_str().unwrap(), "--public-key", key.to_str().unwrap()];
    succeed(Path::new("/nonexistent"), &check, b"");
    write_private(&key, &succeed(&root, &["journal", "public-key"], b""));
    assert!(fail(&root, &check, 65).contains("try the key kept from before"));
    let refused = run(&root, &["journal", "consistency", old, "newest"], b"");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(65) && said.contains("belong to two logs"), "{said}");
    let both = run(&root, &["journal", "consistency", old, newer.to_str().unwrap()], b"");
    let said = String::from_utf8_lossy(&both.stderr).into_owned();
    assert!(both.status.success() && said.contains("its signature is not checked here"), "{said}");
    let third = journal.beside("third");
    fs::write(&third, format!("another/log\n{}", note.split_once('\n').unwrap().1)).unwrap();
    let of_two = run(&root, &["journal", "consistency", old, third.to_str().unwrap()], b"");
    let said = String::from_utf8_lossy(&of_two.stderr).into_owned();
    assert!(of_two.status.code() == Some(65) && said.contains("belong to two logs"), "{said}");
    let forged = run(&root, &["journal", "consistency", old, forged.to_str().unwrap()], b"");
    let said = String::from_utf8_lossy(&forged.stderr).into_owned();
    assert!(forged.status.code() == Some(65) && said.contains("cannot prove"), "{said}");
}

/// The exit code of the heartbeat, and what it says.
fn heartbeat(root: &Path) -> (Option<i32>, Value) {
    let output = run(root, &["--json", "system", "heartbeat"], b"");
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn the_daemon_verifies_all_of_its_journal_in_the_background_and_tells_what_it_finds() {
    let mut journal = Journal::with_events(5);
    let verification = |root: &Path| {
        let mut found = Value::Null;
        eventually("the journal is verified", || {
            found = heartbeat(root).1["verification"].clone();
            found["state"] != "running" && found["state"] != "none"
        });
        found
    };
    assert_eq!(verification(journal.root.path())["state"], "verified");
    succeed(journal.root.path(), &["journal", "checkpoint"], b"");
    let root = journal.root.path().to_owned();
    let daemon = journal.daemon.take().unwrap();
    daemon.signal("TERM");
    assert!(daemon.wait(Duration::from_secs(30)).success());
    // In an index, where a start does not look.
    let db = rusqlite::Connection::open(root.join("journal.db")).unwrap();
    db.execute_batch("INSERT INTO replay_keys VALUES (256, zeroblob(10))").unwrap();
    drop(db);
    let daemon = Daemon::start(&root);
    let found = verification(&root);
    assert_eq!((found["state"].as_str(), found["first_bad_seq"].as_u64()), (Some("failed"), None), "{found}");
    eventually("it is journaled", || events_named(&root, "journal.verification.failed").len() == 1);
    let (code, heartbeat) = heartbeat(&root);
    assert_eq!(code, Some(1));
    assert_eq!((heartbeat["status"].as_str(), heartbeat["ready"].as_bool()), (Some("degraded"), Some(true)));
    assert!(heartbeat["reasons"][0].as_str().unwrap().contains("palyra journal verify"), "{heartbeat}");
    drop(daemon);
}

#[test]
fn a_backup_that_cannot_be_made_says_why_and_what_to_do() {
    let root = state_root();
    add_github(root.path());
    let elsewhere = state_root();
    let said = |file: &std::path::Path| {
        let output = run(root.path(), &["journal", "backup", file.to_str().unwrap()], b"");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let there = elsewhere.path().join("there.db");
    write_private(&there, "mine");
    assert!(said(&there).contains(&format!("`{}` exists already", there.display())));
    assert!(said(&elsewhere.path().join("missing/a.db")).contains("create its folder first"));
}

#[test]
fn a_database_that_was_cut_does_not_verify() {
    let root = state_root();
    add_github(root.path());
    drop(Daemon::start(root.path()));
    let copy = root.path().join("copy.db");
    succeed(root.path(), &["journal", "backup", copy.to_str().unwrap()], b"");
    let whole = copy.metadata().unwrap().len();
    let file = std::fs::File::options().write(true).open(&copy).unwrap();
    for (kept, filled_up_to, what) in
        [(20_480, 20_480, ""), (20_480, whole, "problem"), (0, 0, "copy.db is empty")]
    {
        file.set_len(kept).unwrap();
        file.set_len(filled_up_to).unwrap();
        let output = run(root.path(), &["journal", "verify", "--database", copy.to_str().unwrap()], b"");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.code() == Some(65) && said.contains(what), "{said}");
    }
}

#[test]
fn a_database_that_was_emptied_does_not_verify_and_keeps_its_log() {
    let root = state_root();
    let daemon = Daemon::with_github(root.path());
    let (path, log) = (root.path().join("journal.db"), root.path().join("journal.db-wal"));
    assert_eq!(daemon.github("push", "1", "{}").status, 202);
    daemon.kill();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    let logged = log.metadata().unwrap().len();
    let output = run(root.path(), &["journal", "verify"], b"");
    assert_eq!(output.status.code(), Some(65), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(log.metadata().unwrap().len(), logged);
}
