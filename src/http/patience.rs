//! What a connection may take up: how long its other end may take nothing of what is written to it, how long it may take
//! over a head, and how many requests it may send before it takes an answer.
//!
//! actix-http bounds the first head of a connection alone, and parses all it has read before it answers any of it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_rt::net::TcpStream;
use memchr::memchr_iter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::asker::Asker;
use super::crowd::{Crowd, Member};
use super::room::OpenConnection;
use super::turn::Turn;

/// Heads that are handed over at a time. Each takes some 10 KB until it is answered.
const HEADS_AT_A_TIME_MAX: usize = 4;

/// How long a connection is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Without anything being taken of what is written.
    pub to_write: Duration,
    /// From an answer to the end of the next head; `None`: for ever.
    pub to_read_head: Option<Duration>,
}

/// A connection that is waited for only so long. It fails with [`io::ErrorKind::TimedOut`] then, and with
/// [`io::ErrorKind::ConnectionAborted`] where it gives way to another.
#[derive(Debug)]
pub struct Patient {
    io: TcpStream,
    patience: Patience,
    turn: Turn,
    asker: Asker,
    /// Runs while a write stands still.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether a read was held up by that.
    is_held_up: bool,
    /// Runs, with breaks, while no request is served.
    head_due: Option<Pin<Box<Sleep>>>,
    /// What was read and is not handed over yet.
    kept: Vec<u8>,
    /// Whether what was handed over is to be dealt with first.
    rests: bool,
    _open: OpenConnection,
    _member: Option<Member>,
}

impl Patient {
    /// `io`, with so much `patience`. It is `open`, and one of the `crowd`, as long as this lives.
    pub fn new(io: TcpStream, patience: Patience, open: OpenConnection, crowd: Option<&Crowd>) -> Self {
        let turn = Turn::new();
        Self {
            io,
            patience,
            _member: crowd.map(|crowd| crowd.enter(&turn)),
            turn,
            asker: Asker::default(),
            stalled: None,
            is_held_up: false,
            head_due: None,
            kept: Vec::new(),
            rests: false,
            _open: open,
        }
    }

    /// Whose turn it is on it.
    pub fn turn(&self) -> Turn {
        self.turn.clone()
    }

    /// Its other end.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            if std::mem::take(&mut self.is_held_up) {
                cx.waker().wake_by_ref();
            }
            return written;
        }
        let most = self.patience.to_write;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(most)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Nothing is read now. What is there, or comes, is read later.
    fn hold_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_there = !self.kept.is_empty() || self.io.poll_read_ready(cx).is_ready();
        if self.stalled.is_some() {
            self.is_held_up = true;
        } else if is_there {
            self.turn.hold_up();
        }
        Poll::Pending
    }

    /// Fails once the next head is due. The clock is looked at seldom: a timer that is set for each request costs more.
    fn expect_head(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(most) = self.patience.to_read_head.filter(|_| !self.turn.is_serving()) else {
            return Ok(());
        };
        let due = self.turn.quiet_since() + most;
        let timer = self.head_due.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Err(io::ErrorKind::TimedOut.into());
            }
            timer.as_mut().reset(due);
        }
        Ok(())
    }

    /// Fills `buffer` with what was kept, or from the connection.
    fn fill(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.kept.is_empty() {
            let before = buffer.filled().len();
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
            if read.is_err() || (buffer.filled().len() == before && buffer.remaining() > 0) {
                self.asker.leave();
            }
            return Poll::Ready(read);
        }
        let length = self.kept.len().min(buffer.remaining());
        let rest = self.kept.split_off(length);
        buffer.put_slice(&std::mem::replace(&mut self.kept, rest));
        Poll::Ready(Ok(()))
    }

    /// Takes back what follows after so many heads as are handed over at a time.
    fn keep_rest(&mut self, buffer: &mut ReadBuf<'_>, from: usize) {
        let read = buffer.filled().get(from..).unwrap_or_default();
        let heads = end_of_heads(read, HEADS_AT_A_TIME_MAX);
        if let Some(rest @ [_, ..]) = read.get(heads..) {
            self.kept.splice(..0, rest.iter().copied());
            buffer.set_filled(from + heads);
            self.rests = true;
        }
    }
}

/// Where `bytes` are to be cut so that they hold `count` heads and what follows them: within the blank line that ends the next
/// one, before its last byte. Their length if they hold no more. Where a body has blank lines too, it is read in more parts
/// than need be.
fn end_of_heads(bytes: &[u8], count: usize) -> usize {
    let last_of_blank = |end: usize| match bytes.get(end + 1..) {
        Some([b'\n', ..]) => Some(end + 1),
        Some([b'\r', b'\n', ..]) => Some(end + 2),
        _ => None,
    };
    memchr_iter(b'\n', bytes).filter_map(last_of_blank).nth(count).unwrap_or(bytes.len())
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.turn.read_by(cx.waker());
        if self.turn.is_over() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.stalled.is_some() || self.turn.is_ours() {
            return self.hold_up(cx);
        }
        self.expect_head(cx)?;
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let from = buffer.filled().len();
        ready!(self.fill(cx, buffer))?;
        self.keep_rest(buffer, from);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        if written.is_ready() {
            self.turn.wrote();
        }
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

impl Drop for Patient {
    fn drop(&mut self) {
        self.asker.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_heads_are_handed_over_with_what_follows_them_and_no_more() {
        let table: [(&[u8], usize, &[u8]); 6] = [
            (b"", 2, b""),
            (b"GET / HTTP/1.1\r\nHost: x\r\n", 1, b"GET / HTTP/1.1\r\nHost: x\r\n"),
            (b"a\r\n\r\n{}b\r\n\r\n{}", 1, b"a\r\n\r\n{}b\r\n\r"),
            (b"a\r\n\r\n{}b\r\n\r\n{}", 2, b"a\r\n\r\n{}b\r\n\r\n{}"),
            (b"a\n\nb\n\nc\n\n", 2, b"a\n\nb\n\nc\n"),
            (b"a\r\n\nb\n\r\nc", 1, b"a\r\n\nb\n\r"),
        ];
        for (bytes, count, handed_over) in table {
            let end = end_of_heads(bytes, count);
            assert_eq!(bytes[..end].escape_ascii().to_string(), handed_over.escape_ascii().to_string());
        }
    }
}
