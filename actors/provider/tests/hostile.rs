//! Requests no provider would send: the parsers of every header format, fed with what is almost right.
//!
//! `fuzz/` has the same targets for a fuzzer that looks for new paths by itself.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::vectors::{all_lines, case};
use super::*;
use crate::limits::SIGNATURE_HEADER_BYTES_MAX;

/// Bytes that mean something in one header format or another.
const TELLING: [&str; 16] = [
    "=",
    ",",
    ";",
    " ",
    ".",
    ":",
    "v1=",
    "t=",
    "sha256=",
    "\"",
    "\u{0}",
    "é",
    "-1",
    "99999999999999999999",
    "A",
    ".",
];

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::built_in().unwrap());
static LINES: LazyLock<Vec<Value>> = LazyLock::new(all_lines);

#[derive(Debug, Clone)]
enum Change {
    Insert(Index, &'static str),
    Cut(Index),
    Keep(Index),
    Repeat(usize),
    Replace(String),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), select(TELLING.to_vec())).prop_map(|(at, text)| Change::Insert(at, text)),
        any::<Index>().prop_map(Change::Cut),
        any::<Index>().prop_map(Change::Keep),
        (2_usize..40).prop_map(Change::Repeat),
        ".{0,80}".prop_map(Change::Replace),
    ]
}

fn changed(text: &str, change: &Change) -> String {
    let chars: Vec<char> = text.chars().collect();
    let split = |at: &Index| chars.split_at(at.index(chars.len() + 1));
    let join = |parts: &[&[char]]| parts.concat().into_iter().collect::<String>();
    match change {
        Change::Insert(at, insert) => {
            let (before, after) = split(at);
            join(&[before, &insert.chars().collect::<Vec<_>>(), after])
        }
        Change::Cut(at) => join(&[split(at).0]),
        Change::Keep(at) => join(&[split(at).1]),
        Change::Repeat(times) => vec![text; *times].join(","),
        Change::Replace(text) => text.clone(),
    }
}

/// A place of a case where something can be changed: one of its headers, its URL, or its clock's reading.
fn change_case(line: &mut Value, place: &Index, by: &Change) {
    let headers = line["headers"].as_object_mut().unwrap();
    let at = place.index(headers.len() + 1);
    match headers.values_mut().nth(at) {
        Some(value) => *value = changed(value.as_str().unwrap(), by).into(),
        None => line["url"] = changed(line["url"].as_str().unwrap(), by).into(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if std::env::var_os("PALYRA_TEST_LONG").is_some() { 20_000 } else { 300 }))]

    #[test]
    fn what_is_almost_right_is_judged_and_never_brings_the_engine_down(
        changes in vec((any::<Index>(), any::<Index>(), change()), 8)
    ) {
        let (catalogue, lines) = (&*CATALOGUE, &*LINES);
        for (which, place, by) in changes {
            let mut line = which.get(lines).clone();
            change_case(&mut line, &place, &by);
            let case = case(&line);
            let outcome = case.run(catalogue.get(&case.provider).unwrap());
            prop_assert!(!matches!(outcome.end, CaseEnd::Untold(_)), "{outcome:?} {line}");
        }
    }

    #[test]
    fn any_changed_byte_of_a_signed_body_is_refused(which in any::<Index>(), at in any::<Index>(), flip in 1_u8..=255) {
        let catalogue = &*CATALOGUE;
        let signs_bytes = |line: &&Value| {
            let profile = catalogue.get(line["provider"].as_str().unwrap()).unwrap();
            let covered = profile.schemes.iter().all(|scheme| matches!(&scheme.proof,
                Proof::Signed(scheme) if scheme.content.covers_bytes()));
            covered && line["expect"] == "accept" && line["body_base64"] != ""
        };
        let lines: Vec<&Value> = LINES.iter().filter(signs_bytes).collect();
        let mut line = (*which.get(&lines)).clone();
        let mut body = signature::decode(line["body_base64"].as_str().unwrap(), Encoding::Base64).unwrap();
        let at = at.index(body.len());
        body[at] ^= flip;
        line["body_base64"] = signature::encode(&body, Encoding::Base64).into();
        let case = case(&line);
        let outcome = case.run(catalogue.get(&case.provider).unwrap());
        prop_assert_eq!(outcome.end, CaseEnd::Reject, "{}", line);
    }

    #[test]
    fn arbitrary_headers_never_verify(bytes in vec(any::<u8>(), 0..300)) {
        let catalogue = &*CATALOGUE;
        for profile in catalogue.iter().filter(|profile| profile.summary().scheme != "none") {
            let headers = vec![(header_of(profile), bytes.clone()), ("webhook-timestamp".to_owned(), bytes.clone())];
            let body = Body::new(bytes.clone(), ContentKind::Json);
            prop_assert!(profile.verify(&request("/", &headers, &body), &keys(SECRET), NOW).is_err());
        }
    }

    #[test]
    fn a_file_that_is_almost_a_profile_is_read_or_refused(which in any::<Index>(), line in any::<Index>(), by in change()) {
        let catalogue = &*CATALOGUE;
        let profiles: Vec<_> = catalogue.iter().collect();
        let mut lines: Vec<String> =
            which.get(&profiles).source_toml().lines().map(str::to_owned).collect();
        let line = line.index(lines.len());
        lines[line] = changed(&lines[line], &by);
        if let Err(refused) = lint("own.toml", &lines.join("\n")) {
            prop_assert!(refused.place.line >= 1 && !refused.message.is_empty());
        }
    }
}

fn header_of(profile: &Profile) -> String {
    let place = profile.summary().signature.pop().unwrap_or_default();
    place.strip_prefix("header ").unwrap_or("x-palyra-signature").to_owned()
}

#[test]
fn a_repeated_signature_header_is_refused_by_every_profile() {
    let catalogue = &*CATALOGUE;
    let mut tried = std::collections::BTreeSet::new();
    for line in LINES.iter().filter(|line| line["expect"] == "accept") {
        let case = case(line);
        let profile = catalogue.get(&case.provider).unwrap();
        let mut headers = case.headers();
        let name = header_of(profile);
        let Some(own) = headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(&name)).cloned() else {
            continue;
        };
        headers.push(own);
        let refused = case.run_with(profile, &headers);
        assert_eq!(refused.reason.as_deref(), Some("malformed_signature"), "{}/{}", case.provider, case.case);
        tried.insert(case.provider.clone());
    }
    assert!(tried.len() > 45, "{}", tried.len());
}

#[test]
fn a_signature_longer_than_16_kib_is_refused_by_every_profile_that_reads_one() {
    let catalogue = &*CATALOGUE;
    for line in LINES.iter().filter(|line| line["expect"] == "accept") {
        let case = case(line);
        let profile = catalogue.get(&case.provider).unwrap();
        if profile.summary().scheme == "token" || profile.summary().scheme == "none" {
            continue;
        }
        let mut headers = case.headers();
        let name = header_of(profile);
        let own = headers.iter_mut().find(|(own, _)| own.eq_ignore_ascii_case(&name));
        let Some((_, value)) = own else { continue };
        value.resize(SIGNATURE_HEADER_BYTES_MAX + 64, b'a');
        let refused = case.run_with(profile, &headers);
        assert_eq!(refused.reason.as_deref(), Some("malformed_signature"), "{}/{}", case.provider, case.case);
    }
}
