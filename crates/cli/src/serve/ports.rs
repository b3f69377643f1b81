//! Where a process listens: which gRPC servers its roles make, and addresses that are taken before anything slow happens.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use tokio::net::{TcpListener, TcpSocket};

use crate::{
    config::{GrpcAddresses, ServeConfig},
    error::CliError,
    serve_args::Role,
};

/// Connections that may wait for being accepted.
const BACKLOG: u32 = 1024;
/// How long an address that is in use is waited for.
const IN_USE_MAX: Duration = Duration::from_secs(1);
/// The pause between two tries.
const IN_USE_RETRY_EVERY: Duration = Duration::from_millis(50);
/// The gRPC address of all roles together.
const SHARED: GrpcRole = GrpcRole {
    name: "grpc",
    option: "--grpc",
    port: 50051,
    given: |addresses| addresses.shared,
};
/// The roles that serve gRPC, with the address of each where they are apart.
const GRPC_ROLES: [(Role, GrpcRole); 3] = [
    (
        Role::Upload,
        GrpcRole {
            name: "upload",
            option: "--upload-grpc",
            port: 50051,
            given: |addresses| addresses.upload,
        },
    ),
    (
        Role::Jobs,
        GrpcRole {
            name: "jobs",
            option: "--jobs-grpc",
            port: 50052,
            given: |addresses| addresses.jobs,
        },
    ),
    (
        Role::Progress,
        GrpcRole {
            name: "progress",
            option: "--progress-grpc",
            port: 50053,
            given: |addresses| addresses.progress,
        },
    ),
];

struct GrpcRole {
    name: &'static str,
    option: &'static str,
    port: u16,
    given: fn(&GrpcAddresses) -> Option<SocketAddr>,
}

/// A gRPC server that a process has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GrpcPort {
    /// What it is called.
    pub(super) name: &'static str,
    /// The option that decides its address.
    pub(super) option: &'static str,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// The roles that it serves.
    pub(super) roles: Vec<Role>,
}

/// The gRPC servers of a configuration: one for all roles, or one for each of some.
///
/// # Errors
/// A usage error if an address is given that would not be used, or twice.
pub(super) fn grpc_ports(config: &ServeConfig) -> Result<Vec<GrpcPort>, CliError> {
    let addresses = &config.grpc;
    if config.is_whole() {
        let apart = GRPC_ROLES.iter().find(|(_, role)| (role.given)(addresses).is_some());
        if let Some((_, role)) = apart {
            let message = format!(
                "{}: all roles of one process share one gRPC address; use --grpc",
                role.option
            );
            return Err(CliError::usage(message));
        }
        let roles = GRPC_ROLES.iter().map(|(role, _)| *role).collect();
        return Ok(vec![SHARED.port(addresses, roles)]);
    }
    let running: Vec<_> = GRPC_ROLES
        .iter()
        .filter(|(role, _)| config.roles.contains(role))
        .collect();
    match (running.as_slice(), addresses.shared) {
        ([(role, own)], Some(_)) => {
            if (own.given)(addresses).is_some() {
                let message = format!("{}: it is given as --grpc too; keep one", own.option);
                return Err(CliError::usage(message));
            }
            let named = GrpcRole {
                name: own.name,
                ..SHARED
            };
            Ok(vec![named.port(addresses, vec![*role])])
        }
        ([_, _, ..], Some(_)) => {
            let options: Vec<&str> = running.iter().map(|(_, own)| own.option).collect();
            let message = "--grpc: each of several roles has an address of its own";
            Err(CliError::usage(message).hint(format!("use {}", options.join(", "))))
        }
        _ => Ok(running
            .iter()
            .map(|(role, own)| own.port(addresses, vec![*role]))
            .collect()),
    }
}

impl GrpcRole {
    fn port(&self, addresses: &GrpcAddresses, roles: Vec<Role>) -> GrpcPort {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        GrpcPort {
            name: self.name,
            option: self.option,
            address: (self.given)(addresses).unwrap_or(default),
            roles,
        }
    }
}

/// An address that nobody else can take any more. Whoever connects is refused until it listens.
#[derive(Debug)]
pub(super) struct Reserved {
    socket: TcpSocket,
    /// The address, with the port that the system chose if it was 0.
    pub(super) address: SocketAddr,
}

impl Reserved {
    /// Takes an address for the option that named it. One that is in use is waited for a moment: a server that was killed
    /// while it started a child leaves its sockets to that child until the child's program begins. Blocks: nothing else runs
    /// in this process yet.
    pub(super) fn take(option: &str, address: SocketAddr) -> Result<Self, CliError> {
        let deadline = Instant::now() + IN_USE_MAX;
        loop {
            match Self::try_take(address) {
                Ok(reserved) => return Ok(reserved),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                    thread::sleep(IN_USE_RETRY_EVERY);
                }
                Err(error) => return Err(unavailable(option, address, &error)),
            }
        }
    }

    fn try_take(address: SocketAddr) -> io::Result<Self> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Connections of a server that has just ended must not keep the next one from starting.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Begins to take connections.
    pub(super) fn listen(self) -> Result<TcpListener, CliError> {
        let listening = self.socket.listen(BACKLOG);
        listening.map_err(|error| CliError::failed("ADDRESS_UNAVAILABLE", format!("{}: {error}", self.address)))
    }
}

fn unavailable(option: &str, address: SocketAddr, error: &io::Error) -> CliError {
    CliError::failed("ADDRESS_UNAVAILABLE", format!("{option} {address}: {error}")).hint(format!(
        "stop what listens there, or choose another address with {option}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::config;

    fn ports(options: &[&str]) -> Vec<(&'static str, u16)> {
        let ports = grpc_ports(&config(options)).expect("ports");
        ports.into_iter().map(|port| (port.name, port.address.port())).collect()
    }

    #[test]
    fn all_roles_share_a_port_and_some_have_their_own() {
        assert_eq!(ports(&[]), [("grpc", 50051)]);
        assert_eq!(ports(&["--grpc", "127.0.0.1:1"]), [("grpc", 1)]);
        assert_eq!(
            ports(&["--role", "upload,jobs,progress"]),
            [("upload", 50051), ("jobs", 50052), ("progress", 50053)]
        );
        assert_eq!(ports(&["--role", "jobs"]), [("jobs", 50052)]);
        assert_eq!(ports(&["--role", "jobs", "--grpc", "127.0.0.1:1"]), [("jobs", 1)]);
        assert_eq!(
            ports(&["--role", "jobs,progress", "--jobs-grpc", "127.0.0.1:1"]),
            [("jobs", 1), ("progress", 50053)]
        );
        assert_eq!(ports(&["--role", "worker,edge", "--grpc", "127.0.0.1:1"]), []);
    }

    #[test]
    fn an_address_that_would_not_count_is_refused() {
        let cases: [(&[&str], &str); 3] = [
            (&["--jobs-grpc", "127.0.0.1:1"], "--jobs-grpc"),
            (&["--role", "jobs,upload", "--grpc", "127.0.0.1:1"], "--grpc"),
            (
                &["--role", "jobs", "--grpc", "127.0.0.1:1", "--jobs-grpc", "127.0.0.1:2"],
                "--jobs-grpc",
            ),
        ];
        for (options, named) in cases {
            let error = grpc_ports(&config(options)).expect_err(named);
            assert!(error.message.starts_with(named), "{error}");
        }
    }

    #[tokio::test]
    async fn a_reserved_address_refuses_until_it_listens() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let reserved = Reserved::take("--grpc", any).expect("a free port");
        let address = reserved.address;
        let early = tokio::net::TcpStream::connect(address)
            .await
            .expect_err("nobody listens");
        assert_eq!(early.kind(), io::ErrorKind::ConnectionRefused);
        let _listener = reserved.listen().expect("it listens");
        tokio::net::TcpStream::connect(address).await.expect("it is open");
        let error = Reserved::take("--grpc", address).expect_err("it is taken");
        assert!(error.message.starts_with("--grpc"), "{error}");
    }
}
