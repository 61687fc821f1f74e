//! The registry as a plain value: the file, the profiles, and an index of the integrations by id.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use super::amendment::Amendment;
use super::document::{Checks, RegistryDocument};
use super::error::RegistryError;
use super::in_force::{ById, InForce};
use super::lending;
use super::messages::{Changes, Draft, Integration, RegistrySnapshot};
use super::own_profiles;
use super::readiness::{ReadinessReport, readiness};
use super::record::IntegrationRecord;
use super::rules::{self, Breach};
use crate::clock::UnixMs;
use crate::files;
use crate::ids::Digest;
use crate::limits::{INTEGRATIONS_MAX, REGISTRY_FILE_BYTES_MAX, SUMMARY_BYTES_MAX};
use crate::provider::Catalogue;
use crate::vault::SecretStatus;

/// The paths of the registry's files, and bounds on integrations.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// `webhooks.toml`.
    pub file: PathBuf,
    /// Folder of the operator's own profiles.
    pub profiles_dir: PathBuf,
    /// Upper bound of every integration's `max_payload_bytes`.
    pub payload_bytes_cap: u64,
    /// Where the integrations in force are published.
    pub published: InForce,
}

/// The integrations in force.
#[derive(Debug, Clone)]
pub struct Registry {
    config: RegistryConfig,
    catalogue: Arc<Catalogue>,
    document: RegistryDocument,
    /// Digest of the file when it was last read or written; `None` if there is no file.
    on_disk: Option<Digest>,
    integrations: Vec<Arc<Integration>>,
    by_id: Arc<ById>,
    loaded_at: UnixMs,
    stale: Option<String>,
}

type Found = Result<Arc<Integration>, RegistryError>;

impl Registry {
    /// Reads the files. A missing registry file is treated as empty.
    ///
    /// # Errors
    /// The first fault in them.
    pub fn open(config: RegistryConfig, now: UnixMs) -> Result<Self, RegistryError> {
        let Files { catalogue, document, on_disk } = read(&config)?;
        let mut registry = Self {
            config,
            catalogue,
            document: RegistryDocument::new(),
            on_disk,
            integrations: Vec::new(),
            by_id: Arc::default(),
            loaded_at: now,
            stale: None,
        };
        registry.adopt(document, now);
        Ok(registry)
    }

    /// An integration, enabled or not.
    pub fn get(&self, id: &str) -> Option<Arc<Integration>> {
        self.by_id.get(id).map(Arc::clone)
    }

    /// All integrations, in the order of the file.
    pub fn list(&self) -> Vec<Arc<Integration>> {
        self.integrations.clone()
    }

    /// The profiles in force.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue)
    }

    /// Adds an integration. If it is not ready, it is stored disabled.
    ///
    /// # Errors
    /// When the draft violates a rule, the id is taken, or the file would be too large or cannot be written or synced.
    pub fn add(&mut self, draft: Draft, secret: &SecretStatus, now: UnixMs) -> Found {
        rules::check_rate(draft.unsigned_rate_per_second, draft.signature_required).map_err(of_breach)?;
        let mut record = self.fit(IntegrationRecord::of(draft, now))?;
        rules::check_supported(&record, &self.catalogue).map_err(of_breach)?;
        record.enabled = record.enabled && self.report(&record, secret).can_be_enabled();
        let id = record.integration_id.clone();
        if self.by_id.contains_key(&id) {
            return Err(RegistryError::Exists { id });
        }
        if self.integrations.len() >= INTEGRATIONS_MAX {
            return Err(RegistryError::TooMany { max: INTEGRATIONS_MAX });
        }
        let mut document = self.document.clone();
        document.insert(record);
        self.save(document, now)?;
        self.known(&id)
    }

    /// Changes the named settings of an integration.
    ///
    /// # Errors
    /// When there is no such integration, it would violate a rule, it is enabled and would not be ready, or the file
    /// would be too large or cannot be written or synced.
    pub fn amend(&mut self, id: &str, amendment: Amendment, secret: &SecretStatus, now: UnixMs) -> Found {
        let mut record = self.known(id)?.record.clone();
        let rate = amendment.unsigned_rate_per_second;
        let names_secrets = amendment.secret_vault_ref.is_some() || !amendment.parameters.is_empty();
        amendment.apply(&mut record);
        rules::check_rate(rate, record.signature_required).map_err(of_breach)?;
        record.updated_at_unix_ms = now;
        let record = self.fit(record)?;
        if names_secrets {
            rules::check_supported(&record, &self.catalogue).map_err(of_breach)?;
        }
        let report = self.report(&record, secret);
        if record.enabled && !report.can_be_enabled() {
            return Err(RegistryError::WouldNotBeReady { id: id.to_owned(), issues: report.issues });
        }
        self.change(record, now)
    }

    /// The normalised record, if it violates no rule.
    fn fit(&self, mut record: IntegrationRecord) -> Result<IntegrationRecord, RegistryError> {
        rules::normalise(&mut record);
        rules::check(&record, &self.catalogue, self.config.payload_bytes_cap).map_err(of_breach)?;
        Ok(record)
    }

    /// Enables or disables an integration.
    ///
    /// # Errors
    /// When there is no such integration, it is not ready to be enabled, or the file would be too large or cannot be
    /// written or synced.
    pub fn set_enabled(&mut self, id: &str, enabled: bool, secret: &SecretStatus, now: UnixMs) -> Found {
        let mut record = self.known(id)?.record.clone();
        let report = self.report(&record, secret);
        if enabled && !report.can_be_enabled() {
            return Err(RegistryError::NotReady { id: id.to_owned(), issues: report.issues });
        }
        record.enabled = enabled;
        record.updated_at_unix_ms = now;
        self.change(record, now)
    }

    /// Removes an integration.
    ///
    /// # Errors
    /// When there is no such integration, or the file cannot be written or synced.
    pub fn remove(&mut self, id: &str, now: UnixMs) -> Found {
        let removed = self.known(id)?;
        let mut document = self.document.clone();
        document.remove(id);
        self.save(document, now)?;
        Ok(removed)
    }

    /// Records the result of a test of an integration.
    ///
    /// # Errors
    /// When there is no such integration, or the file would be too large or cannot be written.
    pub fn record_test(&mut self, id: &str, passed: bool, message: &str, now: UnixMs) -> Found {
        let mut record = self.known(id)?.record.clone();
        record.last_test_at_unix_ms = Some(now);
        record.last_test_passed = Some(passed);
        let end = message.floor_char_boundary(SUMMARY_BYTES_MAX);
        record.last_test_message = message.get(..end).map(str::to_owned);
        self.change(record, now)
    }

    /// Reads the files again. If they have a fault, the state in force is kept, and the snapshot reports the fault until
    /// they are read successfully. A registry file that has disappeared is a fault.
    ///
    /// # Errors
    /// The first fault.
    pub fn reload(&mut self, now: UnixMs) -> Result<Changes, RegistryError> {
        let read = read(&self.config).and_then(|files| self.refuse_if_gone(files));
        self.stale = read.as_ref().err().map(ToString::to_string);
        let Files { catalogue, document, on_disk } = read?;
        let before = Arc::clone(&self.by_id);
        let profiles = self.catalogue.differences(&catalogue);
        (self.catalogue, self.on_disk) = (catalogue, on_disk);
        self.adopt(document, now);
        Ok(Changes { profiles, ..changes(&before, &self.by_id) })
    }

    fn refuse_if_gone(&self, files: Files) -> Result<Files, RegistryError> {
        match (self.on_disk, files.on_disk) {
            (Some(_), None) => Err(RegistryError::Gone { file: file_name(&self.config) }),
            _ => Ok(files),
        }
    }

    /// Its state.
    pub fn snapshot(&self) -> RegistrySnapshot {
        let mut providers = BTreeMap::<String, usize>::new();
        for integration in &self.integrations {
            *providers.entry(integration.record.provider.clone()).or_default() += 1;
        }
        RegistrySnapshot {
            integrations: self.integrations.len(),
            enabled: self.integrations.iter().filter(|integration| integration.record.enabled).count(),
            providers,
            profiles: self.catalogue.names().count(),
            loaded_at_unix_ms: self.loaded_at,
            stale: self.stale.clone(),
        }
    }

    fn report(&self, record: &IntegrationRecord, secret: &SecretStatus) -> ReadinessReport {
        readiness(&self.integration(record.clone()), secret)
    }

    fn integration(&self, record: IntegrationRecord) -> Integration {
        let profile = self.catalogue.get(&record.provider).map(Arc::clone);
        let lent_with = lending::lent_with(&record, &self.document.records, &self.catalogue);
        Integration { record, profile, lent_with: lent_with.map(str::to_owned) }
    }

    fn known(&self, id: &str) -> Found {
        let ids = self.integrations.iter().map(|integration| integration.record.integration_id.as_str());
        self.get(id).ok_or_else(|| RegistryError::unknown(id, ids))
    }

    fn change(&mut self, record: IntegrationRecord, now: UnixMs) -> Found {
        let id = record.integration_id.clone();
        let mut document = self.document.clone();
        document.replace(record);
        self.save(document, now)?;
        self.known(&id)
    }

    /// Writes the file first: a state that cannot be written, or cannot be read back, does not come into force. A file
    /// that was edited meanwhile is not overwritten.
    fn save(&mut self, document: RegistryDocument, now: UnixMs) -> Result<(), RegistryError> {
        let text = document.text();
        let document = self.as_read(&text)?;
        let found = text_of(&self.config)?.as_deref().map(digest);
        if found.is_none() && self.on_disk.is_some() {
            return Err(RegistryError::Gone { file: file_name(&self.config) });
        }
        if found != self.on_disk {
            return Err(RegistryError::EditedMeanwhile { file: file_name(&self.config) });
        }
        let unsynced = match files::atomic_replace(&self.config.file, text.as_bytes()) {
            Ok(()) => None,
            Err(error) if files::holds(&self.config.file, text.as_bytes()) => Some(error),
            Err(error) => return Err(not_replaced(&self.config, &error)),
        };
        self.on_disk = Some(digest(&text));
        self.adopt(document, now);
        unsynced.map_or(Ok(()), |error| {
            Err(RegistryError::Unsynced { file: file_name(&self.config), problem: error.to_string() })
        })
    }

    /// Parses `text` as the next start will, so that anything a start would refuse is refused already.
    fn as_read(&self, text: &str) -> Result<RegistryDocument, RegistryError> {
        if text.len() as u64 > REGISTRY_FILE_BYTES_MAX {
            let message = format!(
                "it would have {} bytes, more than the limit of {REGISTRY_FILE_BYTES_MAX}",
                text.len()
            );
            let hint = "shorten the allow lists, or remove an integration that is no longer used".to_owned();
            return Err(RegistryError::draft(&file_name(&self.config), message, Some(hint)));
        }
        parse(text, &self.config, &self.catalogue).map_err(RegistryError::of_draft)
    }

    fn adopt(&mut self, document: RegistryDocument, now: UnixMs) {
        self.document = document;
        let records = self.document.records.iter();
        self.integrations = records.map(|record| Arc::new(self.integration(record.clone()))).collect();
        let by_id = |one: &Arc<Integration>| (one.record.integration_id.clone(), Arc::clone(one));
        self.by_id = Arc::new(self.integrations.iter().map(by_id).collect());
        self.config.published.publish(Arc::clone(&self.by_id));
        self.loaded_at = now;
    }
}

fn of_breach(Breach { field, message, hint }: Breach) -> RegistryError {
    RegistryError::draft(field, message, hint)
}

/// The content of the files.
struct Files {
    catalogue: Arc<Catalogue>,
    document: RegistryDocument,
    on_disk: Option<Digest>,
}

fn read(config: &RegistryConfig) -> Result<Files, RegistryError> {
    let catalogue =
        own_profiles::load(&config.profiles_dir).map_err(|error| RegistryError::Profile(Arc::new(error)))?;
    let text = text_of(config)?;
    let document = match &text {
        Some(text) => parse(text, config, &catalogue)?,
        None => RegistryDocument::new(),
    };
    Ok(Files { catalogue: Arc::new(catalogue), document, on_disk: text.as_deref().map(digest) })
}

/// The text of the registry file; `None` if there is none.
fn text_of(config: &RegistryConfig) -> Result<Option<String>, RegistryError> {
    match files::read_private(&config.file, REGISTRY_FILE_BYTES_MAX) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes);
            let problem = || format!("`{}` is not UTF-8; write it as UTF-8 text", config.file.display());
            text.map(Some).map_err(|_| RegistryError::Unfit { problem: problem() })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(RegistryError::Unfit { problem: error.to_string() })
        }
        Err(error) => Err(io_error(config, error.to_string())),
    }
}

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// The error for a file that could not be replaced. One that is a mount of its own can never be.
pub(super) fn not_replaced(config: &RegistryConfig, error: &io::Error) -> RegistryError {
    if error.kind() != ErrorKind::ResourceBusy {
        return io_error(config, error.to_string());
    }
    let remedy =
        "edit it where it is mounted from, then run `palyra system reload`; or mount only its folder";
    let problem =
        format!("`{}` is mounted by itself and cannot be replaced; {remedy}", config.file.display());
    RegistryError::Unfit { problem }
}

fn io_error(config: &RegistryConfig, problem: String) -> RegistryError {
    RegistryError::Io { file: config.file.display().to_string(), problem }
}

fn parse(
    text: &str,
    config: &RegistryConfig,
    catalogue: &Catalogue,
) -> Result<RegistryDocument, RegistryError> {
    let file = config.file.display().to_string();
    let checks = Checks { file: &file, catalogue, payload_bytes_cap: config.payload_bytes_cap };
    RegistryDocument::parse(text, &checks)
}

fn file_name(config: &RegistryConfig) -> String {
    let file = &config.file;
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

fn changes(before: &ById, after: &ById) -> Changes {
    let mut changes = Changes::default();
    for (id, integration) in after {
        match before.get(id) {
            None => changes.added.push(id.clone()),
            Some(old) if old.record != integration.record => changes.changed.push(id.clone()),
            Some(_) => {}
        }
    }
    changes.removed = before.keys().filter(|id| !after.contains_key(*id)).cloned().collect();
    for list in [&mut changes.added, &mut changes.changed, &mut changes.removed] {
        list.sort();
    }
    changes
}
