//! Pages against a naive model.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Spec {
    webhook: bool,
    name: usize,
    integration: usize,
    severity: usize,
    step_ms: u64,
}

const NAMES: [&str; 3] = ["push", "ping", "note"];
const INTEGRATIONS: [&str; 3] = ["gh", "st", "sl"];
const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Warn, Severity::Error];

fn row(spec: &Spec) -> NewRow {
    let name = NAMES[spec.name].to_owned();
    let id = INTEGRATIONS[spec.integration].to_owned();
    let event = if spec.webhook {
        NewEvent::Webhook(WebhookEvent { name, integration_id: id, ..webhook("{}") })
    } else {
        let event = SystemEvent::new(name, "it happened").severity(SEVERITIES[spec.severity]);
        NewEvent::System(if spec.integration == 0 { event } else { event.about(id) })
    };
    NewRow { event, claim: None }
}

fn matches(filter: &EventFilter, event: &StoredEvent) -> bool {
    let text = |text: &str| {
        let text = text.to_ascii_lowercase();
        [&event.name, &event.summary, &event.source, event.delivery_id.as_ref().unwrap_or(&String::new())]
            .iter()
            .any(|field| field.to_ascii_lowercase().contains(&text))
    };
    filter.kind.is_none_or(|kind| kind == event.kind)
        && filter.name.as_ref().is_none_or(|name| *name == event.name)
        && filter.integration_id.is_none_or_eq(&event.integration_id)
        && filter.severity.is_none_or(|severity| severity == event.severity)
        && filter.since.is_none_or(|since| event.recorded_at >= since)
        && filter.delivery_id.is_none_or_eq(&event.delivery_id)
        && filter.contains.as_deref().is_none_or(text)
}

trait NoneOrEq {
    fn is_none_or_eq(&self, other: &Self) -> bool;
}

impl NoneOrEq for Option<String> {
    fn is_none_or_eq(&self, other: &Self) -> bool {
        self.is_none() || self == other
    }
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let spec = (any::<bool>(), 0..3_usize, 0..3_usize, 0..3_usize, 0..3_u64).prop_map(
        |(webhook, name, integration, severity, step_ms)| Spec {
            webhook,
            name,
            integration,
            severity,
            step_ms,
        },
    );
    prop::collection::vec(spec, 0..60)
}

fn filters() -> impl Strategy<Value = EventFilter> {
    let kind = prop::option::of(prop::sample::select(vec![EventKind::Webhook, EventKind::System]));
    let name = prop::option::of(prop::sample::select(NAMES.to_vec()));
    let integration = prop::option::of(prop::sample::select(INTEGRATIONS.to_vec()));
    let severity = prop::option::of(prop::sample::select(SEVERITIES.to_vec()));
    let since = prop::option::of(NOW..NOW + 70);
    let contains = prop::option::of(prop::sample::select(vec!["CAT", "p", "d-1", "nothing"]));
    let delivery = prop::option::weighted(0.2, prop::sample::select(vec!["d-1", "d-2"]));
    (kind, name, integration, severity, since, contains, delivery).prop_map(
        |(kind, name, integration, severity, since, contains, delivery)| EventFilter {
            kind,
            name: name.map(str::to_owned),
            integration_id: integration.map(str::to_owned),
            severity,
            since,
            contains: contains.map(str::to_owned),
            delivery_id: delivery.map(str::to_owned),
        },
    )
}

fn fill(specs: &[Spec]) -> Place {
    let place = Place::new();
    let mut writer = place.writer();
    let mut now = NOW;
    for spec in specs {
        now += spec.step_ms;
        stored(append_one(&mut writer, row(spec), now));
    }
    place
}

fn seqs(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_page_holds_what_a_walk_over_all_events_finds(
        specs in specs(), filters in prop::collection::vec(filters(), 8), at in 0..70_u64, limit in 1..20_usize,
    ) {
        let place = fill(&specs);
        let reader = place.reader();
        let all: Vec<_> = (1..=specs.len() as u64).map(|seq| reader.event(seq).unwrap().unwrap()).collect();
        for filter in filters {
            let found: Vec<u64> = all.iter().filter(|event| matches(&filter, event)).map(|event| event.seq).collect();
            let newest = |found: Vec<u64>| found[found.len().saturating_sub(limit)..].to_vec();
            let page = |cursor| seqs(&reader.page(&filter, cursor, limit).unwrap().events);
            prop_assert_eq!(page(Cursor::Newest), newest(found.clone()));
            let before = found.iter().copied().filter(|seq| *seq < at).collect();
            prop_assert_eq!(page(Cursor::Before(at)), newest(before));
            let after: Vec<u64> = found.iter().copied().filter(|seq| *seq > at).take(limit).collect();
            prop_assert_eq!(page(Cursor::After(at)), after);
        }
    }

    #[test]
    fn following_the_cursors_meets_every_event_once(
        specs in specs(), filter in filters(), start in 0..70_u64, limit in 1..9_usize,
    ) {
        let place = fill(&specs);
        let reader = place.reader();
        let head = specs.len() as u64;
        let found: Vec<u64> = (1..=head).filter(|seq| matches(&filter, &reader.event(*seq).unwrap().unwrap())).collect();

        let first = reader.page(&filter, Cursor::After(start), limit).unwrap();
        let (mut forward, mut after) = (seqs(&first.events), first.next_after);
        while let Some(seq) = after.filter(|seq| *seq < head) {
            let page = reader.page(&filter, Cursor::After(seq), limit).unwrap();
            forward.extend(seqs(&page.events));
            after = page.next_after;
        }
        prop_assert_eq!(after.is_none(), head == 0);
        prop_assert_eq!(&forward, &found.iter().copied().filter(|seq| *seq > start).collect::<Vec<_>>());

        let mut backward = Vec::new();
        let mut before = first.next_before;
        while let Some(seq) = before {
            let page = reader.page(&filter, Cursor::Before(seq), limit).unwrap();
            backward.splice(0..0, seqs(&page.events));
            before = page.next_before;
        }
        prop_assert_eq!(backward, found.into_iter().filter(|seq| *seq <= start).collect::<Vec<_>>());
    }
}

#[test]
fn a_page_of_none_or_of_more_than_a_page_is_refused() {
    let place = fill(&[]);
    let of = |limit| place.reader().page(&EventFilter::default(), Cursor::Newest, limit);
    assert!(matches!(of(1_001), Err(JournalError::PageLength { asked: 1_001, max: 1_000 })));
    assert!(matches!(of(0), Err(JournalError::PageLength { asked: 0, .. })));
}

#[test]
fn a_page_ends_when_its_bodies_are_large() {
    let place = Place::new();
    let mut writer = place.writer();
    let body = "x".repeat(3 * 1024 * 1024);
    for _ in 0..5 {
        stored(append_one(
            &mut writer,
            NewRow { event: NewEvent::Webhook(webhook(&body)), claim: None },
            NOW,
        ));
    }
    let reader = place.reader();
    let page = reader.page(&EventFilter::default(), Cursor::After(0), 50).unwrap();
    assert_eq!((seqs(&page.events), page.next_after), (vec![1, 2, 3], Some(3)));
    let page = reader.page(&EventFilter::default(), Cursor::Newest, 50).unwrap();
    assert_eq!((seqs(&page.events), page.next_before), (vec![3, 4, 5], Some(3)));
}

/// A journal of several complete blocks and a part of one, written in groups.
fn several_blocks() -> (Place, Vec<Spec>) {
    let spec = |n: usize| Spec {
        webhook: !n.is_multiple_of(3),
        name: n / 100 % 3,
        integration: n / 7 % 3,
        severity: usize::from(n.is_multiple_of(97)),
        step_ms: n as u64 % 2,
    };
    let specs: Vec<Spec> = (0..1_100).map(spec).collect();
    let place = Place::new();
    let mut writer = place.writer();
    for chunk in specs.chunks(100) {
        writer.append(chunk.iter().map(row).collect(), NOW).unwrap();
    }
    (place, specs)
}

#[test]
fn pages_over_many_blocks_hold_what_a_walk_over_all_events_finds() {
    let (place, specs) = several_blocks();
    let reader = place.reader();
    let all: Vec<_> = (1..=specs.len() as u64).map(|seq| reader.event(seq).unwrap().unwrap()).collect();
    let integration_id = Some(INTEGRATIONS[1].to_owned());
    let name = Some(NAMES[2].to_owned());
    let filters = [
        EventFilter { kind: Some(EventKind::System), ..EventFilter::default() },
        EventFilter { integration_id: integration_id.clone(), name, ..EventFilter::default() },
        EventFilter { severity: Some(Severity::Warn), integration_id, ..EventFilter::default() },
        EventFilter { name: Some("never".to_owned()), ..EventFilter::default() },
        EventFilter {
            kind: Some(EventKind::Webhook),
            contains: Some("CAT".into()),
            ..EventFilter::default()
        },
    ];
    for filter in filters {
        let found: Vec<u64> =
            all.iter().filter(|event| matches(&filter, event)).map(|event| event.seq).collect();
        let (mut forward, mut after) = (Vec::new(), 0);
        while after < specs.len() as u64 {
            let page = reader.page(&filter, Cursor::After(after), 30).unwrap();
            forward.extend(seqs(&page.events));
            after = page.next_after.unwrap();
        }
        assert_eq!(forward, found, "{filter:?}");
        let (mut backward, mut before) = (Vec::new(), Some(u64::MAX));
        while let Some(seq) = before {
            let page = reader.page(&filter, Cursor::Before(seq), 30).unwrap();
            backward.splice(0..0, seqs(&page.events));
            before = page.next_before;
        }
        assert_eq!(backward, found, "{filter:?}");
    }
}

#[test]
fn a_tampered_index_puts_nothing_into_a_page_that_does_not_belong_there() {
    let (place, _) = several_blocks();
    tamper(&place, &format!("UPDATE journal_facets SET bits = x'{}'", "ff".repeat(32)));
    let filter = EventFilter { kind: Some(EventKind::System), ..EventFilter::default() };
    let page = place.reader().page(&filter, Cursor::After(0), 1_000).unwrap();
    assert!(!page.events.is_empty() && page.events.iter().all(|event| event.kind == EventKind::System));
}

#[test]
fn a_page_ends_when_it_has_cost_enough_and_says_where_to_go_on() {
    let place = Place::new();
    let mut writer = place.writer();
    let events = crate::limits::PAGE_EXAMINED_MAX + 100;
    for first in (0..events).step_by(1_000) {
        let rows = (first..events.min(first + 1_000)).map(|_| system("a")).collect();
        writer.append(rows, NOW).unwrap();
    }
    let filter = EventFilter { contains: Some("nowhere".to_owned()), ..EventFilter::default() };
    let page = place.reader().page(&filter, Cursor::Newest, 50).unwrap();
    assert_eq!((page.events.len(), page.next_before), (0, Some(101)));
    let page = place.reader().page(&filter, Cursor::Before(101), 50).unwrap();
    assert_eq!((page.events.len(), page.next_before), (0, None));
}

/// 9 complete blocks of events named `many`, but for eight in the middle, which are named `few`.
fn blocks_of_one_name() -> Place {
    let place = Place::new();
    let mut writer = place.writer();
    for block in 0..9 {
        let name = |n| if block == 4 && n < 8 { "few" } else { "many" };
        writer.append((0..256).map(|n| system(name(n))).collect(), NOW).unwrap();
    }
    place
}

fn named(name: &str) -> EventFilter {
    EventFilter { name: Some(name.to_owned()), ..EventFilter::default() }
}

#[test]
fn a_page_over_blocks_goes_on_after_the_last_one_it_could_afford() {
    let place = blocks_of_one_name();
    let filter = EventFilter { contains: Some("nowhere".to_owned()), ..named("many") };
    // Seven whole blocks and what is left of the other, and one more for each of them.
    assert_eq!(7 * 256 + 248 + 8, crate::limits::PAGE_EXAMINED_MAX);
    let page = place.reader().page(&filter, Cursor::After(0), 50).unwrap();
    assert_eq!((page.events.len(), page.next_after), (0, Some(8 * 256)));
    let page = place.reader().page(&filter, Cursor::Newest, 50).unwrap();
    assert_eq!((page.events.len(), page.next_before), (0, Some(257)));
}

#[test]
fn a_rare_value_is_found_in_one_page_however_long_the_journal_is() {
    let page = blocks_of_one_name().reader().page(&named("few"), Cursor::Newest, 50).unwrap();
    assert_eq!((seqs(&page.events), page.next_before), ((1_025..1_033).collect(), None));
}

#[test]
fn a_page_may_come_from_a_single_event() {
    let place = blocks_of_one_name();
    for filter in [named("many"), EventFilter::default()] {
        let page = place.reader().page(&filter, Cursor::Before(2), 50).unwrap();
        assert_eq!(seqs(&page.events), [1], "{filter:?}");
    }
}
