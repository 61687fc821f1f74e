//! Events that no checkpoint covers although their log must have begun before them: what was signed was removed.

use std::fs;
use std::time::Duration;

use super::sealing::{first_problem, open, random, try_open};
use super::*;
use crate::journal::event::ROLLBACK_ACCEPTED;
use crate::journal::signing::sealer::Sealed;
use crate::journal::signing::unsigned_leaves::Leaves;

const ALL_REMOVED: &str = "0: it has events, but no checkpoint: its checkpoints were removed";

/// Removes the stored checkpoints with their subtrees, and the checkpoint file.
fn remove_signed(place: &Place) {
    tamper(place, "DELETE FROM journal_checkpoints; DELETE FROM journal_subtrees");
    fs::remove_file(place.files().checkpoint()).unwrap();
}

fn refusal(place: &Place, accept_rollback: bool) -> JournalError {
    try_open(place, NOW, accept_rollback).err().expect("it is not opened")
}

/// A first checkpoint over all events, signed by a new key and written to the checkpoint file.
fn sign_anew(place: &Place, events: u64) -> Sealed {
    let mut sealer = Sealer::begin_anew(&place.files(), random).unwrap();
    sealer.seal(&Leaves::forgotten(events), NOW).unwrap().unwrap()
}

#[test]
fn a_journal_whose_checkpoints_are_all_gone_does_not_pass_for_one_that_was_never_signed() {
    let place = Place::new();
    open(&place).grow(300).seal();
    remove_signed(&place);
    assert_eq!(first_problem(&place), ALL_REMOVED);
    let told = verify(&place.files()).unwrap().to_json(Duration::ZERO);
    assert_eq!(told["problems"][0]["concerns"], "unsigned", "{told}");
    let refusal = refusal(&place, false);
    assert!(matches!(refusal, JournalError::Lost { .. }), "{refusal}");
    drop(try_open(&place, NOW, true).unwrap());
    assert_eq!(place.problems(), [], "the loss was accepted");
    drop(open(&place));
}

#[test]
fn a_log_that_begins_over_events_without_an_accepted_loss_does_not_verify() {
    let place = Place::new();
    open(&place).grow(2);
    remove_signed(&place);
    let sealed = sign_anew(&place, 2);
    let insert = "INSERT INTO journal_checkpoints VALUES (1, 2, 'root', ?1)";
    tamper_with(&place, |db| assert_eq!(db.execute(insert, [&sealed.note]), Ok(1)));
    assert_eq!(
        first_problem(&place),
        "2: checkpoint 1 is not valid: it begins another log, although no loss was accepted"
    );
}

#[test]
fn a_first_checkpoint_over_events_is_not_taken_over_from_its_file() {
    let place = Place::new();
    open(&place).grow(2);
    remove_signed(&place);
    sign_anew(&place, 2);
    let refusal = refusal(&place, false);
    assert!(matches!(refusal, JournalError::Lost { .. }), "{refusal}");
    assert!(refusal.to_string().contains("its checkpoints are missing"), "{refusal}");
    assert_eq!(place.reader().checkpoint().unwrap(), None, "nothing was stored");
}

#[test]
fn the_name_of_a_webhook_event_accepts_no_loss() {
    let place = Place::new();
    let named = WebhookEvent { name: ROLLBACK_ACCEPTED.to_owned(), ..webhook("{}") };
    let row = NewRow { event: NewEvent::Webhook(named), claim: None };
    stored(append_one(&mut open(&place).writer, row, NOW));
    remove_signed(&place);
    assert_eq!(first_problem(&place), ALL_REMOVED);
    sign_anew(&place, 1);
    assert_eq!(
        first_problem(&place),
        "1: checkpoint 1 is not valid: it begins another log, although no loss was accepted"
    );
    let refusal = refusal(&place, false);
    assert!(matches!(refusal, JournalError::Lost { .. }), "{refusal}");
}

#[test]
fn a_journal_cut_back_to_an_accepted_loss_is_not_signed_anew_unasked() {
    let place = Place::new();
    open(&place).grow(2);
    remove_signed(&place);
    drop(try_open(&place, NOW, true).unwrap());
    remove_signed(&place);
    assert_eq!(first_problem(&place), ALL_REMOVED);
    let refusal = refusal(&place, false);
    assert!(matches!(refusal, JournalError::Lost { .. }), "{refusal}");
}

#[test]
fn a_log_that_was_to_begin_after_an_accepted_loss_when_the_process_was_killed_is_continued() {
    let place = Place::new();
    open(&place).grow(2);
    fs::remove_file(place.files().checkpoint()).unwrap();
    {
        let mut writer = Writer::open(&place.files(), random, true, NOW).unwrap();
        writer.accept(&Sealer::open(&place.files(), writer.head(), random).err().unwrap());
        let mut sealer = Sealer::begin_anew(&place.files(), random).unwrap();
        writer.record_rollback(NOW).unwrap();
        sealer.seal(&writer.take_leaves(), NOW).unwrap().expect("it is signed and not stored");
    }
    assert_eq!(place.problems(), []);
    drop(open(&place));
    assert_eq!(place.problems(), []);
    drop(open(&place));
}

#[test]
fn events_that_are_missing_although_their_checkpoints_are_not_are_no_loss_that_could_be_accepted() {
    let place = Place::new();
    open(&place).grow(4).seal();
    tamper(&place, "DELETE FROM journal_events WHERE seq > 2");
    let told = verify(&place.files()).unwrap().to_json(Duration::ZERO).to_string();
    assert!(told.contains("its stored checkpoints cover 4 events, but it has 2"), "{told}");
    for accept_rollback in [false, true] {
        let refusal = refusal(&place, accept_rollback);
        assert!(matches!(refusal, JournalError::Corrupt { seq: 3, .. }), "{refusal}");
    }
}

#[test]
fn index_rows_beyond_the_events_of_a_journal_with_a_loss_are_told_before_it_could_be_accepted() {
    for leftover in [
        "INSERT INTO journal_facets SELECT facet, value, 7, bits FROM journal_facets LIMIT 1",
        "INSERT INTO replay_keys SELECT place + 1000000, entries FROM replay_keys LIMIT 1",
    ] {
        let place = Place::new();
        open(&place).grow(300).seal();
        fs::remove_file(place.files().anchor).unwrap();
        tamper(&place, leftover);
        for accept_rollback in [false, true] {
            let refusal = refusal(&place, accept_rollback);
            assert!(refusal.to_string().contains("its indexes have rows of events"), "{refusal}");
        }
    }
}

#[test]
fn a_stored_size_that_no_checkpoint_can_have_is_found() {
    for number in [1, 2] {
        let place = Place::new();
        open(&place).grow(2).seal();
        tamper(&place, &format!("UPDATE journal_checkpoints SET size = -1 WHERE number = {number}"));
        assert!(first_problem(&place).contains("not all stored checkpoints can be verified"), "{number}");
        let refusal = refusal(&place, true);
        assert!(matches!(refusal, JournalError::Corrupt { .. }), "{number}: {refusal}");
    }
}

#[test]
fn parts_of_the_tree_that_are_left_without_checkpoints_are_told_before_a_loss_that_could_be_accepted() {
    for keeps_file in [false, true] {
        let place = Place::new();
        open(&place).grow(300).seal();
        tamper(&place, "DELETE FROM journal_checkpoints");
        if !keeps_file {
            fs::remove_file(place.files().checkpoint()).unwrap();
        }
        for accept_rollback in [false, true] {
            let refusal = refusal(&place, accept_rollback);
            assert!(refusal.to_string().contains("its tree has more parts"), "{refusal}");
        }
    }
}
