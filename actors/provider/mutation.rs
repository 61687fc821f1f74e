//! Deliveries with one deliberate fault, and the answers they must get, so that an operator can check that the receiver
//! refuses them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Profile;
use super::body::ContentKind;
use super::scheme::Proof;

/// The fault of a delivery that is otherwise signed as the provider would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    /// One bit of the signature, or one character of the token, is changed.
    Signature,
    /// It was signed too long ago.
    Timestamp,
    /// The body was changed after it was signed.
    Body,
    /// No fault, but it is sent twice.
    Duplicate,
    /// The signature is missing.
    DropHeader,
}

impl Profile {
    /// The expected status for such a delivery; `None` if the provider's deliveries have nothing this fault applies to.
    pub fn answer_to(&self, mutation: Mutation, signature_required: bool) -> Option<u16> {
        let signed = self.authenticates();
        let taken = self.answer();
        match mutation {
            Mutation::Duplicate => Some(taken.again().status),
            Mutation::Signature if signed => Some(401),
            Mutation::DropHeader if signed => Some(if signature_required { 401 } else { taken.status }),
            Mutation::Body if signed && !self.has_no_body() => {
                Some(if self.notices_body() { 401 } else { taken.status })
            }
            Mutation::Timestamp => self.age_refused_seconds().map(|_| 401),
            _ => None,
        }
    }

    /// An age in seconds at which a delivery of this provider is refused; `None` if no time is signed.
    pub fn age_refused_seconds(&self) -> Option<u64> {
        let ages = self.schemes.iter().filter_map(|scheme| match &scheme.proof {
            Proof::Signed(scheme) => scheme.form.timestamp.as_ref().map(|time| time.past_seconds),
            Proof::Jwt(form) => form.expiry_leeway_seconds.max(form.issued_past_seconds),
            Proof::Token(_) | Proof::None => None,
        });
        // Twice the tolerance, plus more than the lifetime of a generated token.
        ages.max().map(|seconds| seconds.saturating_mul(2).saturating_add(120))
    }

    fn notices_body(&self) -> bool {
        self.schemes.iter().any(|scheme| match &scheme.proof {
            Proof::Signed(scheme) => scheme.content.notices_body() || scheme.form.body_sha256_query.is_some(),
            Proof::Jwt(form) => form.body_sha256_claim.is_some(),
            Proof::Token(_) | Proof::None => false,
        })
    }
}

/// Adds something to the body that the sender did not write; it remains valid for its kind.
pub fn tampered(body: Vec<u8>, kind: ContentKind) -> Vec<u8> {
    match (kind, serde_json::from_slice(&body)) {
        (ContentKind::Json, Ok(Value::Object(mut members))) => {
            members.insert("tampered".to_owned(), Value::Bool(true));
            Value::Object(members).to_string().into_bytes()
        }
        (ContentKind::Json, _) => [body.as_slice(), b" "].concat(),
        (ContentKind::Text, _) => [body.as_slice(), b" tampered"].concat(),
        (ContentKind::None, _) => body,
        (ContentKind::Form, _) => [body.as_slice(), b"&tampered=true"].concat(),
    }
}
