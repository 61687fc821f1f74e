//! The JSON Schemas (2020-12) of `schemas/`, embedded in the program, each compiled once.
//!
//! The code validates with exactly these. References resolve to embedded documents only, never to the network or the file
//! system.

mod form;

use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Registry, ValidationError, Validator};
use serde::Serialize;
use serde_json::Value;

use crate::ids::nearest;
use crate::limits::SCHEMA_ISSUES_MAX;

/// Longest message of an issue, in characters; the rest is cut off.
const MESSAGE_CHARS_MAX: usize = 320;
/// Longest quoted text of a file, in characters; the rest is cut off.
const QUOTED_CHARS_MAX: usize = 40;
/// The version of the files people write; each may name it.
const FILE_VERSION: u64 = 1;

/// One violation of a schema by a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaIssue {
    /// JSON pointer into the document.
    pub pointer: String,
    /// What is wrong there, without the value.
    pub message: String,
}

/// The single violation to report to a person editing a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    /// The place and the problem. Of a value only numbers are shown, and for anything else its size, because a text may
    /// be a secret.
    pub issue: SchemaIssue,
    /// The name of an unknown field, if that is the fault.
    pub unknown: Option<String>,
    /// The most similar field of the schema, or the most similar word that is allowed in this place.
    pub nearest: Option<String>,
    /// The form of the value, if it is a table or a list and something else was written.
    pub form: Option<Box<str>>,
    /// Whether the file declares a later version than the program knows.
    pub is_newer: bool,
}

type Compiled = Result<Validator, String>;

/// A schema of `schemas/`.
pub struct Schema {
    text: &'static str,
    compiled: LazyLock<Compiled>,
}

macro_rules! schemas {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        $($(#[$doc])*
        pub static $name: Schema = Schema {
            text: include_str!(concat!("../schemas/", $file)),
            compiled: LazyLock::new(|| compile($name.text)),
        };)*

        /// Every schema, with the name of its file.
        pub const ALL: &[(&str, &Schema)] = &[$(($file, &$name)),*];
    };
}

schemas! {
    /// The envelope of an accepted delivery.
    WEBHOOK_ENVELOPE = "webhook-envelope.v1.json";
    /// The part of an envelope that protects against replay.
    REPLAY_PROTECTION = "replay-protection.v1.json";
    /// An operator's event, as it is sent.
    SYSTEM_EVENT = "system-event.v1.json";
    /// A provider profile.
    PROVIDER_PROFILE = "provider-profile.v1.json";
    /// `webhooks.toml`.
    REGISTRY = "registry.v1.json";
    /// Ids of integrations, and names of providers.
    CANONICAL_ID = "canonical-id.v1.json";
    /// A problem in an answer (RFC 9457).
    PROBLEM = "problem.v1.json";
}

impl Schema {
    /// Checks `document`.
    ///
    /// # Errors
    /// The violations, at most [`SCHEMA_ISSUES_MAX`].
    pub fn check(&self, document: &Value) -> Result<(), Vec<SchemaIssue>> {
        let validator = self.compiled.as_ref().map_err(|reason| vec![SchemaIssue::new("", reason)])?;
        if validator.is_valid(document) {
            return Ok(());
        }
        let errors = validator.iter_errors(document).take(SCHEMA_ISSUES_MAX);
        Err(errors
            .map(|error| SchemaIssue::new(error.instance_path().as_str(), &error.masked().to_string()))
            .collect())
    }

    /// Checks the document of a file that a person writes.
    ///
    /// # Errors
    /// The fault to correct first: an unknown version before all others, and an unknown field before a missing one,
    /// because the latter may be the same field, misspelt.
    pub fn check_file(&self, document: &Value) -> Result<(), SchemaFault> {
        refuse_newer(document)?;
        let defect = |reason: &String| SchemaFault::of(SchemaIssue::new("", reason));
        let validator = self.compiled.as_ref().map_err(defect)?;
        let errors: Vec<_> = validator.iter_errors(document).take(SCHEMA_ISSUES_MAX).collect();
        let unknown = errors.iter().find_map(|error| Some((error, unknown_member(error)?)));
        match (unknown, errors.first()) {
            (Some((error, name)), _) => Err(self.no_such_field(error.instance_path().as_str(), name)),
            (None, Some(error)) => {
                let (nearest, form) = (nearest_word(error), self.form(error));
                Err(SchemaFault { nearest, form, ..SchemaFault::of(issue_of_file(error)) })
            }
            (None, None) => Ok(()),
        }
    }

    /// What to write where a value has the wrong type.
    fn form(&self, error: &ValidationError<'_>) -> Option<Box<str>> {
        let ValidationErrorKind::Type { .. } = error.kind() else { return None };
        let schema: Value = serde_json::from_str(self.text).ok()?;
        let pointer = error.instance_path().as_str();
        let place = schema_at(&schema, pointer)?;
        let form = form::of(&schema, place, error.instance())?;
        let name = pointer.rsplit('/').find(|name| !name.bytes().all(|byte| byte.is_ascii_digit()))?;
        Some(format!("write `{name} = {form}`{}", form::choice(place)).into())
    }

    /// Why the schema itself is not valid; `None` for all embedded schemas.
    pub fn defect(&self) -> Option<&str> {
        self.compiled.as_ref().err().map(String::as_str)
    }

    fn no_such_field(&self, table: &str, name: &str) -> SchemaFault {
        let pointer = format!("{table}/{}", name.replace('~', "~0").replace('/', "~1"));
        let issue = SchemaIssue::new(&pointer, &format!("there is no field `{name}`"));
        let schema: Value = serde_json::from_str(self.text).unwrap_or_default();
        let fields = schema_at(&schema, table).and_then(|table| table.get("properties")?.as_object());
        let names = fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str));
        let nearest = nearest(name, names).map(str::to_owned);
        SchemaFault { unknown: Some(name.to_owned()), nearest, ..SchemaFault::of(issue) }
    }
}

/// Refuses a file of a later version. This is checked first, because other unknown content follows from the version.
fn refuse_newer(document: &Value) -> Result<(), SchemaFault> {
    match document.get("version").and_then(Value::as_u64) {
        Some(version) if version > FILE_VERSION => {
            let message =
                format!("{version} is later than {FILE_VERSION}, the version that this palyra reads");
            Err(SchemaFault { is_newer: true, ..SchemaFault::of(SchemaIssue::new("/version", &message)) })
        }
        _ => Ok(()),
    }
}

/// The part of `schema` that applies to the value at the JSON pointer `pointer`.
fn schema_at<'a>(schema: &'a Value, pointer: &str) -> Option<&'a Value> {
    let inner = |place: &'a Value, segment: &str| {
        let named = place.get("properties").and_then(|fields| fields.get(segment));
        followed(schema, named.or_else(|| place.get("items")).or_else(|| place.get("additionalProperties"))?)
    };
    pointer.split('/').skip(1).try_fold(schema, inner)
}

/// Follows the reference at a place of `schema`. Where the schema permits either one value or a list of them, the `else`
/// branch describes the one value.
fn followed<'a>(schema: &'a Value, place: &'a Value) -> Option<&'a Value> {
    let place = match place.get("$ref").and_then(Value::as_str) {
        Some(reference) => schema.pointer(reference.strip_prefix('#')?)?,
        None => place,
    };
    place.get("else").map_or(Some(place), |one| followed(schema, one))
}

/// The unknown member, if that is the error.
fn unknown_member<'a>(error: &'a ValidationError<'_>) -> Option<&'a str> {
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected.first().map(String::as_str),
        _ => None,
    }
}

/// The most similar allowed word, if the value is not one of a fixed set.
fn nearest_word(error: &ValidationError<'_>) -> Option<String> {
    let ValidationErrorKind::Enum { options } = error.kind() else { return None };
    let words = options.as_array()?.iter().filter_map(Value::as_str);
    nearest(error.instance().as_str()?, words).map(str::to_owned)
}

fn issue_of_file(error: &ValidationError<'_>) -> SchemaIssue {
    let at = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            SchemaIssue::new(&format!("{at}/{}", property.as_str().unwrap_or_default()), "is missing")
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().into_iter().flatten().map(Value::to_string);
            let listed = options.collect::<Vec<_>>().join(", ");
            SchemaIssue::new(at, &format!("{} is not one of {listed}", told(error.instance())))
        }
        _ => SchemaIssue::new(at, &error.masked_with(told(error.instance())).to_string()),
    }
}

impl SchemaFault {
    fn of(issue: SchemaIssue) -> Self {
        Self { issue, unknown: None, nearest: None, form: None, is_newer: false }
    }

    /// Quotes the wrong value if it is a text, for files in which no text is a secret.
    pub fn quoting(mut self, document: &Value) -> Self {
        let text = document.pointer(&self.issue.pointer);
        if let Some(value @ Value::String(text)) = text {
            let quoted: String = text.chars().take(QUOTED_CHARS_MAX).collect();
            let message = self.issue.message.replacen(&told(value), &format!("`{quoted}`"), 1);
            self.issue = SchemaIssue::new(&self.issue.pointer, &message);
        }
        self
    }

    /// The remedy, if one is known.
    pub fn hint(&self) -> Option<String> {
        if self.is_newer {
            let told = "a newer palyra wrote this file: run that version, or put back the earlier file; a file of this version begins \
                        with `version = 1`";
            return Some(told.to_owned());
        }
        self.nearest.as_ref().map(|near| format!("did you mean `{near}`?"))
    }
}

impl SchemaIssue {
    /// An issue without control characters, its parts cut to [`MESSAGE_CHARS_MAX`].
    pub(crate) fn new(pointer: &str, message: &str) -> Self {
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
    for (_, other) in ALL {
        let document: Value = serde_json::from_str(other.text).map_err(|error| error.to_string())?;
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
        for (file, schema) in ALL {
            assert_eq!(schema.defect(), None, "{file}");
            let document: Value = serde_json::from_str(schema.text).unwrap();
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
    fn a_field_that_is_not_known_is_named_whole_whatever_its_name_is() {
        for (name, pointer) in [("a'b", "/a'b"), ("a/b~c", "/a~1b~0c"), ("x', 'y", "/x', 'y")] {
            let fault = REGISTRY.check_file(&json!({ name: 1 })).unwrap_err();
            assert_eq!((fault.issue.pointer.as_str(), fault.unknown.as_deref()), (pointer, Some(name)));
            assert_eq!(fault.issue.message, format!("there is no field `{name}`"));
        }
    }

    #[test]
    fn a_misspelt_field_of_any_depth_brings_the_one_that_was_meant() {
        let nearest = |schema: &Schema, table: &str, name: &str| schema.no_such_field(table, name).nearest;
        for (table, misspelt, meant) in [
            ("", "contnet", "content"),
            ("/auth/0/token", "schem", "scheme"),
            ("/auth/1/mac/key", "decod", "decode"),
            ("/auth/1/mac/signature/from", "haeder", "header"),
            ("/auth/0/certificate/certificate_url", "host", "hosts"),
            ("/auth/0/when", "json_iss", "json_is"),
            ("/handshake/0", "chek", "check"),
            ("/handshake/0/answer/json/challenge", "ecko", "echo"),
        ] {
            assert_eq!(nearest(&PROVIDER_PROFILE, table, misspelt).as_deref(), Some(meant));
        }
        assert_eq!(nearest(&PROVIDER_PROFILE, "", "retries"), None, "it stands in another table");
        assert_eq!(nearest(&REGISTRY, "/webhooks/0", "enabeld").as_deref(), Some("enabled"));
        assert_eq!(nearest(&REGISTRY, "", "webhoks").as_deref(), Some("webhooks"));
        assert_eq!(nearest(&REGISTRY, "/webhooks/0", "qqqq"), None);
    }

    #[test]
    fn a_word_that_is_none_of_those_there_are_is_told_with_all_of_them() {
        let document = json!({"version": 1, "name": "a", "title": "a", "docs": "https://a.example/", "event": {},
            "content": ["json"], "auth": [{"mac": {"algorithm": "hmac-md5", "content": "{body}",
            "signature": {"from": {"header": "a"}, "encoding": "hex"}}}]});
        let fault = PROVIDER_PROFILE.check_file(&document).unwrap_err();
        assert_eq!(
            (fault.issue.pointer.as_str(), fault.issue.message.as_str()),
            (
                "/auth/0/mac/algorithm",
                "a text of 8 characters is not one of \"hmac-sha1\", \"hmac-sha256\", \"hmac-sha384\", \"hmac-sha512\", \
                 \"sha256\", \"ed25519\", \"ecdsa-p256-sha256\", \"ecdsa-p256-sha256-raw\", \"ecdsa-p384-sha384\", \
                 \"ecdsa-p384-sha384-raw\", \"rsa-sha1\", \"rsa-sha256\", \"rsa-sha384\", \"rsa-sha512\", \
                 \"rsa-pss-sha256\", \"rsa-pss-sha384\", \"rsa-pss-sha512\""
            )
        );
        assert!(fault.hint().unwrap().starts_with("did you mean `hmac-"), "{:?}", fault.hint());
        let quoting = fault.quoting(&document).issue.message;
        assert!(quoting.starts_with("`hmac-md5` is not one of \"hmac-sha1\""), "{quoting}");
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
