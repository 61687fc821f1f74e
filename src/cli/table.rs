//! Tables, fields and sections for people. All text of foreign origin passes through [`clipped`] here.

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table as Grid};

use super::text::{CELL_CHARS_MAX, FIELD_CHARS_MAX, clipped};

/// The importance of a line. Colour only repeats what the text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Neutral.
    Plain,
    /// All is well.
    Good,
    /// Needs attention, but not at once.
    Warn,
    /// Needs attention now.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }

    /// Adds the colour to `text`. The output removes colours where they are not wanted.
    pub fn paint(self, text: &str) -> String {
        paint(self.style(), text)
    }
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Rows under a header, aligned, without borders. One row is one line.
pub struct Table {
    grid: Grid,
    tones: Vec<Tone>,
    /// The column whose cells are not shortened.
    whole: Option<usize>,
}

impl Table {
    /// An empty table with these column names.
    pub fn new(header: &[&str]) -> Self {
        let mut grid = Grid::new();
        grid.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header);
        grid.column_iter_mut().for_each(|column| {
            column.set_padding((0, 2));
        });
        Self { grid, tones: Vec::new(), whole: None }
    }

    /// Aligns column `index` to the right, for numbers.
    #[must_use]
    pub fn right(mut self, index: usize) -> Self {
        if let Some(column) = self.grid.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        self
    }

    /// Does not shorten the cells of column `index`, for text whose end matters.
    #[must_use]
    pub fn whole(mut self, index: usize) -> Self {
        self.whole = Some(index);
        self
    }

    /// Adds a row. Cells may hold any text.
    pub fn row<S: AsRef<str>>(&mut self, tone: Tone, cells: impl IntoIterator<Item = S>) {
        let whole = self.whole;
        self.grid.add_row(cells.into_iter().enumerate().map(|(index, cell)| {
            let chars_max = if whole == Some(index) { usize::MAX } else { CELL_CHARS_MAX };
            clipped(cell.as_ref(), chars_max)
        }));
        self.tones.push(tone);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.tones.is_empty()
    }

    /// The lines of the table with colours; without the header if only the data are wanted.
    pub fn render(&self, with_header: bool) -> String {
        let styles = std::iter::once(Style::new().bold()).chain(self.tones.iter().map(|tone| tone.style()));
        let lines = self.grid.lines().zip(styles).skip(usize::from(!with_header));
        lines.map(|(line, style)| paint(style, line.trim_end()) + "\n").collect()
    }
}

/// Names and values, one a line, the values aligned.
#[derive(Default)]
pub struct Fields(Vec<(String, String, Tone)>);

impl Fields {
    /// Adds a line. The value may hold any text.
    pub fn add(&mut self, name: impl Into<String>, value: impl AsRef<str>) {
        self.toned(Tone::Plain, name, value);
    }

    /// Adds a line whose value is painted.
    pub fn toned(&mut self, tone: Tone, name: impl Into<String>, value: impl AsRef<str>) {
        self.0.push((name.into(), clipped(value.as_ref(), FIELD_CHARS_MAX), tone));
    }

    /// The lines, each after `indent` spaces.
    pub fn render(&self, indent: usize) -> String {
        let names: Vec<String> = self.0.iter().map(|(name, ..)| clipped(name, CELL_CHARS_MAX)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let dim = Style::new().dimmed();
        let lines = names.iter().zip(&self.0).map(|(name, (_, value, tone))| {
            let line = format!("{:indent$}{dim}{name:<width$}{dim:#}  {}", "", tone.paint(value));
            line.trim_end().to_owned() + "\n"
        });
        lines.collect()
    }
}

/// A heading over a group of lines.
pub fn heading(text: &str) -> String {
    paint(Style::new().bold(), &clipped(text, CELL_CHARS_MAX)) + "\n"
}

#[cfg(test)]
mod tests;
