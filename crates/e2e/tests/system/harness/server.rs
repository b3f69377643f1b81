//! One process of `reelway serve`, on ports and with a data directory of its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command as Wrapper,
    time::Duration,
};

use nix::{sys::signal::Signal, unistd::Pid};
use reelway_testkit::{FaultProxy, free_port};
use tokio::process::Command;
use tonic::transport::{Channel, Endpoint};

use super::{Ended, Process, get, process::reelway_path, reelway};

/// A server that isn't ready by then never will be.
const READY_MAX: Duration = Duration::from_secs(60);
/// The drain time and the time for the last answers, with room for a busy machine.
pub(super) const STOP_MAX: Duration = Duration::from_secs(30);
/// What a server logs when it is ready.
const READY: &str = "node is ready";
/// What it logs before that, when it can say what it waits for.
const ANSWERS: &str = "probes are answered";
/// So many of its last lines are shown when a test fails.
const LAST_LINES_MAX: usize = 60;

/// A part of the system that can be a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Upload,
    Jobs,
    Progress,
    Edge,
    Worker,
}

impl Role {
    /// Its name in `--role`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Jobs => "jobs",
            Self::Progress => "progress",
            Self::Edge => "edge",
            Self::Worker => "worker",
        }
    }

    /// Whether it answers gRPC calls.
    pub(crate) fn serves_grpc(self) -> bool {
        matches!(self, Self::Upload | Self::Jobs | Self::Progress)
    }
}

/// How a process is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setup {
    /// Its only role; `None`: all of them.
    pub(crate) role: Option<Role>,
    /// Options of `reelway serve`.
    pub(crate) options: Vec<String>,
    /// Variables of its environment.
    pub(crate) env: Vec<(String, String)>,
    /// A command that runs the server, with its arguments; the server takes its place in the process table.
    pub(crate) under: Vec<String>,
}

impl Setup {
    /// A server of one role.
    pub(crate) fn of(role: Role) -> Self {
        Self {
            role: Some(role),
            ..Self::default()
        }
    }

    /// With an option and its value.
    pub(crate) fn option(mut self, name: &str, value: impl Into<String>) -> Self {
        self.options.extend([name.to_owned(), value.into()]);
        self
    }

    /// With a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }
}

/// What lies between a server and the two things that servers share.
pub(crate) struct Wires {
    pub(crate) postgres: FaultProxy,
    pub(crate) redis: FaultProxy,
}

/// A server. Dropping it kills it.
pub(crate) struct Server {
    setup: Setup,
    process: Process,
    data: PathBuf,
    addresses: Addresses,
    wires: Option<Wires>,
}

/// Where it listens, as far as it does: the same over restarts, so that clients find it again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    grpc: Option<SocketAddr>,
    http: Option<SocketAddr>,
    admin: SocketAddr,
}

impl Addresses {
    pub(super) fn of(role: Option<Role>) -> Self {
        let address = || SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Self {
            grpc: role.is_none_or(Role::serves_grpc).then(address),
            http: role.is_none_or(|role| role == Role::Edge).then(address),
            admin: address(),
        }
    }

    /// The URL of gRPC.
    pub(super) fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc.expect("it serves gRPC"))
    }
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(setup: Setup, data: PathBuf, wires: Option<Wires>) -> Self {
        let addresses = Addresses::of(setup.role);
        Self::start_at(addresses, setup, data, wires).await
    }

    /// Starts a server where others already look for it, and waits until it is ready.
    pub(super) async fn start_at(addresses: Addresses, setup: Setup, data: PathBuf, wires: Option<Wires>) -> Self {
        let process = Process::spawn(serve(&setup, &data, addresses));
        let server = Self {
            setup,
            process,
            data,
            addresses,
            wires,
        };
        server.ready().await;
        server
    }

    /// Whether it has the role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.setup.role.is_none_or(|own| own == role)
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// What it logs.
    pub(crate) fn log(&self) -> Vec<String> {
        self.process.err.all()
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// The wires to what it shares with others.
    pub(crate) fn wires(&self) -> &Wires {
        self.wires.as_ref().expect("an embedded node shares nothing")
    }

    /// Ends it at once: SIGKILL.
    pub(crate) async fn kill9(&mut self) {
        self.process.kill9().await;
    }

    /// Sends a signal, without waiting for what it does.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Whether the process that was started is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Ended {
        self.process.ended(STOP_MAX).await
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn terminate(&mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Starts it again over the same data and on the same ports, and waits until it is ready.
    pub(crate) async fn restart(&mut self) {
        self.start_again();
        self.ready().await;
    }

    /// Starts it again without waiting for it.
    pub(crate) fn start_again(&mut self) {
        self.process = Process::spawn(serve(&self.setup, &self.data, self.addresses));
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self) {
        let is_it = |line: &str| line.contains(READY).then_some(());
        self.process.err.find(READY_MAX, READY, is_it).await;
    }

    /// Waits until its admin port answers, ready or not.
    pub(crate) async fn answers_probes(&self) {
        let is_it = |line: &str| line.contains(ANSWERS).then_some(());
        self.process.err.find(READY_MAX, ANSWERS, is_it).await;
    }

    /// Where its gRPC services are.
    pub(crate) fn grpc(&self) -> SocketAddr {
        self.addresses.grpc.expect("it serves gRPC")
    }

    /// The URL of its gRPC services.
    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc())
    }

    /// The URL of playback.
    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.addresses.http.expect("it serves HTTP"))
    }

    /// The URL of health and metrics.
    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}", self.addresses.admin)
    }

    /// Whether a probe of the admin port, `healthz` or `readyz`, is answered with yes.
    pub(crate) async fn probe(&self, name: &str) -> bool {
        get(&format!("{}/{name}", self.admin_url())).await.status().is_success()
    }

    /// The sum of a metric over all of its labels; `None` while it isn't there.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        self.metric_where(name, "").await
    }

    /// The sum of a metric over all label sets that hold this text, for example `outcome="failed"`.
    pub(crate) async fn metric_where(&self, name: &str, label: &str) -> Option<f64> {
        let answer = get(&format!("{}/metrics", self.admin_url())).await;
        let text = String::from_utf8_lossy(answer.body()).into_owned();
        let values = text.lines().filter_map(|line| {
            let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
            let is_it = (labels.is_empty() || labels.starts_with('{')) && labels.contains(label);
            is_it.then(|| value.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    /// A gRPC connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        channel(&self.grpc_url()).await
    }

    /// Its last lines, for whoever reads why a test failed.
    pub(crate) fn show_last_lines(&self) {
        let (log, role) = (self.log(), self.setup.role.map_or("node", Role::name));
        let last = &log[log.len().saturating_sub(LAST_LINES_MAX)..];
        eprintln!("the last lines of the {role} {}:\n{}", self.pid(), last.join("\n"));
    }
}

/// A gRPC connection to whatever listens there.
pub(crate) async fn channel(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("an address");
    endpoint
        .tcp_nodelay(true)
        .connect()
        .await
        .expect("the server takes connections")
}

fn serve(setup: &Setup, data: &Path, addresses: Addresses) -> Command {
    let mut command = match setup.under.split_first() {
        None => reelway(["serve"]),
        Some((wrapper, args)) => {
            let mut command = Wrapper::new(wrapper);
            command.args(args).arg(reelway_path()).arg("serve");
            command.into()
        }
    };
    let ports = [
        ("--grpc", addresses.grpc),
        ("--http", addresses.http),
        ("--admin", Some(addresses.admin)),
    ];
    for (option, address) in ports {
        command.args(
            address
                .into_iter()
                .flat_map(|address| [option.to_owned(), address.to_string()]),
        );
    }
    command.args(setup.role.into_iter().flat_map(|role| ["--role", role.name()]));
    command.args(["--log-format", "json"]).args(&setup.options);
    command.arg("--data").arg(data);
    command.envs(setup.env.iter().map(|(name, value)| (name, value)));
    command
}
