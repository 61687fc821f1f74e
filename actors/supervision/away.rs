//! Work that would block an actor's thread, done elsewhere with something that the actor gives away meanwhile.

use std::panic::resume_unwind;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context};
use actix_rt::task::spawn_blocking;

/// Does `work` with `thing` on a thread for blocking work. `back` gets both `thing` and the outcome, on the actor's thread, as
/// soon as its mailbox is empty. Work that panics takes the actor with it, as any panic of its own does.
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
