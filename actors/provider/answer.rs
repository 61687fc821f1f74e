//! How a provider wants to be answered.

use serde::Deserialize;

/// The answer to a delivery that was taken. Some providers take only the status they name for a success, and send again
/// what is answered otherwise until they give up on the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryAnswer {
    /// 200, 202 or 204, which has no content.
    pub status: u16,
    /// Whether the receipt is its content.
    pub receipt: bool,
}

impl Default for DeliveryAnswer {
    fn default() -> Self {
        Self { status: 202, receipt: true }
    }
}

impl DeliveryAnswer {
    /// The same for what was there before: 202 would say that something is new.
    #[must_use]
    pub fn again(self) -> Self {
        Self { status: if self.status == 202 { 200 } else { self.status }, ..self }
    }

    /// Whether there is content.
    pub fn has_content(self) -> bool {
        self.receipt && self.status != 204
    }
}
