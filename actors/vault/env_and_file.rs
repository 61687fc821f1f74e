//! Secrets kept outside the vault: in an environment variable, or in a file of their own.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use super::{VaultError, VaultRef};
use crate::files;
use crate::limits::SECRET_BYTES_MAX;
use crate::secret::Secret;

/// The value of the environment variable named by `vault_ref`. One trailing newline is removed, as in [`from_file`]:
/// container platforms pass the content of files on as variables.
///
/// # Errors
/// It is not set, or too large.
pub(super) fn from_variable(vault_ref: &VaultRef, value: Option<OsString>) -> Result<Secret, VaultError> {
    let Some(value) = value else {
        return Err(VaultError::NotFound(vault_ref.clone()));
    };
    of_fit_size(vault_ref, value.into_vec())
}

/// The content of the file named by `vault_ref`, which must be private to us or handed down by root. One trailing newline
/// is removed, because editors and `echo` append it unasked.
///
/// # Errors
/// It is missing, can be changed by others, or is too large.
pub(super) fn from_file(vault_ref: &VaultRef) -> Result<Secret, VaultError> {
    let longest = SECRET_BYTES_MAX as u64 + 1;
    let read = files::read_secret(Path::new(vault_ref.place()), longest);
    let bytes = read.map_err(|error| match error.kind() {
        ErrorKind::NotFound => VaultError::NotFound(vault_ref.clone()),
        _ => VaultError::unavailable(vault_ref, error.to_string()),
    })?;
    of_fit_size(vault_ref, bytes)
}

fn of_fit_size(vault_ref: &VaultRef, mut bytes: Vec<u8>) -> Result<Secret, VaultError> {
    bytes.pop_if(|last| *last == b'\n');
    let secret = Secret::new(bytes);
    if secret.expose().len() > SECRET_BYTES_MAX {
        Err(VaultError::TooLarge(vault_ref.clone()))
    } else {
        Ok(secret)
    }
}
