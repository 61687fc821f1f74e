//! Events that no checkpoint covers although their log must have begun before them: what was signed was removed.

use std::fs;

use super::sealing::{first_problem, open, random, try_open};
use super::*;
use crate::journal::signing::unsigned_leaves::Leaves;

#[test]
fn a_journal_whose_checkpoints_are_all_gone_does_not_pass_for_one_that_was_never_signed() {
    let place = Place::new();
    open(&place).grow(300).seal();
    tamper(&place, "DELETE FROM journal_checkpoints; DELETE FROM journal_subtrees");
    fs::remove_file(place.files().checkpoint()).unwrap();
    assert_eq!(first_problem(&place), "0: it has events, but no checkpoint: its checkpoints were removed");
    let refusal = try_open(&place, NOW, false).err().unwrap();
    assert!(matches!(refusal, JournalError::Lost { .. }), "{refusal}");
    drop(try_open(&place, NOW, true).unwrap());
    assert_eq!(place.problems(), [], "the loss was accepted");
    drop(open(&place));
}

#[test]
fn a_log_that_begins_over_events_without_an_accepted_loss_does_not_verify() {
    let place = Place::new();
    open(&place).grow(2);
    tamper(&place, "DELETE FROM journal_checkpoints; DELETE FROM journal_subtrees");
    fs::remove_file(place.files().checkpoint()).unwrap();
    let mut sealer = Sealer::begin_anew(&place.files(), random).unwrap();
    let sealed = sealer.seal(&Leaves::forgotten(2), NOW).unwrap().unwrap();
    drop(sealer);
    let insert = "INSERT INTO journal_checkpoints VALUES (1, 2, 'root', ?1)";
    tamper_with(&place, |db| assert_eq!(db.execute(insert, [&sealed.note]), Ok(1)));
    assert_eq!(
        first_problem(&place),
        "2: checkpoint 1 is not valid: it begins another log, although no loss was accepted"
    );
}
