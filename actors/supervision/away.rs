//! Runs work that would block an actor's thread on another thread, together with a value the actor lends to it.

use std::panic::resume_unwind;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context};
use actix_rt::task::spawn_blocking;

/// Runs `work` with `thing` on a thread for blocking work. `back` is then called with both `thing` and the result, on the
/// actor's thread, as soon as its mailbox is empty. If the work panics, so does the actor.
pub(crate) fn send_away<A, T, R>(
    ctx: &mut Context<A>,
    mut thing: T,
    work: impl FnOnce(&mut T) -> R + Send + 'static,
    back: impl FnOnce(&mut A, T, R, &mut Context<A>) + 'static,
) where
    A: Actor<Context = Context<A>>,
    T: Send + 'static,
    R: Send + 'static,
{
    let away = spawn_blocking(move || {
        let outcome = work(&mut thing);
        (thing, outcome)
    });
    ctx.spawn(wrap_future::<_, A>(away).map(|returned, actor, ctx| match returned {
        Ok((thing, outcome)) => back(actor, thing, outcome, ctx),
        Err(panicked) => resume_unwind(Box::new(panicked.to_string())),
    }));
}
