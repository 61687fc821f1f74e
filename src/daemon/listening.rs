//! The two listeners of a daemon, and the servers behind them.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_rt::task::JoinHandle;
use actix_server::{Server, ServerHandle};
use anyhow::Context as _;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::service::Addresses;

/// Connections that may wait to be accepted, for each listener; the kernel may allow fewer (`net.core.somaxconn`).
const BACKLOG_CONNECTIONS: i32 = 1_024;

/// Addresses that are bound but not served yet.
pub struct Bound {
    /// The ingress; `None` for the console of a command.
    pub ingress: Option<TcpListener>,
    pub console: TcpListener,
}

impl Bound {
    /// Binds the addresses.
    ///
    /// # Errors
    /// Which address cannot be bound, and the error of the system.
    pub fn to(ingress: Option<SocketAddr>, console: SocketAddr) -> anyhow::Result<Self> {
        let ingress = ingress.map(|address| listen(address, "ingress")).transpose()?;
        Ok(Self { ingress, console: listen(console, "console")? })
    }

    /// The base URLs.
    ///
    /// # Errors
    /// The error of the system.
    pub fn addresses(&self) -> anyhow::Result<Addresses> {
        let ingress = self.ingress.as_ref().map(base_url).transpose()?.unwrap_or_default();
        Ok(Addresses { ingress, console: base_url(&self.console)? })
    }
}

fn listen(address: SocketAddr, what: &str) -> anyhow::Result<TcpListener> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("the {what} cannot listen on {address}"))?;
    // The standard library sets a backlog of 128. A burst of senders exceeds that, and those left over are delayed by a
    // second.
    rustix::net::listen(&listener, BACKLOG_CONNECTIONS)?;
    Ok(listener)
}

fn base_url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// The running servers.
pub struct Listeners(Vec<Listener>);

struct Listener {
    name: &'static str,
    handle: ServerHandle,
    server: JoinHandle<std::io::Result<()>>,
}

impl Listeners {
    /// Runs the servers.
    pub fn run(ingress: Option<Server>, console: Server) -> Self {
        let servers = ingress.map(|server| ("ingress", server)).into_iter().chain([("console", console)]);
        let run = |(name, server): (_, Server)| Listener {
            name,
            handle: server.handle(),
            server: actix_rt::spawn(server),
        };
        Self(servers.map(run).collect())
    }

    /// Waits until a server ends, which none does unasked as long as all is well. Returns its name.
    pub async fn ended(&mut self) -> &'static str {
        let ends = self.0.iter_mut().map(|listener| {
            Box::pin(async {
                let how = (&mut listener.server).await;
                tracing::error!(listener = listener.name, ?how, "a listener stopped serving");
                listener.name
            })
        });
        futures_util::future::select_all(ends).await.0
    }

    /// Stops accepting connections, and waits until all accepted requests are answered.
    pub async fn stop(&self) {
        join_all(self.0.iter().map(|listener| listener.handle.stop(true))).await;
    }

    /// As [`Listeners::stop`], but closes what is still open after `patience`. Returns whether all was finished by then.
    pub async fn stop_within(self, patience: Duration) -> bool {
        let is_finished = timeout(patience, self.stop()).await.is_ok();
        for Listener { server, .. } in self.0 {
            // A server that waits for its connections handles no other command; dropping it closes them.
            if !server.is_finished() {
                server.abort();
                drop(server.await);
            }
        }
        is_finished
    }
}
