//! The five actors of Palyra and the logic they carry.
//!
//! | folder | actor | keeps |
//! |---|---|---|
//! | [`registry`] | registry | `webhooks.toml`, the integrations |
//! | [`vault`] | vault resolver | secrets, encrypted at rest |
//! | [`replay_guard`] | replay guard | leases in flight, recent replay keys |
//! | [`journal`] | journal writer | `journal.db`, append-only |
//! | [`connectors`] | connector supervisor | the connectors that run |
//!
//! Around them: [`provider`] verifies deliveries as data describes it, [`judging`] checks them against schema and allow
//! lists, [`envelope`] is the form of an accepted one, [`tlog`] proves what the journal contains, [`supervision`]
//! restarts what panics. actix is used only in the `mod.rs` and `messages.rs` of an actor, in [`supervision`], in
//! [`replies`], and where the journal's anchoring thread notifies its actor; the rest is plain Rust.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

pub mod causes;
pub mod clock;
pub mod connectors;
pub mod cut;
pub mod envelope;
pub mod event_names;
pub mod files;
pub mod ids;
pub mod journal;
pub mod json;
pub mod judging;
pub mod limits;
pub mod provider;
pub mod registry;
pub mod replay_guard;
pub mod replies;
pub mod schemas;
pub mod secret;
pub mod single_flight;
pub mod supervision;
pub mod text_places;
pub mod tlog;
pub mod vault;
