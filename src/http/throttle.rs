//! Rate limits: bad signatures by peer; unsigned deliveries and log lines by integration.
//!
//! A throttled peer is answered 429 instead of 401. Deliveries that verify are accepted all the same: behind a proxy all
//! senders look like one peer, and a flood of forgeries must not cost a genuine event.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Bad signatures a peer may send within [`BAD_SIGNATURES_WINDOW`].
pub const BAD_SIGNATURES_MAX: u32 = 300;
/// The span for [`BAD_SIGNATURES_MAX`].
pub const BAD_SIGNATURES_WINDOW: Duration = Duration::from_secs(60);
/// Log lines for one integration and one cause within [`COMPLAINTS_SPAN`].
pub const COMPLAINTS_PER_SPAN_MAX: u32 = 10;
/// The span for [`COMPLAINTS_PER_SPAN_MAX`].
pub const COMPLAINTS_SPAN: Duration = Duration::from_secs(60);
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

/// A peer, as far as peers can be distinguished: an IPv4 address, or the /64 network of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

impl Peer {
    /// The peer at `address`.
    pub fn at(address: IpAddr) -> Self {
        match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => {
                Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))))
            }
            other => Self(other.to_canonical()),
        }
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
    fn addresses_of_one_ipv6_network_are_one_peer() {
        let peer = |text: &str| Peer::at(text.parse().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8:0:1::1"), peer("2001:db8:0:2::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
        assert_ne!(peer("10.0.0.1"), peer("10.0.0.2"));
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
