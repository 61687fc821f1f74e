//! A connection whose other end takes nothing of what is written to it is given up, and one whose other end has gone says so.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::room::OpenConnection;

/// Whether the other end of a connection is still there: it may have closed its half, or the connection may be over.
#[derive(Debug, Clone, Default)]
pub struct Asker(Arc<AtomicBool>);

impl Asker {
    /// Whether nobody waits for an answer any more.
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A connection, with a bound on how long a write may stand still.
#[derive(Debug)]
pub struct Patient<S> {
    io: S,
    most: Duration,
    /// Runs while a write stands still.
    until: Option<Pin<Box<Sleep>>>,
    asker: Asker,
    _open: OpenConnection,
}

impl<S: AsyncWrite + Unpin> Patient<S> {
    /// `io`, given up with [`io::ErrorKind::TimedOut`] once a write stands still for as long as `most`. It is `open` as long
    /// as this lives.
    pub fn new(io: S, most: Duration, open: OpenConnection) -> Self {
        Self { io, most, until: None, asker: Asker::default(), _open: open }
    }

    /// Its other end.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.until = None;
            return written;
        }
        let most = self.most;
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(most)));
        ready!(until.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        if read.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0) {
            self.asker.leave();
        }
        Poll::Ready(read)
    }
}

impl<S> Drop for Patient<S> {
    fn drop(&mut self) {
        self.asker.leave();
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.bounded(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.bounded(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
