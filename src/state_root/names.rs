//! The names of what palyra keeps in a state root.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::Path;

use palyra_actors::files::{UNFINISHED_PREFIX, folder_of};
use palyra_actors::journal::JournalFiles;

/// Files that identify a folder as a state root.
pub(super) const MARKS: [&str; 4] = ["palyra.toml", "webhooks.toml", "journal.db", "admin.token"];
/// What a state root may contain before it has any of those.
pub(super) const PARTS: [&str; 8] =
    ["lock", "reserve", "vault", "providers", "anchor", "journal.key", "journal.key.next", "daemon.json"];
/// Files that SQLite creates beside the journal.
const BESIDE_THE_JOURNAL: [&str; 3] = ["journal.db-wal", "journal.db-shm", "journal.db-journal"];
/// Files in the folder of the anchor.
pub(super) const BESIDE_THE_ANCHOR: [&str; 3] = ["journal", "checkpoint", "vault"];
/// Files in the folder of the vault, apart from those of secrets: a secret whose file is a folder is listed as unreadable.
const IN_THE_VAULT: [&str; 1] = ["identity.txt"];
/// The problem of a folder in the place of a file.
pub(super) const IS_A_FOLDER: &str = "is a folder, but palyra keeps a file under that name";
/// Of the names at the top, the folders.
const FOLDERS: [&str; 3] = ["vault", "providers", "anchor"];

/// Whether the name of `path` is one of palyra's at the top of a state root.
pub(super) fn is_ours(path: &Path) -> bool {
    let Some(name) = path.file_name() else { return false };
    let known = MARKS.iter().chain(&PARTS).chain(&BESIDE_THE_JOURNAL);
    known.into_iter().any(|known| name == *known) || is_unfinished(name)
}

/// Whether the name is that of a temporary file left by an interrupted write.
pub(super) fn is_unfinished(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(UNFINISHED_PREFIX.as_bytes())
}

/// What is wrong with a folder in the place of a file of palyra's, or a file in the place of a folder; `None` for others.
pub(super) fn wrong_kind(path: &Path, meta: &Metadata) -> Option<&'static str> {
    let is_folder = FOLDERS.iter().any(|name| path.ends_with(name));
    match (is_ours(path), is_folder, meta.is_dir()) {
        (true, false, true) => Some(IS_A_FOLDER),
        (true, true, false) => Some("is a file, but palyra keeps a folder under that name"),
        _ => None,
    }
}

/// As [`wrong_kind`], for what is in the folder of the anchor or of the vault, if these are at the top of a state root.
pub(super) fn wrong_kind_below(path: &Path, meta: &Metadata) -> Option<&'static str> {
    let names = match folder_of(path).file_name().and_then(OsStr::to_str) {
        Some("anchor") => &BESIDE_THE_ANCHOR[..],
        Some("vault") => &IN_THE_VAULT,
        _ => return None,
    };
    let name = path.file_name().unwrap_or_default();
    let is_a_file = names.iter().any(|known| name == *known) || is_unfinished(name);
    (is_a_file && meta.is_dir()).then_some(IS_A_FOLDER)
}

/// Whether palyra keeps `file` for itself: by its name at the top of the state root that holds the journal `files` or in the
/// folder of its anchor, or because it is in a folder of the state root. A file whose folder does not exist is not.
pub fn is_reserved(files: &JournalFiles, file: &Path) -> bool {
    let Ok(folder) = folder_of(file).canonicalize() else { return false };
    let is = |other: &Path| other.canonicalize().is_ok_and(|other| other == folder);
    let root = folder_of(&files.database);
    let in_a_folder = FOLDERS.iter().any(|name| is(&root.join(name)));
    in_a_folder || (is(root) && is_ours(file)) || (is(folder_of(&files.anchor)) && is_beside_the_anchor(file))
}

fn is_beside_the_anchor(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    BESIDE_THE_ANCHOR.iter().any(|known| name == *known) || is_unfinished(name)
}
