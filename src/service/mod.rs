//! A running daemon without its listeners: the state that all parts of it share, and the operations on it that a request
//! and the daemon itself may ask for.
//!
//! Nothing here reads a request or makes a response, or knows `http` and `daemon`, which use it.

pub mod actors;
pub mod admission;
pub mod answers;
pub mod cause;
pub mod connections;
pub mod counters;
pub mod probe;
pub mod readiness;
pub mod refusals;
pub mod reloading;
mod state;
pub mod throttle;
pub mod under_way;
pub mod verification;

pub use state::{Addresses, AppState};
