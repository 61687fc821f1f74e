use super::super::pins::Pin;
use super::super::record::Record;
use super::*;

const WHOLE: &str = r#"{"ref":"global/a","created_at_unix_ms":1,"change":0,"versions":[
    {"version":2,"created_at_unix_ms":2,"value_base64":"djI="},{"version":1,"created_at_unix_ms":1,"value_base64":"djE="}]}"#;

fn decode(text: &str) -> Result<Record, &'static str> {
    Record::decode(text.as_bytes(), &vault_ref("global/a"))
}

#[test]
fn the_document_is_read_as_it_is_laid_down() {
    let record = decode(WHOLE).unwrap();
    let entry = record.entry(&vault_ref("global/a"));
    assert_eq!((entry.version, entry.versions), (2, 2));
    assert_eq!((entry.created_at_unix_ms, entry.updated_at_unix_ms), (1, 2));
    assert_eq!(values(&record.into_versions().unwrap()), [(2, "v2".to_owned()), (1, "v1".to_owned())]);
}

#[test]
fn the_document_is_written_as_it_is_read() {
    let name = vault_ref("global/a");
    let mut record = Record::new(secret("v1"), 1, Pin::default());
    record.push(secret("v2"), 2, Some(1));
    let written: serde_json::Value = serde_json::from_slice(&record.encode(&name).unwrap()).unwrap();
    assert_eq!(written, serde_json::from_str::<serde_json::Value>(WHOLE).unwrap());
}

#[test]
fn the_buffer_of_the_document_never_moves() {
    let name = vault_ref(&format!("global/{}", "k".repeat(128)));
    let mut record = Record::new(secret(&"v".repeat(1_000)), u64::MAX, Pin::default());
    record.push(secret("w"), u64::MAX, Some(1));
    let bytes = record.encode(&name).unwrap();
    // Grown buffers double: one that still has less than twice its content was large enough from the start.
    assert!(bytes.capacity() < 2 * bytes.len() && bytes.capacity() > bytes.len());
}

#[test]
fn one_blank_version_makes_the_whole_secret_unusable() {
    for blank in ["", " ", "\0"] {
        let mut record = Record::new(secret(blank), 1, Pin::default());
        record.push(secret("good"), 2, Some(1));
        assert!(record.into_versions().is_none(), "{blank:?}");
    }
}

#[test]
fn any_other_document_is_refused_and_its_content_not_named() {
    let table = [
        (WHOLE.replace("global/a", "global/b"), "another secret"),
        (WHOLE.replace("\"version\":2", "\"version\":1"), "order"),
        (WHOLE.replace("\"version\":2", "\"version\":0"), "order"),
        (WHOLE.replace("djI=", "canary"), "base64"),
        (WHOLE.replace("djI=", "djI"), "base64"),
        (WHOLE.replace("\"ref\"", "\"canary\":1,\"ref\""), "a newer palyra may"),
        (WHOLE.replace("\"version\":2", "\"version\":\"canary\""), "a newer palyra may"),
        (WHOLE.replace("\"version\":2", "\"version\":-1"), "a newer palyra may"),
        (format!("{WHOLE} canary"), "document"),
        (r#"{"ref":"global/a","created_at_unix_ms":1,"versions":[]}"#.to_owned(), "order"),
        ("canary".to_owned(), "document"),
        (String::new(), "document"),
    ];
    for (text, reason) in table {
        let refused = decode(&text).err().unwrap_or_else(|| panic!("{text} is read"));
        assert!(refused.contains(reason) && !refused.contains("canary"), "{text}: {refused}");
    }
    let third = r#"{"version":3,"created_at_unix_ms":3,"value_base64":"djM="},{"version":2"#;
    assert!(decode(&WHOLE.replacen(r#"{"version":2"#, third, 1)).is_err());
}
