//! The vectors of `tests/vectors`, each with its own clock.

use std::path::PathBuf;

use serde_json::Value;

use super::*;

/// Every line of every file.
pub fn all_lines() -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path| std::fs::read_to_string(path).unwrap();
    let texts: Vec<String> = files.map(read).collect();
    texts.iter().flat_map(|text| text.lines()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The case a line is.
pub fn case(line: &Value) -> Case {
    serde_json::from_value(line.clone()).unwrap()
}

fn all() -> Vec<Case> {
    all_lines().iter().map(case).collect()
}

#[test]
fn every_vector_is_accepted_or_refused_for_the_reason_it_names() {
    let catalogue = Catalogue::built_in().unwrap();
    let cases = all();
    let mut differences = Vec::new();
    for case in &cases {
        let (outcome, expected) = (case.run(catalogue.get(&case.provider).unwrap()), case.expected());
        if outcome != expected {
            differences.push(format!("{}/{}: {outcome:?}, not {expected:?}", case.provider, case.case));
        }
    }
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(cases.len(), 1_015);
}

#[test]
fn what_the_head_condemns_verification_refuses_for_the_same_reason() {
    let catalogue = Catalogue::built_in().unwrap();
    let mut condemned = 0;
    for case in all() {
        let profile = catalogue.get(&case.provider).unwrap();
        if let Err(reject) = profile.precheck(&case.headers()) {
            assert_eq!(Some(reject.reason.as_str()), case.expected().reason.as_deref(), "{}", case.case);
            condemned += 1;
        }
    }
    assert!(condemned > 100, "{condemned}");
}
