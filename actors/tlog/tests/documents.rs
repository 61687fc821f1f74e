use zeroize::Zeroizing;

use super::*;

const ORIGIN: &str = "a.log/1";

fn signer(epoch: u64) -> Signer {
    Signer::new(ORIGIN, &Zeroizing::new([epoch as u8 + 1; 32]))
}

fn note(epoch: u64, size: u64, key: Option<KeyLine>) -> String {
    let root = tree(size).frontier.root();
    signer(epoch).sign(&Checkpoint { origin: ORIGIN.to_owned(), size, root, epoch, key }.to_string())
}

/// The checkpoints with which epochs 0, 1 and 2 ended, at sizes 10, 20 and 30.
fn handovers() -> Vec<String> {
    (0..3)
        .map(|epoch| {
            note(epoch, 10 * (epoch + 1), Some(KeyLine::Next(signer(epoch + 1).verifier().public())))
        })
        .collect()
}

fn inclusion(seq: u64, epoch: u64, size: u64) -> InclusionProof {
    let path = inclusion_path(&tree(size), seq - 1, size).unwrap();
    let handovers = handovers()[..epoch as usize].to_vec();
    InclusionProof::new(seq, "an id".to_owned(), &entry(seq - 1), path, (note(epoch, size, None), handovers))
}

#[test]
fn a_proof_is_checked_with_the_root_key_or_any_key_of_its_chain() {
    let proof = inclusion(25, 2, 28);
    for epoch in 0..3 {
        let (found, checkpoint) = proof.check(&signer(epoch).verifier()).unwrap();
        assert_eq!((found, checkpoint.size), (entry(24), 28), "{epoch}");
    }
    assert!(matches!(proof.check(&signer(3).verifier()), Err(DocumentError::Checkpoint(_))), "a later key");
}

#[test]
fn a_stolen_key_says_nothing_about_an_earlier_epoch() {
    let root_key = signer(0).verifier();
    assert!(inclusion(11, 1, 15).check(&root_key).is_ok());
    assert_eq!(inclusion(10, 1, 15).check(&root_key), Err(DocumentError::LaterEpoch));
    assert_eq!(inclusion(3, 2, 28).check(&root_key), Err(DocumentError::LaterEpoch));
}

#[test]
fn no_flipped_bit_of_a_proof_passes() {
    let proof = inclusion(25, 2, 28);
    let file = serde_json::to_vec(&proof).unwrap();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(forged) = serde_json::from_slice::<InclusionProof>(&flipped) else { continue };
        let id_alone = forged.event_id != proof.event_id;
        assert!(id_alone || forged.check(&signer(0).verifier()).is_err(), "bit {bit}");
    }
}

#[test]
fn two_checkpoints_are_proven_consistent_across_epochs() {
    let path = consistency_path(&tree(28), 5, 28).unwrap();
    let proof = ConsistencyProof::new(note(0, 5, None), note(2, 28, None), path, handovers()[..2].to_vec());
    let (old, new) = proof.check(&signer(0).verifier()).unwrap();
    assert_eq!((old.size, new.size), (5, 28));
    let forked = ConsistencyProof { old: note(0, 6, None), ..proof.clone() };
    assert_eq!(forked.check(&signer(0).verifier()), Err(DocumentError::Path));
    let cut = ConsistencyProof { handovers: Vec::new(), ..proof };
    assert!(matches!(cut.check(&signer(0).verifier()), Err(DocumentError::Checkpoint(_))));
}

#[test]
fn without_a_key_two_checkpoints_still_have_to_be_of_one_tree() {
    let path = consistency_path(&tree(28), 5, 28).unwrap();
    let proof = ConsistencyProof::new(note(0, 5, None), note(2, 28, None), path, Vec::new());
    assert_eq!(proof.check_unsigned(), Ok(()));
    let forked = ConsistencyProof { old: note(0, 6, None), ..proof.clone() };
    assert_eq!(forked.check_unsigned(), Err(DocumentError::Path));
    let empty = ConsistencyProof { new: String::new(), ..proof };
    assert!(matches!(empty.check_unsigned(), Err(DocumentError::Checkpoint(_))));
}
