//! Raw bytes on a TCP connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any answer takes, however busy the machine is.
const ANSWER_PATIENCE: Duration = Duration::from_secs(30);

/// Sends `bytes` to the listener at `base` and reads until it closes the connection or sends nothing more.
pub fn raw(base: &str, bytes: &[u8]) -> String {
    let mut stream = connect(base);
    stream.write_all(bytes).unwrap();
    read_available(&mut stream)
}

/// A TCP connection to the listener at `base`.
pub fn connect(base: &str) -> TcpStream {
    let stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(4))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Whether nothing listens at `base`.
pub fn is_closed(base: &str) -> bool {
    TcpStream::connect(base.strip_prefix("http://").unwrap()).is_err()
}

/// Reads until the other end closes or resets the connection, or sends nothing more. Something has to come.
pub fn read_available(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4_096];
    let pause = stream.read_timeout().unwrap();
    stream.set_read_timeout(Some(ANSWER_PATIENCE)).unwrap();
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        text.extend_from_slice(&chunk[..count]);
        stream.set_read_timeout(pause).unwrap();
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The status of one whole answer; none when the connection was closed before it began. What follows it is not waited for.
pub fn read_answer(stream: &mut TcpStream) -> Option<u16> {
    let patience = stream.read_timeout().unwrap();
    stream.set_read_timeout(Some(ANSWER_PATIENCE)).unwrap();
    let status = read_whole_answer(stream);
    stream.set_read_timeout(patience).unwrap();
    status
}

fn read_whole_answer(stream: &mut TcpStream) -> Option<u16> {
    let mut text = Vec::new();
    let mut chunk = [0; 2_048];
    loop {
        let count = stream.read(&mut chunk).unwrap_or(0);
        if count == 0 {
            assert!(text.is_empty(), "an answer broke off: {}", String::from_utf8_lossy(&text));
            return None;
        }
        text.extend_from_slice(&chunk[..count]);
        let said = String::from_utf8_lossy(&text);
        let Some((head, body)) = said.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length: ").map(|length| length.trim().parse::<usize>().unwrap())
        });
        if body.len() >= length.unwrap_or(0) {
            return statuses(&said).first().copied();
        }
    }
}

/// Status lines in `text`, in order.
pub fn statuses(text: &str) -> Vec<u16> {
    let lines = text.split("HTTP/1.1 ").skip(1);
    lines.map(|rest| rest[..3].parse().unwrap()).collect()
}

/// The same request, asking to close the connection afterwards.
pub fn last(request: &str) -> String {
    request.replace("Host: x\r\n", "Host: x\r\nConnection: close\r\n")
}
