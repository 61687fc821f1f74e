use ct_merkle::digest::array::Array;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::Sha256;

use super::*;

type Theirs = MemoryBackedTree<Sha256, Vec<u8>>;

fn theirs(size: u64) -> Theirs {
    let mut tree = Theirs::new();
    (0..size).for_each(|index| tree.push(entry(index)));
    tree
}

fn bytes(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

#[test]
fn the_roots_of_rfc_6962_test_vectors_come_out() {
    // From the test data of certificate-transparency-go: eight leaves.
    let inputs =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root(), Digest::of(&[]));
    for (input, root) in inputs.iter().zip(roots) {
        let leaf = Digest::of(&[vec![0], hex::decode(input).unwrap()].concat());
        frontier.push(leaf, |_| {});
        assert_eq!(frontier.root().to_string(), root);
    }
}

#[test]
fn every_root_and_proof_of_small_trees_is_that_of_ct_merkle() {
    for size in 1..=33 {
        let (ours, theirs) = (tree(size), theirs(size));
        let root = ours.frontier.root();
        assert_eq!(root.0.as_slice(), theirs.root().as_bytes().as_slice(), "{size}");
        for index in 0..size {
            let path = inclusion_path(&ours, index, size).unwrap();
            assert_eq!(bytes(&path), theirs.prove_inclusion(index as usize).as_bytes(), "{index} of {size}");
            assert!(verify_inclusion(leaf(index), index, size, &path, root), "{index} of {size}");
        }
        for old in 1..size {
            let path = consistency_path(&ours, old, size).unwrap();
            let expected = theirs.prove_consistency((size - old) as usize);
            assert_eq!(bytes(&path), expected.as_bytes(), "{old} of {size}");
            assert!(
                verify_consistency((old, tree(old).frontier.root()), (size, root), &path),
                "{old} of {size}"
            );
        }
    }
}

#[test]
fn a_frontier_loaded_from_subtrees_goes_on_as_the_one_that_grew() {
    let whole = tree(600);
    for size in 0..600 {
        let mut loaded = Frontier::load(&whole, size).unwrap();
        assert_eq!(loaded, tree(size).frontier, "{size}");
        (size..600).for_each(|index| loaded.push(leaf(index), |_| {}));
        assert_eq!(loaded.root(), whole.frontier.root(), "{size}");
    }
}

/// A tree of any size.
struct Endless;

impl Subtrees for Endless {
    type Error = String;

    fn subtree(&self, level: u32, place: u64) -> Result<Digest, String> {
        Ok(Digest::of(format!("{level}/{place}").as_bytes()))
    }
}

#[test]
fn a_tree_may_have_as_many_leaves_as_can_be_counted() {
    let half = Frontier::load(&Endless, 1 << 63).unwrap();
    assert_eq!(Ok(half.root()), Endless.subtree(63, 0));
    let (size, last) = (u64::MAX, u64::MAX - 1);
    let root = Frontier::load(&Endless, size).unwrap().root();
    let path = inclusion_path(&Endless, last, size).unwrap();
    assert!(verify_inclusion(Endless.subtree(0, last).unwrap(), last, size, &path, root));
}

#[test]
fn a_leaf_beyond_the_tree_has_no_path() {
    assert_eq!(inclusion_path(&tree(5), 4, 5).unwrap().len(), 1);
    for index in [5, 6] {
        assert_eq!(inclusion_path(&tree(5), index, 5), Ok(Vec::new()));
    }
}

#[test]
fn the_empty_and_the_same_tree_need_no_proof_and_take_none() {
    let (empty, five) = ((0, Digest::of(&[])), (5, tree(5).frontier.root()));
    assert!(verify_consistency(empty, five, &[]) && verify_consistency(five, five, &[]));
    assert!(!verify_consistency((0, five.1), five, &[]));
    assert!(!verify_consistency((5, leaf(1)), five, &[]));
    assert!(!verify_consistency(five, (4, tree(4).frontier.root()), &[]));
    assert!(!verify_consistency(five, five, &[leaf(1)]));
    assert!(!verify_inclusion(leaf(0), 0, 0, &[], empty.1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn their_verifier_takes_our_proofs(size in 1_u64..2_000, index in any::<u64>(), old in any::<u64>()) {
        let (index, old) = (index % size, 1 + old % size);
        let (ours, old_tree) = (tree(size), tree(old));
        let root = |tree: &Memory, size| ct_merkle::RootHash::<Sha256>::new(Array(tree.frontier.root().0), size);
        let path = bytes(&inclusion_path(&ours, index, size).unwrap());
        let proof = ct_merkle::InclusionProof::<Sha256>::from_bytes(path);
        prop_assert!(root(&ours, size).verify_inclusion(&entry(index), index, &proof).is_ok());
        let path = bytes(&consistency_path(&ours, old, size).unwrap());
        let proof = ct_merkle::ConsistencyProof::<Sha256>::try_from_bytes(path).unwrap();
        prop_assert!(root(&ours, size).verify_consistency(&root(&old_tree, old), &proof).is_ok());
    }

    #[test]
    fn no_forged_inclusion_passes(
        size in 1_u64..600, index in any::<u64>(), other in any::<u64>(), bit in any::<prop::sample::Index>(),
    ) {
        let index = index % size;
        let ours = tree(size);
        let root = ours.frontier.root();
        let path = inclusion_path(&ours, index, size).unwrap();
        let wrong_index = other % (2 * size);
        if wrong_index != index {
            prop_assert!(!verify_inclusion(leaf(index), wrong_index, size, &path, root));
        }
        prop_assert!(!verify_inclusion(leaf(index), index, size, &[path.as_slice(), &[root]].concat(), root));
        if let Some((_, shorter)) = path.split_last() {
            prop_assert!(!verify_inclusion(leaf(index), index, size, shorter, root));
        }
        let mut all: Vec<Digest> = path.iter().copied().chain([leaf(index), root]).collect();
        let bit = bit.index(all.len() * 256);
        all[bit / 256].0[bit / 8 % 32] ^= 1 << (bit % 8);
        let (root, leaf) = (all.pop().unwrap(), all.pop().unwrap());
        prop_assert!(!verify_inclusion(leaf, index, size, &all, root));
    }

    #[test]
    fn no_forged_consistency_passes(
        size in 2_u64..600, old in any::<u64>(), other in any::<u64>(), bit in any::<prop::sample::Index>(),
    ) {
        let old = 1 + old % (size - 1);
        let (ours, old_root) = (tree(size), tree(old).frontier.root());
        let root = ours.frontier.root();
        let path = consistency_path(&ours, old, size).unwrap();
        let wrong = 1 + other % size;
        if wrong != old {
            prop_assert!(!verify_consistency((wrong, old_root), (size, root), &path));
        }
        prop_assert!(!verify_consistency((old, old_root), (size, root), &[path.as_slice(), &[root]].concat()));
        let mut all: Vec<Digest> = path.iter().copied().chain([old_root, root]).collect();
        let bit = bit.index(all.len() * 256);
        all[bit / 256].0[bit / 8 % 32] ^= 1 << (bit % 8);
        let (root, old_root) = (all.pop().unwrap(), all.pop().unwrap());
        prop_assert!(!verify_consistency((old, old_root), (size, root), &all));
    }
}
