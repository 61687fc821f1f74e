//! A scripted console, and a way to run a command line against it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use palyra_actors::clock::ManualClock;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    Cli, CliError, Command, Connection, ConsoleClient, Context, LastRemarks, Need, Output, finish, run,
};

/// The time in every test: 2026-07-01T12:00:00Z.
pub const NOW: u64 = 1_782_907_200_000;
/// The token expected by every stub.
pub const TOKEN: &str = "5e7";

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /console/v1/webhooks`.
    pub line: String,
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Asked {
    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A console that returns its answers one after the other, whatever the requests; then it closes.
pub struct Stub {
    pub base_url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Stub {
    pub fn answering(answers: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, mut answers): (_, VecDeque<String>) = (Arc::clone(&asked), answers.into_iter().collect());
        std::thread::spawn(move || {
            while let Some(answer) = answers.pop_front() {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read_request(&stream);
                log.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { base_url, asked }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read_request(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length =
        head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let line = head.remove(0).replace(" HTTP/1.1", "");
    Asked { line, headers: head, body }
}

/// An answer with a JSON document.
pub fn answer(status: u16, document: &Value) -> String {
    raw(status, "content-type: application/json", &document.to_string())
}

/// An answer with one more header line and this body.
pub fn raw(status: u16, header: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\n{header}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A chunked answer that breaks off before its end.
pub fn cut_off(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len())
}

/// The result of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: u8,
    pub stdout: String,
    pub stderr: String,
    /// The kinds of console it asked for, in order.
    pub needs: Vec<Need>,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Output bytes that a test can read.
#[derive(Clone, Default)]
pub struct Kept(Rc<RefCell<Vec<u8>>>);

impl Kept {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }

    /// A stream that removes colours, like one that is not a terminal.
    pub fn plain(&self) -> Box<dyn Write> {
        Box::new(anstream::StripStream::new(Box::new(self.clone()) as Box<dyn Write>))
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A stream whose reader has closed it.
pub struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs a command line (words without spaces) against the stub.
pub fn palyra(words: &str, stub: &Stub) -> Ran {
    palyra_with(&words.split_whitespace().collect::<Vec<_>>(), b"", stub)
}

/// Runs a command line with this stdin against the stub.
pub fn palyra_with(words: &[&str], stdin: &[u8], stub: &Stub) -> Ran {
    let stdout = Kept::default();
    let ran = palyra_into(words, stdin, stub, stdout.plain());
    Ran { stdout: stdout.text(), ..ran }
}

/// Runs a command line that writes its answer to `stdout`.
pub fn palyra_into(words: &[&str], stdin: &[u8], stub: &Stub, stdout: Box<dyn Write>) -> Ran {
    let words = ["palyra"].iter().chain(words).map(OsString::from);
    let cli = Cli::try_parse_from(words).unwrap_or_else(|refused| panic!("{refused}"));
    let (stderr, needs) = (Kept::default(), Rc::new(RefCell::new(Vec::new())));
    let (base_url, asked_for) = (stub.base_url.clone(), Rc::clone(&needs));
    let connect = move |need| -> Result<Connection, CliError> {
        asked_for.borrow_mut().push(need);
        Ok(Connection::to_daemon(ConsoleClient::new(base_url.clone(), Zeroizing::new(TOKEN.to_owned()))))
    };
    let find_journal = || Err(CliError::config("no journal in this test"));
    let out = Output::new(cli.mode(), stdout, stderr.plain());
    let mut context = Context::new(out, Box::new(connect), Box::new(find_journal), LastRemarks::default());
    context.stdin = RefCell::new(Box::new(Cursor::new(stdin.to_vec())));
    context.clock = ManualClock::at(NOW);
    context.pause = |_| {};
    let Command::Client(command) = cli.command else { panic!("not a command of the console") };
    let code = finish(run(command, &context), &context.out).code();
    let needs = needs.borrow().clone();
    Ran { code, stdout: String::new(), stderr: stderr.text(), needs }
}
