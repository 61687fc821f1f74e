//! The journal writer: the append-only, tamper-evident record.

mod messages;
pub use messages::*;

/// placeholder
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("placeholder")]
pub struct JournalError;
