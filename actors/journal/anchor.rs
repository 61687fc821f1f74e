//! The anchor: outside the database, how far the journal had come when somebody was last answered.
//!
//! A chain cannot tell that its newest part was cut off, nor that it is an old copy as a whole. The anchor can: it is
//! written and synced after each COMMIT and before the answers, so a database behind it has lost something that was
//! acknowledged. The layout is that of docs/journal-format.md.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::row::Head;
use crate::files;
use crate::ids::Digest;
use crate::limits::ANCHOR_FILE_BYTES_MAX;

/// Begins every record.
const MAGIC: [u8; 8] = *b"palyra\x00\x01";
/// Bytes of the part that the check covers: magic, seq, hash.
const CONTENT_BYTES: usize = 48;
/// Bytes of a record.
const RECORD_BYTES: usize = 64;
/// Size from which the file is begun anew with its last record.
const REWRITE_BYTES: u64 = 1024 * 1024;

/// An event that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchored {
    /// Its place.
    pub seq: u64,
    /// Its leaf hash.
    pub hash: Digest,
}

/// What an anchor file holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// Those that can be read, oldest first.
    pub(super) all: Vec<Anchored>,
    /// Where the first that cannot be read stands, counted from 0, and whether a crash may have left it so.
    pub(super) unreadable: Option<(usize, bool)>,
}

/// The anchor file, open for appending.
#[derive(Debug)]
pub(super) struct Anchor {
    path: PathBuf,
    file: File,
    bytes: u64,
    inode: u64,
}

impl Anchored {
    fn record(&self) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        let (content, check) = record.split_at_mut(CONTENT_BYTES);
        let parts =
            MAGIC.iter().chain(&self.seq.to_be_bytes()).copied().chain(self.hash.0).collect::<Vec<_>>();
        content.copy_from_slice(&parts);
        let digest = Digest::of(content);
        check.iter_mut().zip(digest.0).for_each(|(place, byte)| *place = byte);
        record
    }

    fn read(record: &[u8]) -> Option<Self> {
        let (content, _) = record.split_at_checked(CONTENT_BYTES)?;
        let seq = u64::from_be_bytes(content.get(8..16)?.try_into().ok()?);
        let hash = Digest(content.get(16..48)?.try_into().ok()?);
        let read = Self { seq, hash };
        (read.record() == *record).then_some(read)
    }
}

impl Records {
    /// Reads the anchor at `path`; `None` when there is none.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        match files::read_private(path, ANCHOR_FILE_BYTES_MAX) {
            Ok(bytes) => Ok(Some(Self::parse(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut records = Self::default();
        let count = bytes.len().div_ceil(RECORD_BYTES);
        for (index, record) in bytes.chunks(RECORD_BYTES).enumerate() {
            let follows = |read: &Anchored| records.all.last().is_none_or(|last| last.seq <= read.seq);
            match Anchored::read(record).filter(follows) {
                Some(read) => records.all.push(read),
                None if records.unreadable.is_none() => {
                    records.unreadable = Some((index, index + 1 == count && is_cut_short(record)));
                }
                None => {}
            }
        }
        records
    }

    /// The newest event that was acknowledged.
    pub(super) fn newest(&self) -> Option<Anchored> {
        self.all.last().copied()
    }

    /// Whether a crash cannot have left the file so.
    pub(super) fn is_damaged(&self) -> bool {
        self.all.is_empty() || self.unreadable.is_some_and(|(_, by_a_crash)| !by_a_crash)
    }
}

/// A record lies within one sector of a disk: a crash leaves all of it, a part of its bytes, or zeros.
fn is_cut_short(record: &[u8]) -> bool {
    record.len() < RECORD_BYTES || record.iter().all(|byte| *byte == 0)
}

impl Anchor {
    /// Begins the file at `path` with `head` alone, and opens it.
    pub(super) fn begin(path: &Path, head: Head) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            files::create_private_dir(folder)?;
        }
        let record = Anchored { seq: head.seq, hash: head.hash }.record();
        files::atomic_replace(path, &record)?;
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = OpenOptions::new().append(true).custom_flags(flags).open(path)?;
        let inode = file.metadata()?.ino();
        Ok(Self { path: path.to_owned(), file, bytes: RECORD_BYTES as u64, inode })
    }

    /// Writes `head` down; it is on the disk when this returns.
    pub(super) fn append(&mut self, head: Head) -> io::Result<()> {
        if self.bytes >= REWRITE_BYTES {
            *self = Self::begin(&self.path, head)?;
            return Ok(());
        }
        self.file.write_all(&Anchored { seq: head.seq, hash: head.hash }.record())?;
        self.file.sync_data()?;
        self.bytes += RECORD_BYTES as u64;
        self.check()
    }

    /// Fails when the file was deleted or replaced under us.
    fn check(&self) -> io::Result<()> {
        let found = fs::symlink_metadata(&self.path)?;
        if found.ino() == self.inode && found.len() == self.bytes {
            return Ok(());
        }
        Err(io::Error::other(format!("{} was replaced or written to by somebody else", self.path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchored(seq: u64) -> Anchored {
        Anchored { seq, hash: Digest::of(&seq.to_be_bytes()) }
    }

    fn file(seqs: &[u64]) -> Vec<u8> {
        seqs.iter().flat_map(|seq| anchored(*seq).record()).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let records = Records::parse(&file(&[1, 2, 2, 9]));
        assert_eq!(records.newest(), Some(anchored(9)));
        assert!(!records.is_damaged() && records.unreadable.is_none());
    }

    #[test]
    fn only_a_last_record_may_be_cut_short() {
        let whole = file(&[1, 2, 3]);
        for cut in 129..192 {
            let records = Records::parse(&whole[..cut]);
            assert_eq!((records.newest(), records.is_damaged()), (Some(anchored(2)), false), "{cut}");
        }
        let zeros = [&whole[..128], &[0; 64]].concat();
        assert!(!Records::parse(&zeros).is_damaged(), "its length was on the disk before its bytes");
        assert!(Records::parse(&[]).is_damaged());
        assert!(Records::parse(&file(&[3, 2, 4])).is_damaged(), "it never goes back");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let whole = file(&[1, 2]);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let records = Records::parse(&flipped);
            assert!(records.is_damaged(), "{bit}");
        }
    }

    #[test]
    fn what_was_damaged_before_the_end_is_told_whatever_the_end_looks_like() {
        let records = Records::parse(&[&file(&[1]), &[7; 64][..], &[0; 64][..]].concat());
        assert_eq!((records.unreadable, records.is_damaged()), (Some((1, false)), true));
    }

    #[test]
    fn an_anchor_that_may_not_be_read_is_not_taken_for_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("anchor");
        assert_eq!(Records::read(&path).unwrap(), None);
        fs::create_dir(&path).unwrap();
        assert!(Records::read(&path).is_err());
    }

    #[test]
    fn an_anchor_that_was_replaced_or_written_to_is_noticed_at_the_next_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/anchor");
        let head = |seq| Head { seq, hash: Digest([1; 32]), recorded_at: 0 };
        let mut anchor = Anchor::begin(&path, head(1)).unwrap();
        anchor.append(head(2)).unwrap();
        let kept = fs::read(&path).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        assert!(anchor.append(head(3)).is_err(), "a byte of somebody else's");
        let mut anchor = Anchor::begin(&path, head(2)).unwrap();
        files::atomic_replace(&path, &kept).unwrap();
        assert!(anchor.append(head(3)).is_err(), "a copy of the same length in its place");
    }

    #[test]
    fn the_file_grows_to_a_mebibyte_and_is_begun_anew_with_the_last_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/anchor");
        let head = |seq| Head { seq, hash: Digest::of(&[1]), recorded_at: 0 };
        let mut anchor = Anchor::begin(&path, head(1)).unwrap();
        let grown = file(&[1; 16_382]);
        anchor.file.write_all(&grown).unwrap();
        anchor.bytes += grown.len() as u64;
        anchor.append(head(2)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1_048_576);
        anchor.append(head(3)).unwrap();
        let records = Records::read(&path).unwrap().unwrap();
        assert_eq!(records.all.iter().map(|record| record.seq).collect::<Vec<_>>(), [3]);
    }
}
