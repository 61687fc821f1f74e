//! Proofs, and how little of the journal they are made of.

use super::sealing::{open, root_key};
use super::*;

#[test]
fn a_proof_is_made_of_the_leaves_beside_it_and_of_stored_subtrees() {
    let place = Place::new();
    open(&place).grow(600).seal();
    let key = root_key(&place);
    tamper(&place, "UPDATE journal_events SET hash = zeroblob(32) WHERE seq = 1");
    let is_proven = |seq| place.reader().prove(seq).unwrap().check(&key).is_ok();
    assert!(!is_proven(2), "it stands beside the changed one");
    assert!(is_proven(300), "the subtree of the first 256 events is stored");
}
