//! Promises of the vault resolver.

mod age_format;
mod cache;
mod pins;
mod record;
mod reference;
mod resolver;
mod store;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::*;
use crate::clock::ManualClock;
use crate::journal::SystemEvent;
use crate::secret::Secret;

/// A value that must not show up in any text.
const CANARY: &str = "canary-8d1f2c";

fn vault_ref(text: &str) -> VaultRef {
    VaultRef::parse(text).unwrap()
}

fn secret(value: &str) -> Secret {
    Secret::new(value.as_bytes().to_vec())
}

fn private_folder() -> TempDir {
    let ours_alone = Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(ours_alone).tempdir().unwrap()
}

fn config(folder: &Path) -> VaultConfig {
    VaultConfig { dir: folder.to_owned(), pins: folder.join("pins") }
}

fn open_store(folder: &Path) -> Store {
    Store::open(config(folder), ManualClock::at(1_000)).unwrap()
}

/// Versions and values, newest first.
fn values(versions: &SecretVersions) -> Vec<(u32, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    versions.iter().map(|v| (v.version, text(v.secret.expose()))).collect()
}

fn current(versions: &SecretVersions) -> String {
    values(versions).swap_remove(0).1
}

/// Everything a person or a log may be shown of an error.
fn all_texts(error: &VaultError) -> String {
    format!("{error} {error:?} {}", error.hint())
}

/// A journal that records events, or refuses them.
#[derive(Default)]
struct Recorder {
    events: Mutex<Vec<SystemEvent>>,
    refuses: bool,
    /// When set, events are recorded only once this is given permits.
    gate: Option<Arc<tokio::sync::Semaphore>>,
}

impl Recorder {
    fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }
}

/// The journal as the vault sees it.
struct Shared(Arc<Recorder>);

impl Audit for Shared {
    fn record(
        &self,
        event: SystemEvent,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
        let recorder = Arc::clone(&self.0);
        Box::pin(async move {
            if let Some(gate) = &recorder.gate {
                gate.acquire().await.unwrap().forget();
            }
            if recorder.refuses {
                return Err("the journal is poisoned".to_owned());
            }
            recorder.events.lock().unwrap().push(event);
            Ok(())
        })
    }
}
