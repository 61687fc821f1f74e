//! Figures, each with a bar it must meet and an aim beyond it, and tables.

/// A quantity that is measured, and its requirement.
pub struct Criterion {
    /// What was measured.
    pub what: String,
    /// The requirement, shown with its unit: `≥ 0.40`.
    pub wanted: Wanted,
    /// One figure per round.
    pub samples: Vec<f64>,
    /// Further remarks, or why there are no samples.
    pub remark: String,
}

/// A bar that must be met, an aim beyond it, and the side on which a figure has to be.
#[derive(Clone, Copy)]
pub enum Wanted {
    /// At least the bar; at least the aim.
    AtLeast(f64, f64),
    /// At most the bar; at most the aim.
    AtMost(f64, f64),
}

impl Wanted {
    fn verdict(self, figure: f64) -> &'static str {
        let reached = |limit: f64| match self {
            Self::AtLeast(..) => figure >= limit,
            Self::AtMost(..) => figure <= limit,
        };
        match self {
            Self::AtLeast(_, aim) | Self::AtMost(_, aim) if reached(aim) => "aim reached",
            Self::AtLeast(bar, _) | Self::AtMost(bar, _) if reached(bar) => "bar reached, aim missed",
            _ => "missed",
        }
    }

    fn words(self) -> [String; 2] {
        match self {
            Self::AtLeast(bar, aim) => [bar, aim].map(|limit| format!("≥ {limit}")),
            Self::AtMost(bar, aim) => [bar, aim].map(|limit| format!("≤ {limit}")),
        }
    }
}

impl Criterion {
    /// A criterion and its samples.
    pub fn new(what: impl Into<String>, wanted: Wanted, samples: Vec<f64>) -> Self {
        Self { what: what.into(), wanted, samples, remark: String::new() }
    }

    /// Adds a remark.
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }

    fn row(&self) -> Vec<String> {
        let [bar, aim] = self.wanted.words();
        let (median, verdict) = match median(&self.samples) {
            Some(median) => (number(median), self.wanted.verdict(median).to_owned()),
            None => ("-".to_owned(), "not measured".to_owned()),
        };
        vec![self.what.clone(), bar, aim, median, spread(&self.samples), verdict, self.remark.clone()]
    }
}

/// The table of all criteria.
pub fn verdicts(criteria: &[Criterion]) -> Table {
    let mut table = Table::new(&["figure", "bar", "aim", "median", "all rounds", "verdict", "remark"]);
    table.rows.extend(criteria.iter().map(Criterion::row));
    table
}

/// The median; `None` if there are no figures.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The range from least to greatest.
pub fn spread(figures: &[f64]) -> String {
    let least = figures.iter().copied().min_by(f64::total_cmp);
    let greatest = figures.iter().copied().max_by(f64::total_cmp);
    match (least, greatest) {
        (Some(least), Some(greatest)) => {
            format!("{}–{} ({})", number(least), number(greatest), figures.len())
        }
        _ => "-".to_owned(),
    }
}

/// Rounded to three significant digits.
pub fn number(figure: f64) -> String {
    match figure.abs() {
        1_000.0.. => grouped(&format!("{figure:.0}")),
        100.0.. => format!("{figure:.0}"),
        10.0.. => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// Digits with a comma between groups of three.
fn grouped(digits: &str) -> String {
    let comma = |at: usize| at > 0 && (digits.len() - at).is_multiple_of(3);
    let digits = digits.chars().enumerate();
    digits.flat_map(|(at, digit)| comma(at).then_some(',').into_iter().chain([digit])).collect()
}

/// A table of text.
pub struct Table {
    head: Vec<String>,
    /// Its rows, each as long as the head.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&word| word.to_owned()).collect(), rows: Vec::new() }
    }

    /// The table in Markdown, its columns aligned.
    pub fn markdown(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| lines().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).map(|(cell, &width)| format!(" {cell:width$} |"));
            format!("|{}\n", padded.collect::<String>())
        };
        let rule: String = widths.iter().map(|width| format!("{}|", "-".repeat(width + 2))).collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}|{rule}\n{rows}", line(&self.head))
    }
}
