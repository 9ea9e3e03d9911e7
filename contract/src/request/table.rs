//! The tree of attribute names, laid out for finding a name that stands in JSON text.
//!
//! All edges of the tree lie in one open hash table, keyed by the node they leave and by a [`Name`]: a few integers
//! that tell names of up to 16 bytes apart wholly. A search is one multiplication and mostly one comparison.

use std::collections::BTreeMap;

use crate::{manifest::AttributeDeclaration, slots::Tag};

/// The node of the request itself.
pub(super) const REQUEST_NODE: NodeIndex = 0;

/// An index into the tree's nodes.
pub(super) type NodeIndex = u32;

/// A place in a tree's hash table.
pub(super) type Hint = u32;

/// The names of all attributes, joined where they begin alike.
#[derive(Debug, Clone)]
pub(super) struct NameTree {
    nodes: Vec<Node>,
    /// At least twice as many places as edges, their number a power of two.
    edges: Vec<Edge>,
    /// What names longer than 16 bytes have in their middle.
    middles: Vec<u8>,
}

/// One name in its place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Node {
    /// The attribute that ends here.
    pub(super) leaf: Option<Leaf>,
    /// Whether other attributes lie below.
    pub(super) has_children: bool,
}

/// An attribute: its slot, and the tag that a usable value has there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    pub(super) slot: u32,
    pub(super) tag: Tag,
}

#[derive(Debug, Clone, Copy)]
struct Edge {
    name: Name,
    from: NodeIndex,
    /// The request's own node, to which no edge leads, where the place is free.
    to: NodeIndex,
    /// Where its middle starts in [`NameTree::middles`].
    middle: u32,
    /// The name may be compared with raw text: it needs no escape in JSON.
    plain: bool,
}

const FREE: Edge = Edge {
    name: Name { head: 0, tail: 0, length: 0 },
    from: REQUEST_NODE,
    to: REQUEST_NODE,
    middle: 0,
    plain: false,
};

/// A name but for its middle, which it has when it is longer than 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    /// Its first 8 bytes; zeros stand for those that it has not.
    head: u64,
    /// Its last 8 bytes if it is longer than 8, else 0.
    tail: u64,
    length: u32,
}

const HALF: usize = 8;

impl Name {
    fn of(name: &[u8]) -> Self {
        let mut head = [0; HALF];
        let length = name.len().min(HALF);
        head[..length].copy_from_slice(&name[..length]);
        Self { head: u64::from_le_bytes(head), tail: Self::tail(name), length: name.len() as u32 }
    }

    /// The name at `start..end` of `text`, read faster when something comes after it.
    #[inline(always)]
    fn within(text: &[u8], start: usize, end: usize) -> Self {
        let name = &text[start..end];
        let Some(block) = text.get(start..).and_then(<[u8]>::first_chunk) else {
            return Self::of(name);
        };
        let head = u64::from_le_bytes(*block);
        if name.len() >= HALF {
            return Self { head, tail: Self::tail(name), length: name.len() as u32 };
        }
        let own = (1 << (8 * name.len())) - 1;
        Self { head: head & own, tail: 0, length: name.len() as u32 }
    }

    #[inline(always)]
    fn tail(name: &[u8]) -> u64 {
        match name.last_chunk() {
            Some(block) if name.len() > HALF => u64::from_le_bytes(*block),
            _ => 0,
        }
    }

    fn middle(name: &[u8]) -> &[u8] {
        if name.len() > 2 * HALF { &name[HALF..name.len() - HALF] } else { &[] }
    }

    /// Mixes all bits of the key into the low ones.
    #[inline(always)]
    fn hash(self, from: NodeIndex, whole: &[u8]) -> usize {
        let mut rest = self.tail ^ u64::from(from) << 32 ^ u64::from(self.length);
        if whole.len() > 2 * HALF {
            rest = Self::mix_middle(rest, whole);
        }
        mix(self.head, rest) as usize
    }

    fn mix_middle(rest: u64, whole: &[u8]) -> u64 {
        let block = |part: &[u8]| part.iter().fold(0, |block, byte| block << 8 | u64::from(*byte));
        Self::middle(whole).chunks(HALF).fold(rest, |rest, part| mix(block(part), rest))
    }
}

/// Multiplies to 128 bits and folds them, as [wyhash](https://github.com/wangyi-fudan/wyhash) does.
#[inline(always)]
fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ 0x9E37_79B9_7F4A_7C15) * u128::from(right ^ 0xD6E8_FEB8_6659_FD93);
    product as u64 ^ (product >> 64) as u64
}

impl NameTree {
    pub(super) fn new(attributes: &[AttributeDeclaration]) -> Self {
        let mut nodes = vec![Node::default()];
        let mut edges = BTreeMap::new();
        let mut paths = Vec::with_capacity(attributes.len());
        for (slot, attribute) in attributes.iter().enumerate() {
            let (mut node, mut passed) = (REQUEST_NODE, Vec::new());
            for name in attribute.path.split('.') {
                passed.push(node);
                let next = nodes.len() as NodeIndex;
                let child = *edges.entry((node, name.as_bytes())).or_insert(next);
                if child == next {
                    nodes[node as usize].has_children = true;
                    nodes.push(Node::default());
                }
                node = child;
            }
            let leaf = Leaf { slot: slot as u32, tag: Tag::of(&attribute.ty) };
            nodes[node as usize].leaf = Some(leaf);
            paths.push((attribute.path.as_bytes(), passed, node));
        }
        // A path as one dotted name is found like any name, unless it passes an attribute, which it then spoils.
        for (path, passed, node) in paths {
            if passed.iter().all(|node| nodes[*node as usize].leaf.is_none()) {
                edges.insert((REQUEST_NODE, path), node); // paths of one name are there already
            }
        }
        let places = (2 * edges.len()).next_power_of_two();
        let mut tree = Self { nodes, edges: vec![FREE; places], middles: Vec::new() };
        for ((from, name), to) in edges {
            tree.insert(from, name, to);
        }
        tree
    }

    fn insert(&mut self, from: NodeIndex, whole: &[u8], to: NodeIndex) {
        let middle = self.middles.len() as u32;
        self.middles.extend_from_slice(Name::middle(whole));
        let plain = !whole.iter().any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'));
        let mask = self.edges.len() - 1;
        let name = Name::of(whole);
        let mut at = name.hash(from, whole) & mask;
        while self.edges[at].to != REQUEST_NODE {
            at = (at + 1) & mask;
        }
        self.edges[at] = Edge { name, from, to, middle, plain };
    }

    #[inline(always)]
    pub(super) fn node(&self, node: NodeIndex) -> Node {
        self.nodes[node as usize]
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The child with this name, which is taken as one name even if there are dots in it.
    pub(super) fn child(&self, node: NodeIndex, name: &[u8]) -> Option<NodeIndex> {
        self.find(node, Name::of(name), name).map(|(_, child)| child)
    }

    /// The same for a name that stands at `start..end` of `text`, with what [`Self::guess`] takes to find it again.
    #[inline(always)]
    pub(super) fn child_within(
        &self,
        node: NodeIndex,
        text: &[u8],
        start: usize,
        end: usize,
    ) -> Option<(Hint, NodeIndex)> {
        self.find(node, Name::within(text, start, end), &text[start..end])
    }

    /// The child that was found with `hint`, if its name and a quote stand at `start` of `text`, and where that
    /// quote is. Any hint may be tried, even one of another table.
    #[inline(always)]
    pub(super) fn guess(
        &self,
        node: NodeIndex,
        hint: Hint,
        text: &[u8],
        start: usize,
    ) -> Option<(usize, NodeIndex)> {
        let edge = self.edges.get(hint as usize)?;
        let end = start + edge.name.length as usize;
        let there = text.get(end) == Some(&b'"')
            && edge.from == node
            && edge.plain
            && Name::within(text, start, end) == edge.name
            && self.middle_is(edge, &text[start..end]);
        there.then_some((end, edge.to))
    }

    #[inline(always)]
    fn find(&self, from: NodeIndex, name: Name, whole: &[u8]) -> Option<(Hint, NodeIndex)> {
        let mask = self.edges.len() - 1;
        let mut at = name.hash(from, whole) & mask;
        loop {
            let edge = &self.edges[at];
            if edge.to == REQUEST_NODE {
                return None; // at least every other place is free
            }
            if edge.name == name && edge.from == from && self.middle_is(edge, whole) {
                return Some((at as Hint, edge.to));
            }
            at = (at + 1) & mask;
        }
    }

    #[inline(always)]
    fn middle_is(&self, edge: &Edge, whole: &[u8]) -> bool {
        let middle = Name::middle(whole);
        middle.is_empty() || self.middles[edge.middle as usize..].starts_with(middle)
    }
}
