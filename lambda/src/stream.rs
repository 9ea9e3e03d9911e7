//! A function's answer on its way to Lambda: as much of it as is needed to decide, and the rest as it comes.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    body::{Frame, Incoming},
    http::HeaderMap,
};

use crate::{api::Body, returned::DELIMITER};

/// The most bytes of an answer that is read before it is decided.
const MAX_ANSWER: usize = 16 << 20;

/// The most bytes of a prelude.
const MAX_PRELUDE: usize = 1 << 20;

/// An answer that is too long to be decided, or ended early.
#[derive(Debug)]
pub(crate) struct Unread;

/// An answer, partly read.
pub(crate) struct Held {
    /// What is there.
    pub(crate) bytes: Bytes,
    tail: Tail,
}

enum Tail {
    /// More may come.
    Open(Incoming),
    /// It ended, perhaps with trailers.
    Ended(Option<HeaderMap>),
}

impl Held {
    /// An answer of which nothing was read.
    pub(crate) fn new(body: Incoming) -> Self {
        Self { bytes: Bytes::new(), tail: Tail::Open(body) }
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// [`Unread`].
    pub(crate) async fn whole(self) -> Result<Self, Unread> {
        let Tail::Open(body) = self.tail else { return Ok(self) };
        let left = MAX_ANSWER.saturating_sub(self.bytes.len());
        let rest = Limited::new(body, left).collect().await.map_err(|_| Unread)?;
        let trailers = rest.trailers().cloned();
        let rest = rest.to_bytes();
        let bytes = if self.bytes.is_empty() { rest } else { [self.bytes, rest].concat().into() };
        Ok(Self { bytes, tail: Tail::Ended(trailers) })
    }

    /// Reads as much of it as there must be for its prelude.
    ///
    /// # Errors
    /// [`Unread`].
    pub(crate) async fn prelude(self) -> Result<Self, Unread> {
        let Tail::Open(mut body) = self.tail else { return Ok(self) };
        let mut bytes = BytesMut::from(self.bytes);
        while split(&bytes).is_none() {
            if bytes.len() > MAX_PRELUDE {
                return Err(Unread);
            }
            match body.frame().await {
                None => return Ok(Self { bytes: bytes.freeze(), tail: Tail::Ended(None) }),
                Some(frame) => match frame.map_err(|_| Unread)?.into_data() {
                    Ok(data) => bytes.extend_from_slice(&data),
                    Err(frame) => {
                        let tail = Tail::Ended(frame.into_trailers().ok());
                        return Ok(Self { bytes: bytes.freeze(), tail });
                    }
                },
            }
        }
        Ok(Self { bytes: bytes.freeze(), tail: Tail::Open(body) })
    }

    /// A whole answer in the function's place.
    pub(crate) fn ended(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), tail: Tail::Ended(None) }
    }

    /// The same with other bytes in the place of those that were read.
    pub(crate) fn with(self, bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), ..self }
    }

    /// What Lambda is sent. Its length is not said, so that it goes in chunks.
    pub(crate) fn into_body(self) -> Body {
        let Self { bytes, tail } = self;
        Forwarded { first: Some(bytes).filter(|bytes| !bytes.is_empty()), tail }.boxed_unsync()
    }
}

/// The prelude and what comes behind it; `None` as long as it has no end.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(DELIMITER.len()).position(|window| window == DELIMITER)?;
    Some((&bytes[..at], &bytes[at + DELIMITER.len()..]))
}

struct Forwarded {
    first: Option<Bytes>,
    tail: Tail,
}

impl hyper::body::Body for Forwarded {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match &mut self.tail {
            Tail::Open(body) => Pin::new(body).poll_frame(context),
            Tail::Ended(trailers) => {
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
        }
    }
}
