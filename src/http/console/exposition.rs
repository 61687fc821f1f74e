//! The Prometheus text format, version 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::borrow::Cow;
use std::fmt::Display;

use palyra_actors::clock::UnixMs;

/// The media type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics, written one family at a time.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// Begins a family of counters, which only grow until a restart; `name` ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// Begins a family of gauges, which go up and down.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &'static str) -> Family<'_> {
        let help = escaped(help, &['\\', '\n']);
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family { page: self, name }
    }

    /// The page as it is served.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A family whose head has been written; its samples follow.
pub struct Family<'a> {
    page: &'a mut Page,
    name: &'static str,
}

impl Family<'_> {
    /// Writes the single value of a family without labels.
    pub fn value(self, value: impl Display) {
        self.page.0 += &format!("{} {value}\n", self.name);
    }

    /// Writes the values of a family with one label.
    pub fn each<'a, V: Display>(
        mut self,
        label: &'static str,
        values: impl IntoIterator<Item = (&'a str, V)>,
    ) {
        values.into_iter().for_each(|(text, value)| self.labelled(&[(label, text)], value));
    }

    /// Writes one value of a family with labels. No combination of labels may be repeated.
    pub fn labelled(&mut self, labels: &[(&'static str, &str)], value: impl Display) {
        let label =
            |(name, value): &(&str, &str)| format!("{name}=\"{}\"", escaped(value, &['\\', '"', '\n']));
        let labels = labels.iter().map(label).collect::<Vec<_>>().join(",");
        self.page.0 += &format!("{}{{{labels}}} {value}\n", self.name);
    }
}

/// A point in time as seconds since 1970.
pub fn seconds(time: UnixMs) -> impl Display {
    format!("{}.{:03}", time / 1_000, time % 1_000)
}

/// 1 for true, 0 for false.
pub fn truth(is_so: bool) -> u8 {
    u8::from(is_so)
}

fn escaped<'a>(text: &'a str, special: &[char]) -> Cow<'a, str> {
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut written = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special.contains(&c) {
            written.push('\\');
        }
        written.push(if c == '\n' { 'n' } else { c });
    }
    Cow::Owned(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_its_head_and_then_its_samples() {
        let mut page = Page::default();
        page.gauge("up", "Whether it is up").value(truth(true));
        let mut asked = page.counter("asked_total", "Questions");
        asked.labelled(&[("who", "a"), ("answer", "yes")], 3);
        asked.labelled(&[("who", "b"), ("answer", "no")], 0);
        page.gauge("begun_seconds", "When").value(seconds(1_782_907_200_005));
        page.counter("silent_total", "Nothing yet");
        assert_eq!(
            page.into_text(),
            "\
# HELP up Whether it is up
# TYPE up gauge
up 1
# HELP asked_total Questions
# TYPE asked_total counter
asked_total{who=\"a\",answer=\"yes\"} 3
asked_total{who=\"b\",answer=\"no\"} 0
# HELP begun_seconds When
# TYPE begun_seconds gauge
begun_seconds 1782907200.005
# HELP silent_total Nothing yet
# TYPE silent_total counter
"
        );
    }

    #[test]
    fn no_value_of_a_label_and_no_help_ends_its_line_or_its_quotes() {
        let table = [
            ("plain", "plain", "plain"),
            ("", "", ""),
            ("é €", "é €", "é €"),
            (r"a\b", r"a\\b", r"a\\b"),
            ("a\"b", r#"a\"b"#, "a\"b"),
            ("a\nb", r"a\nb", r"a\nb"),
            (r"a\n", r"a\\n", r"a\\n"),
            ("\\\"\n", r#"\\\"\n"#, "\\\\\"\\n"),
            ("a\r\tb", "a\r\tb", "a\r\tb"),
        ];
        for (text, in_label, in_help) in table {
            let mut page = Page::default();
            page.gauge("g", text).labelled(&[("l", text)], 1);
            let expected = format!("# HELP g {in_help}\n# TYPE g gauge\ng{{l=\"{in_label}\"}} 1\n");
            assert_eq!(page.into_text(), expected, "{text:?}");
        }
    }
}
