//! Names of system events that more than one file knows: who writes the row, and who looks for it.

/// An integration is added.
pub const WEBHOOK_CREATE: &str = "registry.webhook.create";

/// An authentic delivery was left out by an allow list.
pub const FILTERED: &str = "webhook.filtered";
/// An authentic delivery is no valid envelope.
pub const REJECTED: &str = "webhook.rejected";
/// An authentic delivery was not as it came before.
pub const CONFLICT: &str = "webhook.conflict";
/// Deliveries of a minute that nobody could authenticate.
pub const UNAUTHENTICATED: &str = "webhook.unauthenticated";

/// What the name of a change goes on with in the row that says that it was not made.
pub const REFUSED: &str = "refused";

/// The row that says that the change called `name` came to `ending`.
pub fn ended(name: &str, ending: &str) -> String {
    format!("{name}.{ending}")
}
