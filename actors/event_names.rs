//! Names of system events used in more than one file: where the event is written, and where it is searched for.

/// An integration was added.
pub const WEBHOOK_CREATE: &str = "registry.webhook.create";

/// An authentic delivery was excluded by an allow list.
pub const FILTERED: &str = "webhook.filtered";
/// An authentic delivery does not result in a valid envelope.
pub const REJECTED: &str = "webhook.rejected";
/// An authentic delivery differs from an earlier one with the same replay key.
pub const CONFLICT: &str = "webhook.conflict";
/// The deliveries of one minute that could not be authenticated.
pub const UNAUTHENTICATED: &str = "webhook.unauthenticated";

/// Suffix of a change's name in the event for a change that was not made.
pub const REFUSED: &str = "refused";

/// Name of the event for the change `name` that ended as `ending`.
pub fn ended(name: &str, ending: &str) -> String {
    format!("{name}.{ending}")
}
