//! The messages of the vault resolver.

use std::ops::Not;
use std::sync::Arc;

use actix::Message;
use serde::Serialize;

use super::{VaultError, VaultRef};
use crate::clock::UnixMs;
use crate::provider::{Profile, UnusableKey};
use crate::secret::{Secret, SecretVersions};

/// Asks for the versions of a secret. If they are read from storage, the read is journaled before it is answered.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<SecretVersions>, VaultError>")]
pub struct Resolve(pub VaultRef);

/// Asks whether a secret could be resolved and used, without keeping its value in memory.
#[derive(Debug, Clone, Message)]
#[rtype(result = "SecretStatus")]
pub struct Probe {
    pub vault_ref: VaultRef,
    /// The profile whose keys it has to provide, if known.
    pub profile: Option<Arc<Profile>>,
}

/// Whether a secret can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", content = "reason", rename_all = "snake_case")]
pub enum SecretStatus {
    /// It exists, is not blank, and the profile can use it as a key.
    Found,
    /// There is no secret of that name.
    NotFound,
    /// It exists, but the profile cannot use one of its versions as a key.
    Unusable {
        /// That version.
        key: UnusableKey,
        /// The versions that verify deliveries nevertheless, newest first.
        usable: Vec<u32>,
    },
    /// It exists, but is blank or cannot be read at the moment. The text contains no part of the value.
    Unavailable(String),
    /// It can be used, but the token of a handshake cannot, which no delivery needs. The text contains no part of the
    /// token.
    NoToken(String),
    /// The reference is not valid.
    InvalidRef(String),
}

impl SecretStatus {
    /// The status of a secret with these versions, which `profile` needs at `now`.
    pub fn of_versions(profile: &Profile, versions: &SecretVersions, now: UnixMs) -> Self {
        let checked = profile.check_keys(versions).and_then(|()| profile.check_spans(versions, now));
        match checked {
            Ok(()) => Self::Found,
            Err(key) => Self::Unusable { key, usable: profile.usable_versions(versions, now) },
        }
    }
}

/// Stores a secret with this value as its only version, replacing any other. A value that is current already gets no new
/// version.
#[derive(Message)]
#[rtype(result = "Result<SecretEntry, VaultError>")]
pub struct Put {
    /// Only references into the vault itself can be written.
    pub vault_ref: VaultRef,
    /// The value; a blank one is refused.
    pub value: Secret,
}

/// Gives a stored secret a new current version; the previous one stays valid until [`Retire`]. A value that is current
/// already changes nothing.
#[derive(Message)]
#[rtype(result = "Result<SecretEntry, VaultError>")]
pub struct Rotate {
    /// An existing secret.
    pub vault_ref: VaultRef,
    /// The value; a blank one is refused.
    pub value: Secret,
    /// The profiles that verify with it: of its versions, the newest that one of them can use stays valid.
    pub users: Vec<Arc<Profile>>,
}

/// Removes the previous version of a secret.
#[derive(Debug, Message)]
#[rtype(result = "Result<SecretEntry, VaultError>")]
pub struct Retire(pub VaultRef);

/// Removes a secret with all its versions.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), VaultError>")]
pub struct Delete(pub VaultRef);

/// Lists the secrets of the vault without their values, sorted by name.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<Listed>, VaultError>")]
pub struct List;

/// The description of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretEntry {
    /// `<scope>/<key>`.
    pub vault_ref: String,
    /// Its current version.
    pub version: u32,
    /// Number of versions that can verify.
    pub versions: usize,
    /// The previous version, as long as it can verify.
    pub previous_version: Option<u32>,
    /// Versions that this change removed: deliveries signed with them are refused from then on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ended_versions: Vec<u32>,
    /// Whether nothing was stored, because the value was current already.
    #[serde(skip_serializing_if = "Not::not")]
    pub unchanged: bool,
    /// When it was first stored.
    pub created_at_unix_ms: UnixMs,
    /// When its current version was stored.
    pub updated_at_unix_ms: UnixMs,
}

/// A secret in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Listed {
    /// It can be read.
    Readable(SecretEntry),
    /// Its file cannot be used.
    Unreadable {
        /// `<scope>/<key>`.
        vault_ref: String,
        /// What is wrong with its file.
        problem: String,
        /// What to do about it.
        hint: String,
    },
}

/// Asks for the [`VaultSnapshot`].
#[derive(Debug, Message)]
#[rtype(result = "VaultSnapshot")]
pub struct Observe;

/// The state the vault resolver reports.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VaultSnapshot {
    /// Number of secrets decrypted in memory.
    pub cached: usize,
    /// Answers from the cache.
    pub cache_hits_total: u64,
    /// Reads from storage.
    pub reads_total: u64,
    /// Reads that failed.
    pub failures_total: u64,
}
