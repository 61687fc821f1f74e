//! Raw bytes on a TCP connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

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

/// Reads until the other end closes or resets the connection, or sends nothing more.
pub fn read_available(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4_096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        text.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8_lossy(&text).into_owned()
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
