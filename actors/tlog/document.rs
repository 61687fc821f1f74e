//! Proofs as files. Verifying one takes the file and a public key that was kept elsewhere, but neither the journal nor a
//! daemon.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::lineage::{Lineage, LineageError};
use super::note::{VerifierKey, signed_text};
use super::proof::{verify_consistency, verify_inclusion};
use crate::ids::Digest;

/// Format name of a proof of inclusion.
const INCLUSION: &str = "palyra-inclusion-proof/1";
/// Format name of a proof of consistency.
const CONSISTENCY: &str = "palyra-consistency-proof/1";

/// Why a proof is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is not in the expected format.
    #[error("this is not a palyra proof: {0}")]
    Form(String),
    /// The proof contradicts itself.
    #[error("its `{0}` differs from its entry")]
    Disagrees(&'static str),
    /// No chain of keys leads from the trusted key to its checkpoint.
    #[error("its checkpoint does not verify with this public key: {0}")]
    Checkpoint(#[from] LineageError),
    /// The checkpoint belongs to a later epoch than the event.
    #[error(
        "its checkpoint is of a later epoch than the event; prove it with the first checkpoint that covers it"
    )]
    LaterEpoch,
    /// The audit path does not lead to the root of the checkpoint.
    #[error("its path does not lead to the root of its checkpoint")]
    Path,
}

/// Proof that an event is in the journal, as a JSON file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// `palyra-inclusion-proof/1`.
    pub proof: String,
    /// `seq` of the event, from 1.
    pub seq: u64,
    /// Its id.
    pub event_id: String,
    /// Its leaf hash: SHA-256 of 0x00 and the entry.
    pub leaf_hash: Digest,
    /// The hashed columns of the event, and the hash of its body (`docs/journal-format.md`), in base64.
    pub entry: String,
    /// The audit path, from the leaf up.
    pub path: Vec<Digest>,
    /// The signed checkpoint it leads to.
    pub checkpoint: String,
    /// The checkpoints that introduced the keys up to the one that signed it, oldest first.
    pub handovers: Vec<String>,
}

/// Proof that a later checkpoint extends an earlier one, as a JSON file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyProof {
    /// `palyra-consistency-proof/1`.
    pub proof: String,
    /// The earlier signed checkpoint.
    pub old: String,
    /// The later one.
    pub new: String,
    /// The consistency path between them.
    pub path: Vec<Digest>,
    /// As in an inclusion proof.
    pub handovers: Vec<String>,
}

impl InclusionProof {
    pub fn new(
        seq: u64,
        event_id: String,
        entry: &[u8],
        path: Vec<Digest>,
        signed: (String, Vec<String>),
    ) -> Self {
        let leaf_hash = leaf_of(entry);
        let (proof, entry, (checkpoint, handovers)) = (INCLUSION.to_owned(), STANDARD.encode(entry), signed);
        Self { proof, seq, event_id, leaf_hash, entry, path, checkpoint, handovers }
    }

    /// Verifies everything except the meaning of the entry. Returns the entry and the checkpoint.
    ///
    /// # Errors
    /// Why the proof is not valid.
    pub fn check(&self, trusted: &VerifierKey) -> Result<(Vec<u8>, Checkpoint), DocumentError> {
        expect_form(&self.proof, INCLUSION)?;
        let entry = STANDARD
            .decode(&self.entry)
            .map_err(|_| DocumentError::Form("its entry is not base64".to_owned()))?;
        if leaf_of(&entry) != self.leaf_hash {
            return Err(DocumentError::Disagrees("leaf_hash"));
        }
        let Vouched { checkpoint, epoch_from } = vouched(trusted, &self.handovers, &self.checkpoint)?;
        // The key of a later epoch may have been stolen, so it must not vouch for an event of an earlier epoch.
        let index = self.seq.checked_sub(1).filter(|index| *index >= epoch_from);
        let index = index.ok_or(DocumentError::LaterEpoch)?;
        if !verify_inclusion(self.leaf_hash, index, checkpoint.size, &self.path, checkpoint.root) {
            return Err(DocumentError::Path);
        }
        Ok((entry, checkpoint))
    }
}

impl ConsistencyProof {
    pub fn new(old: String, new: String, path: Vec<Digest>, handovers: Vec<String>) -> Self {
        Self { proof: CONSISTENCY.to_owned(), old, new, path, handovers }
    }

    /// Verifies the proof. Returns the two checkpoints.
    ///
    /// # Errors
    /// Why the proof is not valid.
    pub fn check(&self, trusted: &VerifierKey) -> Result<(Checkpoint, Checkpoint), DocumentError> {
        expect_form(&self.proof, CONSISTENCY)?;
        let old = vouched(trusted, &self.handovers, &self.old)?.checkpoint;
        let new = vouched(trusted, &self.handovers, &self.new)?.checkpoint;
        self.lead(&old, &new).map(|()| (old, new))
    }

    /// Verifies that the newer tree extends the older one, without checking signatures.
    ///
    /// # Errors
    /// Why the proof is not valid.
    pub fn check_unsigned(&self) -> Result<(), DocumentError> {
        let [old, new] = [&self.old, &self.new].map(|note| read(note).ok_or(LineageError::NotACheckpoint));
        self.lead(&old?, &new?)
    }

    fn lead(&self, old: &Checkpoint, new: &Checkpoint) -> Result<(), DocumentError> {
        let leads = verify_consistency((old.size, old.root), (new.size, new.root), &self.path);
        if leads { Ok(()) } else { Err(DocumentError::Path) }
    }
}

/// A checkpoint whose signature is verified by a chain of keys.
struct Vouched {
    checkpoint: Checkpoint,
    /// Size of the log when its key was introduced; 0 if unknown.
    epoch_from: u64,
}

/// Verifies `note` by the chain of keys from the trusted one to its signer.
fn vouched(trusted: &VerifierKey, handovers: &[String], note: &str) -> Result<Vouched, LineageError> {
    let epoch = read(note).ok_or(LineageError::NotACheckpoint)?.epoch;
    let earlier = |handover: &&String| read(handover).is_some_and(|checkpoint| checkpoint.epoch < epoch);
    let chain = handovers.iter().filter(earlier).map(String::as_str).chain([note]);
    let mut chain = chain.skip_while(|note| trusted.open(note).is_err()).peekable();
    let Some(first) = chain.peek().copied().and_then(read) else {
        return Err(trusted.open(note).err().map_or(LineageError::NotACheckpoint, LineageError::Note));
    };
    let mut lineage = Lineage::trusting(trusted.clone(), first.epoch);
    let mut vouched = Vouched { checkpoint: first, epoch_from: 0 };
    let mut before = 0;
    for note in chain {
        let checkpoint = lineage.follow(note)?;
        vouched.epoch_from = std::mem::replace(&mut before, checkpoint.size);
        vouched.checkpoint = checkpoint;
    }
    Ok(vouched)
}

fn read(note: &str) -> Option<Checkpoint> {
    Checkpoint::parse(signed_text(note).ok()?)
}

fn leaf_of(entry: &[u8]) -> Digest {
    Digest::of(&[&[0x00], entry].concat())
}

fn expect_form(found: &str, expected: &str) -> Result<(), DocumentError> {
    if found == expected { Ok(()) } else { Err(DocumentError::Form(format!("`proof` is not `{expected}`"))) }
}
