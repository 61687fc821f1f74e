//! What is given out of the journal: pages, proofs, a copy.
//!
//! It has connections of its own that cannot write, so that no reader holds up the writer. Its calls block.
//!
//! | file | idea |
//! |---|---|
//! | `reader.rs` | the connections, and every question that can be asked |
//! | `query.rs`, `page.rs` | what a list of events is asked for; one page of it |
//! | `prove.rs` | proofs that an event, or an older checkpoint, is in the journal |
//! | `backup.rs` | a copy, while the daemon writes |

pub(super) mod backup;
mod page;
pub(super) mod prove;
pub(super) mod query;
pub(super) mod reader;
