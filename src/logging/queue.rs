//! Lines for a stream whose reader may be slow, or may have stopped reading. A thread of their own writes them, so that
//! nobody who logs waits for the reader.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

/// Most bytes of lines that wait for the reader, apart from those that the thread is writing. A line beyond them is left
/// out; how many were is told before the next line, or when the lines before are waited for.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// The way to the stream. Each call of `write` is one line.
#[derive(Debug, Clone)]
pub struct LineQueue {
    shared: Arc<Shared>,
    json: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines taken in so far, and those of them that are written.
    taken: u64,
    written: u64,
    /// Lines left out since the last one that was taken in.
    left_out: u64,
}

impl LineQueue {
    /// Starts the thread that writes to `stream`.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(stream: impl Write + Send + 'static, json: bool) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || of_thread.write_to(stream))?;
        Ok(Self { shared, json })
    }

    /// Waits until everything logged before is written, for at most `limit`.
    pub fn flush_within(&self, limit: Duration) {
        let mut waiting = self.shared.lock();
        waiting.tell_what_was_left_out(self.json);
        self.shared.changed.notify_all();
        let last = waiting.taken;
        // Whatever is not written by then is lost.
        drop(self.shared.changed.wait_timeout_while(waiting, limit, |waiting| waiting.written < last));
    }
}

impl Write for LineQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.shared.lock();
        if waiting.bytes + line.len() > WAITING_BYTES_MAX {
            waiting.left_out += 1;
            return Ok(line.len());
        }
        waiting.tell_what_was_left_out(self.json);
        waiting.add(line.to_vec());
        self.shared.changed.notify_all();
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Waiting {
    fn add(&mut self, line: Vec<u8>) {
        self.bytes += line.len();
        self.taken += 1;
        self.lines.push_back(line);
    }

    /// Adds the line about lines that were left out, if there were any.
    fn tell_what_was_left_out(&mut self, json: bool) {
        match std::mem::take(&mut self.left_out) {
            0 => {}
            left_out => self.add(told(left_out, json).into_bytes()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut stream: impl Write) {
        let mut written = 0;
        loop {
            let lines = self.take(written);
            written = lines.len() as u64;
            for line in lines {
                // A stream that cannot be written to leaves nobody to tell.
                stream.write_all(&line).unwrap_or_default();
            }
        }
    }

    /// All lines that wait, or the next one as soon as it comes, after so many more were `written`.
    fn take(&self, written: u64) -> VecDeque<Vec<u8>> {
        let mut waiting = self.lock();
        waiting.written += written;
        self.changed.notify_all();
        let mut waiting = self
            .changed
            .wait_while(waiting, |waiting| waiting.lines.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        waiting.bytes = 0;
        std::mem::take(&mut waiting.lines)
    }
}

/// The line about lines that were left out.
fn told(left_out: u64, json: bool) -> String {
    let mut now = String::new();
    // Without a time, the line is still of use.
    SystemTime.format_time(&mut Writer::new(&mut now)).unwrap_or_default();
    let message = "lines of the log were left out, because nobody read stderr in time";
    if !json {
        return format!("{now}  WARN palyra::logging: {message} lines={left_out}\n");
    }
    let fields = json!({"message": message, "lines": left_out});
    let line = json!({"timestamp": now, "level": "WARN", "fields": fields, "target": "palyra::logging"});
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, PipeReader, pipe};
    use std::sync::mpsc;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn queue(json: bool) -> (PipeReader, LineQueue) {
        let (reader, writer) = pipe().unwrap();
        (reader, LineQueue::start(writer, json).unwrap())
    }

    #[test]
    fn what_is_read_arrives_whole_and_in_order() {
        let (reader, mut log) = queue(false);
        let lines: Vec<String> = (0..1_000).map(|number| format!("{number:0>600}\n")).collect();
        let read = std::thread::spawn(move || {
            BufReader::new(reader).lines().take(1_000).map(|line| line.unwrap() + "\n").collect::<Vec<_>>()
        });
        for line in &lines {
            log.write_all(line.as_bytes()).unwrap();
        }
        log.flush_within(LONG);
        assert_eq!(read.join().unwrap(), lines);
    }

    #[test]
    fn lines_that_nobody_reads_are_counted_and_told_before_the_next() {
        for json in [false, true] {
            let (reader, mut log) = queue(json);
            for _ in 0..5_000 {
                log.write_all(&[b"x".repeat(1023), b"\n".to_vec()].concat()).unwrap();
            }
            let read = std::thread::spawn(move || {
                let lines = BufReader::new(reader).lines().map(Result::unwrap);
                lines.take_while(|line| line != "end").collect::<Vec<_>>()
            });
            log.flush_within(LONG);
            log.write_all(b"end\n").unwrap();
            let (lines, told): (Vec<_>, Vec<_>) =
                read.join().unwrap().into_iter().partition(|line| line.starts_with('x'));
            let left_out: u64 = told.iter().map(|line| number_told(line, json)).sum();
            assert!(left_out > 1_000, "{left_out}");
            assert_eq!(lines.len() as u64 + left_out, 5_000, "{told:?}");
        }
    }

    #[test]
    fn lines_left_out_at_the_end_are_told_when_it_is_waited_for() {
        let (reader, mut log) = queue(false);
        for _ in 0..5_000 {
            log.write_all(&[b"x".repeat(1023), b"\n".to_vec()].concat()).unwrap();
        }
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(reader).lines().try_for_each(|line| sender.send(line.unwrap()))
        });
        log.flush_within(LONG);
        let mut heard = 0;
        while heard < 5_000 {
            let line = lines.recv_timeout(LONG).unwrap();
            heard += if line.starts_with('x') { 1 } else { number_told(&line, false) };
        }
        assert_eq!(heard, 5_000);
    }

    /// A stream that logs a line of its own whenever it writes one, until nobody can hand it another log.
    struct Echo(mpsc::Receiver<LineQueue>, Option<LineQueue>);

    impl Write for Echo {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let Self(handed, log) = self;
            let log = log.get_or_insert_with(|| handed.recv().unwrap());
            if matches!(handed.try_recv(), Err(mpsc::TryRecvError::Empty)) {
                log.write_all(b"more\n").unwrap();
            }
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_waits_for_what_was_logged_does_not_wait_for_what_is_logged_meanwhile() {
        let (hand_over, handed) = mpsc::channel();
        let mut log = LineQueue::start(Echo(handed, None), false).unwrap();
        log.write_all(b"first\n").unwrap();
        hand_over.send(log.clone()).unwrap();
        let (done, is_done) = mpsc::channel();
        std::thread::spawn(move || {
            log.flush_within(LONG);
            done.send(()).unwrap();
        });
        is_done.recv_timeout(LONG / 6).unwrap();
        drop(hand_over);
    }

    fn number_told(line: &str, json: bool) -> u64 {
        if !json {
            assert!(line.contains(" WARN "), "{line}");
            return line.rsplit_once("lines=").unwrap().1.parse().unwrap();
        }
        let about: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(about["level"], "WARN");
        about["fields"]["lines"].as_u64().unwrap()
    }
}
