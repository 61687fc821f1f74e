//! The tape reads what the tree of values reads, and refuses what it refuses, with the same words.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::*;

const SCALARS: [&str; 14] = [
    "null",
    "true",
    "0",
    "-0",
    "-1",
    "1.0",
    "1e3",
    "1e-400",
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    r#""\u0061\n\"é""#,
    r#""\ud83d\ude00""#,
];
const UNREADABLE_SCALARS: [&str; 6] = ["01", "1e400", "-1e400", "NaN", r#""\ud800""#, ""];
const KEYS: [&str; 9] =
    [r#""""#, r#""a""#, r#""\u0061""#, r#""b""#, r#""a/b""#, r#""a~b""#, r#""~1""#, r#""é""#, r#""\u00e9""#];
const UNREADABLE_KEYS: [&str; 3] = [r#""\udc00""#, "1", ""];

/// One of `most`, or seldom one of `few`.
fn mostly(most: &'static [&str], few: &'static [&str]) -> impl Strategy<Value = String> {
    prop_oneof![40 => select(most), 1 => select(few)].prop_map(str::to_owned)
}

/// JSON text, or almost: keys come twice, and now and then something cannot be read.
fn text() -> impl Strategy<Value = String> {
    let scalar = mostly(&SCALARS, &UNREADABLE_SCALARS);
    container(scalar.prop_recursive(3, 40, 5, container).boxed())
}

fn container(inner: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let member =
        (mostly(&KEYS, &UNREADABLE_KEYS), inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
    let object = vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(",\n")));
    let array = vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(" ,")));
    prop_oneof![2 => object, 1 => array].boxed()
}

/// An object of more keys than are compared one by one, some of them twice.
fn wide_text() -> impl Strategy<Value = String> {
    let key =
        prop_oneof![99 => (0..5_000_u32).prop_map(|n| format!("k{n}")), 1 => Just("\\u006b7".to_owned())];
    let member = key.prop_map(|key| format!("\"{key}\":[{{\"{key}\":1}}]"));
    vec(member, 0..60).prop_map(|members| format!("{{{}}}", members.join(",")))
}

/// Bytes that are common in JSON, so that chance finds its way into it.
fn json_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&b"{}[]\",: \\u0d8a1-+.eEtrufalsn\n\0\xc3\xa9\xff"[..]), 0..40)
}

#[derive(Debug, Clone)]
enum Change {
    Put(u8),
    Insert(u8),
    Remove,
    Cut,
    Twice,
}

fn change() -> impl Strategy<Value = Change> {
    let byte = || prop_oneof![any::<u8>(), select(&b"{}[]\",:\\u0"[..])];
    prop_oneof![
        byte().prop_map(Change::Put),
        byte().prop_map(Change::Insert),
        Just(Change::Remove),
        Just(Change::Cut),
        Just(Change::Twice),
    ]
}

fn changed(mut bytes: Vec<u8>, at: Index, change: &Change) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let at = at.index(bytes.len());
    match change {
        Change::Put(byte) => bytes[at] = *byte,
        Change::Insert(byte) => bytes.insert(at, *byte),
        Change::Remove => drop(bytes.remove(at)),
        Change::Cut => bytes.truncate(at),
        Change::Twice => bytes.extend_from_within(at..),
    }
    bytes
}

fn agree(bytes: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!(read(bytes), reference::parse(bytes));
    agree_in_depth(bytes)
}

/// Where the quick pass takes a text, the thorough one reads the same, number by number.
fn agree_in_depth(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Some(document) = std::str::from_utf8(bytes).ok().and_then(plain::document) else { return Ok(()) };
    let thorough = read::thoroughly(bytes).ok();
    prop_assert_eq!(Some(document), thorough);
    Ok(())
}

/// Every pointer into `value`, its own included.
fn pointers(value: &Value, own: &str, found: &mut Vec<String>) {
    found.push(own.to_owned());
    let segment = |key: &str| key.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Array(items) => {
            let indexed = items.iter().enumerate();
            indexed.for_each(|(index, item)| pointers(item, &format!("{own}/{index}"), found));
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, item)| pointers(item, &format!("{own}/{}", segment(key)), found));
        }
        _ => {}
    }
}

fn same_place(pointer: &str, tape: &Document, tree: &Value) -> Result<(), TestCaseError> {
    let (ours, theirs) = (tape.root().pointer(pointer), tree.pointer(pointer));
    prop_assert_eq!(ours.map(Element::to_value), theirs.cloned(), "{}", pointer);
    prop_assert_eq!(ours.and_then(Element::scalar), theirs.and_then(reference::scalar), "{}", pointer);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn on_arbitrary_bytes(bytes in vec(any::<u8>(), 0..100), likely in json_bytes()) {
        agree(&bytes)?;
        agree(&likely)?;
    }

    #[test]
    fn on_text_that_is_almost_json(text in text(), wide in wide_text()) {
        agree(text.as_bytes())?;
        agree(wide.as_bytes())?;
    }

    #[test]
    fn on_changed_text(value in any_json(), changes in vec((any::<Index>(), change()), 1..4)) {
        let text = serde_json::to_vec_pretty(&value).unwrap();
        agree(&changes.into_iter().fold(text, |bytes, (at, change)| changed(bytes, at, &change)))?;
    }

    #[test]
    fn on_what_stands_where(value in any_json(), wild in "(/(0|1|2|00|\\+1|-1|a|~0|~1|~01|~|)){0,3}|a") {
        let text = serde_json::to_vec(&value).unwrap();
        let (tape, tree) = (parse(&text).unwrap(), reference::parse(&text).unwrap());
        let mut all = vec![wild];
        pointers(&tree, "", &mut all);
        for pointer in all {
            same_place(&pointer, &tape, &tree)?;
            same_place(&format!("{pointer}/0"), &tape, &tree)?;
        }
        prop_assert_eq!(Document::from(&tree).root().to_value(), tree);
    }
}

#[test]
fn nothing_of_an_ordinary_document_needs_the_thorough_pass() {
    let text = r#" {"a":[1,-2.5e3,true,false,null,{}],"text":"é \" \u0041\ud83d\ude00\n",
        "long":"0123456789abcdef \\ 0123456789abcdef","b":{"c":[ ],"d":[[0]]}} "#;
    assert!(plain::document(text).is_some());
    agree(text.as_bytes()).unwrap();
}

#[test]
fn on_where_a_string_ends_whatever_stands_before() {
    let ends = [
        r#"""#,
        r#"\"""#,
        r#"\\""#,
        r#"\u0000""#,
        r"\",
        "",
        "\u{0}\"",
        "\u{1f}\"",
        "\u{7f}\"",
        "!\"",
        "[\"",
        "é\"",
    ];
    for before in 0..24 {
        for end in ends {
            let text = format!("[\"{}{end}]", "x".repeat(before));
            agree(text.as_bytes()).unwrap();
            agree(text.replace('x', "é").as_bytes()).unwrap();
        }
    }
}

#[test]
fn on_an_index_that_is_written_in_another_way() {
    let (text, keys) =
        (b"[[1,2],{\"00\":3,\"+1\":4,\"~1\":5}]", ["0", "00", "+0", "-0", "1", "01", "+1", "2", ""]);
    let (tape, tree) = (parse(text).unwrap(), reference::parse(text).unwrap());
    for key in keys {
        same_place(&format!("/0/{key}"), &tape, &tree).unwrap();
        same_place(&format!("/1/{key}"), &tape, &tree).unwrap();
    }
    for pointer in ["/1/~01", "/1/~1", "/", "0", "/0/", "/2"] {
        same_place(pointer, &tape, &tree).unwrap();
    }
}

#[test]
fn on_the_depth_and_on_keys_that_come_late() {
    for depth in [126, 127, 128, 129] {
        agree(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes()).unwrap();
        agree(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).as_bytes()).unwrap();
    }
    for keys in [15, 16, 17, 18, 40] {
        let members: Vec<String> = (0..keys).map(|n| format!("\"k{n}\":{{\"k0\":{{}}}}")).collect();
        for again in [
            "\"inner\":{\"outer\":1},\"outer\":1",
            "\"k0\":1",
            "\"\\u006b1\":1",
            "\"other\":1,\"other\":1",
            "\"other\":1",
        ] {
            agree(format!("[{{{},{again}}},{{\"k0\":1}}]", members.join(",")).as_bytes()).unwrap();
        }
    }
}
