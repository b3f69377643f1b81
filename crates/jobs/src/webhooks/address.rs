//! Where a webhook may connect to: its URL comes from a client, and must not reach what only this server can.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The host is not on the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a public address")]
pub(super) struct NotPublic(IpAddr);

/// Resolves names whose addresses are all public. The connection is made to what was checked here and to nothing else, so a
/// name that changes its address in between gains nothing.
#[derive(Debug)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &addresses {
                require_public(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Refuses a URL's host that is an address and not public. Names are looked at when they are resolved.
pub(super) fn check_literal(url: &Url) -> Result<(), NotPublic> {
    match url.host() {
        Some(Host::Ipv4(address)) => require_public(address.into()),
        Some(Host::Ipv6(address)) => require_public(address.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

fn require_public(address: IpAddr) -> Result<(), NotPublic> {
    let public = match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    };
    if public { Ok(()) } else { Err(NotPublic(address)) }
}

/// See <https://www.iana.org/assignments/iana-ipv4-special-registry>.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = match (a, b, c) {
        // This network, loopback, multicast and reserved.
        (0 | 127 | 224.., ..) => true,
        // Shared by the customers of a carrier, protocol assignments, relays to IPv6, benchmarks.
        (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18..=19, _) => true,
        _ => address.is_private() || address.is_link_local() || address.is_documentation(),
    };
    !is_special
}

/// See <https://www.iana.org/assignments/iana-ipv6-special-registry>. What is not global unicast is refused, and so is what
/// leads to an IPv4 address by way of another host.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // NAT64 of this network: as public as the IPv4 address in it.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        // Protocol assignments with Teredo, documentation, 6to4.
        [0x2001, ..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, ..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_public(address: &str) -> bool {
        require_public(address.parse().unwrap()).is_ok()
    }

    #[test]
    fn only_the_public_internet_is_public() {
        for public in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public), "{public}");
        }
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(special), "{special}");
        }
    }

    #[test]
    fn other_ways_to_write_an_address_change_nothing() {
        for url in [
            "http://127.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://[::ffff:7f00:1]/",
        ] {
            let url = Url::parse(url).unwrap();
            assert!(check_literal(&url).is_err(), "{url}");
        }
        let name = Url::parse("http://localhost/").unwrap();
        assert_eq!(check_literal(&name), Ok(()), "left to the resolver");
    }

    #[tokio::test]
    async fn names_of_this_host_are_not_resolved() {
        let refused = PublicOnly.resolve("localhost".parse().unwrap()).await;
        let error = refused.err().expect("localhost is not public");
        assert!(error.downcast_ref::<NotPublic>().is_some(), "{error}");
    }
}
