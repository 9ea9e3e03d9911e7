//! From an HTTP request's line and headers to attribute slots, and from a response's status and headers.

use std::{io::Write as _, mem, net::IpAddr};

use super::{
    table::{Leaf, NameTree, NodeIndex, REQUEST_NODE},
    text,
};
use crate::{
    slots::{GrowingLists, Payload, RequestTooLarge, SlotBuffer, Tag},
    value::Ip,
};

/// The line and headers of an HTTP request.
///
/// | attribute | is |
/// |---|---|
/// | `request.method`, `request.path` | as they are here, nothing decoded or normalised: the very text that the upstream sees |
/// | `request.query.<name>` | the parameter of this name |
/// | `request.headers.<name>` | the header of this name, in small letters and with `_` for each `-` |
/// | `source.ip` | the client's address |
///
/// All of them are texts. For an attribute of another type than STRING or ENUM, the text is read as the language
/// writes such a value (`42`, `true`, `15m`); a text that is none is there but unusable.
///
/// A parameter or header that comes more than once is unusable, unless its attribute is a LIST: that has one element
/// for each, in their order. Nothing is split at commas, so `a, b` is one element.
///
/// The query is read as [`application/x-www-form-urlencoded`](https://url.spec.whatwg.org/#urlencoded-parsing):
/// pairs between `&`, each with its name before the first `=`, `+` for a space, and escapes of UTF-8. Where that
/// lets a bad escape stand or replaces bad UTF-8, a value is unusable here, and a name names nothing. Names are taken
/// as they are then, so only those made of the language's names and dots can be those of an attribute.
///
/// A header's value is unusable if it is no UTF-8, and if there is an underscore in the header's own name: `X_User` is
/// not `X-User`, but many servers take the one for the other. A header whose name has a character that the language's
/// names have not, or starts a part with a digit, is no attribute.
#[derive(Debug, Clone, Copy)]
pub struct HttpRequest<'h, H> {
    /// The method, such as `GET`.
    pub method: &'h str,
    /// The path, as the upstream will be sent it. Policies that look at it are only as good as the caller's care that
    /// the upstream does not read `/public/%2e%2e/private` otherwise.
    pub path: &'h str,
    /// What stands after the path's `?`.
    pub query: Option<&'h str>,
    /// The client's address: that of the connection, or what a proxy that the caller trusts says of it.
    pub client: Option<IpAddr>,
    /// The headers' names and values. The `:authority` of HTTP/2 belongs here as `host`, other pseudo-headers do not.
    pub headers: H,
}

/// The status and headers of an HTTP response.
///
/// | attribute | is |
/// |---|---|
/// | `response.status` | the status code |
/// | `response.headers.<name>` | the header of this name, as [`HttpRequest`] has its own |
#[derive(Debug, Clone, Copy)]
pub struct HttpResponse<H> {
    /// The status code, such as 200.
    pub status: u16,
    /// The headers' names and values.
    pub headers: H,
}

/// Reads a request into slots that were reset.
pub(super) fn read<'h, H>(
    names: &NameTree,
    request: HttpRequest<'h, H>,
    slots: &mut SlotBuffer,
) -> Result<(), RequestTooLarge>
where
    H: IntoIterator<Item = (&'h str, &'h [u8])>,
{
    with_reader(names, slots, |reader, room| reader.request(request, room))
}

/// Reads a response into slots that may hold its request.
pub(super) fn read_response<'h, H>(
    names: &NameTree,
    response: HttpResponse<H>,
    slots: &mut SlotBuffer,
) -> Result<(), RequestTooLarge>
where
    H: IntoIterator<Item = (&'h str, &'h [u8])>,
{
    with_reader(names, slots, |reader, room| {
        let Some(node) = reader.object(REQUEST_NODE, "response") else { return Ok(()) };
        reader.give(reader.leaf(node, b"status"), Some(&response.status.to_string()))?;
        reader.headers(node, response.headers, room)
    })
}

fn with_reader(
    names: &NameTree,
    slots: &mut SlotBuffer,
    read: impl FnOnce(&mut Reader<'_>, &mut Vec<u8>) -> Result<(), RequestTooLarge>,
) -> Result<(), RequestTooLarge> {
    let mut room = mem::take(&mut slots.room.text);
    let mut lists = mem::take(&mut slots.room.growing);
    lists.clear();
    let read = read(&mut Reader { names, slots, lists: &mut lists }, &mut room);
    let laid_out = read.and_then(|()| lists.lay_out(slots));
    slots.room.text = room;
    slots.room.growing = lists;
    laid_out
}

/// What one request is read with.
struct Reader<'r> {
    names: &'r NameTree,
    slots: &'r mut SlotBuffer,
    lists: &'r mut GrowingLists,
}

impl Reader<'_> {
    /// Reads all of the request; `room` is for texts that are not wanted as they stand.
    fn request<'h, H>(
        &mut self,
        request: HttpRequest<'h, H>,
        room: &mut Vec<u8>,
    ) -> Result<(), RequestTooLarge>
    where
        H: IntoIterator<Item = (&'h str, &'h [u8])>,
    {
        if let Some(client) = request.client
            && let Some(source) = self.object(REQUEST_NODE, "source")
        {
            self.client(source, client, room)?;
        }
        let Some(node) = self.object(REQUEST_NODE, "request") else { return Ok(()) };
        self.give(self.leaf(node, b"method"), Some(request.method))?;
        self.give(self.leaf(node, b"path"), Some(request.path))?;
        if let Some(query) = request.query
            && let Some(node) = self.object(node, "query")
        {
            self.query(node, query, room)?;
        }
        self.headers(node, request.headers, room)
    }

    fn headers<'h>(
        &mut self,
        node: NodeIndex,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        room: &mut Vec<u8>,
    ) -> Result<(), RequestTooLarge> {
        let Some(node) = self.object(node, "headers") else { return Ok(()) };
        headers.into_iter().try_for_each(|(name, value)| self.header(node, name, value, room))
    }

    /// The node of an object that the request has, if attributes lie in it; one that is an attribute itself is
    /// unusable, as in JSON.
    fn object(&mut self, node: NodeIndex, name: &str) -> Option<NodeIndex> {
        let child = self.names.child(node, name.as_bytes())?;
        let node = self.names.node(child);
        if let Some(leaf) = node.leaf {
            self.slots.set_invalid(leaf.slot as usize);
        }
        node.has_children.then_some(child)
    }

    /// The attribute of this name, which may be dotted.
    fn leaf(&self, node: NodeIndex, name: &[u8]) -> Option<Leaf> {
        let mut parts = name.split(|byte| *byte == b'.');
        let node = parts.try_fold(node, |node, part| self.names.child(node, part))?;
        self.names.node(node).leaf
    }

    fn client(
        &mut self,
        source: NodeIndex,
        client: IpAddr,
        room: &mut Vec<u8>,
    ) -> Result<(), RequestTooLarge> {
        match self.leaf(source, b"ip") {
            Some(leaf @ Leaf { tag: Tag::Address, slot }) => {
                self.slots.put(slot as usize, leaf.tag, Payload::halves(Ip::from(client).0));
                Ok(())
            }
            leaf => {
                room.clear();
                let written = write!(room, "{}", client.to_canonical());
                self.give(leaf, written.ok().and_then(|()| std::str::from_utf8(room).ok()))
            }
        }
    }

    fn query(
        &mut self,
        node: NodeIndex,
        query: &str,
        room: &mut Vec<u8>,
    ) -> Result<(), RequestTooLarge> {
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let leaf = decoded(name, room).and_then(|name| self.leaf(node, name.as_bytes()));
            if leaf.is_some() {
                self.give(leaf, decoded(value, room))?;
            }
        }
        Ok(())
    }

    fn header(
        &mut self,
        node: NodeIndex,
        name: &str,
        value: &[u8],
        room: &mut Vec<u8>,
    ) -> Result<(), RequestTooLarge> {
        room.clear();
        room.extend(
            name.bytes().map(|byte| if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() }),
        );
        let leaf = self.leaf(node, room);
        if leaf.is_some() {
            let value = std::str::from_utf8(value).ok();
            self.give(leaf, value.filter(|_| !name.contains('_')))?;
        }
        Ok(())
    }

    /// Gives the attribute, if it is one, a value, which is unusable if it is no text.
    fn give(&mut self, leaf: Option<Leaf>, text: Option<&str>) -> Result<(), RequestTooLarge> {
        let Some(Leaf { slot, tag }) = leaf else { return Ok(()) };
        let slot = slot as usize;
        if self.slots.is_invalid(slot) {
            return Ok(()); // and stays so
        }
        if let Some(element) = tag.element() {
            let element = self.payload(element, text)?;
            return self.lists.push(self.slots, slot, tag, element);
        }
        let once = self.slots.is_missing(slot);
        match if once { self.payload(tag, text)? } else { None } {
            Some(payload) => self.slots.put(slot, tag, payload),
            None => self.slots.set_invalid(slot),
        }
        Ok(())
    }

    /// The text as a value of this type.
    fn payload(&mut self, tag: Tag, text: Option<&str>) -> Result<Option<Payload>, RequestTooLarge> {
        let Some(text) = text else { return Ok(None) };
        if tag != Tag::Text {
            return Ok(text::parse(tag, text));
        }
        let pointer = self.slots.append_text(text.as_bytes(), 0, text.len())?;
        Ok(Some(Payload::span(pointer, text.len())))
    }
}

/// What a name or value in a query says; `None` if it has a bad escape or is no UTF-8. Written to `room` if it does not
/// stand there as it is.
fn decoded<'t>(raw: &'t str, room: &'t mut Vec<u8>) -> Option<&'t str> {
    if !raw.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(raw);
    }
    room.clear();
    let mut bytes = raw.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = bytes.next() {
        room.push(match byte {
            b'+' => b' ',
            b'%' => (digit(bytes.next())? << 4 | digit(bytes.next())?) as u8,
            byte => byte,
        });
    }
    std::str::from_utf8(room).ok()
}
