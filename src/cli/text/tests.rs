use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

#[test]
fn deceptive_characters_are_written_as_escapes() {
    let table = [
        ("plain text, ünïcode 漢字 ✓", "plain text, ünïcode 漢字 ✓"),
        ("two\nlines\r\n\tand a tab", "two\\nlines\\r\\n\\tand a tab"),
        ("\u{1b}[2J\u{1b}[31mred", "\\u{1b}[2J\\u{1b}[31mred"),
        ("\u{1b}]8;;http://evil\u{7}link", "\\u{1b}]8;;http://evil\\u{7}link"),
        ("\u{9b}31m", "\\u{9b}31m"),
        ("abc\u{202e}cba", "abc\\u{202e}cba"),
        ("a\u{2066}b\u{2069}c\u{200d}d\u{feff}", "a\\u{2066}b\\u{2069}c\\u{200d}d\\u{feff}"),
        ("line\u{2028}para\u{2029}", "line\\u{2028}para\\u{2029}"),
        ("\u{0}\u{7f}", "\\u{0}\\u{7f}"),
    ];
    for (foreign, shown) in table {
        assert_eq!(visible(foreign), shown);
    }
}

#[test]
fn a_cell_is_cut_at_its_longest_and_not_before() {
    let fits = "x".repeat(CELL_CHARS_MAX);
    assert_eq!(clipped(&fits, CELL_CHARS_MAX), fits);
    let cut = clipped(&format!("{fits}y"), CELL_CHARS_MAX);
    assert_eq!(cut.chars().count(), CELL_CHARS_MAX);
    assert!(cut.ends_with("x…"));
}

#[test]
fn safe_json_keeps_what_the_document_says() {
    let value = json!({"k\u{202e}": "a\u{9b}b\u{e0041}c\u{7f}", "n": [1, 2]});
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    let safe = safe_json(&pretty);
    assert!(safe.contains("\\u202e") && safe.contains("\\udb40\\udc41"), "{safe}");
    assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), value);
    assert_eq!(safe_json("{\"a\":\r\n\t1}"), "{\"a\": \n\t1}");
}

#[test]
fn every_control_and_bidirectional_character_becomes_ascii() {
    let ranges = ['\u{0}'..='\u{1f}', '\u{7f}'..='\u{9f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    for c in ranges.into_iter().flatten() {
        let shown = visible(&c.to_string()).into_owned();
        assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{c:?} is shown as {shown:?}");
    }
}

proptest! {
    #[test]
    fn no_deceptive_character_survives_in_a_cell(text in any::<String>(), chars_max in 1_usize..80) {
        let cell = clipped(&text, chars_max);
        prop_assert!(!cell.contains(is_deceptive));
        prop_assert!(cell.chars().count() <= chars_max);
    }

    #[test]
    fn no_deceptive_character_survives_in_json_and_none_is_lost(text in any::<String>()) {
        let document = Value::String(text).to_string();
        let safe = safe_json(&document);
        prop_assert!(!safe.contains(is_deceptive));
        prop_assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), serde_json::from_str::<Value>(&document).unwrap());
    }
}
