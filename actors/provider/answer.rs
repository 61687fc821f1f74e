//! The answer a provider expects to its deliveries.

use serde::Deserialize;

/// The answer to an accepted delivery. Some providers treat only one particular status as success, and retry after any
/// other until they give up on the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryAnswer {
    /// 200, 202 or 204; 204 has no content.
    pub status: u16,
    /// Whether the content is the receipt.
    pub receipt: bool,
}

impl Default for DeliveryAnswer {
    fn default() -> Self {
        Self { status: 202, receipt: true }
    }
}

impl DeliveryAnswer {
    /// The answer to a duplicate. A 202 becomes a 200, because 202 would say that something new was accepted.
    #[must_use]
    pub fn again(self) -> Self {
        Self { status: if self.status == 202 { 200 } else { self.status }, ..self }
    }

    /// Whether the answer has content.
    pub fn has_content(self) -> bool {
        self.receipt && self.status != 204
    }
}
