//! Finds the end of each request in a byte stream that arrives in parts (RFC 9112, sections 6 and 7.1).
//!
//! actix-http parses everything it has read before it answers any of it, and shapes an answer by the request parsed last: a
//! pipelined HEAD strips the body of the answer before it. So it is given one request at a time. It remains the judge of
//! what is valid: a malformed request is passed through unchanged, for it to refuse.

use memchr::memchr;

/// Longest line that is assembled from parts; actix-http refuses a head that is longer.
const LINE_BYTES_MAX: usize = 131_072;

/// The state of the request stream of one connection.
#[derive(Debug, Default)]
pub struct Framing {
    stage: Stage,
    /// The part of an incomplete line that has arrived.
    line: Vec<u8>,
    /// Whether the request was answered before its end arrived.
    is_answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// Before the first line of a head, where lines may be blank.
    #[default]
    Between,
    /// Within a head; the lines so far declare this body.
    Head(Body),
    Bytes(u64),
    ChunkSize,
    /// Within a chunk or the line end after it: bytes left.
    Chunk(u64),
    ChunkEnd,
    Trailers,
    /// Complete, and not answered.
    Whole,
    /// Not recognisable as a request; everything is passed through.
    Unclear,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
    Unclear,
}

impl Framing {
    /// How many of these bytes belong to the current or the next request. The caller keeps the others and passes them in
    /// again once that request is answered.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest @ [_, ..]) = bytes.get(taken..).filter(|_| !self.is_whole()) {
            taken += self.step(rest);
        }
        taken
    }

    /// Whether a request is complete and not answered, so that nothing more may be read.
    pub fn is_whole(&self) -> bool {
        self.stage == Stage::Whole
    }

    /// Whether nothing of a request has arrived since the one before it ended; blank lines do not count.
    pub fn is_between(&self) -> bool {
        self.stage == Stage::Between && self.line.is_empty()
    }

    /// Whether no answer is due: there is no request, only a part of a head, or the rest of a request that is already
    /// answered.
    pub fn is_idle(&self) -> bool {
        self.is_answered || matches!(self.stage, Stage::Between | Stage::Head(_) | Stage::Unclear)
    }

    /// Notes that the answer was written, or the first part of it.
    pub fn answer(&mut self) {
        match self.stage {
            Stage::Whole => self.stage = Stage::Between,
            Stage::Between => {}
            _ => self.is_answered = true,
        }
    }

    fn step(&mut self, bytes: &[u8]) -> usize {
        match self.stage {
            Stage::Bytes(left) => {
                let (count, left) = pass(bytes, left);
                self.stage = Stage::Bytes(left);
                if left == 0 {
                    self.end();
                }
                count
            }
            Stage::Chunk(left) => {
                let (count, left) = pass(bytes, left);
                self.stage = if left == 0 { Stage::ChunkEnd } else { Stage::Chunk(left) };
                count
            }
            Stage::Whole | Stage::Unclear => bytes.len(),
            Stage::Between | Stage::Head(_) | Stage::ChunkSize | Stage::ChunkEnd | Stage::Trailers => {
                self.read_line(bytes)
            }
        }
    }

    fn read_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr(b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        if self.line.len() + part.len() > LINE_BYTES_MAX {
            self.stage = Stage::Unclear;
        } else if end.is_none() {
            self.line.extend_from_slice(part);
        } else if self.line.is_empty() {
            self.end_line(part);
        } else {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(part);
            self.end_line(&line);
        }
        end.map_or(bytes.len(), |end| end + 1)
    }

    fn end_line(&mut self, line: &[u8]) {
        let (line, is_ended_well) = match line.strip_suffix(b"\r") {
            Some(line) => (line, true),
            None => (line, false),
        };
        match (self.stage, line) {
            // actix-http may see the end of such a line elsewhere, so the framing is not certain.
            (Stage::Trailers, _) if !is_ended_well => self.stage = Stage::Unclear,
            (Stage::Between, []) => {}
            (Stage::Between, _) => self.stage = Stage::Head(Body::Length(0)),
            (Stage::Head(Body::Length(0)) | Stage::Trailers, []) => self.end(),
            (Stage::Head(Body::Length(left)), []) => self.stage = Stage::Bytes(left),
            (Stage::Head(Body::Chunked), []) | (Stage::ChunkEnd, []) => self.stage = Stage::ChunkSize,
            (Stage::Head(body), [_, ..]) => self.stage = Stage::Head(declared(line).unwrap_or(body)),
            (Stage::ChunkSize, _) => self.stage = after_size(line),
            (Stage::Trailers, _) => {}
            _ => self.stage = Stage::Unclear,
        }
    }

    fn end(&mut self) {
        self.stage = if std::mem::take(&mut self.is_answered) { Stage::Between } else { Stage::Whole };
    }
}

/// How many of `bytes` lie within the `left` bytes, and how many of those remain then.
fn pass(bytes: &[u8], left: u64) -> (usize, u64) {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (count, left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX)))
}

/// The body that a header line declares, if any. actix-http refuses a head that declares more than one.
fn declared(line: &[u8]) -> Option<Body> {
    let colon = memchr(b':', line)?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
    if name.eq_ignore_ascii_case(b"content-length") {
        let digits = std::str::from_utf8(value).ok().filter(|value| !value.starts_with('+'));
        let length = digits.and_then(|digits| digits.parse().ok());
        return Some(length.map_or(Body::Unclear, Body::Length));
    }
    let is_chunked = || value.eq_ignore_ascii_case(b"chunked");
    name.eq_ignore_ascii_case(b"transfer-encoding")
        .then(|| if is_chunked() { Body::Chunked } else { Body::Unclear })
}

/// The stage after a chunk-size line, which may have extensions.
fn after_size(line: &[u8]) -> Stage {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let size = line.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
    match size.and_then(|digits| u64::from_str_radix(digits, 16).ok()) {
        Some(0) => Stage::Trailers,
        Some(size) => Stage::Chunk(size),
        None => Stage::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The requests as they are cut, each answered once it is complete; the input arrives in parts of `part_bytes`.
    fn cut(bytes: &[u8], part_bytes: usize) -> Vec<String> {
        let (mut framing, mut requests, mut request) = (Framing::default(), Vec::new(), Vec::new());
        for part in bytes.chunks(part_bytes) {
            let mut rest = part;
            while !rest.is_empty() {
                let taken = framing.take(rest);
                request.extend_from_slice(&rest[..taken]);
                rest = &rest[taken..];
                if framing.is_whole() {
                    requests.push(String::from_utf8(std::mem::take(&mut request)).unwrap());
                    framing.answer();
                }
            }
        }
        requests.extend((!request.is_empty()).then(|| String::from_utf8(request).unwrap()));
        requests
    }

    fn request() -> impl Strategy<Value = String> {
        let body = "[\n\rx]{0,40}";
        let head = prop_oneof![
            Just("GET / HTTP/1.1\r\nHost: x\r\n"),
            Just("\r\nPOST / HTTP/1.1\r\nX: a:b\r\n"),
            Just("POST / HTTP/1.0\nX:\n")
        ];
        (head, body, 0_usize..4).prop_map(|(head, body, form)| match form {
            0 => format!("{head}\r\n"),
            1 => format!("{head}content-LENGTH:  {} \r\n\r\n{body}", body.len()),
            2 => format!("{head}Content-Length: {}\n\n{body}", body.len()),
            _ if body.is_empty() => {
                format!("{head}Transfer-Encoding: Chunked\r\n\r\n0\r\nTrailer: 1\r\n\r\n")
            }
            _ => format!(
                "{head}Transfer-Encoding: chunked\r\n\r\n{:X};a=b\r\n{body}\r\n3\r\n\n\n\n\r\n0\r\n\r\n",
                body.len()
            ),
        })
    }

    proptest! {
        #[test]
        fn requests_are_cut_where_they_end_however_they_come(
            requests in prop::collection::vec(request(), 0..6),
            part_bytes in 1_usize..80,
        ) {
            prop_assert_eq!(cut(requests.concat().as_bytes(), part_bytes), requests);
        }

        #[test]
        fn whatever_comes_is_handed_over_to_the_last_byte(bytes in "[a-f0-9:\r\n HTP/.]{0,200}", part_bytes in 1_usize..40) {
            prop_assert_eq!(cut(bytes.as_bytes(), part_bytes).concat(), bytes);
        }
    }

    #[test]
    fn nothing_is_taken_of_the_next_request_before_the_first_is_answered() {
        let mut framing = Framing::default();
        assert_eq!(framing.take(b"GET / HTTP/1.1\r\n\r\nHEAD /"), 18);
        assert_eq!((framing.take(b"HEAD /"), framing.is_idle()), (0, false));
        framing.answer();
        assert_eq!((framing.take(b"HEAD /"), framing.is_idle()), (6, true));
    }

    #[test]
    fn a_request_that_is_answered_early_is_over_with_its_last_byte() {
        let mut framing = Framing::default();
        assert_eq!(framing.take(b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\na\n"), 40);
        assert!(!framing.is_idle());
        framing.answer();
        framing.answer();
        assert!(framing.is_idle());
        assert_eq!(framing.take(b"\n\nGET"), 5);
        assert!(framing.is_idle());
    }

    #[test]
    fn what_would_be_refused_is_handed_over_as_it_comes() {
        let heads = [
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        ];
        for head in heads {
            let bytes = format!("{head}GET / HTTP/1.1\r\n\r\n");
            let mut framing = Framing::default();
            assert_eq!((framing.take(bytes.as_bytes()), framing.is_idle()), (bytes.len(), true), "{head}");
        }
    }
}
