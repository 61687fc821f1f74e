//! The anchor: a file outside the database that records up to which event anything was acknowledged.
//!
//! A hash chain cannot reveal that its newest part was cut off, nor that the whole database is an old copy. The anchor
//! can: it is written and synced after each COMMIT and before the answers, so a database behind its anchor has lost
//! acknowledged events. The layout is that of docs/journal-format.md.
//!
//! The file is created at its full size, filled with zeros. Overwriting zeros and syncing takes one write to the disk; a
//! growing file would need its new length written as well.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::files;
use crate::ids::Digest;
use crate::journal::format::row::Head;
use crate::journal::opening::same_file::{self, FileId};
use crate::limits::ANCHOR_FILE_BYTES_MAX;

/// First bytes of every record.
const MAGIC: [u8; 8] = *b"palyra\x00\x01";
/// Bytes covered by the checksum: magic, seq, hash.
const CONTENT_BYTES: usize = 48;
const RECORD_BYTES: usize = 64;
/// Size of the file. When it is full, a new file is begun with the last record.
const FILE_BYTES: u64 = 64 * 1024;

/// An event that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchored {
    pub seq: u64,
    pub hash: Digest,
}

/// The content of an anchor file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::journal) struct Records {
    /// The readable records, oldest first.
    pub(in crate::journal) all: Vec<Anchored>,
    /// Whether the file holds anything but records followed by zeros, or is truncated.
    is_odd: bool,
}

/// The anchor file, for writing.
#[derive(Debug)]
pub(in crate::journal) struct Anchor {
    path: PathBuf,
    /// `None` until the file is begun.
    open: Option<Open>,
    /// `seq` of the newest record.
    seq: u64,
    /// Why nothing more is written: a write failed, and what it left behind is unknown.
    broken: Option<String>,
}

/// The open file.
#[derive(Debug)]
struct Open {
    file: File,
    /// Bytes of the records written to it.
    written: u64,
    id: FileId,
}

impl Anchored {
    fn record(&self) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        let (content, check) = record.split_at_mut(CONTENT_BYTES);
        let (magic, event) = content.split_at_mut(MAGIC.len());
        let (seq, hash) = event.split_at_mut(size_of::<u64>());
        magic.copy_from_slice(&MAGIC);
        seq.copy_from_slice(&self.seq.to_be_bytes());
        hash.copy_from_slice(&self.hash.0);
        let digest = Digest::of(content);
        check.copy_from_slice(digest.0.split_at(check.len()).0);
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
    /// Reads the anchor at `path`; `None` if there is none.
    pub(in crate::journal) fn read(path: &Path) -> io::Result<Option<Self>> {
        Self::read_from(|| files::read_private(path, ANCHOR_FILE_BYTES_MAX))
    }

    /// Reads a second time if the content looks damaged, because a record may be half written at that moment.
    fn read_from(mut read: impl FnMut() -> io::Result<Vec<u8>>) -> io::Result<Option<Self>> {
        let records = match read() {
            Ok(bytes) => Self::parse(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if records.is_odd { Ok(Some(Self::parse(&read()?))) } else { Ok(Some(records)) }
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut records = Self::default();
        let has_its_size = u64::try_from(bytes.len()) == Ok(FILE_BYTES);
        let mut chunks = bytes.chunks(RECORD_BYTES);
        for record in &mut chunks {
            let follows = |read: &Anchored| records.all.last().is_none_or(|last| last.seq <= read.seq);
            match Anchored::read(record).filter(follows) {
                Some(read) => records.all.push(read),
                None => {
                    records.is_odd = !is_blank(record);
                    break;
                }
            }
        }
        records.is_odd |= !chunks.all(is_blank) || !has_its_size;
        records
    }

    /// The newest acknowledged event.
    pub(in crate::journal) fn newest(&self) -> Option<Anchored> {
        self.all.last().copied()
    }

    /// Whether the file is in a state that no crash can cause: a record lies within one sector of the disk, so it is
    /// written entirely or not at all, and the file has its full size before it gets its name.
    pub(in crate::journal) fn is_damaged(&self) -> bool {
        self.all.is_empty() || self.is_odd
    }
}

fn is_blank(record: &[u8]) -> bool {
    record.iter().all(|byte| *byte == 0)
}

pub(in crate::journal) fn create_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), files::create_private_dir)
}

impl Anchor {
    /// Replaces the file at `path` with one that holds `head` only, and opens it.
    pub(in crate::journal) fn begin(path: &Path, head: Head) -> io::Result<Self> {
        create_folder(path)?;
        let mut content = Anchored { seq: head.seq, hash: head.hash }.record().to_vec();
        content.resize(usize::try_from(FILE_BYTES).unwrap_or(RECORD_BYTES), 0);
        files::atomic_replace(path, &content)?;
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = files::patiently(|| OpenOptions::new().write(true).custom_flags(flags).open(path))?;
        let id = same_file::look_open(&file)?.file;
        let open = Some(Open { file, written: RECORD_BYTES as u64, id });
        Ok(Self { path: path.to_owned(), open, seq: head.seq, broken: None })
    }

    /// Leaves the file at `path` unchanged until the first head is appended; only then is it replaced.
    pub(in crate::journal) fn begin_later(path: &Path) -> io::Result<Self> {
        create_folder(path)?;
        Ok(Self { path: path.to_owned(), open: None, seq: 0, broken: None })
    }

    /// Records `head`, unless a later one is recorded; it is synced when this returns.
    ///
    /// # Errors
    /// Why it could not be written. Every later call fails with the same reason.
    pub(in crate::journal) fn append(&mut self, head: Head) -> Result<(), String> {
        if let Some(reason) = &self.broken {
            return Err(reason.clone());
        }
        if head.seq <= self.seq {
            return Ok(());
        }
        self.write(head).map_err(|error| {
            let reason = format!("the anchor {} cannot be written: {error}", self.path.display());
            self.broken.insert(reason).clone()
        })
    }

    fn write(&mut self, head: Head) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|open| open.written < FILE_BYTES) else {
            *self = Self::begin(&self.path, head)?;
            return Ok(());
        };
        open.write(head)?;
        self.seq = head.seq;
        open.check(&self.path)
    }
}

impl Open {
    fn write(&mut self, head: Head) -> io::Result<()> {
        let record = Anchored { seq: head.seq, hash: head.hash }.record();
        self.file.write_all_at(&record, self.written)?;
        self.file.sync_data()?;
        self.written += RECORD_BYTES as u64;
        Ok(())
    }

    /// Fails if the file was deleted or replaced while it was open.
    fn check(&self, path: &Path) -> io::Result<()> {
        let found =
            same_file::look(path).map_err(|error| io::Error::other(format!("it is gone ({error})")))?;
        if found.file == self.id && found.bytes == FILE_BYTES {
            return Ok(());
        }
        Err(io::Error::other("it was replaced or truncated by another program"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn anchored(seq: u64) -> Anchored {
        Anchored { seq, hash: Digest::of(&seq.to_be_bytes()) }
    }

    fn records(seqs: &[u64]) -> Vec<u8> {
        seqs.iter().flat_map(|seq| anchored(*seq).record()).collect()
    }

    /// Filled with zeros to the full size of the file.
    fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.resize(usize::try_from(FILE_BYTES).unwrap(), 0);
        bytes
    }

    fn file(seqs: &[u64]) -> Vec<u8> {
        padded(records(seqs))
    }

    #[test]
    fn what_is_written_is_read_back() {
        let records = Records::parse(&file(&[1, 2, 2, 9]));
        assert_eq!(records.newest(), Some(anchored(9)));
        assert!(!records.is_damaged());
    }

    #[test]
    fn after_the_records_there_are_zeros_and_nothing_else() {
        let records_of = |bytes: &[u8]| Records::parse(&padded(bytes.to_vec()));
        let zeros = records_of(&[records(&[1, 2]), vec![0; 640]].concat());
        assert_eq!((zeros.newest(), zeros.is_damaged()), (Some(anchored(2)), false));
        assert!(records_of(&[]).is_damaged());
        assert!(records_of(&[vec![0; 64], records(&[1])].concat()).is_damaged());
        assert!(records_of(&[records(&[1]), vec![0; 64], records(&[2])].concat()).is_damaged());
        assert!(records_of(&records(&[3, 2, 4])).is_damaged(), "it never goes back");
        assert!(records_of(&records(&[1, 2])[..100]).is_damaged(), "half a record");
    }

    #[test]
    fn a_file_that_is_shorter_or_longer_than_it_began_is_damaged() {
        let whole = file(&[1, 2]);
        for bytes in [0, 64, 128, 192, whole.len() - 64, whole.len() - 1] {
            assert!(Records::parse(&whole[..bytes]).is_damaged(), "{bytes}");
        }
        let longer = Records::parse(&[&whole[..], &[0]].concat());
        assert_eq!((longer.newest(), longer.is_damaged()), (Some(anchored(2)), true));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let whole = file(&[1, 2]);
        for bit in (0..256 * 8).chain(whole.len() * 8 - 64..whole.len() * 8) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let records = Records::parse(&flipped);
            assert!(records.is_damaged(), "{bit}");
        }
    }

    #[test]
    fn what_was_damaged_before_the_end_is_told_whatever_the_end_looks_like() {
        let records = Records::parse(&padded([&records(&[1]), &[7; 64][..], &[0; 64][..]].concat()));
        assert_eq!((records.newest(), records.is_damaged()), (Some(anchored(1)), true));
    }

    #[test]
    fn what_looks_odd_is_read_once_more() {
        let half = || padded(records(&[1, 2])[..100].to_vec());
        let table = [
            ([file(&[1]), file(&[1, 2])], 1, false),
            ([half(), file(&[1, 2])], 2, false),
            ([half(), file(&[2, 1])], 2, true),
        ];
        for (states, newest, is_damaged) in table {
            let mut states = states.into_iter();
            let records = Records::read_from(|| Ok(states.next().unwrap())).unwrap().unwrap();
            assert_eq!((records.newest(), records.is_damaged()), (Some(anchored(newest)), is_damaged));
        }
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
        assert!(anchor.append(head(4)).is_err(), "and nothing is written after a failure");
        let mut anchor = Anchor::begin(&path, head(2)).unwrap();
        files::atomic_replace(&path, &kept).unwrap();
        assert!(anchor.append(head(3)).is_err(), "a copy of the same length in its place");
    }

    #[test]
    fn a_file_that_is_full_is_begun_anew_with_the_last_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/anchor");
        let head = |seq| Head { seq, hash: Digest::of(&[1]), recorded_at: 0 };
        let mut anchor = Anchor::begin(&path, head(1)).unwrap();
        (2..=1_024).for_each(|seq| anchor.append(head(seq)).unwrap());
        assert_eq!(Records::read(&path).unwrap().unwrap().all.len(), 1_024);
        anchor.append(head(1_025)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 65_536);
        let records = Records::read(&path).unwrap().unwrap();
        assert_eq!(records.all.iter().map(|record| record.seq).collect::<Vec<_>>(), [1_025]);
    }

    #[test]
    fn a_head_that_a_later_record_covers_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/anchor");
        let head = |seq| Head { seq, hash: Digest::of(&[1]), recorded_at: 0 };
        let mut anchor = Anchor::begin(&path, head(1)).unwrap();
        [5, 3, 5].into_iter().for_each(|seq| anchor.append(head(seq)).unwrap());
        let records = Records::read(&path).unwrap().unwrap();
        assert_eq!(records.all.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 5]);
    }
}
