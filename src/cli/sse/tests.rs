use proptest::prelude::*;

use super::*;

fn frames(stream: &str) -> Vec<Frame> {
    let mut parser = FrameParser::default();
    stream.split('\n').filter_map(|line| parser.push(line)).collect()
}

fn frame(id: &str, event: &str, data: &str) -> Frame {
    Frame { id: id.to_owned(), event: event.to_owned(), data: data.to_owned() }
}

#[test]
fn lines_become_frames() {
    let table = [
        ("id: 7\nevent: webhook\ndata: {\"seq\":7}\n\n", vec![frame("7", "webhook", "{\"seq\":7}")]),
        (
            ": keep-alive\n\nid:1\ndata:a\n\n: keep-alive\n\nid:2\ndata:b\n\n",
            vec![frame("1", "", "a"), frame("2", "", "b")],
        ),
        ("data: a\ndata:  b\ndata\n\n", vec![frame("", "", "a\n b\n")]),
        ("id: 1\nevent: x\n\n", vec![]),
        ("retry: 3\nunknown: y\ndata: {\"a\": \"b: c\"}\n\n", vec![frame("", "", "{\"a\": \"b: c\"}")]),
        ("data: cut off", vec![]),
    ];
    for (stream, expected) in table {
        assert_eq!(frames(stream), expected, "{stream:?}");
    }
}

proptest! {
    #[test]
    fn data_without_line_ends_comes_back_as_it_was(data in "[^\r\n]*") {
        prop_assert_eq!(frames(&format!("id: 1\nevent: e\ndata: {data}\n\n")), vec![frame("1", "e", &data)]);
    }

    #[test]
    fn no_line_panics_the_parser(lines in proptest::collection::vec(any::<String>(), 0..8)) {
        let mut parser = FrameParser::default();
        let count = lines.iter().filter_map(|line| parser.push(line)).count();
        prop_assert!(count <= lines.len());
    }
}
