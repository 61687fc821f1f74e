//! The checks on a single delivery, shared by the ingress and `webhooks test`. They count and keep nothing.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use palyra_actors::clock::UnixMs;
use palyra_actors::provider::{ContentKind, Profile, Request, Verified, VerifyError};
use palyra_actors::registry::{Integration, IntegrationRecord};
use palyra_actors::secret::SecretVersions;

use crate::http::body;
use crate::http::delivery::headers::HeaderView;
use crate::http::delivery::stopped::Stopped;
use crate::http::problem::{Kind, Problem};

/// Checks the head (signature headers, encoding, content type, declared length) and returns the kind of body to expect.
///
/// # Errors
/// The first fault found in the head.
pub fn head(
    headers: &HeaderMap,
    integration: &Integration,
    profile: &Profile,
) -> Result<ContentKind, Stopped> {
    let (record, view) = (&integration.record, HeaderView(headers));
    if record.signature_required && !profile.answers_unsigned_handshakes() {
        profile.precheck(&view)?;
    }
    let not_taken = |why: String| Problem::new(Kind::UnsupportedMediaType).detail(why);
    if headers.contains_key(CONTENT_ENCODING) {
        let why = "Content-Encoding is not accepted: send the body uncompressed";
        return Err(not_taken(why.to_owned()).into());
    }
    let kind = profile.content_kind(&view).map_err(|error| not_taken(error.to_string()))?;
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    body::check_declared(declared, record.max_payload_bytes)?;
    Ok(kind)
}

/// Checks that the body is of the kind that its `Content-Type` declares, where the profile accepts several kinds. Content
/// types are not signed: with a changed one, a genuine delivery would be journaled as something it is not.
///
/// # Errors
/// 415 when they differ.
pub fn body(profile: &Profile, kind: ContentKind, raw: &[u8]) -> Result<(), Problem> {
    if profile.agrees_with_type(kind, raw) {
        return Ok(());
    }
    let said = match kind {
        ContentKind::Form => "the body is not a form",
        ContentKind::None => "the request has a body, but deliveries of this provider have none",
        ContentKind::Json | ContentKind::Text => "the body is not JSON",
    };
    Err(Problem::new(Kind::UnsupportedMediaType).detail(said))
}

/// Verifies the signature of a delivery that has to be signed, or that is signed anyway; `None` if it may be, and is,
/// unsigned.
///
/// # Errors
/// Why the delivery is not authentic, or why that cannot be decided.
pub fn signature(
    record: &IntegrationRecord,
    profile: &Profile,
    request: &Request<'_>,
    keys: Option<&SecretVersions>,
    now: UnixMs,
) -> Result<Option<Verified>, VerifyError> {
    let is_signed = || profile.precheck(request.headers).is_ok() && profile.authenticates_such(request);
    match keys {
        None if record.signature_required => Err(VerifyError::NoKey),
        Some(keys) if record.signature_required || is_signed() => {
            profile.verify(request, keys, now).map(Some)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use palyra_actors::provider::{Body, Catalogue, Parameters};

    use super::*;

    #[test]
    fn what_has_to_be_signed_is_never_taken_without_a_key() {
        let catalogue = Catalogue::built_in().unwrap();
        let profile = catalogue.get("github").unwrap();
        let (headers, parameters) = (Vec::new(), Parameters::new());
        let body = Body::new(b"{}".to_vec(), ContentKind::Json);
        let request =
            Request { method: "POST", url: "/", headers: &headers, body: &body, parameters: &parameters };
        let verified = |signature_required: bool| {
            let record = serde_json::json!({
                "integration_id": "gh", "provider": "github", "signature_required": signature_required,
            });
            signature(&serde_json::from_value(record).unwrap(), profile, &request, None, 0)
        };
        assert_eq!(verified(true), Err(VerifyError::NoKey));
        assert_eq!(verified(false), Ok(None));
    }
}
