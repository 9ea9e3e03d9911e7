//! Messages as the Language Server Protocol frames them. No byte that a client sends ends the server: what cannot be
//! read is answered with an error, and reading goes on at the next header.

use std::{
    io::{self, BufRead, Read as _, Write},
    sync::{Arc, Mutex, PoisonError},
};

use serde::Deserialize;
use serde_json::{Value, json};

/// The most bytes of one message: the largest file that a set may have, every byte of it escaped, and some.
const MAX_MESSAGE: u64 = 128 << 20;

/// The most bytes of one header line.
const MAX_HEADER: u64 = 4096;

/// JSON-RPC's and the protocol's codes of errors.
pub(super) mod code {
    pub(crate) const PARSE: i32 = -32700;
    pub(crate) const INVALID_REQUEST: i32 = -32600;
    pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
    pub(crate) const INVALID_PARAMS: i32 = -32602;
    pub(crate) const NOT_INITIALIZED: i32 = -32002;
    pub(crate) const CANCELLED: i32 = -32800;
    pub(crate) const FAILED: i32 = -32803;
}

/// A request or notification; a response has no method.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    /// A number or text; notifications have none.
    pub(super) id: Option<Value>,
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: Value,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: i32, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }
}

/// Reads the next message; `None` when the client has closed its end.
///
/// # Errors
/// The outer one: the client cannot be heard any more. The inner one: something that is no message.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Result<Message, Failure>>> {
    let Some(size) = header(input)? else { return Ok(None) };
    let Some(size) = size else {
        return Ok(Some(Err(Failure::new(code::PARSE, "a header without `Content-Length`"))));
    };
    if size > MAX_MESSAGE {
        io::copy(&mut input.take(size), &mut io::sink())?;
        let message = format!("a message of {size} bytes; the limit is {MAX_MESSAGE}");
        return Ok(Some(Err(Failure::new(code::INVALID_REQUEST, message))));
    }
    // Grown as bytes arrive, not by what the header says.
    let mut body = Vec::new();
    if input.take(size).read_to_end(&mut body)? as u64 != size {
        return Ok(None);
    }
    Ok(Some(match serde_json::from_slice::<Value>(&body) {
        Err(error) => {
            Err(Failure::new(code::PARSE, format_args!("a message that is not JSON: {error}")))
        }
        Ok(value) => match serde_json::from_value::<Message>(value) {
            Ok(message) if message.id.as_ref().is_none_or(|id| id.is_number() || id.is_string()) => {
                Ok(message)
            }
            _ => Err(Failure::new(code::INVALID_REQUEST, "neither a request nor a notification")),
        },
    }))
}

/// The size that a header tells, if it does; the outer `None` at the end of input.
fn header(input: &mut impl BufRead) -> io::Result<Option<Option<u64>>> {
    let mut size = None;
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(MAX_HEADER).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_ascii().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(Some(size));
        }
        // Anywhere in the line: before it may stand the rest of a message that was longer than its header said.
        let line = String::from_utf8_lossy(&line);
        if let Some((_, told)) = line.rsplit_once("content-length:") {
            size = told.trim().parse().ok();
        }
    }
}

/// Where answers go; every part of the server has one.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Mutex<Box<dyn Write + Send>>>);

impl Outbox {
    pub(super) fn new(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(out))))
    }

    pub(super) fn answer(&self, id: &Value, answer: Result<Value, Failure>) {
        self.send(&match answer {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(Failure { code, message }) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
            }
        });
    }

    pub(super) fn notify(&self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    pub(super) fn request(&self, id: &str, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    /// A client that reads no more has ended, and the end of its messages ends the server.
    fn send(&self, message: &Value) {
        let body = message.to_string();
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = write!(out, "Content-Length: {}\r\n\r\n{body}", body.len()).and_then(|()| out.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> Vec<Result<String, i32>> {
        let mut input = bytes;
        let mut all = Vec::new();
        while let Some(message) = read(&mut input).unwrap() {
            let method = message.map(|message| message.method.unwrap_or_default());
            all.push(method.map_err(|failure| failure.code));
        }
        all
    }

    #[test]
    fn what_is_no_message_is_told_and_the_next_one_is_read() {
        let good = "Content-Length: 14\r\n\r\n{\"method\":\"m\"}";
        let m = || Ok("m".to_owned());
        for (bad, code) in [
            ("Content-Length: 3\r\n\r\nabc", code::PARSE),
            ("Content-Length: 2\r\n\r\n\u{fc}", code::PARSE),
            ("Content-Length: many\r\n\r\n", code::PARSE),
            ("Content-Type: x\r\n\r\n", code::PARSE),
            ("nonsense\n\n", code::PARSE),
            ("Content-Length: 2\r\n\r\n[]", code::INVALID_REQUEST),
            ("Content-Length: 2\r\n\r\n1 and the rest", code::INVALID_REQUEST),
            ("Content-Length: 11\r\n\r\n{\"id\":true}", code::INVALID_REQUEST),
        ] {
            assert_eq!(
                read_all(format!("{good}{bad}{good}").as_bytes()),
                [m(), Err(code), m()],
                "{bad}"
            );
        }
        assert_eq!(read_all(&good.as_bytes()[..20]), []);
        assert_eq!(read_all(&good.as_bytes()[..30]), []);
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep = format!("Content-Length: {}\r\n\r\n{deep}{good}", deep.len());
        assert_eq!(read_all(deep.as_bytes()), [Err(code::PARSE), m()]);
    }

    #[test]
    fn a_message_beyond_the_limit_is_passed_over() {
        let size = MAX_MESSAGE + 1;
        let head = format!("Content-Length: {size}\r\n\r\n");
        let after = "Content-Length: 14\r\n\r\n{\"method\":\"m\"}";
        let mut input = io::BufReader::new(
            head.as_bytes().chain(io::repeat(b' ').take(size)).chain(after.as_bytes()),
        );
        assert_eq!(read(&mut input).unwrap().unwrap().unwrap_err().code, code::INVALID_REQUEST);
        assert_eq!(read(&mut input).unwrap().unwrap().unwrap().method.as_deref(), Some("m"));
    }
}
