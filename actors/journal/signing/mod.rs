//! Signed checkpoints: which events they cover, under which key, when they are due, and where they are stored.
//!
//! Only this folder uses the signing key and writes the checkpoint file. It reads the database on a connection of its
//! own; the writer stores the signed checkpoints in the database.
//!
//! | file | idea |
//! |---|---|
//! | `sealer.rs` | extends the tree, signs its root, writes the checkpoint file |
//! | `unsigned_leaves.rs` | the leaf hashes that no checkpoint covers yet |
//! | `resume.rs` | which log and key are continued when a journal is opened |
//! | `signing_key.rs` | the signing key of an epoch, and its file |
//! | `schedule.rs` | when a checkpoint is due, which one is not stored yet, who waits for one |
//! | `store.rs` | stores signed checkpoints, at the start and later |
//! | `checkpoints.rs`, `subtrees.rs` | their tables: the signed notes, and the Merkle tree over the leaf hashes |

pub(super) mod checkpoints;
pub(super) mod resume;
pub(super) mod schedule;
pub(super) mod sealer;
mod signing_key;
pub(super) mod store;
pub(super) mod subtrees;
pub(super) mod unsigned_leaves;
