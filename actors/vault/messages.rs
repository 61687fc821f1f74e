//! The vault resolver's doors.

use std::sync::Arc;

use actix::Message;
use serde::Serialize;

use super::{VaultError, VaultRef};
use crate::clock::UnixMs;
use crate::provider::{Profile, UnusableKey};
use crate::secret::{Secret, SecretVersions};

/// Asks for the versions of a secret. A read from storage is journaled before it is answered.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<SecretVersions>, VaultError>")]
pub struct Resolve(pub VaultRef);

/// Asks whether a secret could be resolved and used, without keeping its value.
#[derive(Debug, Clone, Message)]
#[rtype(result = "SecretStatus")]
pub struct Probe {
    /// Which.
    pub vault_ref: VaultRef,
    /// The profile that is to make keys of it, if it is known.
    pub profile: Option<Arc<Profile>>,
}

/// Whether a secret can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "reason", rename_all = "snake_case")]
pub enum SecretStatus {
    /// It is there and not blank, and the profile can make keys of it.
    Found,
    /// There is no secret of that name.
    NotFound,
    /// It is there, but the profile can make no key of one of its versions.
    Unusable(UnusableKey),
    /// It is there, but cannot be read now, or is blank. The text names no part of the value.
    Unavailable(String),
    /// The reference itself is not understood.
    InvalidRef(String),
}

/// Stores a secret: one version with this value, whatever was there.
#[derive(Message)]
#[rtype(result = "Result<SecretEntry, VaultError>")]
pub struct Put {
    /// Only references into the vault itself can be written.
    pub vault_ref: VaultRef,
    /// The value; blank is refused.
    pub value: Secret,
}

/// Gives a stored secret a new current version; the one before stays valid until [`Retire`].
#[derive(Message)]
#[rtype(result = "Result<SecretEntry, VaultError>")]
pub struct Rotate {
    /// A secret that exists.
    pub vault_ref: VaultRef,
    /// The value; blank is refused.
    pub value: Secret,
}

/// Drops the previous version of a secret.
#[derive(Debug, Message)]
#[rtype(result = "Result<SecretEntry, VaultError>")]
pub struct Retire(pub VaultRef);

/// Removes a secret and every version of it.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), VaultError>")]
pub struct Delete(pub VaultRef);

/// Lists the secrets of the vault, without their values, in the order of their names.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Listed>, VaultError>")]
pub struct List;

/// What is shown of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretEntry {
    /// `<scope>/<key>`.
    pub vault_ref: String,
    /// Its current version.
    pub version: u32,
    /// Versions that may verify.
    pub versions: usize,
    /// The version before, while it may verify.
    pub previous_version: Option<u32>,
    /// Versions that the change told of ended: what is signed with them is refused from then on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended_versions: Vec<u32>,
    /// When it was first stored.
    pub created_at_unix_ms: UnixMs,
    /// When its current version was stored.
    pub updated_at_unix_ms: UnixMs,
}

/// A secret in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Listed {
    /// One that can be read.
    Readable(SecretEntry),
    /// One whose file cannot be used as it is.
    Unreadable {
        /// `<scope>/<key>`.
        vault_ref: String,
        /// What is wrong with its file.
        problem: String,
        /// What to do.
        hint: String,
    },
}

/// Asks for the [`VaultSnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "VaultSnapshot")]
pub struct Observe;

/// What the vault resolver shows of itself.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VaultSnapshot {
    /// Secrets decrypted in memory now.
    pub cached: usize,
    /// Answers from the cache.
    pub cache_hits_total: u64,
    /// Reads from storage.
    pub reads_total: u64,
    /// Reads that failed.
    pub failures_total: u64,
}
