//! Locates errors in `palyra.toml` and says what to write instead.

use std::path::Path;

use palyra_actors::ids::nearest;
use palyra_actors::text_places::{self, TextPlace};
use toml::Table;
use toml::de::{DeTable, DeValue};

use super::fields::{FIELDS, Form};
use super::{SettingsError, SettingsFile};

/// Most characters of an invalid value that a message shows.
const WRITTEN_CHARS_MAX: usize = 64;

/// The text of `palyra.toml`, and its path.
pub struct Source<'a> {
    pub file: &'a Path,
    pub text: &'a str,
}

impl Source<'_> {
    /// The prefix `/root/palyra.toml: `, for an error of the whole file.
    pub fn unplaced(&self) -> String {
        format!("{}: ", self.file.display())
    }

    /// The prefix `/root/palyra.toml:line:column: ` for the byte at `offset`.
    pub fn place(&self, offset: usize) -> String {
        let TextPlace { line, column } = TextPlace::at(self.text, offset);
        format!("{}:{line}:{column}: ", self.file.display())
    }

    /// The prefix for a setting, by its name; for the whole file if the setting is not in it.
    pub fn place_of(&self, field: &str) -> String {
        let table = DeTable::parse(self.text).ok();
        let key = table.as_ref().and_then(|table| table.get_ref().get_key_value(field));
        key.map_or_else(|| self.unplaced(), |(key, _)| self.place(key.span().start))
    }

    /// Translates an error of the TOML parser into one with its place and a remedy.
    pub fn told(&self, error: &toml::de::Error) -> SettingsError {
        let message = error.message().lines().next().unwrap_or_default();
        let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let offset = error.span().map_or(0, |span| span.start);
        let (offset, (message, hint)) = match (unknown, DeTable::parse(self.text)) {
            (Some(name), _) => (offset, self.no_such_setting(name)),
            (None, Err(_)) => (offset, self.no_toml(error, message)),
            (None, Ok(table)) => match self.unreadable(table.get_ref()) {
                Some((offset, told)) => (offset, told),
                None => (offset, (message.to_owned(), None)),
            },
        };
        SettingsError { place: self.place(offset), message, hint }
    }

    fn no_such_setting(&self, name: &str) -> Told {
        let table = self.text.parse::<Table>().unwrap_or_default();
        if table.get(name).is_some_and(toml::Value::is_table) {
            let hint = format!("settings stand at the top level, without a table: remove `[{name}]`");
            return (format!("`[{name}]` begins a table"), Some(hint));
        }
        let near = nearest(name, FIELDS.map(|(field, _)| field));
        let hint = near.map_or_else(
            || "docs/operations.md lists every setting".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        (format!("unknown setting `{name}`"), Some(hint))
    }

    /// The first setting that does not deserialise on its own, with its byte offset.
    fn unreadable(&self, table: &DeTable<'_>) -> Option<(usize, Told)> {
        let values = self.text.parse::<Table>().ok()?;
        let cannot_be_read = |name: &str| {
            let alone = values.get(name).map(|value| Table::from_iter([(name.to_owned(), value.clone())]));
            alone.is_some_and(|alone| alone.try_into::<SettingsFile>().is_err())
        };
        let known = table.iter().filter_map(|(key, value)| Some((key, value, Form::of(key.get_ref())?)));
        let unreadable = known.filter(|(key, ..)| cannot_be_read(key.get_ref()));
        let (key, value, form) = unreadable.min_by_key(|(key, ..)| key.span().start)?;
        let told = match (value.get_ref(), self.text.get(value.span()).unwrap_or_default()) {
            (DeValue::Table(_), written) => (
                format!("{} is a table, but must be {}", key.get_ref(), form.noun()),
                Some(form.remedy(written)),
            ),
            (_, written) => not_of_form(key.get_ref(), written, form),
        };
        Some((key.span().start, told))
    }

    /// The error for text that is not TOML. An unquoted value and the like is reported by its setting, anything else in the
    /// words of the parser.
    fn no_toml(&self, error: &toml::de::Error, message: &str) -> Told {
        if let Some(name) = text_places::stands_twice(self.text, error.message(), error.span()) {
            return (format!("{name} is set a second time here"), Some(text_places::REMOVE_ONE.to_owned()));
        }
        let offset = error.span().map_or(0, |span| span.start);
        let begin = self.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let line = self.text.get(begin..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let setting = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        let told = setting.map(|(field, written)| (field, written, Form::of(field)));
        match told {
            Some((field, written, Some(form))) if !written.contains(['"', '\'', '\r']) => {
                not_of_form(field, written, form)
            }
            Some((field, _, Some(_))) => (format!("{field}: {message}"), line_of_its_own()),
            _ => (message.to_owned(), line_of_its_own()),
        }
    }
}

/// What is wrong, and what to do about it.
type Told = (String, Option<String>);

fn line_of_its_own() -> Option<String> {
    Some("write each setting as `name = value`, on a line of its own".to_owned())
}

fn not_of_form(field: &str, written: &str, form: Form) -> Told {
    let shown: String = written.chars().take(WRITTEN_CHARS_MAX).collect();
    (format!("{field} is `{shown}`, but must be {}", form.noun()), Some(form.remedy(written)))
}
