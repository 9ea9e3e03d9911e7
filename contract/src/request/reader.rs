//! One pass over an object of attributes.

use std::mem;

use super::{
    json::{Fault, Raw, Scanner, unescape},
    table::{NameTree, NodeIndex},
};
use crate::slots::{RequestTooLarge, SlotBuffer};

/// Why reading stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    Malformed,
    TooLarge,
}

impl From<Fault> for Stop {
    fn from(_: Fault) -> Self {
        Self::Malformed
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

impl Reader<'_> {
    /// Reads the object that stands here, whose members are the children of `node`.
    pub(super) fn object(&mut self, node: NodeIndex) -> Result<(), Stop> {
        self.scan.expect(b'{', "an object of attributes")?;
        self.members(node)
    }

    /// Reads the value that stands here as that of `node`.
    pub(super) fn value(&mut self, node: NodeIndex) -> Result<(), Stop> {
        if self.enter(node)? { self.members(node) } else { Ok(()) }
    }

    /// Reads an object from behind its `{`, with all objects in it that attributes lie in.
    fn members(&mut self, mut node: NodeIndex) -> Result<(), Stop> {
        self.slots.room.open.clear();
        let mut first = true;
        loop {
            match self.scan.token() {
                b'"' if first => {}
                b',' if !first => {
                    self.scan.advance();
                    if self.scan.token() != b'"' {
                        return Err(self.scan.fault("a name in quotes").into());
                    }
                }
                b'}' => {
                    self.scan.advance();
                    let Some(outer) = self.slots.room.open.pop() else { return Ok(()) };
                    node = outer;
                    first = false;
                    continue;
                }
                _ => {
                    let expected = if first { "a name in quotes or `}`" } else { "`,` or `}`" };
                    return Err(self.scan.fault(expected).into());
                }
            }
            let key = self.scan.string()?;
            self.scan.expect(b':', "`:`")?;
            first = false;
            match self.find(node, key) {
                None => self.scan.skip()?,
                Some(child) => {
                    if self.enter(child)? {
                        self.slots.room.open.push(node);
                        node = child;
                        first = true;
                    }
                }
            }
        }
    }

    /// Reads the value that stands here as that of `node`, or goes over the `{` of an object that other
    /// attributes lie in, and returns true.
    #[inline(always)]
    fn enter(&mut self, node: NodeIndex) -> Result<bool, Stop> {
        let node = self.names.node(node);
        if node.has_children() && self.scan.token() == b'{' {
            if let Some(leaf) = node.leaf {
                self.slots.set_invalid(leaf.slot as usize); // an object is of no attribute's type
            }
            self.scan.advance();
            return Ok(true);
        }
        match node.leaf {
            Some(leaf) => self.leaf(leaf)?,
            None => self.scan.skip()?,
        }
        Ok(false)
    }

    /// The node that a key names: `a`, or `a.b.c`.
    #[inline(always)]
    fn find(&mut self, node: NodeIndex, key: Raw) -> Option<NodeIndex> {
        let bytes = self.scan.bytes();
        if !key.escaped
            && let child @ Some(_) = self.names.child_at(node, bytes, key.start, key.end)
        {
            return child;
        }
        self.find_dotted(node, &bytes[key.start..key.end], key.escaped)
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

    fn walk(&mut self, mut node: NodeIndex, key: &[u8]) -> Option<NodeIndex> {
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
