//! Trees and proofs agree with an implementation that is not ours, and nothing forged passes.

mod documents;
mod notes;
mod trees;

use std::collections::HashMap;

use super::*;
use crate::ids::Digest;

/// A tree in memory that remembers every full subtree.
#[derive(Default)]
struct Memory {
    subtrees: HashMap<(u32, u64), Digest>,
    frontier: Frontier,
}

impl Memory {
    fn of(leaves: impl IntoIterator<Item = Digest>) -> Self {
        let mut memory = Self::default();
        for leaf in leaves {
            let subtrees = &mut memory.subtrees;
            memory.frontier.push(leaf, |full| {
                subtrees.insert((full.level, full.place), full.hash);
            });
        }
        memory
    }
}

impl Subtrees for Memory {
    type Error = String;

    fn subtree(&self, level: u32, place: u64) -> Result<Digest, String> {
        self.subtrees.get(&(level, place)).copied().ok_or_else(|| format!("no subtree {level}/{place}"))
    }
}

/// The entry of the leaf `index`: what is hashed after the leaf prefix.
fn entry(index: u64) -> Vec<u8> {
    index.to_be_bytes().to_vec()
}

fn leaf(index: u64) -> Digest {
    Digest::of(&[&[0], entry(index).as_slice()].concat())
}

fn tree(size: u64) -> Memory {
    Memory::of((0..size).map(leaf))
}
