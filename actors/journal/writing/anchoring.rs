//! Anchors groups and answers them on a thread of its own, so that the next group is committed meanwhile.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use actix::Recipient;

use super::anchor::Anchor;
use super::group::OwedReplies;
use super::writer::RowOutcome;
use crate::journal::format::row::Head;
use crate::journal::messages::AnchoringEnded;
use crate::journal::{HeadSender, JournalError, tell_of};
use crate::limits::ANCHORED_GROUPS_MAX;

/// The anchor, shared by the writer and the thread.
pub(super) type SharedAnchor = Arc<Mutex<Anchor>>;

/// Records `head` in the anchor; it is synced when this returns.
pub(in crate::journal) fn anchor(shared: &SharedAnchor, head: Head) -> Result<(), String> {
    shared.lock().unwrap_or_else(PoisonError::into_inner).append(head)
}

/// A committed group.
pub(in crate::journal) struct Committed {
    /// The newest event after the commit.
    pub(in crate::journal) head: Head,
    pub(in crate::journal) outcomes: Vec<RowOutcome>,
}

/// The thread and the queue to it.
pub(in crate::journal) struct Anchoring {
    groups: Option<SyncSender<(Committed, OwedReplies)>>,
    thread: Option<JoinHandle<()>>,
}

impl Anchoring {
    /// Starts the thread. It publishes each anchored head in `head`, and notifies `actor` if it fails.
    pub(in crate::journal) fn start(
        shared: SharedAnchor,
        head: HeadSender,
        actor: Recipient<AnchoringEnded>,
    ) -> std::io::Result<Self> {
        let (groups, waiting) = sync_channel(ANCHORED_GROUPS_MAX);
        let work = move || Thread { shared, head, farewell: Farewell(actor) }.run(&waiting);
        let thread = std::thread::Builder::new().name("anchor".to_owned()).spawn(work)?;
        Ok(Self { groups: Some(groups), thread: Some(thread) })
    }

    /// Queues a group; blocks while the queue is full. If the thread has ended, the group is dropped; the thread itself
    /// reports its end.
    pub(in crate::journal) fn hand_over(&self, committed: Committed, replies: OwedReplies) {
        let Some(groups) = &self.groups else { return };
        if let Err(TrySendError::Full(group)) = groups.try_send((committed, replies)) {
            groups.send(group).unwrap_or_default();
        }
    }
}

/// Waits until everything in the queue is anchored and answered.
impl Drop for Anchoring {
    fn drop(&mut self) {
        self.groups = None;
        if let Some(thread) = self.thread.take() {
            fail::fail_point!("journal::wait_for_anchor");
            // A panic was reported by the thread.
            thread.join().unwrap_or_default();
        }
    }
}

struct Thread {
    shared: SharedAnchor,
    head: HeadSender,
    farewell: Farewell,
}

impl Thread {
    fn run(self, waiting: &Receiver<(Committed, OwedReplies)>) {
        while let Ok(first) = waiting.recv() {
            let groups: Vec<_> = std::iter::once(first).chain(waiting.try_iter()).collect();
            self.anchor(groups);
        }
    }

    /// One record, of the newest head, anchors all groups in the queue.
    fn anchor(&self, groups: Vec<(Committed, OwedReplies)>) {
        let Some(head) = groups.iter().map(|(committed, _)| committed.head).max_by_key(|head| head.seq)
        else {
            return;
        };
        fail::fail_point!("journal::before_anchor");
        let anchored = anchor(&self.shared, head);
        fail::fail_point!("journal::after_commit");
        if let Err(reason) = &anchored {
            self.farewell.say(Some(reason.clone()));
        } else {
            tell_of(&self.head, head.seq);
        }
        for (committed, replies) in groups {
            let poisoned = |reason| JournalError::Poisoned { reason };
            replies.answer(anchored.clone().map(|()| committed.outcomes).map_err(poisoned));
        }
    }
}

/// Notifies the actor if the thread fails or panics.
struct Farewell(Recipient<AnchoringEnded>);

impl Farewell {
    fn say(&self, reason: Option<String>) {
        // If the actor is gone, nobody needs the notice. A fresh clone can queue a message even in a full mailbox.
        drop(self.0.clone().try_send(AnchoringEnded(reason)));
    }
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.say(None);
        }
    }
}
