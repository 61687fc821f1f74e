//! How signatures, and the times beside them, are read from the text of a header.

use super::form::SignatureItem;
use super::*;
use crate::limits::{SIGNATURE_CANDIDATES_MAX, SIGNATURE_HEADER_BYTES_MAX};

fn form(split: &str, pair: Option<&str>) -> SignatureForm {
    SignatureForm {
        from: vec![Locator::Header("s".into())],
        encoding: Encoding::Hex,
        prefixes: Vec::new(),
        split_lists: None,
        split: Some(split.into()),
        pair: pair.map(str::to_owned),
        key: pair.map(|_| "v1".to_owned()).into_iter().collect(),
        trim: false,
    }
}

/// The time and the candidates of each list in `texts`.
fn lists(
    texts: &[&str],
    form: &SignatureForm,
    time: &SignatureItem,
) -> Result<Vec<(Option<String>, usize)>, Reject> {
    let read = signature::read(texts, form, Some(time), |_| true)?;
    Ok(read.iter().map(|list| (list.time.map(str::to_owned), list.candidates.len())).collect())
}

#[test]
fn a_signature_of_16_kib_is_read_and_one_that_is_longer_is_not() {
    let read = |bytes: usize| {
        let (text, form) = ("ab".repeat(bytes / 2), form(",", None));
        signature::read(&[&text], &form, None, |_| true).map(|lists| lists[0].candidates[0].len())
    };
    assert_eq!(read(SIGNATURE_HEADER_BYTES_MAX), Ok(SIGNATURE_HEADER_BYTES_MAX / 2));
    assert!(read(SIGNATURE_HEADER_BYTES_MAX + 2).is_err());
}

#[test]
fn signatures_are_tried_beside_the_time_of_their_own_list() {
    let lined = SignatureForm { split_lists: Some(" ".into()), ..form(",", Some("=")) };
    let time = SignatureItem::Named("t".into());
    let told = |at: &str, count| (Some(at.to_owned()), count);
    let read = |texts: &[&str]| lists(texts, &lined, &time).unwrap();
    assert_eq!(read(&["t=1,v1=ab t=2,v1=cd,v1=ef"]), [told("1", 1), told("2", 2)]);
    assert_eq!(read(&["t=1,v1=ab t=1,v1=cd"]), [told("1", 2)], "beside one time they are one list");
    assert_eq!(read(&["t=1,v0=ab  t=2,v1=cd"]), [told("2", 1)], "a list without signatures is none");
    assert_eq!(read(&["v1=ab t=2,v1=cd"]), [(None, 1), told("2", 1)]);
    assert_eq!(read(&["t=1,t=2,v1=ab"]), [told("1", 1)], "the first time is the one");
    assert_eq!(read(&["t=1,v1=ab", "t=2,v1=cd"]), [told("1", 1), told("2", 1)]);
}

#[test]
fn a_time_that_has_no_name_is_known_by_its_place() {
    let form = form(",", None);
    let read = |text: &str, at| lists(&[text], &form, &SignatureItem::At(at)).unwrap();
    assert_eq!(read("12,ab,cd", 0), [(Some("12".to_owned()), 2)]);
    assert_eq!(read("ab,12", 1), [(Some("12".to_owned()), 1)]);
    assert_eq!(read("ab", 1), [(None, 1)]);
}

#[test]
fn at_most_eight_signatures_are_tried_in_all_places_and_lists() {
    let lined = SignatureForm { split_lists: Some(" ".into()), ..form(",", Some("=")) };
    let time = SignatureItem::Named("t".into());
    let text = |count: usize| (0..count).map(|n| format!("t={n},v1=ab")).collect::<Vec<_>>().join(" ");
    assert_eq!(lists(&[&text(8)], &lined, &time).unwrap().len(), SIGNATURE_CANDIDATES_MAX);
    assert!(lists(&[&text(9)], &lined, &time).is_err());
    assert_eq!(lists(&[&text(4), &text(4)], &lined, &time).unwrap().len(), 4);
    assert!(lists(&[&text(4), &text(5)], &lined, &time).is_err());
}

#[test]
fn several_names_are_signatures_and_a_prefix_stands_behind_the_name_too() {
    let mut form = form(",", Some("="));
    form.key = vec!["v1".into(), "v2".into()];
    let count = |text: &str, form: &SignatureForm| {
        signature::read(&[text], form, None, |_| true).map_or(0, |lists| lists[0].candidates.len())
    };
    assert_eq!(count("v1=ab,v2=cd,v3=ef", &form), 2);
    form.prefixes = vec!["sha256=".into()];
    assert_eq!(count("v1=sha256=ab,v2=cd", &form), 1);
    assert_eq!(count("v1=ab,v2=cd", &form), 0);
}

#[test]
fn what_is_written_in_a_form_is_read_in_it() {
    let (code, now) = ([0xab; 32], "12");
    let pairs = SignatureForm { prefixes: vec!["p".into()], ..form(",", Some("=")) };
    let items: [(SignatureForm, SignatureItem); 4] = [
        (pairs, SignatureItem::Named("t".into())),
        (form(",", None), SignatureItem::At(0)),
        (form(",", None), SignatureItem::At(1)),
        (form(",", None), SignatureItem::At(3)),
    ];
    for (form, time) in items {
        let text = signature::write(&code, &form, Some((&time, now)));
        let read = signature::read(&[&text], &form, Some(&time), |_| true).unwrap();
        assert_eq!((read[0].time, read[0].candidates[0].as_slice()), (Some(now), &code[..]), "{text}");
    }
}

#[test]
fn at_most_eight_signatures_are_tried() {
    let form = form(",", Some("="));
    let tried =
        |text: &str| signature::read(&[text], &form, None, |_| true).map(|lists| lists[0].candidates.len());
    let header = |count| vec![format!("v1={}", "ab".repeat(32)); count].join(",");
    assert_eq!(tried(&header(8)), Ok(8));
    assert!(tried(&header(9)).is_err());
    assert!(tried(&header(5_000)).is_err());
}
