//! The life of a connection: how many there may be, when one has to end, and how its requests are told apart.
//!
//! Nothing here knows of integrations or of the console; [`server`] puts the parts together for both listeners.

pub mod asker;
pub mod deadlines;
pub mod framing;
pub mod idle;
pub mod limits;
pub mod server;
pub mod unread;
