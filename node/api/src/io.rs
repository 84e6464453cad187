//! A socket with timeouts: an idle connection is closed, and nothing is read from a client that does not read.
//!
//! [`GuardedIo`] wraps a stream and counts time from the last byte in each direction. While a request is at work,
//! silence of the client is fine; a client that does not take its answer is cut off even then. It is below HTTP and
//! WebSocket, so both have these rules.
//!
//! The second rule bounds memory: a client that sends requests and reads no answers would make this side collect the
//! answers. It also holds the connection's [`Slot`], so the place is free as soon as the stream is dropped.

use super::connections::Slot;
use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    task::{ready, Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{sleep, Instant, Sleep},
};

/// A stream that holds its place among the open connections, and fails after `idle` without progress.
#[derive(Debug)]
pub(super) struct GuardedIo<S> {
    stream: S,
    /// The place among the open connections.
    slot: Slot,
    /// How long nothing may move.
    idle: Duration,
    /// When a byte last moved in either direction.
    moved: Instant,
    /// When silence is looked at again.
    read_timer: Pin<Box<Sleep>>,
    /// Runs while the other side does not read what is written.
    write_timer: Option<Pin<Box<Sleep>>>,
    /// The other side did not read in time, so nothing more is read from it.
    dead: bool,
    /// A reader that waits until the write has gone through.
    reader: Option<Waker>,
}

impl<S> GuardedIo<S> {
    pub(super) fn new(stream: S, slot: Slot, idle: Duration) -> Self {
        Self {
            stream,
            slot,
            idle,
            moved: Instant::now(),
            read_timer: Box::pin(sleep(idle)),
            write_timer: None,
            dead: false,
            reader: None,
        }
    }

    /// Nothing can be read. That is fine while a request is being answered; otherwise the connection fails after `idle`.
    fn wait_to_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.read_timer.as_mut().poll(cx));
            let now = Instant::now();
            if self.slot.connection().is_working() {
                self.moved = now;
            }
            let due = self.moved + self.idle;
            if due <= now {
                return Poll::Ready(Err(stood_still(self.idle)));
            }
            self.read_timer.as_mut().reset(due);
        }
    }

    /// Nothing can be written. The connection fails when the other side reads nothing for `idle`, even while a request is
    /// being answered.
    fn wait_to_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let idle = self.idle;
        let timer = self
            .write_timer
            .get_or_insert_with(|| Box::pin(sleep(idle)));
        ready!(timer.as_mut().poll(cx));
        self.dead = true;
        Poll::Ready(Err(stood_still(idle)))
    }

    /// Bytes went out: the client reads, so reading from it goes on.
    fn written(&mut self) {
        self.moved = Instant::now();
        self.write_timer = None;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Watches the time of a write that does not go through.
    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let result = match result {
            Poll::Pending => ready!(self.wait_to_write(cx)),
            Poll::Ready(result) => result,
        };
        self.written();
        Poll::Ready(result)
    }
}

fn stood_still(idle: Duration) -> io::Error {
    let line = format!("nothing moved for {} ms", idle.as_millis());
    io::Error::new(io::ErrorKind::TimedOut, line)
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedIo<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.dead {
            return Poll::Ready(Err(stood_still(self.idle)));
        }
        // While the client takes no answers, no further requests are read from it.
        if self.write_timer.is_some() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => self.wait_to_read(cx),
            Poll::Ready(result) => {
                self.moved = Instant::now();
                Poll::Ready(result)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedIo<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.after_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.after_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.written();
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::connections::Connections, *};
    use tokio::io::{duplex, AsyncReadExt, AsyncWriteExt, DuplexStream};

    const IDLE: Duration = Duration::from_millis(100);

    fn guarded(capacity: usize) -> (GuardedIo<DuplexStream>, DuplexStream) {
        let (ours, theirs) = duplex(capacity);
        let slot = Connections::new(1, 1).admit(None).unwrap();
        (GuardedIo::new(ours, slot, IDLE), theirs)
    }

    #[tokio::test]
    async fn silence_ends_the_connection_counted_from_the_last_byte() {
        let (mut ours, mut theirs) = guarded(8);
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(ours.read_u8().await.unwrap(), b'x');
        let last = Instant::now();
        let error = ours.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(last.elapsed() + Duration::from_millis(5) >= IDLE);
    }

    #[tokio::test]
    async fn silence_is_fine_while_a_request_is_at_work() {
        let (mut ours, mut theirs) = guarded(8);
        let working = ours.slot.connection().work();
        let waited = tokio::time::timeout(5 * IDLE, ours.read_u8()).await;
        assert!(waited.is_err(), "{waited:?}");
        drop(working);
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(ours.read_u8().await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn who_does_not_read_is_cut_off_even_while_a_request_is_at_work() {
        let (mut ours, _theirs) = guarded(8);
        let _working = ours.slot.connection().work();
        let error = ours.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = ours.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_read_from() {
        let (mut ours, mut theirs) = guarded(4);
        let mut cx = Context::from_waker(Waker::noop());
        let mut write = |ours: &mut GuardedIo<_>| Pin::new(ours).poll_write(&mut cx, &[7; 4]);
        assert!(matches!(write(&mut ours), Poll::Ready(Ok(4))));
        assert!(write(&mut ours).is_pending());
        theirs.write_all(b"x").await.unwrap();
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut ours)
            .poll_read(&mut cx, &mut buffer)
            .is_pending());
        theirs.read_exact(&mut [0; 4]).await.unwrap();
        assert!(matches!(write(&mut ours), Poll::Ready(Ok(4))));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut ours)
            .poll_read(&mut cx, &mut buffer)
            .is_ready());
        assert_eq!(buffer.filled(), b"x");
    }
}
