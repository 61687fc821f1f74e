//! Where settings were read from, and whether that has changed since.

use std::path::PathBuf;

use palyra_actors::ids::Digest;

use super::source::Source;
use super::{Flags, Settings, SettingsError};

/// Where settings were read from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The path of `palyra.toml`, whether or not it exists.
    pub file: PathBuf,
    /// The place of `anchor_dir` in the file, for messages.
    pub anchor_place: String,
    /// The flags, which override the file.
    pub flags: Flags,
    /// Digest of the text of the file.
    digest: Digest,
}

/// How `palyra.toml` compares with the settings read from it.
#[derive(Debug)]
pub enum Since {
    /// It is unchanged.
    Same,
    /// It has changed; the changes wait for the next start.
    Changed,
    /// The next start would refuse it.
    Faulty(SettingsError),
}

impl Origin {
    /// The origin of settings that are read from `source`, with `flags` over it.
    pub fn of(source: &Source<'_>, flags: Flags) -> Self {
        Self {
            file: source.file.to_owned(),
            anchor_place: source.place_of("anchor_dir"),
            flags,
            digest: Digest::of(source.text.as_bytes()),
        }
    }
}

impl Settings {
    /// Compares the file with the settings that were read from it.
    pub fn since(&self) -> Since {
        match Self::load(&self.origin.file, self.origin.flags) {
            Ok(read) => match read.check_addresses().and_then(|()| read.check_anchor_dir()) {
                Err(error) => Since::Faulty(error),
                Ok(()) if read.origin.digest == self.origin.digest => Since::Same,
                Ok(()) => Since::Changed,
            },
            Err(error) => Since::Faulty(error),
        }
    }
}
