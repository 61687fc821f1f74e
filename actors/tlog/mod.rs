//! The transparency log over the journal: everything an auditor needs, independent of the journal and of SQL.
//!
//! | file | contents |
//! |---|---|
//! | `tree.rs` | the Merkle tree of RFC 6962 over the leaf hashes |
//! | `proof.rs` | proofs that an event is in the tree, and that a later tree extends an earlier one |
//! | `note.rs` | signed notes and their keys (<https://c2sp.org/signed-note>) |
//! | `checkpoint.rs` | the signed statement "the log had this root at this size" (<https://c2sp.org/tlog-checkpoint>) |
//! | `lineage.rs` | epochs: each key signs the next one and is then destroyed |
//! | `document.rs` | proofs as files, verified with a public key alone |

mod checkpoint;
mod document;
mod lineage;
mod note;
mod proof;
#[cfg(test)]
mod tests;
mod tree;

pub use checkpoint::{Checkpoint, KeyLine};
pub use document::{ConsistencyProof, DocumentError, InclusionProof};
pub use lineage::{Lineage, LineageError};
pub use note::{NoteError, Signer, VerifierKey, signed_text};
pub use proof::{consistency_path, inclusion_path, verify_consistency, verify_inclusion};
pub use tree::{Frontier, Subtree, Subtrees, range_root};
