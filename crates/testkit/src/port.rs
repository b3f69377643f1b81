//! Ports that nobody listens on.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, TcpListener},
    sync::{LazyLock, Mutex, PoisonError},
};

/// They lie below those that the kernel gives to clients, so that a port stays free while its server is down, and a client
/// that tries it can't meet itself.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// Ports that this process was given before: their servers may not listen yet.
static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port of loopback that was free a moment ago, for servers that can't choose one themselves. No two calls in one process
/// get the same.
#[must_use]
pub fn free_port() -> u16 {
    loop {
        let port = rand::random_range(PORTS);
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free && GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}
