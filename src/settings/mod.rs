//! Turns flags and `palyra.toml` into validated [`Settings`], with defaults for what is left out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use palyra_actors::files;
use palyra_actors::limits::{PAYLOAD_BYTES_CAP_DEFAULT, REPLAY_WINDOW_SECONDS_DEFAULT};
use serde::Deserialize;

use crate::published_keys::Trust;
use fields::{CONSOLE_PORT_DEFAULT, FIELDS, Form, INGRESS_PORT_DEFAULT};
use origin::Origin;
use source::Source;

mod anchor;
mod fields;
mod origin;
mod source;

pub use origin::Since;

const SETTINGS_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Largest `key_roots_file`: several times the size of the root certificates of the web PKI.
const KEY_ROOTS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Default limit for body bytes in flight: room for two bodies of the highest possible cap.
const IN_FLIGHT_BYTES_MAX_DEFAULT: usize = 64 * 1024 * 1024;

/// The settings the daemon runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address on which deliveries are accepted. Default 127.0.0.1:7142.
    pub ingress: SocketAddr,
    /// The base URL by which senders reach the ingress, such as `https://your.host`; needed for providers that sign the URL.
    /// Default: `https` and the `Host` of the request.
    pub public_url: Option<String>,
    /// The address of the admin API. Default 127.0.0.1:7143.
    pub console: SocketAddr,
    /// Worker threads of the ingress. Default: one per processor.
    pub workers: usize,
    /// Most deliveries in flight; more are answered 503. Default 1,024.
    pub in_flight_max: usize,
    /// Most body bytes in flight; more are answered 503. At least `payload_bytes_cap`. Default 64 MiB.
    pub in_flight_bytes_max: usize,
    /// From the connection to the last byte of the head; later is answered 408. Default 5 s.
    pub head_deadline: Duration,
    /// From the head to the last byte of the body; later is answered 408. Default 10 s. When unfinished bodies have used up
    /// their share of the deliveries in flight, slow ones are cancelled sooner.
    pub body_deadline: Duration,
    /// Time after which an idle connection is closed, and one that accepts none of its answers. Default 15 s.
    pub idle_deadline: Duration,
    /// Time a delivery may wait for the actors before it is answered 503. Default 10 s.
    pub answer_deadline: Duration,
    /// Time to finish the work in flight at a stop. Default 25 s.
    pub drain_deadline: Duration,
    /// Upper limit for the `max_payload_bytes` of every integration.
    pub payload_bytes_cap: u64,
    /// Replay window, in seconds, of integrations that set none.
    pub replay_window_seconds: u64,
    /// Interval of the heartbeat events. Default 300 s.
    pub heartbeat_interval: Duration,
    /// The folder of the journal's anchor. Default: `anchor` in the state root.
    pub anchor_dir: Option<PathBuf>,
    /// Whether to accept a journal that is behind its anchor, for this start only.
    pub accept_rollback: bool,
    /// The authorities that fetched keys of providers are checked against. Default: the root certificates of the web PKI.
    pub key_trust: Trust,
    /// Whether to log JSON lines: with `--json`, or if the file says so.
    pub log_json: bool,
    /// Whether to print the ready line as JSON: with `--json`.
    pub ready_json: bool,
    /// Why the daemon must not serve its console at that address, if it must not.
    console_fault: Option<SettingsError>,
    origin: Origin,
}

/// The contents of `palyra.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    ingress: Option<SocketAddr>,
    public_url: Option<String>,
    console: Option<SocketAddr>,
    console_allow_remote: Option<bool>,
    workers: Option<usize>,
    in_flight_max: Option<usize>,
    in_flight_bytes_max: Option<usize>,
    head_deadline_seconds: Option<u64>,
    body_deadline_seconds: Option<u64>,
    idle_deadline_seconds: Option<u64>,
    answer_deadline_seconds: Option<u64>,
    drain_deadline_seconds: Option<u64>,
    payload_bytes_cap: Option<u64>,
    replay_window_seconds: Option<u64>,
    heartbeat_interval_seconds: Option<u64>,
    anchor_dir: Option<PathBuf>,
    key_roots_file: Option<PathBuf>,
    log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LogFormat {
    Text,
    Json,
}

/// Settings given on the command line; they override the file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// `--ingress`.
    pub ingress: Option<SocketAddr>,
    /// `--console`.
    pub console: Option<SocketAddr>,
    /// `--accept-rollback`.
    pub accept_rollback: bool,
    /// `--json`.
    pub json: bool,
}

/// A setting that cannot be used: where it is, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}{message}")]
pub struct SettingsError {
    place: String,
    message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SettingsError {
    fn new(message: impl Into<String>, hint: &str) -> Self {
        Self { place: String::new(), message: message.into(), hint: Some(hint.to_owned()) }
    }
}

/// A value that cannot be used, and its field.
struct Misused {
    field: &'static str,
    error: SettingsError,
}

impl Misused {
    fn of(field: &'static str, message: String, hint: &str) -> Self {
        Self { field, error: SettingsError::new(message, hint) }
    }

    /// Adds the place in the file.
    fn located(self, source: &Source<'_>) -> SettingsError {
        SettingsError { place: source.place_of(self.field), ..self.error }
    }
}

impl Settings {
    /// Reads `palyra.toml` (a missing file means defaults) and applies `flags` over it. Relative paths are relative to the
    /// folder of the file.
    ///
    /// # Errors
    /// The first setting that cannot be used, with its line and column in the file.
    pub fn load(file: &Path, flags: Flags) -> Result<Self, SettingsError> {
        let text = match files::read_private(file, SETTINGS_FILE_BYTES_MAX) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| {
                SettingsError::new(format!("{} is not UTF-8", file.display()), "write it as UTF-8 text")
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            // The message already says what to do.
            Err(error) => {
                return Err(SettingsError { place: String::new(), message: error.to_string(), hint: None });
            }
        };
        Self::parse(&Source { file, text: &text }, flags)
    }

    /// Refuses addresses that no daemon may or can serve: a console beyond loopback that was not asked for, and the same
    /// address for both listeners. Commands listen on neither.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check_addresses(&self) -> Result<(), SettingsError> {
        if let Some(fault) = &self.console_fault {
            return Err(fault.clone());
        }
        if !is_one_address(self.ingress, self.console) {
            return Ok(());
        }
        Err(SettingsError::new(
            format!(
                "ingress and console are both set to the same address, {} and {}",
                self.ingress, self.console
            ),
            "give one of them another port, with `--ingress` or `--console`, or in palyra.toml",
        ))
    }

    /// Refuses an `anchor_dir` that is not a writable folder private to this user. A missing one is created by a start.
    ///
    /// # Errors
    /// What is wrong with it, with line and column of the setting.
    pub fn check_anchor_dir(&self) -> Result<(), SettingsError> {
        let root = self.origin.file.parent().unwrap_or(Path::new("/"));
        let Some((folder, problem)) =
            self.anchor_dir.as_deref().and_then(|dir| Some((dir, anchor::problem(dir, root)?)))
        else {
            return Ok(());
        };
        let message = format!("anchor_dir `{}` {problem}", folder.display());
        let hint = "name a separate folder that only the daemon's user can access (mode 700); it is created if it is missing";
        Err(SettingsError { place: self.origin.anchor_place.clone(), ..SettingsError::new(message, hint) })
    }

    fn parse(source: &Source<'_>, flags: Flags) -> Result<Self, SettingsError> {
        let folder = source.file.parent().unwrap_or(Path::new("/"));
        let mut file: SettingsFile = toml::from_str(source.text).map_err(|error| source.told(&error))?;
        file.anchor_dir = file.anchor_dir.map(|path| folder.join(path));
        file.key_roots_file = file.key_roots_file.map(|path| folder.join(path));
        check_ranges(source.text).and_then(|()| file.check()).map_err(|misused| misused.located(source))?;
        let key_trust = file.key_trust(folder).map_err(|misused| misused.located(source))?;
        Ok(file.complete(key_trust, source, flags))
    }
}

impl SettingsFile {
    fn complete(&self, key_trust: Trust, source: &Source<'_>, flags: Flags) -> Settings {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let seconds = |value: Option<u64>, default| Duration::from_secs(value.unwrap_or(default));
        let console = flags.console.or(self.console).unwrap_or_else(|| loopback(CONSOLE_PORT_DEFAULT));
        Settings {
            ingress: flags.ingress.or(self.ingress).unwrap_or_else(|| loopback(INGRESS_PORT_DEFAULT)),
            public_url: self.public_url.clone(),
            console,
            workers: self.workers.unwrap_or_else(processors),
            in_flight_max: self.in_flight_max.unwrap_or(1_024),
            in_flight_bytes_max: self.in_flight_bytes_max(),
            head_deadline: seconds(self.head_deadline_seconds, 5),
            body_deadline: seconds(self.body_deadline_seconds, 10),
            idle_deadline: seconds(self.idle_deadline_seconds, 15),
            answer_deadline: seconds(self.answer_deadline_seconds, 10),
            drain_deadline: seconds(self.drain_deadline_seconds, 25),
            payload_bytes_cap: self.payload_bytes_cap(),
            replay_window_seconds: self.replay_window_seconds.unwrap_or(REPLAY_WINDOW_SECONDS_DEFAULT),
            heartbeat_interval: seconds(self.heartbeat_interval_seconds, 300),
            anchor_dir: self.anchor_dir.clone(),
            accept_rollback: flags.accept_rollback,
            key_trust,
            log_json: flags.json || self.log_format == Some(LogFormat::Json),
            ready_json: flags.json,
            console_fault: self.console_fault(console, source, flags),
            origin: Origin::of(source, flags),
        }
    }

    fn console_fault(&self, console: SocketAddr, source: &Source<'_>, flags: Flags) -> Option<SettingsError> {
        if console.ip().is_loopback() || self.console_allow_remote.unwrap_or(false) {
            return None;
        }
        let misused = Misused::of(
            "console",
            format!("the console would listen on {console}, which is not a loopback address, without TLS"),
            "keep it on 127.0.0.1, or set `console_allow_remote = true` in palyra.toml behind a TLS proxy",
        );
        Some(if flags.console.is_some() { misused.error } else { misused.located(source) })
    }

    fn check(&self) -> Result<(), Misused> {
        self.check_public_url()?;
        self.check_room()
    }

    /// The largest body must fit into the bytes in flight, or it could never be accepted.
    fn check_room(&self) -> Result<(), Misused> {
        let (cap, room) = (self.payload_bytes_cap(), self.in_flight_bytes_max());
        if usize::try_from(cap).is_ok_and(|cap| cap <= room) {
            return Ok(());
        }
        // The default of each setting fits every value of the other, so both must have been set in the file.
        Err(Misused::of(
            "in_flight_bytes_max",
            format!("in_flight_bytes_max is {room}, below payload_bytes_cap, which is {cap}"),
            "raise in_flight_bytes_max to payload_bytes_cap or above, or lower payload_bytes_cap",
        ))
    }

    fn payload_bytes_cap(&self) -> u64 {
        self.payload_bytes_cap.unwrap_or(PAYLOAD_BYTES_CAP_DEFAULT)
    }

    fn in_flight_bytes_max(&self) -> usize {
        self.in_flight_bytes_max.unwrap_or(IN_FLIGHT_BYTES_MAX_DEFAULT)
    }
}

impl SettingsFile {
    fn key_trust(&self, folder: &Path) -> Result<Trust, Misused> {
        let Some(path) = &self.key_roots_file else { return Ok(Trust::web()) };
        let refused = |why: &str| {
            let message = format!("key_roots_file `{}` {why}", path.display());
            let hint = "name a PEM file with certificates of certificate authorities, or leave out the field";
            Misused::of("key_roots_file", message, hint)
        };
        let bytes = read_roots(path, folder).map_err(|error| refused(&format!("cannot be read: {error}")))?;
        Trust::from_pem(&bytes).ok_or_else(|| refused("contains no readable certificate"))
    }

    fn check_public_url(&self) -> Result<(), Misused> {
        let Some(url) = &self.public_url else { return Ok(()) };
        let host = url.strip_prefix("https://").or(url.strip_prefix("http://")).unwrap_or_default();
        if host.is_empty() || host.starts_with('/') || host.ends_with('/') || host.contains(['?', '#', ' ']) {
            return Err(Misused::of(
                "public_url",
                format!("public_url is `{url}`, which is not a URL that a path can be appended to"),
                "write it as `https://your.host`, without a slash at the end",
            ));
        }
        Ok(())
    }
}

/// Checks every number in the file against the bounds of its setting.
fn check_ranges(text: &str) -> Result<(), Misused> {
    let values: toml::Table = text.parse().unwrap_or_default();
    for (field, form) in FIELDS {
        let Form::Number { least, most } = form else { continue };
        let Some(value) = values.get(field).and_then(toml::Value::as_integer) else { continue };
        if !u64::try_from(value).is_ok_and(|value| (least..=most).contains(&value)) {
            return Err(Misused::of(
                field,
                format!("{field} is {value}, which is not within {least} to {most}"),
                "choose a value within these bounds, or leave out the field to use the default",
            ));
        }
    }
    Ok(())
}

/// Whether a listener on one prevents a listener on the other. Port 0 picks a free port and never conflicts.
fn is_one_address(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
    let (a, b) = (one.ip(), other.ip());
    one.port() != 0 && one.port() == other.port() && (a == b || covers(a, b) || covers(b, a))
}

/// A file inside the state root must satisfy the rules for everything that is read there.
fn read_roots(path: &Path, folder: &Path) -> std::io::Result<Vec<u8>> {
    if path.starts_with(folder) {
        files::read_private(path, KEY_ROOTS_BYTES_MAX)
    } else {
        files::read_public(path, KEY_ROOTS_BYTES_MAX)
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests;
