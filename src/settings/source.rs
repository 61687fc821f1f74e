//! Where in `palyra.toml` something cannot be used, and what to write instead.

use std::path::Path;

use palyra_actors::ids::nearest;
use palyra_actors::places::Place;

use super::SettingsError;
use super::fields::{FIELDS, Form};

/// Characters of a value that cannot be used that are shown.
const WRITTEN_CHARS_MAX: usize = 64;

/// The text of `palyra.toml`, and where it lies.
pub struct Source<'a> {
    /// The file.
    pub file: &'a Path,
    /// Its text.
    pub text: &'a str,
}

impl Source<'_> {
    /// `/root/palyra.toml: `, of the file as a whole.
    pub fn unplaced(&self) -> String {
        format!("{}: ", self.file.display())
    }

    /// `/root/palyra.toml:line:column: ` of the byte at `offset`.
    pub fn place(&self, offset: usize) -> String {
        let Place { line, column } = Place::at(self.text, offset);
        format!("{}:{line}:{column}: ", self.file.display())
    }

    /// The error of the TOML reader, with its place, and what to write instead.
    pub fn told(&self, error: &toml::de::Error) -> SettingsError {
        let place = self.place(error.span().map_or(0, |span| span.start));
        let message = error.message().lines().next().unwrap_or_default();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let (message, hint) = match unknown {
            Some(name) => self.no_such_setting(name),
            None => self.no_such_value(error.span().map_or(0, |span| span.start), message),
        };
        SettingsError { place, message, hint }
    }

    fn no_such_setting(&self, name: &str) -> (String, Option<String>) {
        let table = self.text.parse::<toml::Table>().unwrap_or_default();
        if table.get(name).is_some_and(toml::Value::is_table) {
            let hint = format!("settings stand at the top, without a table: remove `[{name}]`");
            return (format!("`[{name}]` begins a table"), Some(hint));
        }
        let near = nearest(name, FIELDS.map(|(field, _)| field));
        let hint = near.map_or_else(
            || "docs/operations.md names every setting".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        (format!("unknown setting `{name}`"), Some(hint))
    }

    /// A value stands on the line of its key.
    fn no_such_value(&self, offset: usize, message: &str) -> (String, Option<String>) {
        let begin = self.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let line = self.text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let Some((field, written)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
        else {
            return (message.to_owned(), Some("write each setting as `name = value`".to_owned()));
        };
        let Some(form) = Form::of(field) else { return (message.to_owned(), None) };
        let shown: String = written.chars().take(WRITTEN_CHARS_MAX).collect();
        (format!("{field} is `{shown}`, not {}", form.noun()), Some(form.remedy(written)))
    }
}
