use zeroize::Zeroizing;

use super::*;
use crate::limits::NOTE_BYTES_MAX;

fn signer(name: &str, seed: u8) -> Signer {
    Signer::new(name, &Zeroizing::new([seed; 32]))
}

#[test]
fn the_example_key_and_note_of_the_go_package_are_read() {
    // golang.org/x/mod/sumdb/note, from the documentation of the package.
    let key: VerifierKey =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    let signature =
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
    let note = format!("{text}\n— PeterNeumann {signature}\n");
    assert_eq!(key.open(&note), Ok(text));
    assert_eq!(key.to_string(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
}

#[test]
fn a_note_is_believed_only_from_its_key_and_to_the_last_bit() {
    let signer = signer("a.log/1", 1);
    let note = signer.sign("hello\n\nworld\n");
    assert_eq!(signer.verifier().open(&note), Ok("hello\n\nworld\n"));
    let stranger = super::notes::signer("a.log/1", 2).verifier();
    assert_eq!(stranger.open(&note), Err(NoteError::NotSigned(stranger.id())));
    assert!(
        stranger.to_string().contains(&format!("+{:?}+", stranger.id())),
        "the id that is told is the key's"
    );
    for place in 0..note.len() {
        for bit in 0..8 {
            let mut flipped = note.clone().into_bytes();
            flipped[place] ^= 1 << bit;
            let Ok(flipped) = String::from_utf8(flipped) else { continue };
            assert!(signer.verifier().open(&flipped).is_err(), "{flipped}");
        }
    }
}

#[test]
fn a_witness_may_sign_too() {
    let (ours, witness) = (signer("a.log/1", 1), signer("witness.example", 9));
    let note = ours.sign("text\n");
    let theirs = witness.sign("text\n");
    let both = note.clone() + theirs.lines().last().unwrap() + "\n";
    assert_eq!(ours.verifier().open(&both), Ok("text\n"));
    assert_eq!(witness.verifier().open(&both), Ok("text\n"));
}

#[test]
fn a_note_is_plain_text_of_at_most_16_kib_and_16_signatures() {
    let signer = signer("a", 1);
    let (key, signature_bytes) = (signer.verifier(), signer.sign("\n").len() - 1);
    let of_length = |bytes: usize| signer.sign(&format!("{}\n", "x".repeat(bytes - signature_bytes - 1)));
    assert_eq!(of_length(NOTE_BYTES_MAX).len(), NOTE_BYTES_MAX);
    assert!(key.open(&of_length(NOTE_BYTES_MAX)).is_ok());
    assert_eq!(key.open(&of_length(NOTE_BYTES_MAX + 1)), Err(NoteError::NotANote));
    assert_eq!(key.open(&signer.sign("a\tb\n")), Err(NoteError::NotANote));
    let note = signer.sign("text\n");
    let again = format!("{}\n", note.lines().last().unwrap());
    assert!(key.open(&(note.clone() + &again.repeat(15))).is_ok());
    assert_eq!(key.open(&(note.clone() + &again.repeat(16))), Err(NoteError::NotANote));
}

#[test]
fn what_is_no_key_is_refused() {
    let good = signer("a", 1).verifier().to_string();
    assert!(good.parse::<VerifierKey>().is_ok());
    let other_name = good.replacen('a', "b", 1);
    let cut = good[..good.len() - 4].to_owned();
    let spaced = good.replacen('a', "a b", 1);
    for bad in ["", "a", "a+b", "a+00000000+AQ==", other_name.as_str(), cut.as_str(), spaced.as_str()] {
        assert_eq!(bad.parse::<VerifierKey>(), Err(NoteError::NotAKey), "{bad}");
    }
    for name in ["", "a b", "a\tb"] {
        let well_made = signer(name, 1).verifier().to_string();
        assert_eq!(well_made.parse::<VerifierKey>(), Err(NoteError::NotAKey), "named {name:?}");
    }
    assert!(VerifierKey::new("a", [0; 32]).is_none(), "a key of low order verifies anything");
}

#[test]
fn a_checkpoint_is_read_back_and_nothing_else_is() {
    let plain = Checkpoint { origin: "a.log/1".to_owned(), size: 7, root: leaf(7), epoch: 3, key: None };
    for key in [None, Some(KeyLine::Root([4; 32])), Some(KeyLine::Next([5; 32]))] {
        let checkpoint = Checkpoint { key, ..plain.clone() };
        assert_eq!(Checkpoint::parse(&checkpoint.to_string()), Some(checkpoint));
    }
    let text = plain.to_string();
    for (from, to) in [("\n7\n", "\n07\n"), ("\n7\n", "\n+7\n"), ("epoch 3", "epoch  3"), ("a.log/1\n", "\n")]
    {
        assert_eq!(Checkpoint::parse(&text.replace(from, to)), None, "{to:?}");
    }
    assert_eq!(Checkpoint::parse(&format!("{text}more\n")), None);
}

#[test]
fn a_lineage_follows_its_keys_and_nobody_elses() {
    let (first, second) = (signer("a.log/1", 1), signer("a.log/1", 2));
    let note = |signer: &Signer, size, epoch, key| {
        let root = tree(size).frontier.root();
        signer.sign(&Checkpoint { origin: "a.log/1".to_owned(), size, root, epoch, key }.to_string())
    };
    let root_key = KeyLine::Root(first.verifier().public());
    let next_key = KeyLine::Next(second.verifier().public());
    let mut lineage = Lineage::begin(&note(&first, 0, 0, Some(root_key))).unwrap();
    lineage.follow(&note(&first, 3, 0, None)).unwrap();
    assert_eq!(lineage.follow(&note(&first, 2, 0, None)), Err(LineageError::Contradiction), "it goes back");
    let forged = first.sign(
        &Checkpoint { origin: "a.log/1".to_owned(), size: 3, root: leaf(9), epoch: 0, key: None }.to_string(),
    );
    assert_eq!(lineage.follow(&forged), Err(LineageError::Contradiction), "another root for the same size");
    lineage.follow(&note(&first, 5, 0, Some(next_key))).unwrap();
    let by_the_old_key = lineage.follow(&note(&first, 6, 1, None));
    assert!(matches!(by_the_old_key, Err(LineageError::Note(NoteError::NotSigned(_)))));
    assert_eq!(
        lineage.follow(&note(&second, 6, 0, None)),
        Err(LineageError::OtherEpoch { found: 0, expected: 1 })
    );
    assert_eq!(lineage.follow(&note(&second, 6, 1, None)).unwrap().size, 6);
    assert!(
        Lineage::begin(&note(&second, 0, 0, Some(root_key))).is_none(),
        "a key that another one introduces"
    );
    assert!(Lineage::begin(&note(&first, 0, 0, None)).is_none());
}
