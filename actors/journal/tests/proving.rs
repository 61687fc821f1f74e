//! Proofs, and how little of the journal they are made of.

use super::sealing::{open, root_key};
use super::*;
use crate::ids::EventId;
use crate::journal::format::row::Columns;

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

fn entry_of(event: NewEvent, claim: Option<&ReplayClaim>) -> Vec<u8> {
    let mut columns = Columns::new(event, claim, EventId::new(NOW, 7), NOW);
    columns.link(&Head::EMPTY);
    format::entry::entry_of(&columns)
}

fn delivery_entry() -> Vec<u8> {
    entry_of(NewEvent::Webhook(webhook("{}")), Some(&claim("k", "{}", Verdict::Accepted)))
}

#[test]
fn an_entry_says_which_event_it_is() {
    let expected = ProvenEvent {
        seq: 1,
        event_id: EventId::new(NOW, 7).to_string(),
        kind: "webhook".to_owned(),
        name: "push".to_owned(),
        principal: "integration:gh".to_owned(),
        source: "octo/cat".to_owned(),
        integration_id: Some("gh".to_owned()),
        delivery_id: Some("d-1".to_owned()),
        recorded_at_unix_ms: NOW,
        summary: "push from octo/cat".to_owned(),
        body_sha256: Digest::of(b"{}"),
    };
    assert_eq!(ProvenEvent::read(&delivery_entry()), Some(expected));
}

#[test]
fn an_entry_of_an_event_that_is_about_no_delivery_is_read_too() {
    let expected = ProvenEvent {
        seq: 1,
        event_id: EventId::new(NOW, 7).to_string(),
        kind: "system".to_owned(),
        name: "a".to_owned(),
        principal: "palyra".to_owned(),
        source: "palyra".to_owned(),
        integration_id: None,
        delivery_id: None,
        recorded_at_unix_ms: NOW,
        summary: "b".to_owned(),
        body_sha256: Digest::of(b""),
    };
    let event = NewEvent::System(SystemEvent::new("a", "b"));
    assert_eq!(ProvenEvent::read(&entry_of(event, None)), Some(expected));
}

#[test]
fn what_is_not_a_whole_entry_says_nothing() {
    let entry = delivery_entry();
    for length in 0..entry.len() {
        assert_eq!(ProvenEvent::read(&entry[..length]), None, "{length} bytes of it");
    }
    assert_eq!(ProvenEvent::read(&[&entry[..], &[0]].concat()), None, "a byte more");
    let other_layout = [&[2], &entry[1..]].concat();
    assert_eq!(ProvenEvent::read(&other_layout), None);
    let integration = [&[1], &2_u64.to_be_bytes()[..], b"gh"].concat();
    let tag = entry.windows(integration.len()).position(|part| part == integration).unwrap();
    let neither = [&entry[..tag], &[2], &entry[tag + 1..]].concat();
    assert_eq!(ProvenEvent::read(&neither), None, "a value that is neither there nor not");
}
