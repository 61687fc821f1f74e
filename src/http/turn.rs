//! Whose turn it is on a connection: its sender's, to send a request, or ours, to answer one.
//!
//! While we answer, nothing more is read. A sender that writes on meanwhile waits in the kernel's buffers, not in ours.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;

use actix_web::HttpRequest;
use tokio::time::Instant;

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

/// The turns of one connection, for it, for those who serve its requests, and for those who may want its place.
#[derive(Debug, Clone)]
pub struct Turn(Rc<Turns>);

#[derive(Debug)]
struct Turns {
    stage: Cell<Stage>,
    /// When it was opened, or something was written to it last.
    quiet_since: Cell<Instant>,
    gives_way: Cell<bool>,
    is_held_up: Cell<bool>,
    /// Who reads from it.
    reader: RefCell<Option<Waker>>,
}

impl Turn {
    /// Of a connection that was just opened.
    pub fn new() -> Self {
        Self(Rc::new(Turns {
            stage: Cell::default(),
            quiet_since: Cell::new(Instant::now()),
            gives_way: Cell::default(),
            is_held_up: Cell::default(),
            reader: RefCell::default(),
        }))
    }

    /// Whether a request is served.
    pub fn is_serving(&self) -> bool {
        self.0.stage.get() != Stage::Idle
    }

    /// Whether what is served is there to its end, so that nothing more is to be read.
    pub fn is_ours(&self) -> bool {
        self.0.stage.get() == Stage::Answered
    }

    /// `waker` is woken when there is news of the turn.
    pub fn read_by(&self, waker: &Waker) {
        match &mut *self.0.reader.borrow_mut() {
            Some(reader) => reader.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Has the reader woken once our turn is over.
    pub fn hold_up(&self) {
        self.0.is_held_up.set(true);
    }

    /// Something was written.
    pub fn wrote(&self) {
        self.0.quiet_since.set(Instant::now());
    }

    /// When it was opened, or something was written to it last.
    pub fn quiet_since(&self) -> Instant {
        self.0.quiet_since.get()
    }

    /// Has it end as soon as no request is served.
    pub fn give_way(&self) {
        self.0.gives_way.set(true);
        self.wake_reader();
    }

    /// Whether it is to end here.
    pub fn is_over(&self) -> bool {
        self.0.gives_way.get() && !self.is_serving()
    }

    fn wake_reader(&self) {
        if let Some(reader) = &*self.0.reader.borrow() {
            reader.wake_by_ref();
        }
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
        if turn.0.is_held_up.take() || turn.0.gives_way.get() {
            turn.wake_reader();
        }
    }
}
