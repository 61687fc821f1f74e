//! Writing to a standard stream whose reader may have stopped reading: a write to a full pipe waits until somebody reads,
//! and a daemon that waits for the reader of its log neither serves nor stops.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;
use serde_json::json;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

/// How long a line waits for its reader.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Writes all of `bytes`, but waits for a reader for at most `patience`.
///
/// # Errors
/// [`ErrorKind::TimedOut`] when the reader did not read in time, or the error of the system. A part may have been written.
pub fn write_within(stream: BorrowedFd<'_>, bytes: &[u8], patience: Duration) -> io::Result<()> {
    let until = Instant::now() + patience;
    let mut left = bytes;
    while !left.is_empty() {
        wait_until_it_takes_bytes(stream, until)?;
        // A pipe that reports to be ready takes this many without blocking.
        let part = left.get(..PIPE_BUF).unwrap_or(left);
        match rustix::io::write(stream, part) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn wait_until_it_takes_bytes(stream: BorrowedFd<'_>, until: Instant) -> io::Result<()> {
    loop {
        let left = Timespec::try_from(until.saturating_duration_since(Instant::now())).ok();
        match poll(&mut [PollFd::new(&stream, PollFlags::OUT)], left.as_ref()) {
            Ok(0) => return Err(io::Error::new(ErrorKind::TimedOut, "nobody reads it")),
            Err(Errno::INTR) => {}
            // Where it cannot be asked, the write itself shows it.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}

/// The stream of the log. Lines that nobody reads in time are left out, and their number is told once somebody reads again.
///
/// Each call of `write` is one line.
#[derive(Debug)]
pub struct LogStream<S> {
    stream: S,
    json: bool,
    patience: Duration,
    /// Lines left out since the last one that was written.
    left_out: u64,
}

impl<S: AsFd> LogStream<S> {
    /// Writes to `stream`; a line waits for at most `patience`, and after one that waited in vain none does.
    pub fn new(stream: S, json: bool, patience: Duration) -> Self {
        Self { stream, json, patience, left_out: 0 }
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let stream = self.stream.as_fd();
        if self.left_out == 0 {
            return write_within(stream, line, self.patience);
        }
        write_within(stream, told(self.left_out, self.json).as_bytes(), Duration::ZERO)?;
        self.left_out = 0;
        write_within(stream, line, Duration::ZERO)
    }
}

impl<S: AsFd> Write for LogStream<S> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.write_line(line) {
            Err(error) if error.kind() == ErrorKind::TimedOut => self.left_out += 1,
            written => written?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line about lines that were left out. It begins with a line end, because the last one may have been cut off.
fn told(left_out: u64, json: bool) -> String {
    let mut now = String::new();
    // Without a time, the line is still of use.
    SystemTime.format_time(&mut Writer::new(&mut now)).unwrap_or_default();
    let message = "lines of the log were left out, because nobody read stderr";
    if !json {
        return format!("\n{now}  WARN palyra::logging: {message} lines={left_out}\n");
    }
    let fields = json!({"message": message, "lines": left_out});
    format!(
        "\n{}\n",
        json!({"timestamp": now, "level": "WARN", "fields": fields, "target": "palyra::logging"})
    )
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read as _, pipe};

    use super::*;

    /// A pipe that takes nothing more.
    fn full_pipe() -> (PipeReader, PipeWriter) {
        let (reader, writer) = pipe().unwrap();
        while write_within(writer.as_fd(), &[b'x'; PIPE_BUF], Duration::ZERO).is_ok() {}
        (reader, writer)
    }

    fn drain(mut reader: &PipeReader) {
        let mut bytes = vec![0; 1 << 20];
        assert!(reader.read(&mut bytes).unwrap() >= PIPE_BUF);
    }

    #[test]
    fn a_full_pipe_is_not_waited_for_longer_than_told() {
        let (_reader, writer) = full_pipe();
        let refused = write_within(writer.as_fd(), b"x", Duration::ZERO).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_pipe_without_a_reader_is_an_error_at_once() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let refused = write_within(writer.as_fd(), b"x", PATIENCE).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn lines_longer_than_a_pipe_holds_arrive_whole_if_they_are_read() {
        let (mut reader, writer) = pipe().unwrap();
        let long = vec![b'x'; 1 << 18];
        let expected = long.len();
        let read = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all.len()).unwrap()
        });
        LogStream::new(writer, false, Duration::from_secs(60)).write_all(&long).unwrap();
        assert_eq!(read.join().unwrap(), expected);
    }

    #[test]
    fn lines_that_nobody_read_are_counted_and_told_before_the_next() {
        for json in [false, true] {
            let (reader, writer) = full_pipe();
            let mut log = LogStream::new(writer, json, Duration::ZERO);
            for line in ["one\n", "two\n", "three\n"] {
                log.write_all(line.as_bytes()).unwrap();
            }
            drain(&reader);
            log.write_all(b"four\n").unwrap();
            log.write_all(b"five\n").unwrap();
            drop(log);
            let read = io::read_to_string(reader).unwrap();
            let lines: Vec<&str> = read.lines().skip(1).collect();
            let [about, "four", "five"] = lines[..] else { panic!("{read}") };
            match json {
                true => {
                    let about: serde_json::Value = serde_json::from_str(about).unwrap();
                    assert_eq!((&about["fields"]["lines"], &about["level"]), (&json!(3), &json!("WARN")));
                }
                false => assert!(about.ends_with("lines=3") && about.contains(" WARN "), "{about}"),
            }
        }
    }
}
