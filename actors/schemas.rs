//! The JSON Schemas (2020-12) of `schemas/`, compiled in, and compiled once each.
//!
//! They are what the code validates with. A reference finds the embedded documents and nothing else:
//! neither the network nor a file is ever asked.

use std::sync::LazyLock;

use jsonschema::{Registry, Validator};
use serde::Serialize;
use serde_json::Value;

use crate::limits::SCHEMA_ISSUES_MAX;

/// Longest message of an issue, in characters; the rest is cut.
const MESSAGE_CHARS_MAX: usize = 200;

/// One thing in a document that breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaIssue {
    /// JSON pointer into the document.
    pub pointer: String,
    /// What is wrong there, without the value.
    pub message: String,
}

type Compiled = Result<Validator, String>;

/// A schema of `schemas/`.
pub struct Schema(LazyLock<Compiled>);

macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])*
        pub static $name: Schema = Schema(LazyLock::new(|| compile(include_str!(concat!("../schemas/", $file)))));)*

        /// Every schema, with the name of its file.
        pub const ALL: &[(&str, &Schema)] = &[$(($file, &$name)),*];
        const TEXTS: &[&str] = &[$(include_str!(concat!("../schemas/", $file))),*];
    };
}

schemas! {
    /// What an accepted delivery becomes.
    WEBHOOK_ENVELOPE = "webhook-envelope.v1.json";
    /// The part of an envelope that protects against replay.
    REPLAY_PROTECTION = "replay-protection.v1.json";
    /// An operator's event, as it is emitted.
    SYSTEM_EVENT = "system-event.v1.json";
    /// A provider profile.
    PROVIDER_PROFILE = "provider-profile.v1.json";
    /// `webhooks.toml`.
    REGISTRY = "registry.v1.json";
    /// Ids of integrations, and names of providers.
    CANONICAL_ID = "canonical-id.v1.json";
    /// A problem as it is answered.
    PROBLEM = "problem.v1.json";
}

impl Schema {
    /// Checks `document`.
    ///
    /// # Errors
    /// What breaks the schema, at most [`SCHEMA_ISSUES_MAX`] things.
    pub fn check(&self, document: &Value) -> Result<(), Vec<SchemaIssue>> {
        let validator = self.0.as_ref().map_err(|reason| vec![SchemaIssue::new("", reason)])?;
        if validator.is_valid(document) {
            return Ok(());
        }
        let errors = validator.iter_errors(document).take(SCHEMA_ISSUES_MAX);
        Err(errors
            .map(|error| SchemaIssue::new(error.instance_path().as_str(), &error.masked().to_string()))
            .collect())
    }

    /// Why the schema itself cannot be used; none of the embedded ones says so.
    pub fn defect(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }
}

impl SchemaIssue {
    /// The member that should not be there, if that is the issue.
    pub fn unknown_member(&self) -> Option<&str> {
        self.message.strip_prefix("Additional properties").and_then(|rest| rest.split('\'').nth(1))
    }

    /// The issue to tell a person who fixes one at a time: a misspelt name before what is missing for it.
    pub fn most_telling(issues: Vec<Self>) -> Self {
        let unknown = issues.iter().position(|issue| issue.unknown_member().is_some()).unwrap_or(0);
        let told = issues.into_iter().nth(unknown);
        told.map_or_else(|| Self::new("", "breaks its schema"), Self::at_the_member)
    }

    /// With what stands there in `document`: a number as it is, of anything else its size alone, for a text may be a secret.
    #[must_use]
    pub fn with_value_of(mut self, document: &Value) -> Self {
        let place = document.pointer(&self.pointer);
        if let (Some(rest), Some(value)) = (self.message.strip_prefix("value "), place) {
            self.message = format!("{} {rest}", told(value));
        }
        self
    }

    fn at_the_member(mut self) -> Self {
        if let Some(name) = self.unknown_member().map(str::to_owned) {
            self.pointer = format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"));
            self.message = format!("there is no field `{name}`");
        }
        self
    }

    fn new(pointer: &str, message: &str) -> Self {
        let message: String = message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect();
        Self {
            pointer: pointer.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect(),
            message,
        }
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::String(text) => format!("a text of {} characters", text.chars().count()),
        Value::Array(entries) => format!("a list of {} entries", entries.len()),
        Value::Object(members) => format!("a table of {} fields", members.len()),
        plain => plain.to_string(),
    }
}

fn compile(text: &str) -> Compiled {
    let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut registry = Registry::new();
    for text in TEXTS {
        let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let id = document.get("$id").and_then(Value::as_str).unwrap_or_default().to_owned();
        registry = registry.add(id, document).map_err(|error| error.to_string())?;
    }
    let registry = registry.prepare().map_err(|error| error.to_string())?;
    jsonschema::draft202012::options()
        .with_registry(&registry)
        .build(&schema)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_schema_compiles_and_has_an_id_of_its_own() {
        let mut ids = std::collections::HashSet::new();
        for ((file, schema), text) in ALL.iter().zip(TEXTS) {
            assert_eq!(schema.defect(), None, "{file}");
            let document: Value = serde_json::from_str(text).unwrap();
            assert!(ids.insert(document["$id"].as_str().unwrap().to_owned()), "{file}");
        }
    }

    #[test]
    fn references_are_followed_into_embedded_documents() {
        let mut envelope = json!({
            "v": 1, "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "event": "e", "source": "s", "payload": {},
            "replay_protection": {"nonce": "0123456789abcdef", "timestamp_unix_ms": 1}
        });
        assert_eq!(WEBHOOK_ENVELOPE.check(&envelope), Ok(()));
        envelope["replay_protection"]["nonce"] = json!("short");
        let issues = WEBHOOK_ENVELOPE.check(&envelope).unwrap_err();
        assert_eq!(issues[0].pointer, "/replay_protection/nonce");
    }

    #[test]
    fn issues_are_bounded_and_carry_no_value() {
        let document: serde_json::Map<String, Value> =
            (0..100).map(|n| (format!("member{n}\u{1b}[2J"), json!("value"))).collect();
        let issues = WEBHOOK_ENVELOPE.check(&Value::Object(document)).unwrap_err();
        assert!(issues.len() <= SCHEMA_ISSUES_MAX);
        assert!(
            issues
                .iter()
                .all(|issue| !issue.message.contains('\u{1b}') && !issue.message.contains("value\""))
        );
    }
}
