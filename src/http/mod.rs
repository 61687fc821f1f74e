//! The front door: turns HTTP requests into messages to the actors, and their answers into responses.
//!
//! [`ingress`] is the path of a delivery, [`console`] the admin API, [`health`] what a load balancer asks.
//! Both listeners share one [`Gate`]; nothing here keeps state of its own beyond counters and permits.

pub mod admission;
pub mod body;
pub mod connection;
pub mod console;
pub mod counters;
pub mod delivery;
pub mod health;
pub mod ingress;
pub mod problem;
pub mod refusals;
pub mod throttle;
pub mod under_way;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::{Method, Uri};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use palyra_actors::clock::{SharedClock, UnixMs};
use tokio::sync::{Mutex, Semaphore};

use crate::daemon::actors::Actors;
use crate::daemon::readiness::LastLook;
use crate::daemon::verification::VerificationStatus;
use crate::published_keys::PublishedKeys;
use crate::settings::Settings;
use admission::Admission;
use connection::limits::Connections;
use counters::Counters;
use delivery::cause::Cause;
use ingress::{Delivery, Head};
use problem::{Kind, Problem};
use refusals::Refusals;
use throttle::{BAD_SIGNATURES_WINDOW, COMPLAINTS_SPAN, Peer, Rates};
use under_way::UnderWay;

/// Event streams open at a time; one more is answered 503.
const STREAMS_MAX: usize = 32;
/// Captured deliveries that are tried out at a time, each on a thread of its own; one more waits for its turn.
const TRIALS_MAX: usize = 4;

/// What every request handler is given.
pub struct Gate {
    /// The doors of the actors.
    pub actors: Actors,
    /// What the daemon runs with.
    pub settings: Settings,
    /// The time.
    pub clock: SharedClock,
    /// Permits.
    pub admission: Admission,
    /// Counts.
    pub counters: Counters,
    /// Refusals of late that left no row.
    pub refusals: Refusals,
    /// Bad signatures by peer.
    pub bad_signatures: Rates<Peer>,
    /// What throttles refused, by peer and integration.
    pub throttled: Rates<(Option<Peer>, String)>,
    /// Wrong tokens of the console by peer.
    pub bad_tokens: Rates<Peer>,
    /// What the log was told of deliveries that could not be taken in, by integration and by what was missing.
    pub complaints: Rates<(String, Cause)>,
    /// Unsigned deliveries by integration.
    pub unsigned: Rates<String>,
    /// Keys that providers publish.
    pub published: PublishedKeys,
    /// What is known of the journal as a whole.
    pub verification: VerificationStatus,
    /// Whether it was ready when somebody last asked.
    pub readiness: health::Verdict,
    /// How the integrations were when they were looked at last.
    pub last_look: LastLook,
    /// Open connections of the ingress.
    pub ingress_connections: Connections,
    /// Open connections of the console.
    pub console_connections: Connections,
    /// Places for event streams.
    pub streams: Arc<Semaphore>,
    /// Changes that are made to their end.
    pub under_way: UnderWay,
    /// Held by the one change of registry or vault that is being made: what it found out is so until it is made.
    pub changing: Mutex<()>,
    /// The place for a verification that the console is asked for.
    pub verifying: Arc<Semaphore>,
    /// The places for captured deliveries that are tried out.
    pub trials: Arc<Semaphore>,
    /// Set once the daemon is told to stop.
    pub stopping: AtomicBool,
    /// When it began to serve.
    pub started_at: UnixMs,
    /// Where it serves.
    pub addresses: Addresses,
}

/// The base URLs of the two listeners; the ingress is empty when there is none.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// `http://ADDR:PORT` of the ingress.
    pub ingress: String,
    /// `http://ADDR:PORT` of the console.
    pub console: String,
}

impl Addresses {
    /// The base URL under which programs on this machine reach the ingress: where it listens on all addresses, on loopback.
    fn local_ingress(&self) -> Option<String> {
        let bound: SocketAddr = self.ingress.strip_prefix("http://")?.parse().ok()?;
        let ip = match bound.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        Some(format!("http://{}", SocketAddr::new(ip, bound.port())))
    }
}

impl Gate {
    /// The gate of a daemon that serves at `addresses`, on the thread of its system.
    pub fn new(actors: Actors, settings: Settings, clock: SharedClock, addresses: Addresses) -> Arc<Self> {
        Arc::new(Self {
            actors,
            admission: Admission::new(
                settings.in_flight_max,
                settings.in_flight_bytes_max,
                usize::try_from(settings.payload_bytes_cap).unwrap_or(usize::MAX),
            ),
            counters: Counters::default(),
            refusals: Refusals::default(),
            bad_signatures: Rates::per(BAD_SIGNATURES_WINDOW),
            throttled: Rates::per(BAD_SIGNATURES_WINDOW),
            bad_tokens: Rates::per(BAD_SIGNATURES_WINDOW),
            complaints: Rates::per(COMPLAINTS_SPAN),
            unsigned: Rates::per(std::time::Duration::from_secs(1)),
            published: PublishedKeys::new(settings.key_trust.clone()),
            verification: VerificationStatus::default(),
            last_look: LastLook::default(),
            readiness: health::Verdict::default(),
            ingress_connections: Connections::default(),
            console_connections: Connections::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            under_way: UnderWay::on_this_thread(),
            changing: Mutex::default(),
            verifying: Arc::new(Semaphore::new(1)),
            trials: Arc::new(Semaphore::new(TRIALS_MAX)),
            stopping: AtomicBool::new(false),
            started_at: clock.now_unix_ms(),
            settings,
            clock,
            addresses,
        })
    }

    /// What a sender of an integration posts to: a URL behind `public_url`, else a bare path, for under which address the
    /// ingress is reached from elsewhere is not known.
    pub fn hook_url(&self, id: &str) -> String {
        let front = self.settings.public_url.as_deref().unwrap_or_default();
        format!("{front}/hooks/{id}")
    }

    /// Where programs on this machine post to it; `None` where there is no ingress.
    pub fn local_url(&self, id: &str) -> Option<String> {
        self.addresses.local_ingress().map(|ingress| format!("{ingress}/hooks/{id}"))
    }

    /// The URL as the ingress takes it to be signed: with TLS in front of it.
    pub fn signed_url(&self, id: &str) -> String {
        match self.settings.public_url {
            Some(_) => self.hook_url(id),
            None => self.addresses.ingress.replacen("http://", "https://", 1) + &self.hook_url(id),
        }
    }

    /// The answer that refuses a delivery, counted: under `id` only if that is an integration in force, for a stranger
    /// may ask for any.
    fn refuse(&self, id: &str, problem: &Problem) -> HttpResponse {
        let is_in_force = self.actors.integrations.lookup(id).is_some();
        self.counters.count(if is_in_force { id } else { counters::NONE }, problem.kind().entry().1);
        problem.error_response()
    }

    /// Event streams that are open.
    pub fn open_streams(&self) -> usize {
        STREAMS_MAX.saturating_sub(self.streams.available_permits())
    }

    /// Whether the daemon was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// The routes of the ingress. A hook is found by hand: a pattern would be a regular expression for every delivery.
pub fn ingress_routes(config: &mut ServiceConfig) {
    config.configure(health::routes).default_service(web::to(hook));
}

async fn hook(request: HttpRequest, payload: Payload, gate: Data<Gate>) -> HttpResponse {
    let Some(id) = hook_id(request.uri()) else {
        return nothing_here().await;
    };
    let delivery = Delivery { gate: &gate, head: Head::of(&request), id: id.to_owned() };
    let answered = match *request.method() {
        Method::POST => ingress::deliver(&delivery, payload).await,
        _ => delivery::handshake::greet(&delivery).await,
    };
    answered.unwrap_or_else(|problem| gate.refuse(&delivery.id, &delivery.kept(problem)))
}

/// The integration that is asked for: whatever stands behind `/hooks/`, as it was sent. An id has nothing in it that would
/// have to be encoded, so what is encoded, or goes on behind an id, is one of nobody.
fn hook_id(uri: &Uri) -> Option<&str> {
    match uri.path().strip_prefix("/hooks")? {
        "" => Some(""),
        below => below.strip_prefix('/'),
    }
}

async fn nothing_here() -> HttpResponse {
    Problem::new(Kind::NotFound).error_response()
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
