//! Why a delivery was refused, beyond what the answer says: one word, used alike in counters, log, journal and `webhooks
//! explain`.

use palyra_actors::provider::Reason;
use serde::{Serialize, Serializer};

/// The cause of a refusal. The first three are faults of the sender, the others faults of the daemon or of its set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The delivery is not authentic.
    Unauthentic(Reason),
    /// The token of a handshake is missing or wrong. It is named and counted as [`Reason::BadSignature`], but corrected
    /// elsewhere.
    WrongToken,
    /// The unsigned deliveries of the integration exceed its limit per second.
    UnsignedRate,
    /// The secret is missing or unusable.
    Secret,
    /// The reference to the secret cannot be parsed.
    VaultReference,
    /// The vault did not answer.
    Vault,
    /// The published keys of the provider are not available.
    PublishedKeys,
    /// The token that a handshake is checked against is not available.
    HandshakeToken,
    /// The journal did not store the event.
    Event,
    /// It is not known whether the event was stored.
    Unknown,
}

impl Cause {
    /// Whether whoever sent the delivery did not prove that it may.
    pub fn is_unauthentic(self) -> bool {
        matches!(self, Self::Unauthentic(_) | Self::WrongToken)
    }

    /// The cause in one word. Operators search and count by it, so it must not change.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthentic(reason) => reason.as_str(),
            Self::WrongToken => Reason::BadSignature.as_str(),
            Self::UnsignedRate => "unsigned_rate",
            Self::Secret => "secret",
            Self::VaultReference => "vault reference",
            Self::Vault => "vault",
            Self::PublishedKeys => "published keys",
            Self::HandshakeToken => "token of a handshake",
            Self::Event => "event",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
