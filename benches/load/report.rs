//! Writes the results as Markdown between two markers of `docs/performance.md`, and as charts beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::figures::{Criterion, Table, verdicts};
use crate::options::Options;
use crate::plot::Chart;

const BEGIN: &str = "<!-- begin: measured -->";
const END: &str = "<!-- end: measured -->";

#[derive(Default)]
pub struct Report {
    /// Figures with a bar and an aim.
    pub criteria: Vec<Criterion>,
    /// The machine, by name and value.
    pub machine: Vec<(String, String)>,
    /// The limits of the machine.
    pub limits: Vec<(String, String)>,
    /// Tables with their titles.
    pub tables: Vec<(&'static str, Table)>,
    pub charts: Vec<Chart>,
}

impl Report {
    /// The report in Markdown.
    pub fn markdown(&self, options: &Options) -> String {
        let mut text = format!(
            "`cargo bench --bench load`: {} rounds, {} s a run. A figure is the median of its rounds, beside the least \
             and the greatest (and how many). Targets take turns within a round; wrk, which signs every delivery, runs \
             on the same machine and takes one core of it from each alike.\n\n",
            options.rounds(),
            options.seconds()
        );
        text += &verdicts(&self.criteria).markdown();
        section(&mut text, "Machine", &pairs(&self.machine));
        section(&mut text, "What the machine can do at most", &pairs(&self.limits));
        for (title, table) in &self.tables {
            section(&mut text, title, table);
        }
        for chart in &self.charts {
            write!(text, "\n![{}](performance/{}.svg)\n", chart.title, chart.file).unwrap();
        }
        text
    }

    /// Puts the Markdown between the markers of `folder/performance.md`, which is created if missing, and the charts into
    /// `folder/performance`. Returns the path of the document.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn write(&self, folder: &Path, options: &Options) -> std::io::Result<PathBuf> {
        let charts = folder.join("performance");
        std::fs::create_dir_all(&charts)?;
        for chart in &self.charts {
            std::fs::write(charts.join(chart.file).with_extension("svg"), chart.svg())?;
        }
        let file = folder.join("performance.md");
        let around = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                format!("# Performance\n\n{BEGIN}\n{END}\n")
            }
            Err(error) => return Err(error),
        };
        std::fs::write(&file, between_marks(&around, &self.markdown(options)))?;
        Ok(file)
    }
}

/// `around` with `text` between the markers, or at the end if it has no markers.
fn between_marks(around: &str, text: &str) -> String {
    let (before, rest) = around.split_once(BEGIN).unwrap_or((around, ""));
    let after = rest.split_once(END).map_or("\n", |(_, after)| after);
    format!("{before}{BEGIN}\n\n{text}\n{END}{after}")
}

fn section(text: &mut String, title: &str, table: &Table) {
    write!(text, "\n## {title}\n\n{}", table.markdown()).unwrap();
}

fn pairs(pairs: &[(String, String)]) -> Table {
    let mut table = Table::new(&["", ""]);
    table.rows.extend(pairs.iter().map(|(name, value)| vec![name.clone(), value.clone()]));
    table
}
