//! The wire between a process and a server, and what can happen to a wire.

mod pump;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use self::pump::pump;

/// The most connections at once; more are refused.
const CONNECTIONS_MAX: usize = 1024;

/// What one direction does with the bytes that are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// Nothing is delivered and nothing is closed, as if the cable were out. What was held is delivered afterwards.
    pub is_held: bool,
    /// How long every piece takes. At most [`PIECE_BYTES_MAX`] bytes are on their way at once.
    pub delay: Duration,
    /// The most bytes a second; `None`: as fast as it goes.
    pub bytes_per_second_max: Option<u32>,
}

impl Way {
    /// Delivers at once.
    pub const OPEN: Self = Self {
        is_held: false,
        delay: Duration::ZERO,
        bytes_per_second_max: None,
    };
    /// Delivers nothing.
    pub const HELD: Self = Self {
        is_held: true,
        ..Self::OPEN
    };

    /// Delivers late.
    #[must_use]
    pub const fn late(delay: Duration) -> Self {
        Self { delay, ..Self::OPEN }
    }

    /// Delivers slowly.
    #[must_use]
    pub const fn slow(bytes_per_second_max: u32) -> Self {
        Self {
            bytes_per_second_max: Some(bytes_per_second_max),
            ..Self::OPEN
        }
    }
}

/// How the wire is at the moment.
#[derive(Debug, Clone, Copy, Default)]
struct State {
    to_server: Way,
    to_client: Way,
    /// New connections are reset.
    refuses: bool,
    /// Connections from before the newest cut are reset.
    cuts: u64,
}

/// A TCP proxy on loopback before one server. It lets everything through until it is told otherwise, and ends when it is
/// dropped.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    running: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts one that forwards to `server`, which needn't be there yet.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let (state, seen) = watch::channel(State::default());
        Self {
            address,
            state,
            running: tokio::spawn(accept(listener, server, seen)),
        }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what happens to bytes from clients to the server.
    pub fn to_server(&self, way: Way) {
        self.state.send_modify(|state| state.to_server = way);
    }

    /// Sets what happens to bytes from the server to clients.
    pub fn to_client(&self, way: Way) {
        self.state.send_modify(|state| state.to_client = way);
    }

    /// Resets all connections, and what is held on them is lost; new ones are let through as before.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Resets all connections, and every new one at once, until [`FaultProxy::restore`].
    pub fn refuse(&self) {
        self.state.send_modify(|state| {
            state.refuses = true;
            state.cuts += 1;
        });
    }

    /// Takes connections and delivers nothing in either direction, until [`FaultProxy::restore`].
    pub fn blackhole(&self) {
        self.state.send_modify(|state| {
            state.to_server = Way::HELD;
            state.to_client = Way::HELD;
        });
    }

    /// Lets everything through again.
    pub fn restore(&self) {
        self.state.send_modify(|state| {
            *state = State {
                cuts: state.cuts,
                ..State::default()
            }
        });
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, state: watch::Receiver<State>) {
    // Dropped with this future, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if state.borrow().refuses || connections.len() == CONNECTIONS_MAX {
            reset(&client);
        } else {
            connections.spawn(connection(client, server, state.clone()));
        }
    }
}

/// Carries one connection until it ends or is cut.
async fn connection(mut client: TcpStream, server: SocketAddr, mut state: watch::Receiver<State>) {
    let before = state.borrow_and_update().cuts;
    let (mut held, way) = (state.clone(), state.clone());
    let cut = state.wait_for(|state| state.cuts != before);
    let whole = async {
        // As on a real wire: the other end is only reached when something gets through to it.
        let _ = held.wait_for(|state| !state.to_server.is_held).await;
        let mut server = TcpStream::connect(server).await.ok()?;
        let ended = carry(&mut client, &mut server, way).await;
        if ended.is_none() {
            reset(&server);
        }
        ended
    };
    let whole = tokio::select! {
        // First: what was held when the wire was cut is lost, also if the way is free again by now.
        biased;
        _ = cut => None,
        whole = whole => whole,
    };
    if whole.is_none() {
        reset(&client);
    }
}

/// Carries both directions to their ends; `None` if something broke.
async fn carry(client: &mut TcpStream, server: &mut TcpStream, state: watch::Receiver<State>) -> Option<()> {
    for end in [&*client, &*server] {
        end.set_nodelay(true).ok()?;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let ended = tokio::try_join!(
        pump(from_client, to_server, state.clone(), |state| state.to_server),
        pump(from_server, to_client, state, |state| state.to_client),
    );
    ended.ok().map(|_| ())
}

/// Makes the end of a connection an abrupt one: the peer gets an error instead of an end of the stream.
fn reset(end: &TcpStream) {
    // Without it the end is an orderly one, which is the most that can be done then.
    let _ = end.set_zero_linger();
}

#[cfg(test)]
mod tests;
