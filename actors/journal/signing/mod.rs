//! Signed checkpoints: of which events, under which key, when they are due, and where they are stored.
//!
//! The only folder that touches the signing key or writes the checkpoint file. It reads the database on a connection of its
//! own; what it signed goes into the database through the writer.
//!
//! | file | idea |
//! |---|---|
//! | `sealer.rs` | grows the tree, signs its root, writes the checkpoint file |
//! | `unsigned_leaves.rs` | the leaf hashes that no checkpoint covers yet |
//! | `resume.rs` | with which log and key an opened journal goes on |
//! | `signing_key.rs` | the key of an epoch, and its file |
//! | `schedule.rs` | when a checkpoint is due, what is signed and not stored, who waits |
//! | `store.rs` | stores what was signed, at the start and after |
//! | `checkpoints.rs`, `subtrees.rs` | their tables: the signed notes, and the Merkle tree over the leaf hashes |

pub(super) mod checkpoints;
pub(super) mod resume;
pub(super) mod schedule;
pub(super) mod sealer;
mod signing_key;
pub(super) mod store;
pub(super) mod subtrees;
pub(super) mod unsigned_leaves;
