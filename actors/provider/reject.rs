//! Why a delivery is not authentic. This is for the operator only; the sender is not told.

use serde::{Deserialize, Serialize};

/// Reasons; their words are stable, so that scripts can rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The signature, or a part of the signed content, is missing.
    MissingSignature,
    /// The signature is not in a valid form.
    MalformedSignature,
    /// No key of ours made the signature over these bytes.
    BadSignature,
    /// The signed time is missing.
    MissingTimestamp,
    /// The signed time cannot be read.
    MalformedTimestamp,
    /// It was signed too long ago.
    StaleTimestamp,
    /// It was signed too far in our future.
    FutureTimestamp,
    /// A claim of the token does not have the required value.
    BadClaim,
    /// It names a key or certificate that we do not trust.
    UntrustedKey,
}

impl Reason {
    /// The word under which it is counted and logged.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingSignature => "missing_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::BadSignature => "bad_signature",
            Self::MissingTimestamp => "missing_timestamp",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::StaleTimestamp => "stale_timestamp",
            Self::FutureTimestamp => "future_timestamp",
            Self::BadClaim => "bad_claim",
            Self::UntrustedKey => "untrusted_key",
        }
    }
}

/// A delivery that is not authentic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", reason.as_str())]
pub struct Reject {
    pub reason: Reason,
    /// Details, in fixed words of ours: it contains nothing the sender wrote.
    pub detail: String,
    /// Whether only the key is wrong, or unknown: everything else that the profile asks of the delivery holds, so it is
    /// authentic if a key that we do not have made the signature. Set for signed tokens only.
    pub only_by_key: bool,
}

impl Reject {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), only_by_key: false }
    }
}
