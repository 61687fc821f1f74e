//! A door to an actor: the one way to send it messages. It stays valid when the actor is rebuilt.

use std::sync::{Arc, PoisonError, RwLock};

use actix::dev::ToEnvelope;
use actix::prelude::SendError;
use actix::{Actor, Addr, Context, Handler, MailboxError, Message};

/// Why a message got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// The actor is not running. It did not act.
    #[error("the actor is not running")]
    NotRunning,
    /// Its mailbox is full. It did not act.
    #[error("the actor's queue is full")]
    Full,
    /// It ended before it answered. Whether it acted is not known: what it had begun may go on.
    #[error("the actor ended before it answered")]
    Lost,
}

/// A shared handle to whichever incarnation of `A` runs now.
pub struct Door<A: Actor<Context = Context<A>>>(Arc<RwLock<Option<Addr<A>>>>);

impl<A: Actor<Context = Context<A>>> Clone for Door<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: Actor<Context = Context<A>>> Default for Door<A> {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(None)))
    }
}

impl<A: Actor<Context = Context<A>>> Door<A> {
    /// Lets the door lead to `addr` from now on.
    pub fn open(&self, addr: Addr<A>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(addr);
    }

    /// Sends `message` and waits for the answer. A full mailbox still takes it, one from everybody who asks: who may ask any
    /// number of times at once has to be bounded.
    ///
    /// # Errors
    /// [`DoorError::NotRunning`], and [`DoorError::Lost`] when it ended over the message.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, DoorError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let request = self.with(|addr| addr.send(message))?;
        request.await.map_err(|error| match error {
            MailboxError::Closed | MailboxError::Timeout => DoorError::Lost,
        })
    }

    /// Hands `message` over without waiting. The message carries its own way to answer, if it needs one.
    ///
    /// # Errors
    /// [`DoorError::Full`] or [`DoorError::NotRunning`]; the message was dropped.
    pub fn tell<M>(&self, message: M) -> Result<(), DoorError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.hand_over(message).map_err(|(error, _)| error)
    }

    /// As [`Door::tell`], for a message that must not be lost.
    ///
    /// # Errors
    /// As [`Door::tell`], with the message: the actor did not act on it.
    pub fn hand_over<M>(&self, message: M) -> Result<(), (DoorError, M)>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        let addr = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(addr) = addr.as_ref().filter(|addr| addr.connected()) else {
            return Err((DoorError::NotRunning, message));
        };
        addr.try_send(message).map_err(|error| match error {
            SendError::Full(message) => (DoorError::Full, message),
            SendError::Closed(message) => (DoorError::NotRunning, message),
        })
    }

    fn with<R>(&self, use_addr: impl FnOnce(&Addr<A>) -> R) -> Result<R, DoorError> {
        let addr = self.0.read().unwrap_or_else(PoisonError::into_inner);
        addr.as_ref().filter(|addr| addr.connected()).map(use_addr).ok_or(DoorError::NotRunning)
    }
}
