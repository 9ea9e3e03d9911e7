//! Merkle trees over SHA-256: roots, and proofs that an entry is in a tree and that one tree continues another.
//!
//! Source: RFC 6962, section 2.1; proofs are verified as RFC 9162, sections 2.1.3.2 and 2.1.4.2, lays down.

use super::TlogError;
use crate::digest::Digest;

/// The most hashes that a proof can have: one for each level of a tree of 2^63 entries.
pub const MAX_PROOF: usize = 63;

/// The hash of an entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], entry])
}

/// The hash over two subtrees.
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The root of the tree without entries.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// A complete subtree: the one over the entries from `index << level`, `1 << level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtree {
    /// Its height; 0 is an entry's own hash.
    pub level: u32,
    /// Its number among those of its level, from 0.
    pub index: u64,
}

/// A tree that only grows, remembered by the roots of its largest complete subtrees: all that is needed to go on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// One for each bit of `size` that is set, the largest subtree first.
    roots: Vec<Digest>,
}

impl Frontier {
    /// A tree of `size` entries with these subtrees, the largest first; `None` if their number does not fit.
    #[must_use]
    pub fn new(size: u64, roots: Vec<Digest>) -> Option<Self> {
        (size.count_ones() as usize == roots.len()).then_some(Self { size, roots })
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the largest complete subtrees, the largest first.
    #[must_use]
    pub fn roots(&self) -> &[Digest] {
        &self.roots
    }

    /// Appends the hash of an entry.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        let mut size = self.size;
        while size & 1 == 1 {
            if let Some(left) = self.roots.pop() {
                hash = node_hash(&left, &hash);
            }
            size >>= 1;
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the tree as it is.
    #[must_use]
    pub fn root(&self) -> Digest {
        let folded = self.roots.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }
}

/// The largest power of two below `size`, which is above 1.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// The root over the entries from `start` up to `end`, where `start` is a multiple of a power of two that is at least
/// their number.
fn range_root<E>(
    start: u64,
    end: u64,
    read: &mut dyn FnMut(Subtree) -> Result<Digest, E>,
) -> Result<Digest, E> {
    let size = end - start;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return read(Subtree { level, index: start >> level });
    }
    let middle = start + split(size);
    let left = range_root(start, middle, read)?;
    Ok(node_hash(&left, &range_root(middle, end, read)?))
}

/// The root of the tree of the first `size` entries.
///
/// # Errors
/// Those of `read`, which gives the hash of a complete subtree.
pub fn root<E>(size: u64, read: &mut dyn FnMut(Subtree) -> Result<Digest, E>) -> Result<Digest, E> {
    if size == 0 { Ok(empty_root()) } else { range_root(0, size, read) }
}

/// The proof that the entry `index` is in the tree of the first `size` entries: from the leaf's sibling up. Empty if it
/// is not.
///
/// # Errors
/// Those of `read`, which gives the hash of a complete subtree.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    read: &mut dyn FnMut(Subtree) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    let mut proof = Vec::new();
    let (mut start, mut end) = (0, size);
    while index < size && end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(range_root(middle, end, read)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, read)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `size` entries continues that of the first `old`. Empty where nothing needs
/// proof: `old` is 0, or `size`.
///
/// # Errors
/// Those of `read`, which gives the hash of a complete subtree.
pub fn consistency_proof<E>(
    old: u64,
    size: u64,
    read: &mut dyn FnMut(Subtree) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= size {
        return Ok(proof);
    }
    let (mut start, mut end) = (0, size);
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(range_root(middle, end, read)?);
            end = middle;
        } else {
            proof.push(range_root(start, middle, read)?);
            start = middle;
        }
    }
    // Where the old tree is itself a complete subtree, whoever checks has its root.
    if start > 0 {
        proof.push(range_root(start, end, read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the entry with this leaf hash is the one at `index` of the tree of `size` entries with this root.
///
/// # Errors
/// [`TlogError::WrongRoot`].
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    root: &Digest,
    proof: &[Digest],
) -> Result<(), TlogError> {
    let wrong = TlogError::WrongRoot("the inclusion proof");
    if index >= size {
        return Err(wrong);
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(wrong);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            climb_over(&mut at, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(wrong) }
}

/// Checks that the tree of `size` entries with the root `root` continues that of `old` entries with `old_root`.
///
/// # Errors
/// [`TlogError::WrongRoot`].
pub fn verify_consistency(
    (old, old_root): (u64, &Digest),
    (size, root): (u64, &Digest),
    proof: &[Digest],
) -> Result<(), TlogError> {
    let wrong = TlogError::WrongRoot("the consistency proof");
    if old >= size || old == 0 {
        let same = old == size && old_root == root;
        let nothing = old == 0 && *old_root == empty_root();
        return if proof.is_empty() && (same || (nothing && size > 0)) { Ok(()) } else { Err(wrong) };
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let Some(first) = first else { return Err(wrong) };
    let (mut at, mut last) = (old - 1, size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut before, mut now) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return Err(wrong);
        }
        if at & 1 == 1 || at == last {
            before = node_hash(hash, &before);
            now = node_hash(hash, &now);
            climb_over(&mut at, &mut last);
        } else {
            now = node_hash(&now, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 && before == *old_root && now == *root { Ok(()) } else { Err(wrong) }
}

/// Passes over the levels at which the last subtree has no sibling.
fn climb_over(at: &mut u64, last: &mut u64) {
    while *at & 1 == 0 && *at != 0 {
        *at >>= 1;
        *last >>= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// The definition, word by word (RFC 6962, section 2.1).
    fn mth(entries: &[Vec<u8>]) -> Digest {
        match entries {
            [] => Digest::of(b""),
            [one] => Digest::of(&[&[0], one.as_slice()].concat()),
            _ => {
                let mut k = 1;
                while k * 2 < entries.len() {
                    k *= 2;
                }
                let (left, right) = (mth(&entries[..k]), mth(&entries[k..]));
                Digest::of(&[&[1], left.as_bytes().as_slice(), right.as_bytes()].concat())
            }
        }
    }

    fn entries(count: u64) -> Vec<Vec<u8>> {
        (0..count).map(|n| format!("entry {n}").into_bytes()).collect()
    }

    fn reader(entries: &[Vec<u8>]) -> impl FnMut(Subtree) -> Result<Digest, Infallible> {
        |Subtree { level, index }| {
            let start = (index << level) as usize;
            Ok(mth(&entries[start..start + (1 << level)]))
        }
    }

    /// Roots of the trees of 0, 1, …, 8 entries that Certificate Transparency's implementations are tested with.
    #[test]
    fn roots_are_those_of_the_published_vectors() {
        let entries: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
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
        assert_eq!(frontier.root().to_string(), roots[0]);
        for (entry, root) in entries.iter().zip(&roots[1..]) {
            frontier.push(leaf_hash(entry));
            assert_eq!(frontier.root().to_string(), *root);
        }
    }

    #[test]
    fn every_entry_of_small_trees_is_proven_and_nothing_else() {
        for size in 1..40 {
            let entries = entries(size);
            let root = super::root(size, &mut reader(&entries)).unwrap();
            assert_eq!(root, mth(&entries));
            for index in 0..size {
                let proof = inclusion_proof(index, size, &mut reader(&entries)).unwrap();
                let leaf = leaf_hash(&entries[index as usize]);
                assert_eq!(verify_inclusion(&leaf, index, size, &root, &proof), Ok(()));
                for wrong in (0..size + 2).filter(|wrong| *wrong != index) {
                    assert!(verify_inclusion(&leaf, wrong, size, &root, &proof).is_err());
                }
                assert!(verify_inclusion(&leaf_hash(b"x"), index, size, &root, &proof).is_err());
                let longer = [proof.as_slice(), &[leaf]].concat();
                assert!(verify_inclusion(&leaf, index, size, &root, &longer).is_err());
            }
        }
    }

    #[test]
    fn every_growth_of_small_trees_is_proven_and_nothing_else() {
        let entries = entries(40);
        let roots: Vec<_> = (0..=40).map(|size| mth(&entries[..size])).collect();
        for size in 0..=40_u64 {
            for old in 0..=size {
                let proof = consistency_proof(old, size, &mut reader(&entries)).unwrap();
                let (before, now) = (&roots[old as usize], &roots[size as usize]);
                assert_eq!(
                    verify_consistency((old, before), (size, now), &proof),
                    Ok(()),
                    "{old} {size}"
                );
                let forked = leaf_hash(b"fork");
                assert!(
                    verify_consistency((old, &forked), (size, now), &proof).is_err(),
                    "{old} {size}"
                );
                if old > 0 {
                    assert!(verify_consistency((old, before), (size, &forked), &proof).is_err());
                }
                if old > 1 {
                    assert!(verify_consistency((old - 1, before), (size, now), &proof).is_err());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_frontier_goes_on_from_what_it_kept(size in 0_u64..300, more in 0_u64..300) {
            let entries = entries(size + more);
            let mut frontier = Frontier::default();
            entries[..size as usize].iter().for_each(|entry| frontier.push(leaf_hash(entry)));
            let mut kept = Frontier::new(frontier.size(), frontier.roots().to_vec()).unwrap();
            entries[size as usize..].iter().for_each(|entry| kept.push(leaf_hash(entry)));
            prop_assert_eq!(kept.root(), mth(&entries));
        }

        #[test]
        fn no_proof_makes_it_panic(
            old in any::<u64>(), size in any::<u64>(), hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let hashes: Vec<Digest> = hashes.into_iter().map(Into::into).collect();
            let root = empty_root();
            let _ = verify_inclusion(&root, old, size, &root, &hashes);
            let _ = verify_consistency((old, &root), (size, &root), &hashes);
        }
    }
}
