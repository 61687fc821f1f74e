//! Whose turn it is on a connection: its sender's, to send a request, or ours, to answer one.
//!
//! While we answer, nothing more is read. A sender that writes on meanwhile waits in the kernel's buffers, not in ours.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use actix_web::HttpRequest;

/// What is done on one connection now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// No request that takes time is there.
    #[default]
    Idle,
    /// A request is served, and more of it may come.
    Served,
    /// A request is served that is there to its end.
    Answered,
}

/// The turns of one connection, for it and for those who serve its requests.
#[derive(Debug, Clone, Default)]
pub struct Turn(Rc<Turns>);

#[derive(Debug, Default)]
struct Turns {
    stage: Cell<Stage>,
    /// Who has to be told when more may be read.
    held_up: RefCell<Option<Waker>>,
}

impl Turn {
    /// Whether a request is served.
    pub fn is_serving(&self) -> bool {
        self.0.stage.get() != Stage::Idle
    }

    /// Whether what is served is there to its end, so that nothing more is to be read.
    pub fn is_ours(&self) -> bool {
        self.0.stage.get() == Stage::Answered
    }

    /// Has `waker` woken once our turn is over.
    pub fn hold_up(&self, waker: &Waker) {
        *self.0.held_up.borrow_mut() = Some(waker.clone());
    }
}

/// A request that is being served, until it is dropped.
#[derive(Debug)]
pub struct Serving(Option<Turn>);

impl Serving {
    /// Begins to serve `request`, whose body may still have to come.
    pub fn begin(request: &HttpRequest) -> Self {
        let turn = request.conn_data::<Turn>().cloned();
        if let Some(turn) = &turn {
            turn.0.stage.set(Stage::Served);
        }
        Self(turn)
    }

    /// All of it is there: nothing more is read until it is answered.
    pub fn be_whole(&self) {
        if let Some(turn) = &self.0 {
            turn.0.stage.set(Stage::Answered);
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let Some(turn) = &self.0 else { return };
        turn.0.stage.set(Stage::Idle);
        if let Some(held_up) = turn.0.held_up.take() {
            held_up.wake();
        }
    }
}
