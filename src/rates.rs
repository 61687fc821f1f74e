//! Counts events by key, for limits on their rate.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Keys counted at once. When all places are taken, keys whose span is over are removed; if there are none, new keys are not
/// counted.
const COUNTED_MAX: usize = 8_192;

/// Counts events by key in spans of fixed length.
#[derive(Debug)]
pub struct Rates<K> {
    span: Duration,
    counts: Mutex<HashMap<K, (Instant, u32)>>,
}

impl<K: Eq + Hash> Rates<K> {
    /// Counts in spans of this length.
    pub fn per(span: Duration) -> Self {
        Self { span, counts: Mutex::new(HashMap::new()) }
    }

    /// Counts one event of `key` and returns whether there are more than `most` in the current span.
    pub fn exceeds(&self, key: K, most: u32, now: Instant) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= COUNTED_MAX && !counts.contains_key(&key) {
            counts.retain(|_, (since, _)| now.duration_since(*since) < self.span);
            if counts.len() >= COUNTED_MAX {
                return false;
            }
        }
        let (since, count) = counts.entry(key).or_insert((now, 0));
        if now.duration_since(*since) >= self.span {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count > most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_allows_its_most_and_the_next_span_starts_afresh() {
        let rates = Rates::per(Duration::from_secs(60));
        let start = Instant::now();
        let exceeded: Vec<bool> = (0..4).map(|_| rates.exceeds("peer", 3, start)).collect();
        assert_eq!(exceeded, [false, false, false, true]);
        assert!(!rates.exceeds("another peer", 3, start));
        assert!(!rates.exceeds("peer", 3, start + Duration::from_secs(60)));
    }

    #[test]
    fn the_table_is_bounded() {
        let rates = Rates::per(Duration::from_secs(60));
        let now = Instant::now();
        for key in 0..2 * COUNTED_MAX {
            rates.exceeds(key, 1, now);
        }
        assert_eq!(rates.counts.lock().unwrap().len(), COUNTED_MAX);
    }
}
