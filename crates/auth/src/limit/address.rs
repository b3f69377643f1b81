//! Where a request comes from.

use std::net::{IpAddr, Ipv6Addr};

/// The address of the client of a request. Whoever accepts connections puts it into the request's extensions, after having
/// looked through the proxies that it trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddr(pub IpAddr);

impl ClientAddr {
    /// What is counted together: an IPv4 address, or the /64 network of an IPv6 address, of which one subscriber has them all.
    /// `None`: loopback, where a proxy of this machine, or its owner, is not to be held up.
    pub(super) fn key(self) -> Option<String> {
        match self.0.to_canonical() {
            ip if ip.is_loopback() => None,
            IpAddr::V4(ip) => Some(ip.to_string()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> Option<String> {
        ClientAddr(address.parse().unwrap()).key()
    }

    #[test]
    fn a_subscriber_is_one_whatever_its_addresses() {
        assert_eq!(key("192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_eq!(key("2001:db8:0:1:aaaa::1"), key("2001:db8:0:1::2"));
        assert_ne!(key("2001:db8:0:1::1"), key("2001:db8:0:2::1"));
        for own in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(key(own), None, "{own}");
        }
    }
}
