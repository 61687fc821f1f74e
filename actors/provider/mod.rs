//! Provider profiles, and the engine that verifies deliveries by them: pure functions of profile, keys, request and time.
//! No provider is named in code; their differences are data (`schemas/providers/*.toml`).
//!
//! | file | contents |
//! |---|---|
//! | `form.rs`, `algorithm.rs`, `load.rs` | the TOML form of a profile, and how it becomes a [`Profile`] |
//! | `profile.rs` | a compiled profile, and what it finds in a delivery |
//! | `catalogue.rs` | profiles by name: the built-in ones, and the operator's own |
//! | `request.rs`, `body.rs` | a delivery, and how places in it are read |
//! | `verify.rs` | which scheme applies, and its result |
//! | `scheme.rs`, `signed.rs`, `token.rs`, `jwt.rs` | the schemes |
//! | `told_apart.rs` | which signed places identify a delivery |
//! | `signature.rs`, `timestamp.rs`, `template.rs`, `url.rs`, `key.rs`, `mac.rs` | parts of the schemes |
//! | `lint.rs`, `conformance.rs` | mistakes in a profile, and whether it agrees with signed requests |
//! | `handshake.rs`, `answer.rs` | requests before the first delivery, and how deliveries are answered |
//! | `published.rs` | keys that a provider publishes |
//! | `sign.rs`, `making.rs`, `key_pair.rs`, `mutation.rs` | the reverse: requests as the provider would send them, and faulty variants |
//! | `summary.rs` | what is shown to people |

mod algorithm;
mod answer;
mod body;
mod catalogue;
mod conformance;
mod foreign_algorithm;
mod form;
mod handshake;
mod jwk_set;
mod jwt;
mod key;
mod key_pair;
mod lint;
mod load;
mod mac;
mod making;
mod mutation;
mod profile;
mod public_key;
mod published;
mod reject;
mod request;
mod scheme;
mod sign;
mod signature;
mod signed;
mod summary;
mod template;
#[cfg(test)]
mod tests;
mod timestamp;
mod token;
mod told_apart;
mod url;
mod verify;

pub use answer::DeliveryAnswer;
pub use body::{Body, ContentKind};
pub use catalogue::{Catalogue, read_profile};
pub use conformance::{Case, CaseEnd, Outcome};
pub use handshake::{Handshake, HandshakeCheck, HandshakeReply};
pub use lint::{Finding, Weight, lint};
pub use mutation::Mutation;
pub use profile::{Description, Origin, Profile, UnsupportedContent};
pub use published::{Published, PublishedError, Roots};
pub use reject::{Reason, Reject};
pub use request::{Headers, Parameters, Request};
pub use sign::{MadeRequest, SignDraft, SignError};
pub use summary::ProfileSummary;
pub use verify::{UnusableKey, Verified, VerifyError};
