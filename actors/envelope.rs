//! The envelope of an accepted delivery (`schemas/webhook-envelope.v1.json`).
//!
//! The journal stores the bytes from the wire. The envelope is derived from them on each read, and is always the same
//! byte for byte.

use serde_json::{Value, json};

use crate::clock::UnixMs;
use crate::ids::{Digest, EventId};
use crate::journal::{BodyFormat, StoredEvent};
use crate::json::{self, Element, form_document, text_document};
use crate::limits::{ENVELOPE_UNIX_MS_MAX, PAYLOAD_MEMBERS_MAX, WEBHOOK_NAME_CHARS_MAX};
use crate::schemas::{SchemaIssue, WEBHOOK_ENVELOPE};

/// The parts of an envelope besides its payload.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// Name of the event.
    pub event: &'a str,
    /// Source of the delivery.
    pub source: &'a str,
    /// The replay key, which identifies the delivery.
    pub nonce: Digest,
    /// When it happened.
    pub timestamp_unix_ms: UnixMs,
}

/// Checks the envelope of a delivery against its schema. An envelope that was posted as such is checked by [`validate`].
///
/// # Errors
/// The violations.
pub fn check(parts: &Parts<'_>, format: BodyFormat, body: Element<'_>) -> Result<(), Vec<SchemaIssue>> {
    if fits(parts, format, body) { Ok(()) } else { validate(&document(parts, format, body)) }
}

/// Whether the envelope meets the schema, decided from the few values that the schema restricts and that we do not
/// generate.
fn fits(parts: &Parts<'_>, format: BodyFormat, body: Element<'_>) -> bool {
    let is_name = |text: &str| !text.is_empty() && text.chars().nth(WEBHOOK_NAME_CHARS_MAX).is_none();
    let is_payload = || body.is_object() && body.members().nth(PAYLOAD_MEMBERS_MAX).is_none();
    is_name(parts.event)
        && is_name(parts.source)
        && parts.timestamp_unix_ms <= ENVELOPE_UNIX_MS_MAX
        && (format == BodyFormat::JsonArray || is_payload())
}

/// The envelope of a delivery without an event id yet, as a document to validate.
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
/// The violations.
pub fn validate(envelope: &Value) -> Result<(), Vec<SchemaIssue>> {
    WEBHOOK_ENVELOPE.check(envelope)
}

/// Why a stored event has no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// It is not an accepted delivery.
    #[error("event {0} is not a webhook event and has no envelope")]
    NoEnvelope(u64),
    /// Its body, stored as JSON, is not valid UTF-8.
    #[error("the body of event {0} is not UTF-8; run `palyra journal verify`")]
    NotUtf8(u64),
}

/// The envelope of a stored delivery, as a single line of JSON.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::journal::{EventKind, ReplayClaim, Severity, Verdict};
    use crate::json::Document;

    fn stored(body: &[u8], body_format: BodyFormat) -> StoredEvent {
        let claim = ReplayClaim {
            key: Digest::of(b"key"),
            body: Digest::of(body),
            verdict: Verdict::Accepted,
            expires_at: 0,
            is_whole: false,
            retries_differ: false,
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

    /// A payload with `members` members.
    fn payload(members: usize) -> Value {
        (0..members).map(|n| (n.to_string(), Value::Null)).collect()
    }

    /// The result of the direct check and that of the schema; they must agree.
    fn checked(parts: &Parts<'_>, format: BodyFormat, body: &Value) -> (bool, Result<(), Vec<SchemaIssue>>) {
        let body = Document::from(body);
        let by_schema = validate(&document(parts, format, body.root()));
        assert_eq!(check(parts, format, body.root()), by_schema);
        (fits(parts, format, body.root()), by_schema)
    }

    const FORMATS: [BodyFormat; 4] =
        [BodyFormat::Json, BodyFormat::JsonArray, BodyFormat::Form, BodyFormat::Text];

    fn name() -> impl Strategy<Value = String> {
        let character = select(vec!['a', '"', '\0', 'é', '\u{301}', '漢', '\u{1f600}', '\u{10ffff}']);
        let chars = prop_oneof![
            8 => select(vec![1, 2, 64, 127, 128]),
            1 => select(vec![0, 129, 130, 256]),
        ];
        (character, chars).prop_map(|(character, chars)| character.to_string().repeat(chars))
    }

    fn body() -> impl Strategy<Value = Value> {
        let others = [json!([]), json!([1, {"a": 2}]), json!(null), json!("text"), json!(1.5), json!(true)];
        prop_oneof![
            3 => select(vec![0, 1, 2_047, 2_048, 2_049, 3_000]).prop_map(payload),
            1 => select(others.to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn the_direct_check_is_that_of_the_schema(
            event in name(),
            source in name(),
            time in prop_oneof![select(vec![0, 1, (1 << 53) - 1, 1 << 53, u64::MAX]), any::<u64>(), 0..1_u64 << 53],
            nonce in any::<[u8; 32]>(),
            format in select(FORMATS.to_vec()),
            body in body(),
        ) {
            let parts =
                Parts { event: &event, source: &source, nonce: Digest(nonce), timestamp_unix_ms: time };
            let (direct, by_schema) = checked(&parts, format, &body);
            prop_assert_eq!(direct, by_schema.is_ok(), "{:?}", by_schema);
        }
    }

    #[test]
    fn each_bound_of_the_schema_is_met_exactly() {
        let (longest, long) = ("é".repeat(128), "é".repeat(129));
        let whole = Parts { event: "e", source: "s", nonce: Digest::of(b""), timestamp_unix_ms: 1 };
        let cases = [
            (true, whole, payload(2_048)),
            (false, whole, payload(2_049)),
            (true, Parts { event: &longest, ..whole }, payload(0)),
            (false, Parts { event: &long, ..whole }, payload(0)),
            (false, Parts { event: "", ..whole }, payload(0)),
            (true, Parts { source: &longest, ..whole }, payload(0)),
            (false, Parts { source: &long, ..whole }, payload(0)),
            (false, Parts { source: "", ..whole }, payload(0)),
            (true, Parts { timestamp_unix_ms: 9_007_199_254_740_991, ..whole }, payload(0)),
            (false, Parts { timestamp_unix_ms: 9_007_199_254_740_992, ..whole }, payload(0)),
        ];
        for (expected, parts, body) in cases {
            let (direct, by_schema) = checked(&parts, BodyFormat::Json, &body);
            assert_eq!((direct, by_schema.is_ok()), (expected, expected), "{by_schema:?}");
        }
        for format in FORMATS {
            let (direct, by_schema) = checked(&whole, format, &json!([0]));
            let is_array = format == BodyFormat::JsonArray;
            assert_eq!((direct, by_schema.is_ok()), (is_array, is_array), "{format:?}");
        }
    }
}
