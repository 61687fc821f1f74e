//! Why a daemon ends, and with which exit code.

use palyra_actors::clock::NoHttpDate;
use palyra_actors::journal::{Severity, SystemEvent};
use palyra_actors::supervision::Escalation;

use crate::exit::Exit;

/// Why the daemon stops.
pub enum End {
    /// It was asked to.
    Asked,
    /// The supervisor gave up.
    Escalated(Escalation),
    /// The supervisor itself failed: the reason.
    Unsupervised(String),
    /// A listener ended by itself: its name.
    Unserved(&'static str),
    /// The clock stands before 1970 or after 9999. The clock task of actix-http ends then, and every later request would
    /// count as late.
    Untimely(NoHttpDate),
}

impl End {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Asked => Exit::Ok,
            Self::Escalated(_) | Self::Unsupervised(_) | Self::Unserved(_) | Self::Untimely(_) => {
                Exit::Internal
            }
        }
    }

    /// Why the daemon cannot continue; `None` after a requested stop.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Asked => None,
            Self::Escalated(why) => Some(why.to_string()),
            Self::Unsupervised(why) => Some(format!("the supervisor of the actors ended: {why}")),
            Self::Unserved(listener) => Some(format!("the {listener} listener ended")),
            Self::Untimely(wrong) => Some(wrong.to_string()),
        }
    }

    /// The last event of the daemon.
    pub fn event(&self) -> SystemEvent {
        match self.fault() {
            None => SystemEvent::new("system.daemon.stopped", "the daemon stopped as requested"),
            Some(why) => SystemEvent::new("system.daemon.stopped", "the daemon stopped because of a fault")
                .severity(Severity::Error)
                .detail("why", why),
        }
    }
}
