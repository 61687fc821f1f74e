//! What a delivery is held to by itself, alike for the ingress and for `webhooks test`. Nothing is counted or kept here.

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use palyra_actors::clock::UnixMs;
use palyra_actors::provider::{ContentKind, Profile, Request, Verified, VerifyError};
use palyra_actors::registry::{Integration, IntegrationRecord};
use palyra_actors::secret::SecretVersions;

use crate::http::body;
use crate::http::delivery::headers::HeaderView;
use crate::http::delivery::stopped::Stopped;
use crate::http::problem::{Kind, Problem};

/// What its body is, of a delivery whose head is not refused: signature headers, encoding, type, declared length.
///
/// # Errors
/// The first thing the head is refused for.
pub fn head(
    headers: &HeaderMap,
    integration: &Integration,
    profile: &Profile,
) -> Result<ContentKind, Stopped> {
    let (record, view) = (&integration.record, HeaderView(headers));
    if record.signature_required && !profile.greets_unsigned() {
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

/// Whether the body is of the kind that its type says, where the profile takes more than one: types are not signed, and
/// under another the genuine delivery would leave a row of what it is not.
///
/// # Errors
/// 415.
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

/// Verifies what has to be signed, and what is; `None` for what is taken without.
///
/// # Errors
/// Why it is not authentic, or why that cannot be told.
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
