//! A strict reader of the text format that Prometheus reads, version 0.0.4. Whatever is not as it must be is a panic.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::Daemon;

/// A page of metrics.
pub struct Metrics {
    /// The type of each family, by its name.
    pub families: BTreeMap<String, String>,
    /// The value of each series, as it is written: `name{label="value"}`.
    pub series: BTreeMap<String, f64>,
}

impl Metrics {
    /// The page of `daemon`.
    pub fn of(daemon: &Daemon, root: &Path) -> Self {
        let answer = daemon.console(root, "GET", "/console/v1/metrics", b"");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Self::read(&answer.body)
    }

    /// The page `text`.
    pub fn read(text: &str) -> Self {
        let mut page = Self { families: BTreeMap::new(), series: BTreeMap::new() };
        assert!(text.ends_with('\n'), "the last line is not ended");
        let mut lines = text.lines().peekable();
        while let Some(help) = lines.next() {
            let (name, told) =
                help.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')).expect(help);
            let head = lines.next().unwrap_or_default();
            let kind = head.strip_prefix(&format!("# TYPE {name} ")).expect("a type follows its help");
            assert!(is_name(name) && !told.is_empty() && matches!(kind, "counter" | "gauge"), "{head}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{head}");
            assert_eq!(page.families.insert(name.to_owned(), kind.to_owned()), None, "{name} begins twice");
            while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
                page.add(sample, name, kind);
            }
        }
        page
    }

    fn add(&mut self, sample: &str, family: &str, kind: &str) {
        let (series, value) = sample.rsplit_once(' ').expect(sample);
        let labels = series.strip_prefix(family).expect(sample);
        assert!(labels.is_empty() || is_labels(labels), "{sample}");
        let value: f64 = value.parse().expect(sample);
        assert!(value.is_finite() && (kind != "counter" || value >= 0.0), "{sample}");
        assert_eq!(self.series.insert(series.to_owned(), value), None, "{series} stands there twice");
    }

    /// The value of a series.
    pub fn value(&self, series: &str) -> Option<f64> {
        self.series.get(series).copied()
    }
}

fn is_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_word)
}

/// `{name="value",…}`, each name once, quotes and backslashes escaped.
fn is_labels(text: &str) -> bool {
    let Some(mut rest) = text.strip_prefix('{') else { return false };
    let mut names = Vec::new();
    loop {
        let Some((name, after)) = rest.split_once("=\"") else { return false };
        let Some(end) = end_of_value(after) else { return false };
        if !is_name(name) || names.contains(&name) {
            return false;
        }
        names.push(name);
        match &after[end + 1..] {
            "}" => return true,
            more => match more.strip_prefix(',') {
                Some(more) => rest = more,
                None => return false,
            },
        }
    }
}

/// Where the quote stands that ends a value.
fn end_of_value(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some(at),
            '\\' => drop(chars.next().filter(|(_, c)| matches!(c, '\\' | '"' | 'n'))?),
            _ => {}
        }
    }
    None
}

#[test]
fn a_page_that_breaks_the_format_is_not_read() {
    let head = "# HELP g Help\n# TYPE g gauge\n";
    for right in ["g 1\n", "g{a=\"\"} 1\n", "g{a=\"b\",c=\"\\\"\\\\\\n,}\"} 1.5\ng{a=\"c\"} 0\n", ""] {
        Metrics::read(&format!("{head}{right}"));
    }
    for wrong in [
        "g 1",
        "g one\n",
        "g NaN\n",
        "h 1\n",
        "g 1\ng 2\n",
        "g{} 1\n",
        "g{a=\"b} 1\n",
        "g{a=\"b\"\"} 1\n",
        "g{a=\"\\t\"} 1\n",
        "g{a=\"b\",a=\"c\"} 1\n",
        "g{a-b=\"c\"} 1\n",
        "g 1\n\n",
        "g 1\n# TYPE h gauge\nh 1\n",
        "# HELP g Help\n# TYPE g gauge\n",
        "# HELP c Help\n# TYPE c counter\n",
        "# HELP c_total Help\n# TYPE c_total counter\nc_total -1\n",
    ] {
        let page = format!("{head}{wrong}");
        assert!(std::panic::catch_unwind(|| Metrics::read(&page)).is_err(), "{page}");
    }
}
