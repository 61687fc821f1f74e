//! Reads payloads and secrets from a file or from stdin, within size limits.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use palyra_actors::limits::{PAYLOAD_BYTES_CAP_MAX, SECRET_BYTES_MAX};
use zeroize::Zeroizing;

use super::error::CliError;

/// The payload in `file`, or else on `stdin`.
pub fn payload(file: Option<&Path>, stdin: &mut dyn Read) -> Result<Vec<u8>, CliError> {
    let bytes = bounded(file, stdin, PAYLOAD_BYTES_CAP_MAX)?;
    bytes.map(|mut bytes| std::mem::take(&mut *bytes)).ok_or_else(|| {
        CliError::usage(format!("the payload is larger than {PAYLOAD_BYTES_CAP_MAX} bytes"))
            .hint("no integration accepts a payload of that size")
    })
}

/// The secret in `file`, or else on `stdin`. One trailing line end is dropped, because editors and `echo` add it.
pub fn secret(file: Option<&Path>, stdin: &mut dyn Read) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let line_end = 2;
    let bytes_max = u64::try_from(SECRET_BYTES_MAX + line_end).unwrap_or(u64::MAX);
    let too_large = || CliError::usage(format!("the secret is larger than {SECRET_BYTES_MAX} bytes"));
    let mut bytes = bounded(file, stdin, bytes_max)?.ok_or_else(too_large)?;
    if bytes.pop_if(|byte| *byte == b'\n').is_some() {
        bytes.pop_if(|byte| *byte == b'\r');
    }
    if bytes.is_empty() {
        return Err(match file {
            Some(file) => CliError::usage(format!("{} is empty", file.display()))
                .hint("name a file that contains the value"),
            None => CliError::usage("the secret is empty")
                .hint("give the value on stdin, or name a file with --value-file"),
        });
    }
    Ok(bytes)
}

/// The content of the file `path`, at most `bytes_max` bytes.
pub fn file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CliError> {
    let bytes = bounded(Some(path), &mut std::io::empty(), bytes_max)?;
    bytes
        .map(|mut bytes| std::mem::take(&mut *bytes))
        .ok_or_else(|| CliError::failed(format!("{} is larger than {bytes_max} bytes", path.display())))
}

/// Reads at most `bytes_max` bytes; `None` if there are more. Every buffer used is wiped.
fn bounded(
    file: Option<&Path>,
    stdin: &mut dyn Read,
    bytes_max: u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, CliError> {
    let Some(path) = file else {
        return read_bounded(stdin, 0, bytes_max)
            .map_err(|error| CliError::failed(format!("cannot read stdin: {error}")));
    };
    let unreadable = |error| CliError::failed(format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    read_bounded(&mut file, length, bytes_max).map_err(unreadable)
}

fn read_bounded(
    source: &mut dyn Read,
    length: u64,
    bytes_max: u64,
) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut chunk = Zeroizing::new([0_u8; 8 * 1024]);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length.min(bytes_max)).unwrap_or(0)));
    loop {
        let read = match source.read(&mut *chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let Some(read) = chunk.get(..read).filter(|read| !read.is_empty()) else { return Ok(Some(bytes)) };
        if u64::try_from(bytes.len() + read.len()).is_ok_and(|total| total > bytes_max) {
            return Ok(None);
        }
        append_wiping(&mut bytes, read);
    }
}

/// Appends bytes. If the buffer has to grow, the old one is wiped, not merely freed.
fn append_wiping(bytes: &mut Zeroizing<Vec<u8>>, more: &[u8]) {
    let needed = bytes.len() + more.len();
    if bytes.capacity() < needed {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(bytes.capacity() * 2)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(more);
}

#[cfg(test)]
mod tests;
