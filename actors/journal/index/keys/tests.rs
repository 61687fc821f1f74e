use super::*;

const NOW: UnixMs = 1_700_000_000_000;

#[test]
fn an_entry_is_the_first_eight_bytes_of_the_key_and_its_place_in_the_run() {
    let mut run = OpenRun::default();
    run.insert(to_sql(RUN_EVENTS) + 3, Digest(std::array::from_fn(|at| 200 + at as u8)), 5);
    let entry = vec![200, 201, 202, 203, 204, 205, 206, 207, 0, 2];
    assert_eq!((run.parts(), run.expires_at), (vec![(200, entry)], 5));
}

#[test]
fn the_newest_runs_whose_windows_are_open_are_worth_a_filter() {
    let groups = KEY_FILTERS_MAX + 1;
    let worth = |runs: Vec<UnixMs>| {
        let index = ReplayKeyIndex { runs, ..ReplayKeyIndex::default() };
        (0..groups).filter(|group| index.is_worth_a_filter(*group, groups, NOW)).collect::<Vec<_>>()
    };
    let runs = groups * RUNS_PER_FILTER;
    assert_eq!(worth(vec![NOW + 1; runs]), (1..groups).collect::<Vec<_>>());
    for place in [0, RUNS_PER_FILTER - 1] {
        let mut ended = vec![NOW; runs];
        ended[5 * RUNS_PER_FILTER + place] = NOW + 1;
        assert_eq!(worth(ended), [5, groups - 1], "run {place} of group 5");
    }
}

#[test]
fn the_oldest_filter_makes_room_for_the_newest() {
    let mut index = ReplayKeyIndex::default();
    (0..KEY_FILTERS_MAX + 3).for_each(|_| index.begin_filter());
    let kept: Vec<bool> = index.filters.iter().map(Option::is_some).collect();
    assert_eq!(kept, [vec![false; 3], vec![true; KEY_FILTERS_MAX]].concat());
}

#[test]
fn a_filter_speaks_for_its_own_runs_and_the_others_are_asked() {
    let mut filter = KeyFilter::of_bytes(FILTER_BYTES);
    filter.insert(1 << 63);
    let index = ReplayKeyIndex { filters: vec![None, Some(filter)], ..ReplayKeyIndex::default() };
    let told = |prefix| [0, 1, 2].map(|group| may_hold(index.filters.get(group), prefix));
    assert_eq!((told(1 << 63), told(7)), ([true; 3], [true, false, true]));
}

fn empty_journal() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(include_str!("../../format/schema.sql")).unwrap();
    db
}

#[test]
fn the_last_run_of_a_filter_begins_the_next() {
    let db = empty_journal();
    let mut index = ReplayKeyIndex::open(&db, 0, NOW).unwrap();
    let mut store = || index.store(&db).map(|()| index.filters.len()).unwrap();
    let filters: Vec<_> = (0..=RUNS_PER_FILTER).map(|_| store()).collect();
    assert_eq!(filters, [vec![1; RUNS_PER_FILTER - 1], vec![2; 2]].concat());
}

#[test]
fn an_opened_index_has_a_filter_for_the_keys_to_come() {
    let db = empty_journal();
    for (complete, filters) in [(0, 1), (RUNS_PER_FILTER - 1, 1), (RUNS_PER_FILTER, 2)] {
        for run in 0..complete {
            let values = [run as u64, NOW + 1].map(to_sql);
            db.execute("INSERT OR IGNORE INTO replay_runs VALUES (?1, ?2)", values).unwrap();
        }
        let mut index = ReplayKeyIndex::open(&db, complete as u64 * RUN_EVENTS, NOW).unwrap();
        assert_eq!(index.filters.iter().flatten().count(), filters, "{complete} runs");
        index.add_to_filter(prefix(&Digest([9; 32])));
        let newest = index.filters.pop();
        assert!(may_hold(newest.as_ref(), prefix(&Digest([9; 32]))), "{complete} runs");
        assert!(!may_hold(newest.as_ref(), 7), "{complete} runs");
        assert!(index.filters.iter().all(|filter| !may_hold(Some(filter), prefix(&Digest([9; 32])))));
    }
}

#[test]
fn a_filter_has_16_bits_for_each_key_of_its_runs() {
    assert_eq!(FILTER_BYTES as u64 * 8, RUNS_PER_FILTER as u64 * RUN_EVENTS * 16);
}
