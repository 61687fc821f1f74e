use anstream::adapter::strip_str;
use proptest::prelude::*;

use super::*;

fn plain(text: &str) -> String {
    strip_str(text).to_string()
}

#[test]
fn columns_are_aligned_and_numbers_stand_to_the_right() {
    let mut table = Table::new(&["seq", "name", "summary"]).right(0);
    table.row(Tone::Plain, ["7", "push", "one"]);
    table.row(Tone::Bad, ["1234", "pull_request", ""]);
    assert_eq!(
        plain(&table.render(true)),
        " seq  name          summary\n   7  push          one\n1234  pull_request\n"
    );
    assert_eq!(plain(&table.render(false)).lines().count(), 2);
}

#[test]
fn a_column_that_is_shown_whole_is_cut_nowhere() {
    let mut table = Table::new(&["seq", "problem"]).right(0).whole(1);
    let long = "x".repeat(500) + "\n";
    table.row(Tone::Bad, ["1", &long]);
    assert_eq!(plain(&table.render(false)), format!("  1  {}\\n\n", "x".repeat(500)));
}

#[test]
fn wide_characters_do_not_break_the_alignment() {
    let mut table = Table::new(&["a", "b"]);
    table.row(Tone::Plain, ["漢字", "x"]);
    table.row(Tone::Plain, ["abcd", "y"]);
    assert_eq!(plain(&table.render(false)), "漢字  x\nabcd  y\n");
}

#[test]
fn a_row_is_painted_as_a_whole_and_only_by_its_tone() {
    let mut table = Table::new(&["a"]);
    table.row(Tone::Bad, ["x"]);
    table.row(Tone::Plain, ["y"]);
    assert_eq!(table.render(false), "\u{1b}[31mx\u{1b}[0m\ny\n");
}

#[test]
fn fields_are_aligned_and_indented() {
    let mut fields = Fields::default();
    fields.add("id", "github");
    fields.toned(Tone::Warn, "readiness", "disabled\n");
    assert_eq!(plain(&fields.render(2)), "  id         github\n  readiness  disabled\\n\n");
}

proptest! {
    #[test]
    fn a_row_is_one_line_whatever_its_cells_hold(cells in proptest::collection::vec(any::<String>(), 2)) {
        let mut table = Table::new(&["a", "b"]);
        table.row(Tone::Plain, &cells);
        table.row(Tone::Plain, ["x", "y"]);
        prop_assert_eq!(table.render(true).lines().count(), 3);
    }
}
