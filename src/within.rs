//! Waits for an answer, but not for ever.

use std::time::Duration;

use tokio::time::timeout;

/// There was no answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {} s", .0.as_secs())]
pub struct Late(pub Duration);

/// Awaits `answer` for at most `limit`. If that is zero, the answer is not asked for.
///
/// # Errors
/// [`Late`], when it takes longer.
pub async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, Late> {
    if limit.is_zero() {
        return Err(Late(limit));
    }
    timeout(limit, answer).await.map_err(|_| Late(limit))
}
