//! `palyra daemon --check`: reports what the next start would report about the configuration. It takes no lock, changes
//! nothing and opens no listener, so it works beside a running daemon.

use palyra_actors::clock::{Clock as _, SystemClock};
use palyra_actors::journal::JournalReader;
use palyra_actors::limits::PAYLOAD_BYTES_CAP_MAX;
use palyra_actors::registry::{InForce, Registry, RegistryConfig, RegistryError};
use serde_json::{Value, json};

use crate::cli::{CliError, Output};
use crate::connect;
use crate::daemon::registry_file;
use crate::exit::Exit;
use crate::settings::{Flags, Settings};
use crate::state_root::{StateRoot, StateRootError};

/// Reads what a start would read and reports the result.
///
/// # Errors
/// What would make a start fail, with file, line and field: the first fault of the state root, of the settings, and of the
/// registry with its profiles.
pub fn check(root: &StateRoot, flags: Flags, out: &Output) -> Result<Exit, CliError> {
    if root.is_bare().map_err(connect::refused)? {
        connect::check_clock()?;
        connect::check_open_files()?;
        root.check_place().map_err(connect::refused)?;
        read_settings(root, flags)?;
        out.done(&json!({"ok": true, "state_root": root.path()}), &begins(root))?;
        return Ok(Exit::Ok);
    }
    let settings = read_settings(root, flags);
    let registry = open_registry(root, settings.as_ref().ok());
    let process = connect::check_clock().and_then(|()| connect::check_open_files());
    let anchor_dir = settings.as_ref().ok().and_then(|settings| settings.anchor_dir.as_deref());
    let looked = root.check(anchor_dir);
    match (process, looked, settings, registry) {
        (Ok(()), Ok(open_mode), Ok(settings), Ok(registry)) => {
            if let Some(mode) = open_mode {
                warn_of_open(root, mode, out);
            }
            let document = document(root, &settings, &registry);
            out.done(&document, &sentence(&document))?;
            Ok(Exit::Ok)
        }
        (process, looked, settings, registry) => {
            let told = looked.as_ref().err().and_then(unsafe_entry);
            let is_new = |fault: &CliError| told.as_ref().is_none_or(|told| !fault.message.contains(told));
            let read = [settings.err(), registry.err()].into_iter().flatten().filter(is_new);
            let looked = looked.map_err(connect::refused).err();
            Err(all_of([process.err(), looked].into_iter().flatten().chain(read).collect()))
        }
    }
}

/// Warns of a state root that others can list or enter, because a start changes its mode.
fn warn_of_open(root: &StateRoot, mode: u32, out: &Output) {
    let path = root.path().display();
    let told =
        format!("`{path}` is open to other users (mode {mode:03o}); the next start changes its mode to 700");
    out.warn(&told, &format!("run `chmod 700 {path}` to close it now"));
}

/// The file of the state root that others can access, if that is the error: reading the same file reports it too.
fn unsafe_entry(error: &StateRootError) -> Option<String> {
    match error {
        StateRootError::Unsafe { path, .. } => Some(format!("`{}`", path.display())),
        _ => None,
    }
}

fn read_settings(root: &StateRoot, flags: Flags) -> Result<Settings, CliError> {
    let settings = Settings::load(&root.settings_file(), flags).map_err(connect::misconfigured)?;
    settings.check_addresses().map_err(connect::misconfigured)?;
    settings.check_anchor_dir().map_err(connect::misconfigured)?;
    Ok(settings)
}

/// If the settings cannot be read, its integrations are checked against the highest possible cap.
fn open_registry(root: &StateRoot, settings: Option<&Settings>) -> Result<Registry, CliError> {
    let config = RegistryConfig {
        file: root.registry_file(),
        profiles_dir: root.profiles_dir(),
        payload_bytes_cap: settings.map_or(PAYLOAD_BYTES_CAP_MAX, |settings| settings.payload_bytes_cap),
        published: InForce::default(),
    };
    let refused = |error: RegistryError| connect::not_started(&error.into());
    let registry = Registry::open(config, SystemClock.now_unix_ms()).map_err(refused)?;
    let database = root.journal_files(None).database;
    // A journal that cannot be opened is not a fault of the configuration and is ignored here. One that opens but cannot be
    // read to its end is not: whether the file was lost is not known then.
    if let Ok(journal) = JournalReader::open(&database) {
        registry_file::refuse_if_lost(root, &journal).map_err(|error| connect::not_started(&error))?;
    }
    Ok(registry)
}

/// A single fault as a start would print it; several faults, one per line.
fn all_of(mut faults: Vec<CliError>) -> CliError {
    if faults.len() == 1 {
        return faults.remove(0);
    }
    let told = |fault: CliError| match fault.hint {
        Some(hint) => format!("{}; {hint}", fault.message),
        None => fault.message,
    };
    let all = CliError::config(format!("the next start would fail because of {} errors", faults.len()));
    CliError { issues: faults.into_iter().map(told).collect(), ..all }
}

fn begins(root: &StateRoot) -> String {
    format!("ok: nothing is configured at {}; a start would create a state root there", root.path().display())
}

fn document(root: &StateRoot, settings: &Settings, registry: &Registry) -> Value {
    let snapshot = registry.snapshot();
    json!({
        "ok": true,
        "state_root": root.path(),
        "integrations": snapshot.integrations,
        "enabled": snapshot.enabled,
        "profiles": snapshot.profiles,
        "ingress": settings.ingress,
        "console": settings.console,
    })
}

fn sentence(document: &Value) -> String {
    let counted = ["integrations", "enabled", "profiles"]
        .map(|name| format!("{name} {}", document.get(name).unwrap_or(&Value::Null)));
    format!("ok: the next start would accept the configuration ({})", counted.join(", "))
}
