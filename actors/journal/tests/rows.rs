//! One row: what is stored of an event, and what no writer would have stored.

use super::*;
use crate::ids::EventId;
use crate::journal::format::chain::ChainWalk;
use crate::journal::format::row::Columns;
use crate::limits::SUMMARY_BYTES_MAX;

#[test]
fn a_delivery_is_stored_column_for_column() {
    let place = Place::new();
    let mut writer = place.writer();
    let receipt = stored(append_one(&mut writer, delivery("k", "{}", Verdict::Accepted), NOW));
    let event = place.reader().event(1).unwrap().unwrap();
    let expected = StoredEvent {
        seq: 1,
        event_id: receipt.event_id,
        kind: EventKind::Webhook,
        name: "push".to_owned(),
        severity: Severity::Info,
        principal: "integration:gh".to_owned(),
        source: "octo/cat".to_owned(),
        integration_id: Some("gh".to_owned()),
        provider: Some("github".to_owned()),
        delivery_id: Some("d-1".to_owned()),
        key_version: Some(1),
        occurred_at: NOW - 5,
        recorded_at: NOW,
        summary: "push from octo/cat".to_owned(),
        tags: Vec::new(),
        claim: Some(claim("k", "{}", Verdict::Accepted)),
        body: b"{}".to_vec(),
        body_format: BodyFormat::Json,
        prev_hash: Digest([0; 32]),
        hash: receipt.leaf_hash,
    };
    assert_eq!(format!("{event:?}"), format!("{expected:?}"));
}

#[test]
fn a_system_event_is_stored_column_for_column() {
    let place = Place::new();
    let mut writer = place.writer();
    let said = SystemEvent {
        name: "webhook.rejected".to_owned(),
        severity: Severity::Warn,
        principal: "console".to_owned(),
        source: "octo/cat".to_owned(),
        integration_id: Some("gh".to_owned()),
        provider: Some("github".to_owned()),
        delivery_id: Some("d-1".to_owned()),
        summary: "it was refused".to_owned(),
        tags: vec!["a".to_owned(), "b".to_owned()],
        ..SystemEvent::new("", "")
    }
    .detail("k", 1);
    let receipt = stored(append_one(&mut writer, NewRow { event: NewEvent::System(said), claim: None }, NOW));
    let event = place.reader().event(1).unwrap().unwrap();
    let expected = StoredEvent {
        seq: 1,
        event_id: receipt.event_id,
        kind: EventKind::System,
        name: "webhook.rejected".to_owned(),
        severity: Severity::Warn,
        principal: "console".to_owned(),
        source: "octo/cat".to_owned(),
        integration_id: Some("gh".to_owned()),
        provider: Some("github".to_owned()),
        delivery_id: Some("d-1".to_owned()),
        key_version: None,
        occurred_at: NOW,
        recorded_at: NOW,
        summary: "it was refused".to_owned(),
        tags: vec!["a".to_owned(), "b".to_owned()],
        claim: None,
        body: b"{\"k\":1}".to_vec(),
        body_format: BodyFormat::Json,
        prev_hash: Digest([0; 32]),
        hash: receipt.leaf_hash,
    };
    assert_eq!(format!("{event:?}"), format!("{expected:?}"));
}

#[test]
fn the_summary_of_a_delivery_is_cut_between_characters() {
    let event = WebhookEvent { source: "é".repeat(SUMMARY_BYTES_MAX), ..webhook("{}") };
    let columns = Columns::new(NewEvent::Webhook(event), None, EventId::new(NOW, 7), NOW);
    assert!(columns.summary.starts_with("push from é") && columns.summary.ends_with('é'));
    assert!((SUMMARY_BYTES_MAX - 1..=SUMMARY_BYTES_MAX).contains(&columns.summary.len()));
}

#[test]
fn an_event_of_the_daemon_is_not_lost_because_its_summary_is_too_long() {
    let place = Place::new();
    let mut writer = place.writer();
    let event = SystemEvent::new("supervision.actor.restarted", "é".repeat(SUMMARY_BYTES_MAX));
    stored(append_one(&mut writer, NewRow { event: NewEvent::System(event), claim: None }, NOW));
    let summary = place.reader().event(1).unwrap().unwrap().summary;
    assert_eq!(summary, "é".repeat(SUMMARY_BYTES_MAX / 2));
}

/// A row as the writer links it, changed by `edit` and hashed anew.
fn forged(edit: impl FnOnce(&mut Columns<'_>)) -> Option<(i64, String)> {
    let claim = claim("k", "{}", Verdict::Accepted);
    let id = EventId::new(NOW, 7);
    let mut columns = Columns::new(NewEvent::Webhook(webhook("{}")), Some(&claim), id, NOW);
    edit(&mut columns);
    columns.link(&Head::EMPTY);
    ChainWalk::from_start().step(&columns)
}

#[test]
fn what_no_writer_would_have_stored_is_found_however_well_it_is_hashed() {
    assert_eq!(forged(|_| {}), None);
    let kind = forged(|columns| columns.kind = "other".into());
    assert_eq!(kind, Some((1, "its kind has a value that is not allowed".to_owned())));
    let body = forged(|columns| columns.body_digest = Digest::of(b"[]"));
    assert_eq!(body, Some((1, "its replay key was claimed with another body".to_owned())));
    let of_the_system = forged(|columns| {
        columns.kind = "system".into();
        columns.body_digest = Digest::of(b"[]");
    });
    assert_eq!(of_the_system, None, "what is told about a delivery has a body of its own");
}

#[test]
fn a_row_that_cannot_be_read_is_one_problem_and_not_two() {
    let place = Place::new();
    let mut writer = place.writer();
    for _ in 0..3 {
        stored(append_one(&mut writer, system("a"), NOW));
    }
    writer.empty_wal().unwrap();
    drop(writer);
    tamper(&place, "UPDATE journal_events SET summary = CAST(x'ff' AS TEXT) WHERE seq = 2");
    let seqs: Vec<_> =
        place.problems().iter().map(|problem| (problem.seq, problem.problem.clone())).collect();
    let told = |seq| seqs.iter().filter(|(own, _)| *own == seq).count();
    assert_eq!((told(2), told(3)), (1, 0), "{seqs:?}");
}
