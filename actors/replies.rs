//! Delivers answers to the thread that waits for them, a whole group at a time.
//!
//! A thread that is woken takes the processor from the one that woke it. If it were woken for the first answer of a
//! group, all other answers would be delayed, one by one. So all answers are queued first, and then each thread is woken
//! once.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

type HandOut = Box<dyn FnOnce() + Send>;

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Arc<Replies>>> = const { RefCell::new(None) };
}

/// Queued answers for one thread.
#[derive(Default)]
struct Replies {
    laid_down: Mutex<Vec<HandOut>>,
    any: Notify,
    has_ended: AtomicBool,
}

impl Replies {
    /// The queue of this thread, which must run an actix system or arbiter.
    fn of_this_thread() -> Arc<Self> {
        OF_THIS_THREAD.with_borrow_mut(|known| {
            // The task that delivers them ends with its runtime.
            if let Some(known) = known.as_ref().filter(|known| !known.has_ended.load(Ordering::Relaxed)) {
                return Arc::clone(known);
            }
            let replies = Arc::<Self>::default();
            actix_rt::spawn(HandingOut(Arc::clone(&replies)).run());
            Arc::clone(known.insert(replies))
        })
    }

    fn hand_out(&self) {
        let laid_down = std::mem::take(&mut *self.lock());
        laid_down.into_iter().for_each(|hand_out| hand_out());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<HandOut>> {
        self.laid_down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that delivers queued answers.
struct HandingOut(Arc<Replies>);

impl HandingOut {
    async fn run(self) {
        loop {
            self.0.any.notified().await;
            self.0.hand_out();
        }
    }
}

impl Drop for HandingOut {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Relaxed);
    }
}

/// The sender of an answer. If it is dropped, its receiver is notified at once that there will be no answer.
pub struct Reply<T> {
    sender: oneshot::Sender<T>,
    to: Arc<Replies>,
}

impl<T: Send + 'static> Reply<T> {
    /// A sender to this thread, which must run an actix system or arbiter.
    pub fn to_this_thread() -> (Self, oneshot::Receiver<T>) {
        let (sender, answer) = oneshot::channel();
        (Self { sender, to: Replies::of_this_thread() }, answer)
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Queues the answer. `wakes` wakes its receiver, which may be gone by then.
    pub fn lay_down(self, answer: T, wakes: &mut Wakes) {
        let Self { sender, to } = self;
        to.lock().push(Box::new(move || drop(sender.send(answer))));
        wakes.add(to);
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// The threads with queued answers. Dropping it wakes them.
#[derive(Default)]
pub struct Wakes(Vec<Arc<Replies>>);

impl Wakes {
    /// Whether there is no thread to wake.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, replies: Arc<Replies>) {
        if !self.0.iter().any(|known| Arc::ptr_eq(known, &replies)) {
            self.0.push(replies);
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.0.iter().for_each(|replies| replies.any.notify_one());
    }
}

/// An answer that is fetched without a waiting thread, for tests without a runtime.
#[cfg(test)]
pub(crate) struct Fetched<T>(oneshot::Receiver<T>, Arc<Replies>);

#[cfg(test)]
impl<T: Send + 'static> Fetched<T> {
    pub(crate) fn by_hand() -> (Reply<T>, Self) {
        let ((sender, answer), to) = (oneshot::channel(), Arc::<Replies>::default());
        (Reply { sender, to: Arc::clone(&to) }, Self(answer, to))
    }

    pub(crate) fn try_recv(&mut self) -> Result<T, oneshot::error::TryRecvError> {
        self.1.hand_out();
        self.0.try_recv()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_with_the_wake_and_not_before() {
        actix::System::new().block_on(async {
            let ways: Vec<_> = (0..10).map(|_| Reply::to_this_thread()).collect();
            let (replies, mut answers): (Vec<_>, Vec<_>) = ways.into_iter().unzip();
            let wakes = std::thread::spawn(move || {
                let mut wakes = Wakes::default();
                replies.into_iter().enumerate().for_each(|(n, reply)| reply.lay_down(n, &mut wakes));
                wakes
            });
            let wakes = wakes.join().unwrap();
            tokio::task::yield_now().await;
            assert!(answers.iter_mut().all(|answer| answer.try_recv().is_err()));
            drop(wakes);
            for (n, answer) in answers.into_iter().enumerate() {
                assert_eq!(answer.await, Ok(n));
            }
        });
    }

    #[test]
    fn a_thread_that_runs_another_system_later_gets_its_answers_there() {
        for n in 0..3 {
            actix::System::new().block_on(async {
                let (reply, answer) = Reply::to_this_thread();
                std::thread::spawn(move || reply.lay_down(n, &mut Wakes::default())).join().unwrap();
                assert_eq!(answer.await, Ok(n));
            });
        }
    }

    #[test]
    fn who_is_not_answered_is_told_so() {
        actix::System::new().block_on(async {
            let (reply, answer) = Reply::<u8>::to_this_thread();
            drop(reply);
            assert!(answer.await.is_err());
        });
    }
}
