//! The lock of a state root that actors write to, and when it is given up.

use std::mem::ManuallyDrop;
use std::ops::Deref;

use crate::state_root::Possession;

/// Exclusive use of a state root until the process ends, unless it is given up before. Whoever drops this gives nothing up:
/// actors that hang, or that nobody waits for any more, may still write.
#[derive(Debug)]
pub struct Held(ManuallyDrop<Possession>);

impl Held {
    /// Holds what `possession` holds.
    pub fn until_the_end(possession: Possession) -> Self {
        Self(ManuallyDrop::new(possession))
    }

    /// Gives the state root up. Nothing of this process may write to it any more.
    pub fn give_up(self) {
        drop(ManuallyDrop::into_inner(self.0));
    }
}

impl Deref for Held {
    type Target = Possession;

    fn deref(&self) -> &Possession {
        &self.0
    }
}

/// How the actors and their threads ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Whether all of them have, and with them whatever may write to the state root.
    pub(super) is_complete: bool,
    /// Whether the journal closed cleanly.
    pub(super) is_journal_well: bool,
}

impl Closed {
    /// The same, if everything else was `finished` too.
    pub fn and(self, finished: bool) -> Self {
        Self { is_complete: self.is_complete && finished, ..self }
    }

    /// Gives the state root up if nothing may write to it any more. Returns whether the journal closed cleanly.
    pub fn give_up(self, held: Held) -> bool {
        if self.is_complete {
            held.give_up();
        }
        self.is_journal_well
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state_root::{Role, StateRoot};

    #[test]
    fn a_state_root_is_free_once_it_is_given_up_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let root = StateRoot::locate(Some(folder.path().join("root")), |_| None).unwrap();
        Held::until_the_end(root.take(Role::Daemon).unwrap()).give_up();
        assert_eq!(root.holder().unwrap(), None);
        Held::until_the_end(root.take(Role::Daemon).unwrap());
        assert!(root.holder().unwrap().is_some());
    }

    #[test]
    fn a_state_root_is_given_up_only_if_nothing_is_left() {
        for (is_complete, is_finished, is_free) in
            [(true, true, true), (true, false, false), (false, true, false), (false, false, false)]
        {
            let folder = tempfile::tempdir().unwrap();
            let root = StateRoot::locate(Some(folder.path().join("root")), |_| None).unwrap();
            let held = Held::until_the_end(root.take(Role::Daemon).unwrap());
            let closed = Closed { is_complete, is_journal_well: true };
            assert!(closed.and(is_finished).give_up(held));
            assert_eq!(root.holder().unwrap().is_none(), is_free, "{is_complete} {is_finished}");
        }
    }
}
