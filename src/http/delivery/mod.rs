//! The steps of a delivery, which [`ingress`](crate::http::ingress) takes in order, and the forms of its answers.

pub mod answer;
pub mod arrival;
pub mod checks;
pub mod conclusion;
pub mod faults;
pub mod handshake;
pub mod headers;
pub mod keys;
pub mod stopped;
