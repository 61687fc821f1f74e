//! The text of `webhooks.toml`: read strictly, edited so that comments and order survive.

use std::collections::BTreeMap;

use serde_json::Value;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::error::{Fault, RegistryError};
use super::record::IntegrationRecord;
use super::rules::{self, Breach};
use crate::ids::nearest;
use crate::places::{self, Place};
use crate::provider::Catalogue;
use crate::schemas::{REGISTRY, SchemaIssue};

const TABLES: &str = "webhooks";
const NEW: &str = "# The integrations of Palyra. The daemon keeps your comments and order; `palyra webhooks` edits this file.\nversion = 1\n";
const FIELDS: [&str; 20] = [
    "version",
    "webhooks",
    "integration_id",
    "provider",
    "display_name",
    "secret_vault_ref",
    "allowed_events",
    "allowed_sources",
    "enabled",
    "signature_required",
    "max_payload_bytes",
    "replay_window_seconds",
    "unsigned_rate_per_second",
    "parameters",
    "on_filtered",
    "created_at_unix_ms",
    "updated_at_unix_ms",
    "last_test_at_unix_ms",
    "last_test_passed",
    "last_test_message",
];

/// What a document is checked against, and what it is called in errors.
pub struct Checks<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// Profiles in force.
    pub catalogue: &'a Catalogue,
    /// Cap on `max_payload_bytes`.
    pub payload_bytes_cap: u64,
}

/// A registry file that is right.
#[derive(Debug, Clone)]
pub struct RegistryDocument {
    document: DocumentMut,
    /// The integrations, in the order of the file.
    pub records: Vec<IntegrationRecord>,
}

impl RegistryDocument {
    /// The file of a registry without integrations.
    pub fn new() -> Self {
        Self { document: NEW.parse().unwrap_or_default(), records: Vec::new() }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn parse(text: &str, checks: &Checks<'_>) -> Result<Self, RegistryError> {
        let document: DocumentMut = text.parse().map_err(|error| {
            let (place, message) = places::syntax_error(text, &error);
            checks.fault(place, "file", &message, None)
        })?;
        let values: Value = toml::from_str::<toml::Table>(text)
            .ok()
            .and_then(|table| serde_json::to_value(table).ok())
            .ok_or_else(|| checks.fault(Place { line: 1, column: 1 }, "file", "this is not TOML", None))?;
        REGISTRY.check(&values).map_err(|issues| checks.schema_fault(text, &values, issues))?;
        let records = checks.records(text, &values)?;
        Ok(Self { document, records })
    }

    /// The text.
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// Adds an integration at the end.
    pub fn insert(&mut self, record: IntegrationRecord) {
        let mut table = Table::new();
        write(&mut table, &record);
        if let Some(tables) = self.tables() {
            tables.push(table);
            self.records.push(record);
        }
    }

    /// Writes the settings of the integration of the same id that changed; everything else stays as it is.
    pub fn replace(&mut self, record: IntegrationRecord) {
        let Some(index) = self.index_of(&record.integration_id) else { return };
        if let Some(table) = self.tables().and_then(|tables| tables.get_mut(index)) {
            write(table, &record);
        }
        if let Some(own) = self.records.get_mut(index) {
            *own = record;
        }
    }

    /// Takes an integration out.
    pub fn remove(&mut self, id: &str) {
        let Some(index) = self.index_of(id) else { return };
        if let Some(tables) = self.tables() {
            tables.remove(index);
        }
        self.records.remove(index);
    }

    fn index_of(&self, id: &str) -> Option<usize> {
        self.records.iter().position(|record| record.integration_id == id)
    }

    /// The integrations as tables; an inline array of them, or none at all, becomes tables first.
    fn tables(&mut self) -> Option<&mut ArrayOfTables> {
        let item = self.document.entry(TABLES).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        if item.is_value() {
            let taken = std::mem::take(item);
            *item = Item::ArrayOfTables(taken.into_array_of_tables().unwrap_or_default());
        }
        item.as_array_of_tables_mut()
    }
}

impl Checks<'_> {
    fn fault(&self, place: Place, field: &str, message: &str, hint: Option<String>) -> RegistryError {
        let fault = Fault {
            file: self.file.to_owned(),
            line: place.line,
            column: place.column,
            field: field.to_owned(),
            message: message.to_owned(),
            hint,
        };
        RegistryError::InvalidFile { fault: Box::new(fault) }
    }

    fn at(&self, text: &str, pointer: &str, message: &str, hint: Option<String>) -> RegistryError {
        let field = places::path(pointer);
        let field = if field.is_empty() { "file" } else { &field };
        self.fault(places::find(text, pointer), field, message, hint)
    }

    fn schema_fault(&self, text: &str, values: &Value, issues: Vec<SchemaIssue>) -> RegistryError {
        let issue = SchemaIssue::most_telling(issues).with_value_of(values);
        let field = issue.pointer.rsplit('/').next().unwrap_or_default();
        let hint = match field {
            "secret" => Some(
                "a secret never stands here: `palyra vault put` it and name it in `secret_vault_ref`"
                    .to_owned(),
            ),
            unknown if !FIELDS.contains(&unknown) => {
                nearest(unknown, FIELDS).map(|near| format!("did you mean `{near}`?"))
            }
            _ => None,
        };
        self.at(text, &issue.pointer, &issue.message, hint)
    }

    fn records(&self, text: &str, values: &Value) -> Result<Vec<IntegrationRecord>, RegistryError> {
        let tables = values.get(TABLES).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut records = Vec::<IntegrationRecord>::with_capacity(tables.len());
        for (index, table) in tables.iter().enumerate() {
            let pointer = format!("/{TABLES}/{index}");
            let record = self.record(text, &pointer, table)?;
            if records.iter().any(|other| other.integration_id == record.integration_id) {
                let message = format!("`{}` stands here for the second time", record.integration_id);
                return Err(self.at(text, &format!("{pointer}/integration_id"), &message, None));
            }
            records.push(record);
        }
        Ok(records)
    }

    fn record(&self, text: &str, pointer: &str, table: &Value) -> Result<IntegrationRecord, RegistryError> {
        let mut record: IntegrationRecord = serde_json::from_value(table.clone())
            .map_err(|error| self.at(text, pointer, &error.to_string(), None))?;
        rules::normalise(&mut record);
        rules::check(&record, self.catalogue, self.payload_bytes_cap).map_err(
            |Breach { field, message, hint }| self.at(text, &format!("{pointer}/{field}"), &message, hint),
        )?;
        Ok(record)
    }
}

/// Writes the fields that differ from what the table says already. Absent fields that have their default stay absent.
fn write(table: &mut Table, record: &IntegrationRecord) {
    let Ok(Value::Object(fields)) = serde_json::to_value(record) else { return };
    for name in FIELDS.iter().skip(2) {
        match fields.get(*name).map(toml_value) {
            Some(Some(new)) => {
                let same = table.get(name).is_some_and(|old| same_value(old, &new));
                if !same {
                    set(table, name, new);
                }
            }
            _ => drop(table.remove(name)),
        }
    }
}

/// Keeps the comment behind the old value.
fn set(table: &mut Table, name: &str, mut new: toml_edit::Value) {
    if let Some(old) = table.get(name).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    table.insert(name, value(new));
}

/// Whether a value says the same, however it is laid out.
fn same_value(old: &Item, new: &toml_edit::Value) -> bool {
    let Some(old) = old.as_value() else { return false };
    let items = |value: &toml_edit::Value| {
        let array = value.as_array()?;
        Some(array.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Vec<_>>())
    };
    let table = |value: &toml_edit::Value| {
        let table = value.as_inline_table()?;
        Some(
            table
                .iter()
                .map(|(key, item)| (key.to_owned(), item.as_str().map(str::to_owned)))
                .collect::<BTreeMap<_, _>>(),
        )
    };
    (old.as_bool(), old.as_integer(), old.as_str(), items(old), table(old))
        == (new.as_bool(), new.as_integer(), new.as_str(), items(new), table(new))
}

/// A JSON value as TOML; `None` for what is left out: null, empty lists and empty tables.
fn toml_value(json: &Value) -> Option<toml_edit::Value> {
    match json {
        Value::Bool(flag) => Some((*flag).into()),
        Value::Number(number) => Some(number.as_i64()?.into()),
        Value::String(text) => Some(text.as_str().into()),
        Value::Object(members) if !members.is_empty() => {
            let pairs = members.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
            Some(toml_edit::Value::InlineTable(pairs.collect()))
        }
        Value::Array(items) if !items.is_empty() => Some(items.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}
