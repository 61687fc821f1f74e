//! The text of `webhooks.toml`: parsed strictly, and edited so that comments and order are preserved.

use std::io;
use std::path::Path;

use serde_json::{Map, Value};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike, value};

use super::error::RegistryError;
use super::record::IntegrationRecord;
use super::rules::{self, Breach};
use crate::files;
use crate::json;
use crate::provider::Catalogue;
use crate::schemas::{REGISTRY, SchemaFault};
use crate::text_places::{self, TextFault, TextPlace};

const TABLES: &str = "webhooks";
const NEW: &str = "# The integrations of Palyra. The daemon keeps your comments and order; `palyra webhooks` edits this file.\nversion = 1\n";

/// Writes a registry file without integrations.
///
/// # Errors
/// The error of the file system, with the path.
pub fn begin_file(path: &Path) -> io::Result<()> {
    files::atomic_replace(path, NEW.as_bytes())
}

/// What a document is checked against, and the file name for its errors.
pub struct Checks<'a> {
    pub file: &'a str,
    /// The profiles in force.
    pub catalogue: &'a Catalogue,
    /// Upper bound of `max_payload_bytes`.
    pub payload_bytes_cap: u64,
}

/// A valid registry file.
#[derive(Debug, Clone)]
pub struct RegistryDocument {
    document: DocumentMut,
    /// The integrations, in the order of the file.
    pub records: Vec<IntegrationRecord>,
}

impl RegistryDocument {
    /// An empty registry file.
    pub fn new() -> Self {
        Self { document: NEW.parse().unwrap_or_default(), records: Vec::new() }
    }

    /// Parses a file.
    ///
    /// # Errors
    /// The first fault, with its place.
    pub fn parse(text: &str, checks: &Checks<'_>) -> Result<Self, RegistryError> {
        let document: DocumentMut = text.parse().map_err(|error| {
            let (place, message) = text_places::syntax_error(text, &error);
            match text_places::stands_twice(text, error.message(), error.span()) {
                Some(name) => checks.fault(
                    place,
                    &name,
                    "is set a second time here",
                    Some(text_places::REMOVE_ONE.to_owned()),
                ),
                None => checks.fault(place, "file", &message, None),
            }
        })?;
        let values: Value = toml::from_str::<toml::Table>(text)
            .ok()
            .and_then(|table| serde_json::to_value(table).ok())
            .ok_or_else(|| {
                checks.fault(TextPlace { line: 1, column: 1 }, "file", "this is not TOML", None)
            })?;
        REGISTRY.check_file(&values).map_err(|fault| checks.schema_fault(text, &fault))?;
        let records = checks.records(text, &values)?;
        Ok(Self { document, records })
    }

    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// Appends an integration. Settings with their default value are omitted.
    pub fn insert(&mut self, record: IntegrationRecord) {
        let mut table = Table::new();
        write(&mut table, &defaults(&record), &members(&record));
        if let Some(tables) = self.tables() {
            tables.push(table);
            self.records.push(record);
        }
    }

    /// Writes the changed settings of the integration with the same id; everything else in the file is left as it is.
    pub fn replace(&mut self, record: IntegrationRecord) {
        let Some(index) = self.index_of(&record.integration_id) else { return };
        let Some(old) = self.records.get_mut(index).map(|own| std::mem::replace(own, record.clone())) else {
            return;
        };
        if let Some(table) = self.tables().and_then(|tables| tables.get_mut(index)) {
            write(table, &members(&old), &members(&record));
        }
    }

    /// Removes an integration.
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

    /// The integrations as an array of tables. An inline array, or none at all, is converted first.
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
    fn fault(&self, place: TextPlace, field: &str, message: &str, hint: Option<String>) -> RegistryError {
        let fault = TextFault { place, hint, ..TextFault::of_file(self.file, field, message) };
        RegistryError::InvalidFile(Box::new(fault))
    }

    fn at(&self, text: &str, pointer: &str, message: &str, hint: Option<String>) -> RegistryError {
        let fault = TextFault::at(self.file, text, "file", pointer, message);
        RegistryError::InvalidFile(Box::new(TextFault { hint, ..fault }))
    }

    fn schema_fault(&self, text: &str, fault: &SchemaFault) -> RegistryError {
        let hint = match fault.unknown.as_deref() {
            Some("secret") => Some(
                "secrets do not belong in this file: store it with `palyra vault put`, and name it in `secret_vault_ref`"
                    .to_owned(),
            ),
            Some(_) => fault.hint(),
            None => fault.hint().or_else(|| super::rules::remedy(&fault.issue.pointer)),
        };
        self.at(text, &fault.issue.pointer, &fault.issue.message, hint)
    }

    fn records(&self, text: &str, values: &Value) -> Result<Vec<IntegrationRecord>, RegistryError> {
        let tables = values.get(TABLES).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut records = Vec::<IntegrationRecord>::with_capacity(tables.len());
        for (index, table) in tables.iter().enumerate() {
            let pointer = format!("/{TABLES}/{index}");
            let record = self.record(text, &pointer, table)?;
            if records.iter().any(|other| other.integration_id == record.integration_id) {
                let message = format!("`{}` is already the id of another integration", record.integration_id);
                let hint = "give one of the two another id, or remove one".to_owned();
                return Err(self.at(text, &format!("{pointer}/integration_id"), &message, Some(hint)));
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

type Members = Vec<(String, Value)>;

/// The members of a record, in the order of its table.
fn members(record: &IntegrationRecord) -> Members {
    let document = serde_json::to_vec(record).ok().and_then(|text| json::parse(&text).ok());
    let members = document.iter().flat_map(|document| document.root().members());
    members.map(|(name, value)| (name.to_owned(), value.to_value())).collect()
}

/// The settings of an integration whose table contains only its id and its provider.
fn defaults(record: &IntegrationRecord) -> Members {
    let named = serde_json::json!({"integration_id": record.integration_id, "provider": record.provider});
    let Ok(mut bare) = serde_json::from_value::<IntegrationRecord>(named) else { return Members::new() };
    rules::normalise(&mut bare);
    let mut defaults = members(&bare);
    defaults.retain(|(name, _)| !matches!(name.as_str(), "integration_id" | "provider"));
    defaults
}

/// Writes the members that changed, each in its place; nested tables are written member by member.
fn write(table: &mut dyn TableLike, old: &Members, new: &Members) {
    for (name, _) in old.iter().filter(|(name, _)| member(new, name).is_none()) {
        table.remove(name);
    }
    for (name, new) in new.iter().filter(|(name, new)| member(old, name) != Some(new)) {
        let inner = table.get_mut(name).and_then(Item::as_table_like_mut);
        match (inner, member(old, name), new, toml_value(new)) {
            (Some(inner), Some(Value::Object(old)), Value::Object(new), Some(_)) => {
                write(inner, &listed(old), &listed(new));
            }
            (_, _, _, Some(new)) => set(table, name, new),
            (_, _, _, None) => drop(table.remove(name)),
        }
    }
}

fn member<'a>(members: &'a Members, name: &str) -> Option<&'a Value> {
    members.iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

fn listed(members: &Map<String, Value>) -> Members {
    members.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Replaces a value. The comments before the name and after the old value are kept.
fn set(table: &mut dyn TableLike, name: &str, mut new: toml_edit::Value) {
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => drop(table.insert(name, value(new))),
    }
}

/// Converts a JSON value to TOML; `None` for what is omitted: null, empty lists and empty tables.
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
