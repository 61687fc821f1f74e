//! The profiles in force: the built-in ones, and the operator's own, which are files in a folder.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::files;
use crate::limits::{OWN_PROFILES_MAX, PROFILE_FILE_BYTES_MAX};
use crate::provider::{Catalogue, Profile, read_profile};
use crate::text_places::TextFault;

/// The built-in profiles, and those in `dir` if that folder exists.
///
/// # Errors
/// The first profile that cannot be used, or in which the lint finds an error.
pub(super) fn load(dir: &Path) -> Result<Catalogue, TextFault> {
    let mut catalogue = Catalogue::built_in()?;
    for path in own_files(dir)? {
        let profile = load_own(&path)?;
        catalogue.add_own(profile, path)?;
    }
    Ok(catalogue)
}

fn own_files(dir: &Path) -> Result<Vec<PathBuf>, TextFault> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(dir, &error.to_string())),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(dir, &error.to_string()))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    if files.len() > OWN_PROFILES_MAX {
        return Err(unreadable(dir, &format!("there are more than {OWN_PROFILES_MAX} profiles")));
    }
    files.sort();
    Ok(files)
}

fn load_own(path: &Path) -> Result<Profile, TextFault> {
    let bytes = files::read_private(path, PROFILE_FILE_BYTES_MAX)
        .map_err(|error| unreadable(path, &error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(path, "it is not UTF-8"))?;
    read_profile(&path.display().to_string(), &text)
}

fn unreadable(path: &Path, message: &str) -> TextFault {
    TextFault::of_file(&path.display().to_string(), "profile", message)
}
