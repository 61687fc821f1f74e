//! The state of a running daemon, shared by both listeners and the background tasks.
//!
//! Each group of fields belongs to one part, so that a handler shows which part it depends on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use palyra_actors::clock::{SharedClock, UnixMs};
use tokio::sync::{Mutex, Semaphore};

use super::actors::Actors;
use super::admission::Admission;
use super::cause::Cause;
use super::connections::Connections;
use super::counters::Counters;
use super::probe::LatestProbe;
use super::readiness::LastLook;
use super::refusals::Refusals;
use super::throttle::{BAD_SIGNATURES_WINDOW, COMPLAINTS_SPAN, Peer};
use super::under_way::UnderWay;
use super::verification::VerificationStatus;
use crate::published_keys::PublishedKeys;
use crate::rates::Rates;
use crate::settings::Settings;

/// Event streams open at a time; one more is answered 503.
const STREAMS_MAX: usize = 32;
/// Captured deliveries that are tried out at a time, each on a thread of its own; one more is queued.
const TRIALS_MAX: usize = 4;

/// The state available to every request handler.
pub struct AppState {
    /// The doors of the actors.
    pub actors: Actors,
    /// The settings in force.
    pub settings: Settings,
    pub clock: SharedClock,
    /// Where the daemon serves, and since when.
    pub serving: Serving,
    /// The limits of deliveries, and the refusals kept in memory.
    pub intake: Intake,
    /// Changes of registry and vault.
    pub changes: Changes,
    /// The limits of the console.
    pub console: ConsoleLimits,
    /// The results of the daemon's own health checks.
    pub health: Health,
    /// Deliveries by integration and answer.
    pub counters: Counters,
}

/// Where the daemon serves, and since when.
pub struct Serving {
    /// The addresses of the listeners.
    pub addresses: Addresses,
    /// When it began to serve.
    pub started_at: UnixMs,
    /// Set once the daemon is asked to stop.
    pub stopping: AtomicBool,
    /// Open connections of the ingress.
    pub ingress_connections: Connections,
    /// Open connections of the console.
    pub console_connections: Connections,
}

/// The limits of deliveries, and the refusals kept in memory.
pub struct Intake {
    /// Permits for deliveries in flight.
    pub admission: Admission,
    /// Keys that providers publish.
    pub published: PublishedKeys,
    /// The latest refusals that left no row.
    pub refusals: Refusals,
    /// Unsigned deliveries by integration.
    pub unsigned: Rates<String>,
    /// Bad signatures by peer.
    pub bad_signatures: Rates<Peer>,
    /// Refusals of throttled peers, by peer and integration.
    pub throttled: Rates<(Option<Peer>, String)>,
    /// Log lines about deliveries that could not be accepted, by integration and cause.
    pub complaints: Rates<(String, Cause)>,
}

/// Changes of registry and vault.
pub struct Changes {
    /// Changes in progress, which are completed even if the client disconnects.
    pub under_way: UnderWay,
    /// Held during a change, so that what it has checked stays true until it is made.
    pub one_at_a_time: Mutex<()>,
}

/// The limits of the console.
pub struct ConsoleLimits {
    /// Wrong tokens by peer.
    pub bad_tokens: Rates<Peer>,
    /// Permits for event streams.
    pub streams: Arc<Semaphore>,
    /// The permit for a verification of the journal.
    pub verifying: Arc<Semaphore>,
    /// Permits for trials of captured deliveries.
    pub trials: Arc<Semaphore>,
}

/// The results of the daemon's own health checks.
#[derive(Default)]
pub struct Health {
    /// The latest verdict on readiness.
    pub probe: LatestProbe,
    /// The result of the verification of the whole journal.
    pub verification: VerificationStatus,
    /// The result of the latest check of the integrations.
    pub last_look: LastLook,
}

/// The base URLs of the two listeners; the ingress is empty when there is none.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// `http://ADDR:PORT` of the ingress.
    pub ingress: String,
    /// `http://ADDR:PORT` of the console.
    pub console: String,
}

impl AppState {
    /// The state of a daemon that serves at `addresses`. Must be called on the thread of the daemon's actix system.
    pub fn new(actors: Actors, settings: Settings, clock: SharedClock, addresses: Addresses) -> Arc<Self> {
        Arc::new(Self {
            actors,
            serving: Serving::new(addresses, clock.now_unix_ms()),
            intake: Intake::new(&settings),
            changes: Changes { under_way: UnderWay::on_this_thread(), one_at_a_time: Mutex::default() },
            console: ConsoleLimits::new(),
            health: Health::default(),
            counters: Counters::default(),
            settings,
            clock,
        })
    }

    /// The address senders of an integration post to: a URL below `public_url`, or only a path without that setting, because
    /// the daemon cannot know under which address others reach the ingress.
    pub fn hook_url(&self, id: &str) -> String {
        let front = self.settings.public_url.as_deref().unwrap_or_default();
        format!("{front}/hooks/{id}")
    }

    /// The URL that programs on this machine post to; `None` if there is no ingress.
    pub fn local_url(&self, id: &str) -> Option<String> {
        self.serving.addresses.local_ingress().map(|ingress| format!("{ingress}/hooks/{id}"))
    }

    /// The URL that senders sign, as the ingress reconstructs it for a delivery to [`AppState::local_url`]: with `https`, as
    /// behind a TLS proxy.
    pub fn signed_url(&self, id: &str) -> String {
        match (&self.settings.public_url, self.local_url(id)) {
            (None, Some(local)) => local.replacen("http://", "https://", 1),
            _ => self.hook_url(id),
        }
    }

    /// Whether the daemon was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.serving.stopping.load(Ordering::Relaxed)
    }
}

impl Serving {
    fn new(addresses: Addresses, started_at: UnixMs) -> Self {
        Self {
            addresses,
            started_at,
            stopping: AtomicBool::new(false),
            ingress_connections: Connections::default(),
            console_connections: Connections::default(),
        }
    }
}

impl Intake {
    fn new(settings: &Settings) -> Self {
        let largest_body_bytes = usize::try_from(settings.payload_bytes_cap).unwrap_or(usize::MAX);
        Self {
            admission: Admission::new(
                settings.in_flight_max,
                settings.in_flight_bytes_max,
                largest_body_bytes,
            ),
            published: PublishedKeys::new(settings.key_trust.clone()),
            refusals: Refusals::default(),
            unsigned: Rates::per(Duration::from_secs(1)),
            bad_signatures: Rates::per(BAD_SIGNATURES_WINDOW),
            throttled: Rates::per(BAD_SIGNATURES_WINDOW),
            complaints: Rates::per(COMPLAINTS_SPAN),
        }
    }
}

impl ConsoleLimits {
    fn new() -> Self {
        Self {
            bad_tokens: Rates::per(BAD_SIGNATURES_WINDOW),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            verifying: Arc::new(Semaphore::new(1)),
            trials: Arc::new(Semaphore::new(TRIALS_MAX)),
        }
    }

    /// Number of open event streams.
    pub fn open_streams(&self) -> usize {
        STREAMS_MAX.saturating_sub(self.streams.available_permits())
    }
}

impl Addresses {
    /// The base URL by which programs on this machine reach the ingress: a loopback address if it listens on all addresses.
    pub fn local_ingress(&self) -> Option<String> {
        let bound: SocketAddr = self.ingress.strip_prefix("http://")?.parse().ok()?;
        let ip = match bound.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        Some(format!("http://{}", SocketAddr::new(ip, bound.port())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ingress_on_all_addresses_is_reached_on_loopback_from_this_machine() {
        let table = [
            ("http://0.0.0.0:7142", Some("http://127.0.0.1:7142")),
            ("http://[::]:7142", Some("http://[::1]:7142")),
            ("http://127.0.0.1:80", Some("http://127.0.0.1:80")),
            ("http://10.0.0.7:7142", Some("http://10.0.0.7:7142")),
            ("", None),
        ];
        for (ingress, expected) in table {
            let addresses = Addresses { ingress: ingress.to_owned(), console: String::new() };
            assert_eq!(addresses.local_ingress().as_deref(), expected, "{ingress}");
        }
    }
}
