//! Merkle proofs: RFC 6962, sections 2.1.1 and 2.1.2, made by its definitions and checked by the algorithms of RFC
//! 9162, sections 2.1.3.2 and 2.1.4.2.

use super::tree::{Subtrees, node_hash, range_root};
use crate::ids::Digest;

/// The audit path of the leaf `index` (from 0) in the tree of the first `size` leaves; empty when there is no such leaf.
///
/// # Errors
/// Those of `subtrees`.
pub fn inclusion_path<S: Subtrees>(subtrees: &S, index: u64, size: u64) -> Result<Vec<Digest>, S::Error> {
    let (mut start, mut len) = (0, size);
    let mut path = Vec::new();
    while len > 1 && index < size {
        let left = split(len);
        if index - start < left {
            path.push(range_root(subtrees, start + left, len - left)?);
            len = left;
        } else {
            path.push(range_root(subtrees, start, left)?);
            (start, len) = (start + left, len - left);
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of the first `new` leaves begins with the tree of the first `old`; empty when they are the
/// same, or one is empty.
///
/// # Errors
/// Those of `subtrees`.
pub fn consistency_path<S: Subtrees>(subtrees: &S, old: u64, new: u64) -> Result<Vec<Digest>, S::Error> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return Ok(path);
    }
    let (mut start, mut len, mut is_old_root) = (0, new, true);
    while old - start != len {
        let left = split(len);
        if old - start <= left {
            path.push(range_root(subtrees, start + left, len - left)?);
            len = left;
        } else {
            path.push(range_root(subtrees, start, left)?);
            (start, len, is_old_root) = (start + left, len - left, false);
        }
    }
    if !is_old_root {
        path.push(range_root(subtrees, start, len)?);
    }
    path.reverse();
    Ok(path)
}

/// The greatest power of two below `len`, which is at least 2.
fn split(len: u64) -> u64 {
    1 << (len - 1).ilog2()
}

/// Whether `path` proves that `leaf` is leaf `index` (from 0) of the tree of `size` leaves with this root.
pub fn verify_inclusion(leaf: Digest, index: u64, size: u64, path: &[Digest], root: Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            (node, last) = past_lone_nodes(node, last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// Whether `path` proves that the tree of `new` leaves begins with that of `old` leaves.
pub fn verify_consistency(
    (old, old_root): (u64, Digest),
    (new, new_root): (u64, Digest),
    path: &[Digest],
) -> bool {
    if old == 0 || old >= new {
        let nothing_to_show = old == 0 && old_root == Digest::of(&[]) || old == new && old_root == new_root;
        return path.is_empty() && nothing_to_show;
    }
    let mut path = path.iter();
    let (mut node, mut last) = (old - 1, new - 1);
    let trailing = node.trailing_ones();
    (node, last) = (node >> trailing, last >> trailing);
    let first = if old.is_power_of_two() { Some(&old_root) } else { path.next() };
    let Some((mut from_old, mut from_new)) = first.map(|hash| (*hash, *hash)) else { return false };
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            from_old = node_hash(sibling, &from_old);
            from_new = node_hash(sibling, &from_new);
            (node, last) = past_lone_nodes(node, last);
        } else {
            from_new = node_hash(&from_new, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && from_old == old_root && from_new == new_root
}

/// Climbs from a node to the level where it is a right one: from a last node without a right neighbour as far as it has
/// none. It is not node 0, which has a neighbour or is the root.
fn past_lone_nodes(node: u64, last: u64) -> (u64, u64) {
    let lone = node.trailing_zeros();
    (node >> lone, last >> lone)
}
