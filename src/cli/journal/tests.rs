use serde_json::json;

use crate::cli::testing::{Stub, answer, cut_off, palyra, raw};

#[test]
fn a_journal_that_verifies_says_over_what() {
    let verdict = json!({"verified": true, "events": 3, "head_seq": 3, "head_hash": "ab", "problems": [], "elapsed_ms": 12});
    let stub = Stub::answering([answer(200, &verdict)]);
    let ran = palyra("journal verify", &stub);
    assert_eq!(ran.stdout, "verified   yes\nevents     3\nhead seq   3\nhead hash  ab\ntook       12 ms\n");
    assert_eq!((ran.code, stub.asked()[0].line.as_str()), (0, "POST /console/v1/journal/verify"));
}

#[test]
fn a_journal_that_does_not_verify_names_the_places_and_ends_with_65() {
    let verdict = json!({"verified": false, "events": 3, "head_seq": 3, "head_hash": "ab", "elapsed_ms": 12,
        "problems": [{"seq": 2, "problem": "the leaf hash differs"}, {"seq": null, "problem": "the tail is missing"}]});
    let ran = palyra("journal verify", &Stub::answering([answer(200, &verdict)]));
    assert!(
        ran.stdout.ends_with("seq  problem\n  2  the leaf hash differs\n  -  the tail is missing\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.starts_with("palyra: the journal does not verify: 2 problems\n"), "{}", ran.stderr);
    assert_eq!(ran.code, 65);
    let ran = palyra("--json journal verify", &Stub::answering([answer(200, &verdict)]));
    assert_eq!((ran.json(), ran.code), (verdict, 65));
}

#[test]
fn an_export_is_the_lines_as_they_come() {
    let lines = "{\"seq\":1,\"envelope\":{\"v\":1}}\n{\"seq\":2}\n";
    let stub = Stub::answering([raw(200, "content-type: application/x-ndjson", lines)]);
    let ran = palyra("journal export", &stub);
    assert_eq!(
        (ran.stdout.as_str(), ran.code, stub.asked()[0].line.as_str()),
        (lines, 0, "GET /console/v1/journal/export")
    );
}

#[test]
fn an_export_that_breaks_off_is_a_failure_that_says_where() {
    let ran = palyra("journal export", &Stub::answering([cut_off("{\"seq\":1}\n{\"seq\":2}\n")]));
    assert_eq!(ran.stdout, "{\"seq\":1}\n{\"seq\":2}\n");
    assert!(ran.stderr.contains("broke off after 2 events"), "{}", ran.stderr);
    assert_ne!(ran.code, 0);
}
