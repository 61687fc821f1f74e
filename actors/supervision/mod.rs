//! What the five actors share: doors that survive a restart, the death watch and presence.

mod door;
mod watch;

use actix::Message;

pub use door::{Door, DoorError};
pub use watch::{Exit, Exited, WatchGuard};

/// Asks an actor to finish what it holds and stop. Answered when it has.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Close;
