//! A door to an actor: the handle through which messages are sent to it. It stays valid when the actor is restarted.

use std::sync::{Arc, PoisonError, RwLock};

use actix::dev::ToEnvelope;
use actix::prelude::SendError;
use actix::{Actor, Addr, Context, Handler, MailboxError, Message};

/// Why a message was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// The actor is not running. The message had no effect.
    #[error("the actor is not running")]
    NotRunning,
    /// Its mailbox is full. The message had no effect.
    #[error("the actor's queue is full")]
    Full,
    /// The actor ended before it answered. Whether the message had an effect is unknown, because work it started may
    /// continue.
    #[error("the actor ended before it answered")]
    Lost,
}

/// A shared handle to the running incarnation of `A`.
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
    /// Makes the door lead to `addr`.
    pub fn open(&self, addr: Addr<A>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(addr);
    }

    /// Sends `message` and waits for the answer. It is accepted even if the mailbox is full, because actix gives every
    /// sender one place; so a caller that may ask any number of times concurrently must bound itself.
    ///
    /// # Errors
    /// [`DoorError::NotRunning`]; [`DoorError::Lost`] when the actor ended before it answered.
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

    /// Sends `message` without waiting. If it needs an answer, it carries the means for that.
    ///
    /// # Errors
    /// [`DoorError::Full`] or [`DoorError::NotRunning`]; the message is dropped.
    pub fn tell<M>(&self, message: M) -> Result<(), DoorError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        A: Handler<M>,
        A::Context: ToEnvelope<A, M>,
    {
        self.hand_over(message).map_err(|(error, _)| error)
    }

    /// Like [`Door::tell`], for a message that must not be dropped.
    ///
    /// # Errors
    /// As [`Door::tell`]; the message, which had no effect, is returned.
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
