use super::*;

#[test]
fn every_way_to_write_a_time_is_understood() {
    let table = [
        ("2026-07-01T12:00:00Z", Since::At(1_782_907_200_000)),
        ("2026-07-01T14:00:00+02:00", Since::At(1_782_907_200_000)),
        ("2026-07-01T12:00:00.250Z", Since::At(1_782_907_200_250)),
        ("1782907200000", Since::At(1_782_907_200_000)),
        (" 15m ", Since::Ago(900_000)),
        ("30s", Since::Ago(30_000)),
        ("2h", Since::Ago(7_200_000)),
        ("3d", Since::Ago(259_200_000)),
        ("1w", Since::Ago(604_800_000)),
        ("0s", Since::Ago(0)),
    ];
    for (text, since) in table {
        assert_eq!(text.parse(), Ok(since), "{text}");
    }
}

#[test]
fn anything_else_is_refused_with_the_forms_that_are_not() {
    let table = [
        ("", "write a time"),
        ("yesterday", "write a time"),
        ("2026-07-01", "write a time"),
        ("2026-07-01 12:00", "write a time"),
        ("2026-13-01T00:00:00Z", "write a time"),
        ("m", "write a time"),
        ("-5m", "write a time"),
        ("1.5h", "write a time"),
        ("5é", "write a time"),
        ("99999999999999999999w", "write a time"),
        ("18446744073709551615d", "write a time"),
        ("1969-12-31T23:59:59Z", "before 1970"),
        ("1782907200", "1782907200000"),
        ("99999999999999999999999", "too many digits"),
    ];
    for (text, reason) in table {
        let refused = text.parse::<Since>().unwrap_err();
        assert!(refused.contains(reason), "{text}: {refused}");
    }
}

#[test]
fn a_span_counts_back_from_now_and_stops_at_1970() {
    assert_eq!(Since::Ago(1_000).resolve(5_000), 4_000);
    assert_eq!(Since::Ago(9_000).resolve(5_000), 0);
    assert_eq!(Since::At(7).resolve(5_000), 7);
}

#[test]
fn times_and_spans_read_well() {
    assert_eq!(time_text(1_782_907_200_250), "2026-07-01T12:00:00Z");
    assert_eq!(time_text(0), "1970-01-01T00:00:00Z");
    assert_eq!(time_text(u64::MAX), u64::MAX.to_string());
    let spans =
        [(0, "0s"), (59, "59s"), (301, "5m 1s"), (7_200, "2h"), (273_601, "3d 4h"), (86_401, "1d 1s")];
    for (seconds, text) in spans {
        assert_eq!(span_text(seconds), text);
    }
}

#[test]
fn a_moment_is_a_time_or_seconds_and_nothing_else() {
    let moment = |text: &str| text.parse::<Moment>().map(|moment| moment.0);
    for text in ["1782907200", "2026-07-01T12:00:00Z", " 2026-07-01T14:00:00+02:00 "] {
        assert_eq!(moment(text), Ok(1_782_907_200_000), "{text}");
    }
    assert!(moment("1782907200000").unwrap_err().contains("did you mean 1782907200 seconds?"));
    for text in ["", "15m", "-1", "1969-12-31T23:59:59Z", "yesterday", "99999999999999999999999"] {
        assert!(moment(text).is_err(), "{text}");
    }
}
