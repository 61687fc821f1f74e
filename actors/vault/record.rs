//! The decrypted content of a secret's file: a JSON document, newest version first.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::VaultRef;
use super::messages::SecretEntry;
use super::pins::{self, Pin};
use crate::clock::UnixMs;
use crate::limits::SECRET_VERSIONS_MAX;
use crate::provider::Profile;
use crate::secret::{Secret, SecretVersion, SecretVersions};

/// One stored secret with its versions, newest first; there is at least one.
pub(super) struct Record {
    created_at: UnixMs,
    /// Number of changes of the secret, this one included.
    change: u64,
    versions: Vec<(UnixMs, SecretVersion)>,
    /// Versions removed since it was read.
    ended: Vec<u32>,
}

/// The JSON document. Its strings borrow from a buffer that is wiped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(rename = "ref")]
    vault_ref: &'a str,
    created_at_unix_ms: UnixMs,
    #[serde(default)]
    change: u64,
    #[serde(borrow)]
    versions: Vec<VersionDocument<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionDocument<'a> {
    version: u32,
    created_at_unix_ms: UnixMs,
    value_base64: &'a str,
}

impl Record {
    /// A new secret. If it existed before, its version continues from the newest one.
    pub fn new(value: Secret, now: UnixMs, newest: Pin) -> Self {
        let version = newest.version.saturating_add(1);
        let versions = vec![(now, SecretVersion { version, secret: value })];
        Self { created_at: now, change: newest.change, versions, ended: Vec::new() }
    }

    /// Its pin.
    pub fn pin(&self) -> Pin {
        Pin { change: self.change, version: self.current_version() }
    }

    /// Counts a change that will be stored.
    pub fn count_change(&mut self) {
        self.change = self.change.saturating_add(1);
    }

    /// Whether `value` is the current version already.
    pub fn is_current(&self, value: &Secret) -> bool {
        self.versions.first().is_some_and(|(_, current)| current.secret.matches(value.expose()))
    }

    /// The version that stays valid beside a new one: the newest that any of `users` can verify with at `now`, so that a value
    /// stored by mistake does not push out the one that works. Otherwise the newest.
    pub fn to_keep(&self, users: &[Arc<Profile>], now: UnixMs) -> Option<u32> {
        let works = |secret: &Secret| users.iter().any(|profile| profile.can_use(secret, now));
        let working = self.versions.iter().find(|(_, version)| works(&version.secret));
        working.or(self.versions.first()).map(|(_, version)| version.version)
    }

    /// Adds a new current version, and removes all others but `keep`. A removed version of the same value has not ended:
    /// what was signed with it is still accepted.
    pub fn push(&mut self, value: Secret, now: UnixMs, keep: Option<u32>) {
        let version = self.current_version().saturating_add(1);
        let (kept, dropped): (Vec<_>, Vec<_>) =
            self.versions.drain(..).partition(|(_, other)| Some(other.version) == keep);
        let ended = dropped.iter().filter(|(_, dropped)| !dropped.secret.matches(value.expose()));
        self.ended.extend(ended.map(|(_, ended)| ended.version));
        self.versions = kept;
        self.versions.insert(0, (now, SecretVersion { version, secret: value }));
    }

    /// Removes all but the current version. Returns whether there was another.
    pub fn retire(&mut self) -> bool {
        let dropped = self.versions.drain(self.versions.len().min(1)..);
        self.ended.extend(dropped.map(|(_, dropped)| dropped.version));
        !self.ended.is_empty()
    }

    /// Its description, without values.
    pub fn entry(&self, vault_ref: &VaultRef) -> SecretEntry {
        SecretEntry {
            vault_ref: vault_ref.to_string(),
            version: self.current_version(),
            versions: self.versions.len(),
            previous_version: self.versions.get(1).map(|(_, previous)| previous.version),
            ended_versions: self.ended.clone(),
            unchanged: false,
            created_at_unix_ms: self.created_at,
            updated_at_unix_ms: self.versions.first().map_or(self.created_at, |(stored_at, _)| *stored_at),
        }
    }

    /// Its values; `None` if one of them is blank.
    pub fn into_versions(self) -> Option<SecretVersions> {
        SecretVersions::new(self.versions.into_iter().map(|(_, version)| version).collect())
    }

    fn current_version(&self) -> u32 {
        self.versions.first().map_or(0, |(_, version)| version.version)
    }

    /// The JSON document, in a buffer that is wiped and never reallocated.
    pub fn encode(&self, vault_ref: &VaultRef) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        const FRAME_BYTES: usize = 512;
        let values: Vec<Zeroizing<String>> =
            self.versions.iter().map(|(_, v)| Zeroizing::new(STANDARD.encode(v.secret.expose()))).collect();
        let room = values.iter().map(|value| value.len() + FRAME_BYTES).sum::<usize>() + FRAME_BYTES;
        let versions = self.versions.iter().zip(&values).map(|((stored_at, version), value)| {
            VersionDocument { version: version.version, created_at_unix_ms: *stored_at, value_base64: value }
        });
        let document = Document {
            vault_ref: vault_ref.as_str(),
            created_at_unix_ms: self.created_at,
            change: self.change,
            versions: versions.collect(),
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *bytes, &document)?;
        Ok(bytes)
    }

    /// Parses the document of `vault_ref`.
    ///
    /// # Errors
    /// What is wrong, without any of the content.
    pub fn decode(bytes: &[u8], vault_ref: &VaultRef) -> Result<Self, &'static str> {
        let document: Document<'_> =
            serde_json::from_slice(bytes).map_err(|_| match pins::is_json(bytes) {
                true => pins::OF_A_NEWER,
                false => "it does not contain a secret's document",
            })?;
        if document.vault_ref != vault_ref.as_str() {
            return Err("it contains another secret than its name says");
        }
        let ordered = document.versions.is_sorted_by(|newer, older| newer.version > older.version);
        if !ordered || !(1..=SECRET_VERSIONS_MAX).contains(&document.versions.len()) {
            return Err("its versions are not in order");
        }
        let versions = document.versions.iter().map(read_version).collect::<Result<_, _>>()?;
        Ok(Self {
            created_at: document.created_at_unix_ms,
            change: document.change,
            versions,
            ended: Vec::new(),
        })
    }
}

fn read_version(document: &VersionDocument<'_>) -> Result<(UnixMs, SecretVersion), &'static str> {
    let value = STANDARD.decode(document.value_base64).map_err(|_| "a value in it is not base64")?;
    let secret = Secret::new(value);
    Ok((document.created_at_unix_ms, SecretVersion { version: document.version, secret }))
}
