//! Provider profiles, and the one engine that verifies deliveries by them: pure functions of profile, keys,
//! request and time. No provider is named in code; what sets them apart is data (`schemas/providers/*.toml`).
//!
//! | file | idea |
//! |---|---|
//! | `form.rs`, `load.rs` | the form of a profile as it is written, and how such a text becomes a [`Profile`] |
//! | `profile.rs` | a compiled profile, and what it says about a delivery |
//! | `catalogue.rs` | profiles by name: built in, and the operator's own |
//! | `request.rs`, `body.rs` | a delivery, and how places in it are read |
//! | `verify.rs` | which scheme applies, and what it comes to |
//! | `scheme.rs`, `signed.rs`, `token.rs`, `jwt.rs` | the schemes |
//! | `told_apart.rs` | what tells deliveries apart |
//! | `signature.rs`, `timestamp.rs`, `template.rs`, `url.rs`, `key.rs`, `mac.rs` | their parts |
//! | `lint.rs`, `conformance.rs` | what a profile gets wrong, and whether it agrees with signed requests |
//! | `handshake.rs`, `answer.rs` | what a provider asks before it delivers, and how it wants deliveries answered |
//! | `published.rs` | keys that a provider publishes itself |
//! | `sign.rs`, `making.rs`, `key_pair.rs`, `mutation.rs` | the reverse: what the provider would send, or almost |
//! | `summary.rs` | what people are shown |

mod answer;
mod body;
mod catalogue;
mod conformance;
mod form;
mod handshake;
mod jwt;
mod key;
mod key_pair;
mod lint;
mod load;
mod mac;
mod making;
mod mutation;
mod profile;
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
pub use load::ProfileError;
pub use mutation::Mutation;
pub use profile::{Description, Origin, Profile, UnsupportedContent};
pub use published::{Published, PublishedError, Roots};
pub use reject::{Reason, Reject};
pub use request::{Headers, Parameters, Request};
pub use sign::{MadeRequest, SignDraft, SignError};
pub use summary::ProfileSummary;
pub use verify::{UnusableKey, Verified, VerifyError};
