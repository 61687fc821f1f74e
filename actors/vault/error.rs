//! The errors of secrets. No message contains any part of a value.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::reference::VaultRef;
use crate::limits::{SECRET_BYTES_MAX, SECRETS_MAX};

/// Why the vault resolver did not do what it was asked. Nothing was changed, except with [`VaultError::Unsynced`] and
/// possibly with [`VaultError::Unknown`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum VaultError {
    /// There is no secret of that name.
    #[error("there is no secret `{0}`")]
    NotFound(VaultRef),
    /// It may exist, but cannot be used at the moment.
    #[error("the secret `{vault_ref}` is not available: {reason}")]
    Unavailable {
        /// The secret.
        vault_ref: VaultRef,
        reason: String,
    },
    /// The value contains nothing but invisible characters and NUL bytes, so it could not verify anything.
    #[error("the value of `{0}` is blank")]
    Blank(VaultRef),
    /// The value is too long.
    #[error("the value of `{0}` is larger than {SECRET_BYTES_MAX} bytes")]
    TooLarge(VaultRef),
    /// The vault is full.
    #[error("the vault is full: it has {SECRETS_MAX} secrets, the most allowed")]
    Full,
    /// Its value is kept outside the vault.
    #[error("`{0}` is kept outside the vault and cannot be changed here")]
    Outside(VaultRef),
    /// A file of the vault is damaged.
    #[error("`{file}` was changed or damaged since the vault wrote it: {reason}", file = .file.display())]
    Damaged {
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of pins, which records the newest state of each secret, is missing or damaged.
    #[error("`{file}`, which records the newest version of each secret, cannot be read: {reason}", file = .file.display())]
    Pins {
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of a secret is an older copy, or that of a secret that was removed.
    #[error(
        "the file of `{vault_ref}` is an older copy: the secret was changed or removed after it was made"
    )]
    Older {
        /// The secret.
        vault_ref: VaultRef,
        /// Whether its state is that of a removal that a crash interrupted.
        may_be_removed: bool,
    },
    /// The change is in force, but could not be synced: a power failure may undo it.
    #[error("the change of `{vault_ref}` is in force, but a power cut may undo it: {problem}")]
    Unsynced {
        vault_ref: VaultRef,
        /// The error of the operating system.
        problem: String,
    },
    /// The work on the change was interrupted. The change may be in force.
    #[error(
        "it is not known whether the change of `{0}` is in force, because the work on it was interrupted"
    )]
    Unknown(VaultRef),
    /// The identity that decrypts the secrets cannot be used.
    #[error("the vault's identity cannot be used: {0}")]
    Identity(String),
    /// A file could not be read or written.
    #[error("the vault's files cannot be used")]
    Storage(#[source] Arc<io::Error>),
}

impl VaultError {
    /// What the operator can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound(vault_ref) => vault_ref.how_to_provide(),
            Self::Unavailable { .. } => "remove the cause; the daemon then reads the secret again by itself".to_owned(),
            Self::Blank(_) => "give a value that is not only white space".to_owned(),
            Self::TooLarge(_) => "give it a smaller value".to_owned(),
            Self::Full => "remove an unused secret with `palyra vault remove`".to_owned(),
            Self::Outside(_) => "change it where it is stored, or use a vault reference such as `global/KEY`".to_owned(),
            Self::Damaged { .. } => {
                "restore the file from a backup, or store the value again with `palyra vault put`".to_owned()
            }
            Self::Pins { .. } => {
                "do not restore an older copy of this file. No secret is lost and none has to be stored again: start once with `palyra daemon \
                 --accept-rollback`, which makes the file anew from the present secrets. Only one thing is lost: the daemon can no \
                 longer tell whether a secret's file is an older copy"
                    .to_owned()
            }
            Self::Older { vault_ref, may_be_removed: true } => format!(
                "if its removal was interrupted, `palyra vault remove {vault_ref}` completes it; {}",
                ways_back(vault_ref)
            ),
            Self::Older { vault_ref, .. } => ways_back(vault_ref),
            Self::Unsynced { .. } => {
                "check the disk of the state root, and do not repeat the change; the next successful change of any secret also makes this one durable"
                    .to_owned()
            }
            Self::Unknown(_) => "check with `palyra vault list` before you repeat it".to_owned(),
            Self::Identity(_) => {
                "restore `vault/identity.txt` from a backup; nothing else can decrypt the secrets, so if there is no backup, move the folder \
                 `vault` away and store each secret again"
                    .to_owned()
            }
            Self::Storage(_) => "correct the named file, then try again".to_owned(),
        }
    }

    pub(super) fn unsynced(vault_ref: &VaultRef, problem: &io::Error) -> Self {
        Self::Unsynced { vault_ref: vault_ref.clone(), problem: problem.to_string() }
    }

    pub(super) fn unavailable(vault_ref: &VaultRef, reason: impl Into<String>) -> Self {
        Self::Unavailable { vault_ref: vault_ref.clone(), reason: reason.into() }
    }
}

/// The ways to repair a secret whose file is an older copy.
fn ways_back(vault_ref: &VaultRef) -> String {
    format!(
        "put the newest file back, or store the value again with `palyra vault put {vault_ref}`; to accept all older copies, start once \
         with `palyra daemon --accept-rollback`"
    )
}

impl From<io::Error> for VaultError {
    fn from(error: io::Error) -> Self {
        Self::Storage(Arc::new(error))
    }
}
