//! Why a delivery was refused, where the answer does not say it. Counters, log, `webhooks explain` and the journal name it by one word.

use palyra_actors::provider::Reason;
use serde::{Serialize, Serializer};

/// Why, in one word. The first two are the sender's doing, the others our own faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It is not authentic.
    Unauthentic(Reason),
    /// More unsigned deliveries come than the integration takes in a second.
    UnsignedRate,
    /// The secret is missing, or cannot be used.
    Secret,
    /// What names the secret cannot be read.
    VaultReference,
    /// The vault does not answer.
    Vault,
    /// The provider's keys cannot be had.
    PublishedKeys,
    /// The token that a handshake is checked by cannot be had.
    HandshakeToken,
    /// The journal did not take the event.
    Event,
    /// Nobody knows whether the event was stored.
    Unknown,
}

impl Cause {
    /// The word. Operators search and count by it: it does not change.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthentic(reason) => reason.as_str(),
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
