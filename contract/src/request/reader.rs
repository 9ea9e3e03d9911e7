//! One pass over an object of attributes.

use std::mem;

use super::{
    json::{COLON, Fault, MEMBER_END, NAME, Scanner, fault, unescape},
    table::{Hint, NameTree, NodeIndex},
};
use crate::slots::{RequestTooLarge, SlotBuffer};

/// Why reading stopped.
#[derive(Debug, Clone)]
pub(super) enum Stop {
    Malformed(Box<Fault>),
    TooLarge,
}

impl From<Box<Fault>> for Stop {
    fn from(fault: Box<Fault>) -> Self {
        Self::Malformed(fault)
    }
}

impl From<RequestTooLarge> for Stop {
    fn from(_: RequestTooLarge) -> Self {
        Self::TooLarge
    }
}

/// What one text is read with.
pub(super) struct Reader<'r> {
    pub(super) names: &'r NameTree,
    pub(super) scan: Scanner<'r>,
    pub(super) slots: &'r mut SlotBuffer,
}

/// Each function takes the position where it starts and returns the one where it ended.
impl Reader<'_> {
    /// Reads the object that stands here, whose members are the children of `node`.
    pub(super) fn object(&mut self, at: usize, node: NodeIndex) -> Result<usize, Stop> {
        let at = self.scan.expect(at, b'{', "an object of attributes")?;
        self.members(at, node)
    }

    /// Reads the value that stands here as that of `node`.
    pub(super) fn value(&mut self, at: usize, node: NodeIndex) -> Result<usize, Stop> {
        let (at, object) = self.enter(at, node)?;
        if object { self.members(at, node) } else { Ok(at) }
    }

    /// Reads an object from behind its `{`, with all objects in it that attributes lie in.
    fn members(&mut self, mut at: usize, mut node: NodeIndex) -> Result<usize, Stop> {
        let scan = self.scan;
        self.slots.room.open.clear();
        self.slots.room.hints.resize(2 * self.names.nodes(), Hint::MAX);
        let mut first = true;
        // What the next name is guessed from: the object that opened, or the attribute before it.
        let mut before = 2 * node;
        loop {
            let token;
            (token, at) = scan.token(at);
            match token {
                b',' if !first => {
                    let name;
                    (name, at) = scan.token(at + 1);
                    if name != b'"' {
                        return Ok(fault(at, NAME)?);
                    }
                }
                b'"' if first => {}
                b'}' => {
                    at += 1;
                    let Some(outer) = self.slots.room.open.pop() else { return Ok(at) };
                    before = 2 * node + 1;
                    node = outer;
                    first = false;
                    continue;
                }
                _ => return Ok(fault(at, if first { "a name in quotes or `}`" } else { MEMBER_END })?),
            }
            let child;
            (at, child) = self.key(at, node, before)?;
            at = scan.expect(at, b':', COLON)?;
            first = false;
            match child {
                None => at = scan.skip(at)?,
                Some(child) => {
                    before = 2 * child + 1;
                    let object;
                    (at, object) = self.enter(at, child)?;
                    if object {
                        before = 2 * child;
                        self.slots.room.open.push(node);
                        node = child;
                        first = true;
                    }
                }
            }
        }
    }

    /// Reads the value that stands here as that of `node`, or goes over the `{` of an object that other
    /// attributes lie in, and then says true.
    #[inline(always)]
    fn enter(&mut self, at: usize, node: NodeIndex) -> Result<(usize, bool), Stop> {
        let node = self.names.node(node);
        if node.has_children
            && let (b'{', at) = self.scan.token(at)
        {
            if let Some(leaf) = node.leaf {
                self.slots.set_invalid(leaf.slot as usize); // an object is of no attribute's type
            }
            return Ok((at + 1, true));
        }
        let at = match node.leaf {
            Some(leaf) => self.leaf(at, leaf)?,
            None => self.scan.skip(at)?,
        };
        Ok((at, false))
    }

    /// Goes over a key, and finds the node that it names: `a`, or `a.b.c`.
    ///
    /// Requests look alike, so the name that came here last time is tried first: to compare it takes less time than
    /// to look where the key ends and which it is.
    #[inline(always)]
    fn key(
        &mut self,
        at: usize,
        node: NodeIndex,
        before: u32,
    ) -> Result<(usize, Option<NodeIndex>), Box<Fault>> {
        let bytes = self.scan.bytes();
        let hint = &mut self.slots.room.hints[before as usize];
        if let Some((end, child)) = self.names.guess(node, *hint, bytes, at + 1) {
            return Ok((end + 1, Some(child)));
        }
        let key = self.scan.string(at)?;
        if !key.escaped
            && let Some((found, child)) = self.names.child_within(node, bytes, key.start, key.end)
        {
            *hint = found;
            return Ok((key.after(), Some(child)));
        }
        Ok((key.after(), self.find_dotted(node, &bytes[key.start..key.end], key.escaped)))
    }

    fn find_dotted(&mut self, node: NodeIndex, key: &[u8], escaped: bool) -> Option<NodeIndex> {
        if !escaped {
            return if key.contains(&b'.') { self.walk(node, key) } else { None };
        }
        let mut text = mem::take(&mut self.slots.room.text);
        unescape(key, &mut text); // half a surrogate pair becomes bytes that no name has
        let found = self.walk(node, &text);
        self.slots.room.text = text;
        found
    }

    /// The node that a dotted name leads to; the attributes on the way hold an object.
    pub(super) fn walk(&mut self, mut node: NodeIndex, key: &[u8]) -> Option<NodeIndex> {
        let mut names = key.split(|byte| *byte == b'.').peekable();
        while let Some(name) = names.next() {
            node = self.names.child(node, name)?;
            if let (Some(leaf), true) = (self.names.node(node).leaf, names.peek().is_some()) {
                self.slots.set_invalid(leaf.slot as usize); // an object, as the nested form would show
            }
        }
        Some(node)
    }
}
