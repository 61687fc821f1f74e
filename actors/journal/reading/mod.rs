//! Reads from the journal: pages, proofs, a copy.
//!
//! It has read-only connections of its own, so that readers do not block the writer. Its calls block.
//!
//! | file | idea |
//! |---|---|
//! | `reader.rs` | the connections, and all operations a reader offers |
//! | `query.rs`, `page.rs` | the filter of a list of events and its cursors; one page of it |
//! | `prove.rs` | proofs that an event, or an older checkpoint, is in the journal |
//! | `salvage.rs` | every sound event of a damaged journal |
//! | `backup.rs` | a copy made while the daemon writes |

pub(super) mod backup;
mod page;
pub(super) mod prove;
pub(super) mod query;
pub(super) mod reader;
pub(super) mod salvage;
