//! The output of commands: answers on stdout, remarks and errors on stderr.

use std::cell::RefCell;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

use palyra_actors::files::is_want_of_room;
use serde_json::{Value, json};

use super::error::{CliError, Kind, how_to_make_room};
use super::table::{Table, Tone};
use super::text::{safe_json, visible, visible_lines};

/// The amount and the format of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mode {
    /// One JSON document instead of text.
    pub json: bool,
    /// Only the data and errors.
    pub quiet: bool,
}

/// The two output streams of a command and their rules.
pub struct Output {
    mode: Mode,
    stdout: RefCell<BufWriter<Box<dyn Write>>>,
    stderr: RefCell<Box<dyn Write>>,
}

impl Output {
    /// Writes to the process's own streams. Colours stay only on a terminal and without `NO_COLOR`.
    pub fn terminal(mode: Mode) -> Self {
        Self::new(mode, Box::new(anstream::stdout()), Box::new(anstream::stderr()))
    }

    /// Writes to the given streams.
    pub fn new(mode: Mode, stdout: Box<dyn Write>, stderr: Box<dyn Write>) -> Self {
        Self { mode, stdout: RefCell::new(BufWriter::new(stdout)), stderr: RefCell::new(stderr) }
    }

    /// The amount and the format of the output.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Prints the answer of a command: `document` with `--json`, otherwise the text that `text` makes of it.
    pub fn answer(&self, document: &Value, text: impl FnOnce(&Value) -> String) -> Result<(), CliError> {
        if self.mode.json { self.document(document) } else { self.text(&text(document)) }
    }

    /// Prints one JSON document, over several lines.
    pub fn document(&self, document: &Value) -> Result<(), CliError> {
        self.text(&(safe_json(&format!("{document:#}")).into_owned() + "\n"))
    }

    /// Prints one JSON document on one line. It stays in the buffer until [`Output::flush`].
    pub fn json_line(&self, line: &str) -> Result<(), CliError> {
        let mut stdout = self.stdout.borrow_mut();
        writeln!(stdout, "{}", safe_json(line)).map_err(written)
    }

    /// Prints text that is already safe: from a [`Table`], from fields or from [`visible`].
    pub fn text(&self, text: &str) -> Result<(), CliError> {
        self.stdout.borrow_mut().write_all(text.as_bytes()).map_err(written)?;
        self.flush()
    }

    /// Writes bytes unchanged to the stdout of the process; made safe if stdout is a terminal.
    pub fn bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.flush()?;
        if io::stdout().is_terminal() {
            return self.text(&visible_lines(&String::from_utf8_lossy(bytes)));
        }
        // Bypasses the text stream, which removes colour sequences.
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(written)
    }

    /// A table as text; with `--quiet` only its rows.
    pub fn table_text(&self, table: &Table) -> String {
        table.render(!self.mode.quiet)
    }

    /// Shows progress on a line that is overwritten each time. Only for a user at a terminal.
    pub fn progress(&self, what: &str, done: u64, of: u64) {
        if !self.shows_progress() {
            return;
        }
        let percent = done.saturating_mul(100).checked_div(of).unwrap_or(100).min(100);
        let filled = usize::try_from(percent / 4).unwrap_or(0);
        let line = format!("\r{what} [{:<25}] {percent:>3} % {done} of {of}", "=".repeat(filled));
        // This is only a remark: a closed stream must not fail the command.
        self.stderr.borrow_mut().write_all(line.as_bytes()).unwrap_or_default();
    }

    /// Removes the line of [`Output::progress`].
    pub fn progress_is_over(&self) {
        if self.shows_progress() {
            self.stderr.borrow_mut().write_all(b"\r\x1b[2K").unwrap_or_default();
        }
    }

    fn shows_progress(&self) -> bool {
        !self.mode.json && !self.mode.quiet && io::stderr().is_terminal()
    }

    /// Confirms an action: `document` with `--json`, otherwise `sentence`, which `--quiet` omits.
    pub fn done(&self, document: &Value, sentence: &str) -> Result<(), CliError> {
        match self.mode {
            Mode { json: true, .. } => self.document(document),
            Mode { quiet: true, .. } => Ok(()),
            _ => self.text(&format!("{}\n", visible(sentence))),
        }
    }

    /// Prints a remark on stderr; not with `--json` or `--quiet`.
    pub fn note(&self, remark: &str) {
        if self.for_people() {
            self.aside(&format!("{}\n", visible(remark)));
        }
    }

    /// Prints a warning with the next step on stderr, even with `--quiet`; with `--json` as a document on one line.
    pub fn warn(&self, warning: &str, next: &str) {
        if self.mode.json {
            let line = json!({"warning": warning, "next": next}).to_string();
            return self.aside(&(safe_json(&line).into_owned() + "\n"));
        }
        let label = Tone::Warn.paint("warning");
        self.aside(&format!("palyra: {label}: {}\n  next: {}\n", visible(warning), visible(next)));
    }

    /// Prints on stderr why the command failed.
    pub fn error(&self, error: &CliError) {
        match &error.kind {
            Kind::OutputClosed => {}
            _ if self.mode.json => self.aside(&(safe_json(&error.to_json().to_string()).into_owned() + "\n")),
            _ => self.aside(&error.to_text()),
        }
    }

    /// Flushes everything written so far.
    pub fn flush(&self) -> Result<(), CliError> {
        self.stdout.borrow_mut().flush().map_err(written)
    }

    fn for_people(&self) -> bool {
        !self.mode.json && !self.mode.quiet
    }

    fn aside(&self, text: &str) {
        // If stderr is closed, there is nowhere to report that.
        self.stderr.borrow_mut().write_all(text.as_bytes()).unwrap_or_default();
    }
}

fn written(error: io::Error) -> CliError {
    match error.kind() {
        ErrorKind::BrokenPipe => CliError::new(Kind::OutputClosed, "the output was closed"),
        kind if is_want_of_room(kind) => not_written(&error).hint(how_to_make_room(kind)),
        _ => not_written(&error),
    }
}

fn not_written(error: &io::Error) -> CliError {
    CliError::failed(format!("cannot write the output: {error}"))
}
