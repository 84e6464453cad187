//! A TCP stream that acknowledges at once.
//!
//! A peer that has not switched Nagle's algorithm off (anvil) sends a small message only when the one before is
//! acknowledged, and Linux puts an acknowledgement off for up to 40 ms when there is nothing to send with it. Without
//! this stream, each of several blocks that follow each other would arrive up to 40 ms late.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A TCP stream that acknowledges what it reads at once.
pub(super) struct PromptStream(TcpStream);

impl PromptStream {
    /// Connects to `host:port`.
    pub(super) async fn connect(authority: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        Ok(Self(stream))
    }

    /// The kernel may reset this option at any time, so it is set after every read. If it cannot be set, messages come
    /// later, and nothing else is lost.
    #[cfg(target_os = "linux")]
    fn acknowledge(&self) {
        if let Err(error) = self.0.set_quickack(true) {
            tracing::trace!(%error, "acknowledgements stay delayed");
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn acknowledge(&self) {}
}

impl AsyncRead for PromptStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buffer);
        if read.is_ready() {
            self.acknowledge();
        }
        read
    }
}

impl AsyncWrite for PromptStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
