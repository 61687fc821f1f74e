use serde_json::json;

use crate::cli::testing::{Stub, answer, cut_off, palyra, raw};

const NOTE: &str = "palyra.journal/X\n7\nAAA=\nepoch 0\n\n— palyra.journal/X AAAA\n";

#[test]
fn a_checkpoint_is_printed_byte_for_byte() {
    let stub = Stub::answering([answer(200, &json!({"size": 7, "checkpoint": NOTE}))]);
    let ran = palyra("journal checkpoint", &stub);
    assert_eq!((ran.stdout.as_str(), ran.code), (NOTE, 0));
    assert_eq!(stub.asked()[0].line, "POST /console/v1/journal/checkpoint");
}

#[test]
fn the_public_key_is_a_line() {
    let newest = json!({"size": 7, "origin": "palyra.journal/X", "public_key": "palyra.journal/X+00+AA"});
    let ran = palyra("journal public-key", &Stub::answering([answer(200, &newest)]));
    assert_eq!((ran.stdout.as_str(), ran.code), ("palyra.journal/X+00+AA\n", 0));
}

#[test]
fn a_file_that_is_no_key_is_a_fault_of_configuration() {
    let key = tempfile::NamedTempFile::new().unwrap();
    let path = key.path().to_str().unwrap();
    let ran = palyra(&format!("journal check-proof {path} --public-key {path}"), &Stub::answering([]));
    assert_eq!(ran.code, 78);
    assert!(ran.stderr.contains("palyra journal public-key"), "{}", ran.stderr);
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
    assert!(ran.stderr.contains("ended early, after 2 events"), "{}", ran.stderr);
    assert_ne!(ran.code, 0);
}
