//! An answer that is read line by line as it arrives.

use std::io::{BufRead, BufReader, Read};

use ureq::{Body, BodyReader};

use super::transport_error;
use crate::cli::error::CliError;

/// Longest line of a stream: an event with the largest body the settings allow, in an envelope, with every byte escaped in
/// the longest form. A longer line ends the stream.
const LINE_BYTES_MAX: u64 = 192 * 1024 * 1024;

/// The lines of an answer, without their ends. One line is in memory at a time.
pub struct Lines {
    reader: BufReader<BodyReader<'static>>,
    base_url: String,
}

impl Lines {
    pub(super) fn new(body: Body, base_url: String) -> Self {
        let reader = body.into_with_config().limit(u64::MAX).reader();
        Self { reader: BufReader::new(reader), base_url }
    }

    /// The next line; `None` at the proper end of the answer. An answer that breaks off is an error.
    pub fn next_line(&mut self) -> Result<Option<String>, CliError> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let read = read.map_err(|error| transport_error(&self.base_url, &ureq::Error::from(error)))?;
        if read == 0 {
            return Ok(None);
        }
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        if !ended && u64::try_from(read).is_ok_and(|read| read >= LINE_BYTES_MAX) {
            return Err(CliError::failed(format!(
                "a line from {} is longer than {LINE_BYTES_MAX} bytes",
                self.base_url
            )));
        }
        line.pop_if(|byte| *byte == b'\r');
        String::from_utf8(line)
            .map(Some)
            .map_err(|_| CliError::failed(format!("a line from {} is not UTF-8", self.base_url)))
    }
}
