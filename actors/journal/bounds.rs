//! The bounds an event must meet to be stored, and the parser for operators' events.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::claim::{ReplayClaim, Verdict};
use super::error::JournalError;
use super::event::{BodyFormat, NewEvent, Severity, SystemEvent, WebhookEvent};
use crate::ids::is_canonical_id;
use crate::json::{self, JsonError};
use crate::limits::{
    DELIVERY_ID_BYTES_MAX, EVENT_DETAILS_BYTES_MAX, EVENT_DETAILS_LEVELS_MAX, EVENT_NAME_BYTES_MAX,
    EVENT_TAG_BYTES_MAX, EVENT_TAGS_MAX, PAYLOAD_BYTES_CAP_MAX, PRINCIPAL_BYTES_MAX, SCHEMA_ISSUES_MAX,
    SUMMARY_BYTES_MAX, WEBHOOK_NAME_CHARS_MAX,
};
use crate::schemas::{SYSTEM_EVENT, SchemaIssue};

/// Prefix of the names of operators' events in the journal.
pub const OPERATOR_PREFIX: &str = "system.operator.";

/// Longest name under which a system event is stored.
const STORED_NAME_BYTES_MAX: usize = OPERATOR_PREFIX.len() + EVENT_NAME_BYTES_MAX;

#[derive(Deserialize)]
struct OperatorEvent {
    name: String,
    message: Option<String>,
    severity: Option<Severity>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    details: Map<String, Value>,
}

/// Reads an operator's event (`schemas/system-event.v1.json`) as the system event `system.operator.<name>`.
///
/// # Errors
/// Every violation of the schema or of a bound, and JSON that cannot be stored as it is written; at most
/// [`SCHEMA_ISSUES_MAX`](crate::limits::SCHEMA_ISSUES_MAX) of them.
pub fn operator_event(text: &str) -> Result<SystemEvent, Vec<SchemaIssue>> {
    let json = json::exact(text).map_err(|error| vec![unkept(error)])?;
    check_form(&json)?;
    let given: OperatorEvent =
        serde_json::from_value(json).map_err(|error| vec![SchemaIssue::new("", &error.to_string())])?;
    let event = SystemEvent {
        severity: given.severity.unwrap_or(Severity::Info),
        source: "operator".to_owned(),
        tags: given.tags,
        details: given.details,
        ..SystemEvent::new(format!("{OPERATOR_PREFIX}{}", given.name), "")
    };
    // Set directly rather than by `SystemEvent::new`: a summary that is too long is refused, not cut.
    let event = SystemEvent { summary: given.message.unwrap_or(given.name), ..event };
    check_system(&event).map_err(|error| vec![from_outside(error)])?;
    Ok(event)
}

/// Checks the form of an event, and the limits of its texts.
fn check_form(json: &Value) -> Result<(), Vec<SchemaIssue>> {
    let mut issues = too_long(json);
    let others = SYSTEM_EVENT.check(json).err().unwrap_or_default();
    let told: Vec<String> = issues.iter().map(|issue| issue.pointer.clone()).collect();
    issues.extend(others.into_iter().filter(|issue| !told.contains(&issue.pointer)));
    issues.truncate(SCHEMA_ISSUES_MAX);
    if issues.is_empty() { Ok(()) } else { Err(issues) }
}

/// The texts that are too long. The journal counts their bytes; the schema can only count characters.
fn too_long(json: &Value) -> Vec<SchemaIssue> {
    let message = json.get("message").map(|text| ("/message".to_owned(), text, SUMMARY_BYTES_MAX));
    let tags = json.get("tags").and_then(Value::as_array).into_iter().flatten().enumerate();
    let tags = tags.map(|(place, text)| (format!("/tags/{place}"), text, EVENT_TAG_BYTES_MAX));
    let texts = message.into_iter().chain(tags);
    texts
        .filter(|(_, text, bytes_max)| text.as_str().is_some_and(|text| text.len() > *bytes_max))
        .map(|(at, _, bytes_max)| SchemaIssue::new(&at, &format!("must have at most {bytes_max} bytes")))
        .collect()
}

fn unkept(error: JsonError) -> SchemaIssue {
    match error {
        JsonError::Refused { pointer, reason } => SchemaIssue::new(&pointer, reason),
        error @ JsonError::NotJson { .. } => SchemaIssue::new("", &error.to_string()),
    }
}

/// Reports a violated bound under the field names of the schema.
fn from_outside(error: JournalError) -> SchemaIssue {
    match error {
        JournalError::Invalid { field: "summary", problem } => SchemaIssue::new("/message", &problem),
        JournalError::Invalid { field, problem } => SchemaIssue::new(&format!("/{field}"), &problem),
        other => SchemaIssue::new("", &other.to_string()),
    }
}

/// Checks every bound of an event, and that its claim belongs to it.
///
/// # Errors
/// [`JournalError::Invalid`] with the first field that is out of bounds.
pub(super) fn check(event: &NewEvent, claim: Option<&ReplayClaim>) -> Result<(), JournalError> {
    match event {
        NewEvent::Webhook(event) => check_webhook(event, claim),
        NewEvent::System(event) => {
            let accepts = claim.is_some_and(|claim| claim.verdict == Verdict::Accepted);
            must(!accepts, "claim", "accepts a delivery, but the event is not a webhook event")?;
            check_system(event)
        }
    }
}

fn check_webhook(event: &WebhookEvent, claim: Option<&ReplayClaim>) -> Result<(), JournalError> {
    let is_name = |text: &str| (1..=WEBHOOK_NAME_CHARS_MAX).contains(&text.chars().count());
    must(is_name(&event.name), "name", "must have 1 to 128 characters")?;
    must(is_name(&event.source), "source", "must have 1 to 128 characters")?;
    must(is_canonical_id(&event.integration_id), "integration_id", "is not a canonical id")?;
    must(is_canonical_id(&event.provider), "provider", "is not a canonical id")?;
    check_delivery_id(event.delivery_id.as_deref())?;
    must(
        event.body.bytes().len() as u64 <= PAYLOAD_BYTES_CAP_MAX,
        "body",
        "is larger than the largest allowed body",
    )?;
    must(event.body_format != BodyFormat::None || event.body.bytes().is_empty(), "body", "has no format")?;
    let Some(claim) = claim else { return Ok(()) };
    must(claim.verdict == Verdict::Accepted, "claim", "does not accept the delivery")
}

fn check_system(event: &SystemEvent) -> Result<(), JournalError> {
    must(is_event_name(&event.name), "name", "must be 1 to 80 of the characters a-z 0-9 . _ : -")?;
    let fits = |text: &str| (1..=PRINCIPAL_BYTES_MAX).contains(&text.len());
    must(fits(&event.principal), "principal", "must have 1 to 128 bytes")?;
    let is_source = (1..=WEBHOOK_NAME_CHARS_MAX).contains(&event.source.chars().count());
    must(is_source, "source", "must have 1 to 128 characters")?;
    let is_id = |id: &Option<String>| id.as_deref().is_none_or(is_canonical_id);
    must(is_id(&event.integration_id), "integration_id", "is not a canonical id")?;
    must(is_id(&event.provider), "provider", "is not a canonical id")?;
    check_delivery_id(event.delivery_id.as_deref())?;
    must(event.summary.len() <= SUMMARY_BYTES_MAX, "summary", "must have at most 240 bytes")?;
    let is_tag = |tag: &String| (1..=EVENT_TAG_BYTES_MAX).contains(&tag.len());
    let tags_fit = event.tags.len() <= EVENT_TAGS_MAX && event.tags.iter().all(is_tag);
    must(tags_fit, "tags", "must be at most 16 tags of 1 to 64 bytes")?;
    // Before they are written as text, which takes more of the stack for every level.
    let is_flat = event.details.values().all(|value| has_levels(value, EVENT_DETAILS_LEVELS_MAX - 1));
    must(is_flat, "details", "must be nested at most 64 levels deep")?;
    let details = serde_json::to_vec(&event.details).map_or(usize::MAX, |text| text.len());
    must(details <= EVENT_DETAILS_BYTES_MAX, "details", "must be at most 8 KiB of JSON")
}

/// Whether `value` has at most `levels` levels of arrays and objects. It looks no deeper.
fn has_levels(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| has_levels(item, levels - 1)),
        Value::Object(members) => levels > 0 && members.values().all(|value| has_levels(value, levels - 1)),
        _ => true,
    }
}

fn check_delivery_id(id: Option<&str>) -> Result<(), JournalError> {
    let fits = id.is_none_or(|id| (1..=DELIVERY_ID_BYTES_MAX).contains(&id.len()));
    must(fits, "delivery_id", "must have 1 to 256 bytes")
}

/// A summary of at most [`SUMMARY_BYTES_MAX`] bytes, cut between characters.
pub(super) fn shortened(mut summary: String) -> String {
    summary.truncate(summary.floor_char_boundary(SUMMARY_BYTES_MAX));
    summary
}

fn is_event_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b':' | b'-');
    (1..=STORED_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(fits)
}

fn must(holds: bool, field: &'static str, problem: &str) -> Result<(), JournalError> {
    if holds { Ok(()) } else { Err(JournalError::invalid(field, problem)) }
}
