//! The envelope (`schemas/webhook-envelope.v1.json`): what an accepted delivery becomes.
//!
//! The journal keeps the bytes from the wire; the envelope is derived from them when it is read, byte for
//! byte the same every time.

use serde_json::{Map, Value, json};

use crate::clock::UnixMs;
use crate::ids::{Digest, EventId};
use crate::journal::{BodyFormat, StoredEvent};
use crate::json::{self, Element};
use crate::schemas::{SchemaIssue, WEBHOOK_ENVELOPE};

/// What an envelope is made of besides its payload.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Name of the event.
    pub event: &'a str,
    /// Where it came from.
    pub source: &'a str,
    /// What identifies the delivery: its replay key.
    pub nonce: Digest,
    /// When it happened.
    pub timestamp_unix_ms: UnixMs,
}

/// Checks the envelope that a delivery becomes against its schema; one that was posted as it is goes to [`validate`].
///
/// # Errors
/// What breaks it.
pub fn check(parts: &Parts<'_>, format: BodyFormat, body: Element<'_>) -> Result<(), Vec<SchemaIssue>> {
    validate(&document(parts, format, body))
}

/// The envelope of a delivery that has no event id yet, as a document to validate.
fn document(parts: &Parts<'_>, format: BodyFormat, body: Element<'_>) -> Value {
    let payload = match format {
        BodyFormat::JsonArray => json!({"items": body.to_value()}),
        _ => body.to_value(),
    };
    json!({
        "v": 1,
        "id": EventId::new(0, 0),
        "event": parts.event,
        "source": parts.source,
        "payload": payload,
        "replay_protection": {"nonce": parts.nonce, "timestamp_unix_ms": parts.timestamp_unix_ms},
    })
}

/// Checks an envelope against its schema.
///
/// # Errors
/// What breaks it.
pub fn validate(envelope: &Value) -> Result<(), Vec<SchemaIssue>> {
    WEBHOOK_ENVELOPE.check(envelope)
}

/// A stored event that has no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Only accepted deliveries have one.
    #[error("event {0} is no webhook event and has no envelope")]
    NoEnvelope(u64),
    /// What is stored as JSON is not even UTF-8.
    #[error("the body of event {0} is not UTF-8; run `palyra journal verify`")]
    NotUtf8(u64),
}

/// The envelope of a stored delivery, on one line.
///
/// # Errors
/// When the event has no envelope.
pub fn render(event: &StoredEvent) -> Result<String, RenderError> {
    let body = || std::str::from_utf8(&event.body).map_err(|_| RenderError::NotUtf8(event.seq));
    let payload = match event.body_format {
        BodyFormat::None => return Err(RenderError::NoEnvelope(event.seq)),
        BodyFormat::Envelope => return Ok(json::compact(body()?)),
        BodyFormat::Json => json::compact(body()?),
        BodyFormat::JsonArray => format!("{{\"items\":{}}}", json::compact(body()?)),
        BodyFormat::Form => form_document(&event.body).to_string(),
        BodyFormat::Text => text_document(body()?).to_string(),
    };
    let claim = event.claim.as_ref().ok_or(RenderError::NoEnvelope(event.seq))?;
    let quoted = |text: &str| Value::from(text).to_string();
    Ok(format!(
        "{{\"v\":1,\"id\":\"{}\",\"event\":{},\"source\":{},\"payload\":{payload},\
         \"replay_protection\":{{\"nonce\":\"{}\",\"timestamp_unix_ms\":{}}}}}",
        event.event_id,
        quoted(&event.name),
        quoted(&event.source),
        claim.key,
        event.occurred_at,
    ))
}

/// A text as an object with the one member `text`.
pub fn text_document(text: &str) -> Value {
    json!({ "text": text })
}

/// The fields of a form as an object: a field that comes once is a string, one that comes again an array.
pub fn form_document(body: &[u8]) -> Value {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        let value = Value::from(value.into_owned());
        match fields.get_mut(name.as_ref()) {
            None => drop(fields.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{EventKind, ReplayClaim, Severity, Verdict};

    fn stored(body: &[u8], body_format: BodyFormat) -> StoredEvent {
        let claim = ReplayClaim {
            key: Digest::of(b"key"),
            body: Digest::of(body),
            verdict: Verdict::Accepted,
            expires_at: 0,
        };
        StoredEvent {
            seq: 7,
            event_id: EventId::new(1_700_000_000_000, 5),
            kind: EventKind::Webhook,
            name: "push \"quoted\"".into(),
            severity: Severity::Info,
            principal: "palyra".into(),
            source: "octo/hello".into(),
            integration_id: Some("gh".into()),
            provider: Some("github".into()),
            delivery_id: None,
            key_version: Some(1),
            occurred_at: 1_700_000_000_000,
            recorded_at: 1_700_000_000_001,
            summary: String::new(),
            tags: Vec::new(),
            claim: Some(claim),
            body: body.to_vec(),
            body_format,
            prev_hash: Digest::of(b""),
            hash: Digest::of(b""),
        }
    }

    #[test]
    fn a_rendered_envelope_fits_its_schema_and_is_the_same_every_time() {
        let cases: [(&[u8], BodyFormat); 4] = [
            (b"disk \"full\"\non a", BodyFormat::Text),
            (b"{\n \"a\" : 1.0, \"big\": 123456789012345678901234567890 }", BodyFormat::Json),
            (b"[1, 2]", BodyFormat::JsonArray),
            (b"a=1&b=%7B%7D&a=2", BodyFormat::Form),
        ];
        for (body, format) in cases {
            let event = stored(body, format);
            let text = render(&event).unwrap();
            assert_eq!(text, render(&event).unwrap());
            assert!(!text.contains('\n'));
            assert_eq!(validate(&serde_json::from_str(&text).unwrap()), Ok(()), "{text}");
        }
    }

    #[test]
    fn numbers_reach_the_envelope_as_they_were_sent() {
        let text = render(&stored(b"{\"n\": 1.0000000000000000001}", BodyFormat::Json)).unwrap();
        assert!(text.contains("\"payload\":{\"n\":1.0000000000000000001}"), "{text}");
    }

    #[test]
    fn a_posted_envelope_is_rendered_as_it_came() {
        assert_eq!(render(&stored(b"{ \"v\": 1 }", BodyFormat::Envelope)).unwrap(), "{\"v\":1}");
        assert_eq!(render(&stored(b"", BodyFormat::None)), Err(RenderError::NoEnvelope(7)));
    }

    #[test]
    fn repeated_form_fields_become_an_array() {
        assert_eq!(form_document(b"a=1&b=2&a=3&a=4"), json!({"a": ["1", "3", "4"], "b": "2"}));
    }
}
