//! How an event gets into the journal: collected into a group, committed, anchored, answered.
//!
//! Only this folder writes events into the database and heads into the anchor.
//!
//! | file | idea |
//! |---|---|
//! | `group.rs` | the appends that share the next COMMIT, and their replies |
//! | `writer.rs` | commits groups together with their replay keys, one transaction each |
//! | `appending.rs` | inserts one row within the transaction |
//! | `delivery_names.rs` | whether a delivery has the event and source it was filtered under |
//! | `anchor.rs` | the file outside the database that records up to which event anything was acknowledged |
//! | `anchoring.rs` | the thread that anchors and answers a group while the next one is committed |
//! | `wal.rs` | copies the write-ahead log into the database while the writer goes on |

pub(super) mod anchor;
pub(super) mod anchoring;
mod appending;
pub(super) mod delivery_names;
pub(super) mod group;
pub(super) mod wal;
pub(super) mod writer;
