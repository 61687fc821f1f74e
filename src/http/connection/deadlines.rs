//! The limits of one connection: how long a write may stall, how long the next head may take, and that only one request is
//! in progress at a time.
//!
//! actix-http limits the time for the first head of a connection only, and parses everything it has read before it answers
//! any of it. Bytes that a sender pipelines stay in the buffers of the kernel instead of ours.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::http::connection::asker::Asker;
use crate::http::connection::framing::Framing;
use crate::http::connection::idle::Member;
use crate::service::connections::OpenConnection;

/// The interim answer that only asks for the body. The final answer may follow in the same write.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Time between the deadline of a head and the last look for it. Timers may fire before the runtime has heard of bytes that
/// came earlier; in this time it asks the system once more.
const LAST_LOOK: Duration = Duration::from_millis(1);

/// The deadlines of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Longest time for which the other end may accept none of the bytes written to it.
    pub to_write: Duration,
    /// Longest time for the next head; `None`: unlimited.
    pub to_read_head: Option<NextHead>,
    /// Whether to keep reading while an answer is due, in order to notice when the other end closes the connection.
    pub hears_leaving: bool,
}

/// How long the head after an answer may take, from that answer on.
#[derive(Debug, Clone, Copy)]
pub struct NextHead {
    /// Until it begins. A request that has arrived by the time the connection would be closed is served, however late it is
    /// noticed: a proxy that had sent it would have to answer its sender 502.
    pub to_begin: Duration,
    /// Until it is complete. The first head of a connection may take as long.
    pub to_end: Duration,
}

/// A connection with deadlines. It fails with [`io::ErrorKind::TimedOut`] when one has passed, and with
/// [`io::ErrorKind::ConnectionAborted`] when it is closed to make room for another.
#[derive(Debug)]
pub struct TimedConnection {
    io: TcpStream,
    deadlines: Deadlines,
    framing: Framing,
    asker: Asker,
    /// Runs while a write is stalled.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whether a read was suspended that has to be woken once an answer is written or accepted.
    is_held_up: bool,
    /// Time of the last write.
    written_at: Instant,
    /// Whether anything was answered.
    has_answered: bool,
    /// Deadline of the next head; polled only between requests.
    head_due: Option<Pin<Box<Sleep>>>,
    /// Whether the deadline has passed since the last answer. What arrives then does not change this, or a head that trickles
    /// in could put its end off.
    looks_again: bool,
    /// Bytes that were read from the socket but not yet handed over.
    kept: Vec<u8>,
    _open: OpenConnection,
    member: Option<Member>,
}

impl TimedConnection {
    /// Wraps `io`. The connection is counted as `open`, and remains a `member` of its worker, until this is dropped.
    pub fn new(io: TcpStream, deadlines: Deadlines, open: OpenConnection, member: Option<Member>) -> Self {
        Self {
            io,
            deadlines,
            framing: Framing::default(),
            asker: Asker::default(),
            stalled: None,
            is_held_up: false,
            written_at: Instant::now(),
            has_answered: false,
            head_due: None,
            looks_again: false,
            kept: Vec::new(),
            _open: open,
            member,
        }
    }

    /// A handle that shows whether the other end is gone.
    pub fn asker(&self) -> Asker {
        self.asker.clone()
    }

    fn bounded<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stalled.take().is_some() {
                self.read_on(cx);
            }
            return written;
        }
        let most = self.deadlines.to_write;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(most)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Suspends reading. What has arrived, or arrives meanwhile, is read after the answer.
    fn hold_up(&mut self, cx: &mut Context<'_>) {
        let is_there = !self.kept.is_empty() || self.io.poll_read_ready(cx).is_ready();
        self.is_held_up |= is_there || self.stalled.is_some();
    }

    fn read_on(&mut self, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.is_held_up) || !self.kept.is_empty() || self.gives_way() {
            cx.waker().wake_by_ref();
        }
    }

    /// Notes that an answer, or a part of one, was written.
    fn answer(&mut self, cx: &mut Context<'_>) {
        self.written_at = Instant::now();
        self.has_answered = true;
        self.looks_again = false;
        self.framing.answer();
        if let Some(member) = &self.member {
            member.wrote(self.written_at);
            member.be_idle(self.framing.is_idle());
        }
        // actix-http need not read again before something arrives, so the time of the next head begins here.
        self.head_is_overdue(cx);
        self.read_on(cx);
    }

    fn gives_way(&self) -> bool {
        self.framing.is_idle() && self.member.as_ref().is_some_and(Member::gives_way)
    }

    /// When the next head has to begin, or to be complete if it has begun; `None` while a request is in progress.
    fn next_head_due(&self) -> Option<Instant> {
        let most = self.deadlines.to_read_head.filter(|_| self.framing.is_idle())?;
        let is_unused = self.has_answered && self.framing.is_between();
        Some(self.written_at + if is_unused { most.to_begin } else { most.to_end })
    }

    /// Whether the next head is overdue; if not, the connection is polled again when it will be. The timer is reset only when
    /// it fires or would fire too late, because setting one for each request costs more.
    fn head_is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(due) = self.next_head_due() else { return false };
        let timer = self.head_due.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() > due && !self.looks_again {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let is_late = now >= due;
            if is_late && self.looks_again {
                return true;
            }
            self.looks_again = is_late;
            timer.as_mut().reset(if is_late { now + LAST_LOOK } else { due });
        }
        false
    }

    /// Fills `buffer` with bytes of the current or the next request only.
    fn fill(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let is_owed = self.framing.is_whole() && !(self.deadlines.hears_leaving && self.kept.is_empty());
        if self.stalled.is_some() || is_owed {
            self.hold_up(cx);
            return Poll::Pending;
        }
        if self.kept.is_empty() {
            let read = self.read(cx, buffer);
            if read.is_pending() && self.head_is_overdue(cx) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            return read;
        }
        let room = self.kept.len().min(buffer.remaining());
        let taken = self.framing.take(self.kept.get(..room).unwrap_or_default());
        buffer.put_slice(self.kept.get(..taken).unwrap_or_default());
        self.kept.drain(..taken);
        Poll::Ready(Ok(()))
    }

    /// Reads from the socket. It is pending, rather than at the end, when no byte read may be handed over yet.
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let from = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        let bytes = buffer.filled().get(from..).unwrap_or_default();
        let is_over = bytes.is_empty() && buffer.remaining() > 0;
        if read.is_err() || is_over {
            self.asker.leave();
            return Poll::Ready(read);
        }
        let taken = self.framing.take(bytes);
        self.kept.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        buffer.set_filled(from + taken);
        if taken == 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncRead for TimedConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = self.fill(cx, buffer);
        if let Some(member) = &self.member {
            member.be_idle(self.framing.is_idle());
            member.read_by(cx.waker());
        }
        if filled.is_pending() && self.gives_way() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        filled
    }
}

impl AsyncWrite for TimedConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = written
            && (count > CONTINUE.len() || !bytes.starts_with(CONTINUE))
        {
            self.answer(cx);
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

impl Drop for TimedConnection {
    fn drop(&mut self) {
        self.asker.leave();
    }
}
