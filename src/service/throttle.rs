//! Limits on bad signatures by peer, and on log lines by integration.
//!
//! A throttled peer is answered 429 instead of 401. Deliveries that verify are accepted all the same: behind a proxy all
//! senders look like one peer, and a flood of forgeries must not cost a genuine event.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Bad signatures a peer may send within [`BAD_SIGNATURES_WINDOW`].
pub const BAD_SIGNATURES_MAX: u32 = 300;
/// The span for [`BAD_SIGNATURES_MAX`].
pub const BAD_SIGNATURES_WINDOW: Duration = Duration::from_secs(60);
/// Log lines for one integration and one cause within [`COMPLAINTS_SPAN`].
pub const COMPLAINTS_PER_SPAN_MAX: u32 = 10;
/// The span for [`COMPLAINTS_PER_SPAN_MAX`].
pub const COMPLAINTS_SPAN: Duration = Duration::from_secs(60);

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
    fn addresses_of_one_ipv6_network_are_one_peer() {
        let peer = |text: &str| Peer::at(text.parse().unwrap());
        assert_eq!(peer("2001:db8::1"), peer("2001:db8::ffff:1"));
        assert_ne!(peer("2001:db8:0:1::1"), peer("2001:db8:0:2::1"));
        assert_eq!(peer("::ffff:10.0.0.1"), peer("10.0.0.1"));
        assert_ne!(peer("10.0.0.1"), peer("10.0.0.2"));
    }
}
