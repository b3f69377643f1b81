//! How many connections there are, in all and from each address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use super::Connections;
use crate::Network;

/// How many bits of an IPv6 address belong to whoever has it: a host has a whole network.
const IPV6_NETWORK_BITS: u32 = 64;

/// Why a connection isn't taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are too many.
    Full,
    /// There are too many from this address.
    FullForAddress,
}

/// Room for connections. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    max: usize,
    per_address_max: usize,
    proxies: Arc<[Network]>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Room for one connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    /// Whom it counts for; `None`: a proxy.
    address: Option<IpAddr>,
}

impl Slots {
    pub(super) fn new(connections: &Connections) -> Self {
        Self {
            max: connections.max,
            per_address_max: connections.per_address_max,
            proxies: connections.proxies.as_slice().into(),
            taken: Arc::default(),
        }
    }

    /// Takes room for a connection from this address.
    pub(super) fn take(&self, address: IpAddr) -> Result<Slot, Refused> {
        let is_proxy = self.proxies.iter().any(|proxy| proxy.contains(address));
        let address = (!is_proxy).then(|| whole(address));
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.max {
            return Err(Refused::Full);
        }
        if let Some(address) = address {
            let own = taken.by_address.entry(address).or_default();
            if *own >= self.per_address_max {
                return Err(Refused::FullForAddress);
            }
            *own += 1;
        }
        taken.all += 1;
        let slots = self.clone();
        Ok(Slot { slots, address })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(own) = taken.by_address.get_mut(&address) {
            *own -= 1;
            if *own == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

/// The address that stands for all that one host may have.
fn whole(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let host_bits = u128::BITS - IPV6_NETWORK_BITS;
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> host_bits << host_bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn slots(max: usize, per_address_max: usize) -> Slots {
        Slots::new(&Connections {
            max,
            per_address_max,
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Connections::default()
        })
    }

    #[test]
    fn an_address_gets_its_share_and_no_more() {
        let slots = slots(10, 2);
        let own: Vec<_> = (0..2).map(|_| slots.take(address("192.0.2.1")).unwrap()).collect();
        assert_eq!(slots.take(address("192.0.2.1")).unwrap_err(), Refused::FullForAddress);
        let other = slots.take(address("192.0.2.2")).unwrap();
        let behind_proxies: Vec<_> = (0..3).map(|_| slots.take(address("10.0.0.1")).unwrap()).collect();
        drop(own);
        drop(slots.take(address("192.0.2.1")).unwrap());
        drop((other, behind_proxies));
        let taken = slots.taken.lock().unwrap();
        assert!(taken.all == 0 && taken.by_address.is_empty(), "{taken:?}");
    }

    #[test]
    fn a_host_has_one_share_of_its_ipv6_network() {
        let slots = slots(10, 1);
        let _own = slots.take(address("2001:db8:0:1::1")).unwrap();
        assert_eq!(
            slots.take(address("2001:db8:0:1:ffff::9")).unwrap_err(),
            Refused::FullForAddress
        );
        slots.take(address("2001:db8:0:2::1")).unwrap();
    }

    #[test]
    fn all_together_have_a_limit_too() {
        let slots = slots(1, 1);
        let _own = slots.take(address("192.0.2.1")).unwrap();
        assert_eq!(slots.take(address("10.0.0.1")).unwrap_err(), Refused::Full);
    }
}
