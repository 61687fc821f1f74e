//! The integration tests: the real binary, real HTTP, real restarts. A module per behaviour or accident.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod adding;
mod answers;
mod arguments;
mod attempts;
mod beginning;
mod captured;
mod checking;
mod commands;
mod connections;
mod console;
mod demo;
mod descriptors;
mod disk;
mod edits;
mod events;
mod explain;
mod greedy;
mod handshakes;
mod identity;
mod leftovers;
mod logging;
mod losses;
mod metrics;
mod mutations;
mod panics;
mod peculiar;
mod proofs;
mod published;
mod readiness;
mod recuts;
mod reloading;
mod replay;
mod resets;
mod rollback;
mod secrets;
mod senders;
mod shutdown;
mod state_root;
mod streams;
mod summaries;
mod support;
mod unreadable;
mod verifying;
mod webhooks;
