//! Lists whose elements come one at a time, with other attributes between them.

use std::mem;

use super::{ARENA_SIZE, Payload, RequestTooLarge, SlotBuffer, Tag};

/// Lists that grow in turns, and are laid out in the arena when all of them are whole. Until then a list's slot has its
/// tag, and its index here as payload.
#[derive(Debug, Clone, Default)]
pub(crate) struct GrowingLists {
    lists: Vec<List>,
    elements: Vec<Element>,
}

#[derive(Debug, Clone)]
struct List {
    slot: usize,
    tag: Tag,
    first: u32,
    last: u32,
}

#[derive(Debug, Clone)]
struct Element {
    payload: Payload,
    /// The next element of the same list, or [`END`].
    next: u32,
}

const END: u32 = u32::MAX;

impl GrowingLists {
    pub(crate) fn clear(&mut self) {
        self.lists.clear();
        self.elements.clear();
    }

    /// Adds an element to the list in this slot. One that is `None` is of another type: it makes the list unusable,
    /// whatever else is added.
    ///
    /// # Errors
    /// [`RequestTooLarge`] if the arena cannot hold so many elements.
    pub(crate) fn push(
        &mut self,
        slots: &mut SlotBuffer,
        slot: usize,
        tag: Tag,
        element: Option<Payload>,
    ) -> Result<(), RequestTooLarge> {
        let Some(payload) = element else {
            slots.set_invalid(slot);
            return Ok(());
        };
        if self.elements.len() >= ARENA_SIZE as usize {
            return Err(RequestTooLarge); // each takes a byte at least
        }
        let at = self.elements.len() as u32;
        if slots.is_missing(slot) {
            slots.put(slot, tag, Payload(self.lists.len() as u64, 0));
            self.lists.push(List { slot, tag, first: at, last: at });
        } else if let Some(list) = slots.payload_of(slot, tag) {
            let list = &mut self.lists[list as usize];
            self.elements[list.last as usize].next = at;
            list.last = at;
        } else {
            return Ok(()); // unusable already
        }
        self.elements.push(Element { payload, next: END });
        Ok(())
    }

    /// Lays out all lists that are still usable.
    ///
    /// # Errors
    /// [`RequestTooLarge`] when the arena is full.
    pub(crate) fn lay_out(&self, slots: &mut SlotBuffer) -> Result<(), RequestTooLarge> {
        let mut room = mem::take(&mut slots.room.list);
        let laid_out = self.lists.iter().try_for_each(|list| self.lay_out_one(list, slots, &mut room));
        slots.room.list = room;
        laid_out
    }

    fn lay_out_one(
        &self,
        list: &List,
        slots: &mut SlotBuffer,
        room: &mut Vec<u8>,
    ) -> Result<(), RequestTooLarge> {
        let (Some(_), Some(element)) = (slots.payload_of(list.slot, list.tag), list.tag.element())
        else {
            return Ok(());
        };
        room.clear();
        let (mut at, mut count) = (list.first, 0);
        while let Some(Element { payload, next }) = self.elements.get(at as usize) {
            room.extend_from_slice(&payload.bytes()[..element.element_size()]);
            count += 1;
            at = *next;
        }
        slots.set_elements(list.slot, list.tag, room, count)
    }
}
