//! The tree of attribute names, laid out for finding a name that stands in JSON text.
//!
//! A node's children lie side by side, ordered by length, then by their first 8 bytes as a number, then by the
//! rest. Most names are told apart by two comparisons of integers.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{manifest::AttributeDeclaration, slots::Tag};

/// The node of the request itself.
pub(super) const REQUEST_NODE: NodeIndex = 0;

/// An index into the tree's nodes.
pub(super) type NodeIndex = u32;

/// The names of all attributes, joined where they begin alike.
#[derive(Debug, Clone)]
pub(super) struct NameTree {
    nodes: Vec<Node>,
    children: Vec<Child>,
    /// What names have after their first 8 bytes.
    rests: Vec<u8>,
}

/// One name in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// The attribute that ends here.
    pub(super) leaf: Option<Leaf>,
    first_child: u32,
    children: u32,
}

impl Node {
    #[inline]
    pub(super) fn has_children(&self) -> bool {
        self.children > 0
    }
}

/// An attribute: its slot, and the tag that a usable value has there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    pub(super) slot: u32,
    pub(super) tag: Tag,
}

#[derive(Debug, Clone, Copy)]
struct Child {
    head: u64,
    length: usize,
    /// Where its rest starts in [`NameTree::rests`].
    rest: usize,
    node: NodeIndex,
}

const HEAD: usize = 8;

/// Up to as many children are looked at one after the other, which then is faster than halving.
const FEW: u32 = 8;

#[derive(Default)]
struct Sketch<'a> {
    leaf: Option<Leaf>,
    children: BTreeMap<&'a str, usize>,
}

impl NameTree {
    pub(super) fn new(attributes: &[AttributeDeclaration]) -> Self {
        let mut sketches = vec![Sketch::default()];
        for (slot, attribute) in attributes.iter().enumerate() {
            let mut node = REQUEST_NODE as usize;
            for name in attribute.path.split('.') {
                let next = sketches.len();
                let child = *sketches[node].children.entry(name).or_insert(next);
                if child == next {
                    sketches.push(Sketch::default());
                }
                node = child;
            }
            sketches[node].leaf = Some(Leaf { slot: slot as u32, tag: Tag::of(&attribute.ty) });
        }
        let mut tree = Self { nodes: Vec::new(), children: Vec::new(), rests: Vec::new() };
        for sketch in &sketches {
            tree.push(sketch);
        }
        tree
    }

    fn push(&mut self, sketch: &Sketch<'_>) {
        let first_child = self.children.len();
        for (name, node) in &sketch.children {
            let name = name.as_bytes();
            let rest = self.rests.len();
            self.rests.extend_from_slice(rest_of(name));
            self.children.push(Child {
                head: head_of(name),
                length: name.len(),
                rest,
                node: *node as NodeIndex,
            });
        }
        let rests = &self.rests;
        self.children[first_child..].sort_by(|a, b| a.order(rests, b.length, b.head, b.rest_in(rests)));
        self.nodes.push(Node {
            leaf: sketch.leaf,
            first_child: first_child as u32,
            children: sketch.children.len() as u32,
        });
    }

    #[inline]
    pub(super) fn node(&self, node: NodeIndex) -> &Node {
        &self.nodes[node as usize]
    }

    /// The child with this name, which is taken as one name even if there are dots in it.
    pub(super) fn child(&self, node: NodeIndex, name: &[u8]) -> Option<NodeIndex> {
        self.child_with_head(node, name, head_of(name))
    }

    /// The same for a name that stands at `start..end` of `text`.
    #[inline(always)]
    pub(super) fn child_at(
        &self,
        node: NodeIndex,
        text: &[u8],
        start: usize,
        end: usize,
    ) -> Option<NodeIndex> {
        let name = &text[start..end];
        let head = match text.get(start..).and_then(<[u8]>::first_chunk) {
            // Reads beyond a short name and clears what does not belong to it.
            Some(block) => {
                let beyond = 8 * HEAD.saturating_sub(name.len()) as u32;
                u64::from_le_bytes(*block) & u64::MAX.checked_shr(beyond).unwrap_or(0)
            }
            None => head_of(name),
        };
        self.child_with_head(node, name, head)
    }

    #[inline(always)]
    fn child_with_head(&self, node: NodeIndex, name: &[u8], head: u64) -> Option<NodeIndex> {
        let node = &self.nodes[node as usize];
        let children = &self.children[node.first_child as usize..][..node.children as usize];
        if node.children <= FEW {
            let is = |child: &&Child| {
                child.head == head
                    && child.length == name.len()
                    && (name.len() <= HEAD || child.rest_in(&self.rests) == rest_of(name))
            };
            children.iter().find(is).map(|child| child.node)
        } else {
            let order = |child: &Child| child.order(&self.rests, name.len(), head, rest_of(name));
            children.binary_search_by(order).ok().map(|at| children[at].node)
        }
    }
}

impl Child {
    fn rest_in<'r>(&self, rests: &'r [u8]) -> &'r [u8] {
        &rests[self.rest..][..self.length.saturating_sub(HEAD)]
    }

    fn order(&self, rests: &[u8], length: usize, head: u64, rest: &[u8]) -> Ordering {
        (self.length, self.head)
            .cmp(&(length, head))
            .then_with(|| if length <= HEAD { Ordering::Equal } else { self.rest_in(rests).cmp(rest) })
    }
}

/// The first 8 bytes of a name, with zeros if it is shorter.
fn head_of(name: &[u8]) -> u64 {
    let mut head = [0; HEAD];
    let length = name.len().min(HEAD);
    head[..length].copy_from_slice(&name[..length]);
    u64::from_le_bytes(head)
}

fn rest_of(name: &[u8]) -> &[u8] {
    name.get(HEAD..).unwrap_or_default()
}
