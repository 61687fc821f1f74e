//! The way of an event into the journal: gathered into a group, committed, anchored, answered.
//!
//! The only folder that writes events into the database, or heads into the anchor.
//!
//! | file | idea |
//! |---|---|
//! | `group.rs` | the appends that wait for their common COMMIT, and the answers they are owed |
//! | `writer.rs` | commits groups together with their replay keys, one transaction each |
//! | `appending.rs` | one row on its way into the transaction |
//! | `delivery_names.rs` | whether a delivery comes under the names that it was filtered under |
//! | `anchor.rs` | outside the database: how far it had come when somebody was last answered |
//! | `anchoring.rs` | the thread that anchors a group and answers it, while the next is committed |
//! | `wal.rs` | moves the write-ahead log into the database, beside the writer |

pub(super) mod anchor;
pub(super) mod anchoring;
mod appending;
pub(super) mod delivery_names;
pub(super) mod group;
pub(super) mod wal;
pub(super) mod writer;
