mod agreement;
mod reference;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(bytes: &[u8]) -> Result<Value, JsonError> {
    parse(bytes).map(|document| document.root().to_value())
}

fn refusal(text: &str) -> Option<(String, &'static str)> {
    match parse(text.as_bytes()) {
        Err(JsonError::Refused { pointer, reason }) => Some((pointer, reason)),
        _ => None,
    }
}

#[test]
fn duplicate_keys_are_refused_with_their_place() {
    assert_eq!(refusal(r#"{"a":1,"a":2}"#), Some(("/a".into(), DUPLICATE)));
    assert_eq!(refusal(r#"{"a":1,"\u0061":2}"#), Some(("/a".into(), DUPLICATE)));
    assert_eq!(refusal(r#"{"x":[1,{"a/b":{"k":1,"k":1}}]}"#), Some(("/x/1/a~1b/k".into(), DUPLICATE)));
}

#[test]
fn a_number_that_would_be_rounded_is_refused_with_its_place() {
    for (text, place) in [
        (r#"{"a":1,"b":[2.5,{"x/y":12345678901234567890123}]}"#, "/b/1/x~1y"),
        (r#"[0.1, "0.12345678901234567890", 0.12345678901234567890]"#, "/2"),
        ("9007199254740993.5", ""),
        ("[1e-400]", "/0"),
    ] {
        let refused = JsonError::Refused { pointer: place.to_owned(), reason: ROUNDED };
        assert_eq!(exact(text), Err(refused), "{text}");
    }
    let kept = r#"{"a":[18446744073709551615,-9223372036854775808,1.50,1E3,-0.0,0.1,5e-324],"b":"1e400"}"#;
    assert_eq!(exact(kept).unwrap(), serde_json::from_str::<Value>(kept).unwrap());
    assert_eq!(exact(r#"{"a":1,"a":1}"#), read(br#"{"a":1,"a":1}"#), "and so is what `parse` refuses");
}

#[test]
fn json_that_readers_could_disagree_about_is_refused() {
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    let digits = "9".repeat(4_000);
    for text in [deep.as_str(), &digits, "1e400", r#""\ud800""#, r#"{"a":"\udc00x"}"#] {
        let shown: String = text.chars().take(20).collect();
        assert_eq!(refusal(text), Some((String::new(), UNREADABLE)), "{shown}");
    }
}

#[test]
fn what_is_not_json_is_told_apart() {
    let hundred_thousand = "[".repeat(100_000);
    let texts: [&[u8]; 12] = [
        b"",
        b"Hello, World!",
        b"{} {}",
        b"NaN",
        b"{'a':1}",
        b"\xef\xbb\xbf{}",
        b"\"\xff\"",
        b"{\0\"\0a\0",
        b"[1,]",
        b"{\"a\":01}",
        b"truex",
        hundred_thousand.as_bytes(),
    ];
    for text in texts {
        let shown = String::from_utf8_lossy(&text[..text.len().min(20)]).into_owned();
        assert!(matches!(parse(text), Err(JsonError::NotJson { .. })), "{shown}");
    }
}

#[test]
fn a_million_keys_are_read_in_linear_time() {
    let members: Vec<String> = (0..1_000_000).map(|n| format!("\"k{n}\":0")).collect();
    let text = format!("{{{}}}", members.join(","));
    assert_eq!(parse(text.as_bytes()).unwrap().root().members().count(), 1_000_000);
}

#[test]
fn members_stand_in_the_order_of_the_text() {
    let document = parse(br#"{"update_id":1,"z":{"b":0},"\u0061":[2]}"#).unwrap();
    assert_eq!(document.root().members().map(|(key, _)| key).collect::<Vec<_>>(), ["update_id", "z", "a"]);
    let array = parse(br#"[{"b":0},"c"]"#).unwrap();
    assert_eq!(array.root().members().count(), 0);
    assert_eq!(
        array.root().items().map(Element::to_value).collect::<Vec<_>>(),
        [json!({"b": 0}), json!("c")]
    );
}

#[test]
fn only_white_space_outside_strings_is_dropped() {
    assert_eq!(compact("{ \"a b\\\" \\\\\" :\n [1.0 ,\t-0 ] }"), r#"{"a b\" \\":[1.0,-0]}"#);
}

#[test]
fn numbers_that_a_double_changes_are_found() {
    let survive =
        ["1", "-0", "0.1", "1.0", "1e3", "100e-2", "9007199254740992", "1.5e300", "\"12345678901234567890\""];
    let change = [
        "9007199254740993",
        "0.1234567890123456789",
        "1e999",
        "12345678901234567890",
        "[1,{\"a\":9007199254740993}]",
    ];
    for text in survive {
        assert!(numbers_survive_double(text.as_bytes()), "{text}");
    }
    for text in change {
        assert!(!numbers_survive_double(text.as_bytes()), "{text}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6).prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    #[test]
    fn a_document_without_duplicates_reads_as_serde_json_reads_it(value in any_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn compacting_changes_no_value_and_is_done_once(value in any_json()) {
        let text = serde_json::to_string_pretty(&value).unwrap();
        let compacted = compact(&text);
        prop_assert_eq!(parse(compacted.as_bytes()).unwrap(), parse(text.as_bytes()).unwrap());
        prop_assert_eq!(compact(&compacted), compacted.clone());
        prop_assert!(!compacted.contains('\n'));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _outcome = parse(&bytes).is_ok();
        let _survive = numbers_survive_double(&bytes);
    }
}
