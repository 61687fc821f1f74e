//! Secrets kept outside the vault: in the environment or in a file of their own.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use super::{VaultError, VaultRef};
use crate::files;
use crate::limits::SECRET_BYTES_MAX;
use crate::secret::Secret;

/// What the environment holds under the name in `vault_ref`.
///
/// # Errors
/// It is not set or too large.
pub(super) fn from_variable(vault_ref: &VaultRef, value: Option<OsString>) -> Result<Secret, VaultError> {
    let Some(value) = value else {
        return Err(VaultError::NotFound(vault_ref.clone()));
    };
    of_fit_size(vault_ref, Secret::new(value.into_vec()))
}

/// What the file named in `vault_ref` holds, which is ours alone or handed down by root. One trailing newline is dropped: editors and `echo` add it,
/// nobody means it.
///
/// # Errors
/// It is missing, open to changes by others or too large.
pub(super) fn from_file(vault_ref: &VaultRef) -> Result<Secret, VaultError> {
    let longest = SECRET_BYTES_MAX as u64 + 1;
    let read = files::read_secret(Path::new(vault_ref.place()), longest);
    let mut bytes = read.map_err(|error| match error.kind() {
        ErrorKind::NotFound => VaultError::NotFound(vault_ref.clone()),
        _ => VaultError::unavailable(vault_ref, error.to_string()),
    })?;
    bytes.pop_if(|last| *last == b'\n');
    of_fit_size(vault_ref, Secret::new(bytes))
}

fn of_fit_size(vault_ref: &VaultRef, secret: Secret) -> Result<Secret, VaultError> {
    if secret.expose().len() > SECRET_BYTES_MAX {
        Err(VaultError::TooLarge(vault_ref.clone()))
    } else {
        Ok(secret)
    }
}
