//! Why a daemon ends, and with which exit code.

use palyra_actors::clock::BeforeEpoch;
use palyra_actors::journal::{Severity, SystemEvent};
use palyra_actors::supervision::Escalation;

use crate::exit::Exit;

/// Why the daemon stops.
pub enum End {
    /// It was told to.
    Asked,
    /// The supervisor gave up.
    Escalated(Escalation),
    /// The supervision itself ended: why.
    Unsupervised(String),
    /// A listener ended by itself: which.
    Unserved(&'static str),
    /// What gives HTTP its time ends over such a clock, and no request is in time after that.
    Untimely(BeforeEpoch),
}

impl End {
    /// With which exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Asked => Exit::Ok,
            Self::Escalated(_) | Self::Unsupervised(_) | Self::Unserved(_) | Self::Untimely(_) => {
                Exit::Internal
            }
        }
    }

    /// Why it cannot go on; none where it could.
    pub fn fault(&self) -> Option<String> {
        match self {
            Self::Asked => None,
            Self::Escalated(why) => Some(why.to_string()),
            Self::Unsupervised(why) => Some(format!("the supervisor of the actors ended: {why}")),
            Self::Unserved(listener) => Some(format!("the {listener} listener ended")),
            Self::Untimely(wrong) => Some(wrong.to_string()),
        }
    }

    /// The last row.
    pub fn event(&self) -> SystemEvent {
        match self.fault() {
            None => SystemEvent::new("system.daemon.stopped", "the daemon stopped as requested"),
            Some(why) => SystemEvent::new("system.daemon.stopped", "the daemon stopped because of a fault")
                .severity(Severity::Error)
                .detail("why", why),
        }
    }
}
