//! The vectors of `tests/vectors`, each with its own clock.

use std::path::PathBuf;

use serde_json::Value;

use super::*;

/// Every line of every file.
pub fn all_lines() -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path: &PathBuf| path.is_file());
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

/// Profiles of forms that no provider of ours has, with requests that Python and OpenSSL signed.
#[test]
fn every_form_of_a_signature_is_verified_as_it_was_signed_elsewhere() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/forms");
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let cases: Vec<Case> =
        text("forms.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for case in &cases {
        let file = format!("{}.toml", case.provider);
        let profile = text(&file);
        let errors = lint(&file, &profile).unwrap();
        let errors: Vec<_> = errors.iter().filter(|one| one.weight == Weight::Error).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
        let profile = load::load(&file, &profile).unwrap();
        assert_eq!(case.run(&profile), case.expected(), "{}/{}", case.provider, case.case);
        if let Err(reject) = profile.precheck(&case.headers()) {
            assert_eq!(Some(reject.reason.as_str()), case.expected().reason.as_deref(), "{}", case.case);
        }
    }
    assert!(cases.len() > 40, "{}", cases.len());
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
