//! Bodies that end in time.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep_until},
};
use wasmtime_wasi_http::Error;

/// A body that is cut off, with an error, when its time is over; and holds a place until it ends.
pub(super) struct Bounded<B> {
    body: B,
    until: Pin<Box<Sleep>>,
    pause: Option<Duration>,
    too_late: Option<Error>,
    place: Option<OwnedSemaphorePermit>,
}

impl<B> Bounded<B> {
    /// The body, which must end by `until`.
    pub(super) fn new(body: B, until: Instant, too_late: Error) -> Self {
        let until = Box::pin(sleep_until(until.into()));
        Self { body, until, pause: None, too_late: Some(too_late), place: None }
    }

    /// Each frame gives it this much time again.
    pub(super) fn renewed_by_each_frame(self, pause: Duration) -> Self {
        Self { pause: Some(pause), ..self }
    }

    /// Gives the place back with its end.
    pub(super) fn holding(self, place: OwnedSemaphorePermit) -> Self {
        Self { place: Some(place), ..self }
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Bounded<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.too_late.is_none() {
            return Poll::Ready(None);
        }
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        // A body that always has more has no more time than others.
        let is_timed = this.pause.is_none() || frame.is_pending();
        if is_timed && this.until.as_mut().poll(cx).is_ready() {
            this.place = None;
            return Poll::Ready(this.too_late.take().map(Err));
        }
        match &frame {
            Poll::Ready(None) => this.place = None,
            Poll::Ready(Some(_)) => {
                if let Some(until) = this.pause.and_then(|pause| Instant::now().checked_add(pause)) {
                    this.until.as_mut().reset(until.into());
                }
            }
            Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
