//! Why a delivery is not authentic. For the operator alone: a sender is told nothing of it.

use serde::{Deserialize, Serialize};

/// Reasons, in words that scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// There is no signature, or a part of what it signs is missing.
    MissingSignature,
    /// There is something in its place that cannot be one.
    MalformedSignature,
    /// It was not made with any of our keys over these bytes.
    BadSignature,
    /// The signed time is missing.
    MissingTimestamp,
    /// The signed time cannot be read.
    MalformedTimestamp,
    /// It was signed too long ago.
    StaleTimestamp,
    /// It was signed too far in our future.
    FutureTimestamp,
    /// A claim of its token is not what it must be.
    BadClaim,
    /// It names a key or certificate that is none of ours.
    UntrustedKey,
}

impl Reason {
    /// The reason as it is counted and logged.
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
    /// Why.
    pub reason: Reason,
    /// More of it, in words of ours: nothing a sender wrote stands in it.
    pub detail: String,
}

impl Reject {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
