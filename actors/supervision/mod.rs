//! What the five actors share: doors that survive a restart, the death watch, the restart policy, presence, and moving
//! blocking work to another thread.

mod away;
mod door;
mod policy;
mod presence;
mod supervisor;
mod watch;

#[cfg(test)]
mod tests;

use actix::Message;

pub(crate) use away::send_away;
pub use door::{Door, DoorError};
pub use policy::{BackOff, Decision, RestartPolicy};
pub use presence::{ActorPresence, ActorState, PresenceBoard};
pub use supervisor::{ActorFactory, Escalation, RestartListener, Supervisor};
pub use watch::{Ended, Exited, WatchGuard};

/// Asks an actor to finish its work and stop. Answered once it has, with how it ended. It may come more than once.
#[derive(Debug, Message)]
#[rtype(result = "Ended")]
pub struct Close;
