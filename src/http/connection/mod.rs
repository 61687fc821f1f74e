//! The life of a connection: when it is closed, and how its requests are separated.
//!
//! Nothing here knows integrations or the console, except [`server`], which assembles the parts for both listeners.

pub mod asker;
pub mod deadlines;
pub mod framing;
pub mod idle;
pub mod server;
pub mod unread;
