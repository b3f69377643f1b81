//! A node: `reelway serve` on free ports and a data directory of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command as Wrapper,
    time::Duration,
};

use nix::{sys::signal::Signal, unistd::Pid};
use reelway::v1::{self, progress_service_client::ProgressServiceClient, upload_service_client::UploadServiceClient};
use reelway_client::{Client, Endpoints, UploadProgress};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{process::Command, sync::watch};
use tonic::transport::{Channel, Endpoint};

use super::{Ended, Process, process::reelway_path, reelway, within};

/// A node that isn't ready by then never will be.
const READY_MAX: Duration = Duration::from_secs(30);
/// The drain time and the time for the last answers, with room for a busy machine.
const STOP_MAX: Duration = Duration::from_secs(30);

/// How a node is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setup {
    /// Options of `reelway serve`.
    pub(crate) options: Vec<String>,
    /// A command that runs the node, with its arguments; the node takes its place in the process table.
    pub(crate) under: Vec<String>,
}

/// A running node. Dropping it kills it and removes its data.
pub(crate) struct Node {
    setup: Setup,
    // Before the directory: fields are dropped in this order, and the node writes until it is dead.
    process: Process,
    dir: TempDir,
    addresses: Addresses,
}

#[derive(Debug, Clone, Copy)]
struct Addresses {
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Node {
    /// Starts a node as it is by default.
    pub(crate) async fn start() -> Self {
        Self::set_up(Setup::default()).await
    }

    /// Starts a node with options.
    pub(crate) async fn with(options: &[&str]) -> Self {
        let options = options.iter().map(ToString::to_string).collect();
        Self::set_up(Setup {
            options,
            ..Setup::default()
        })
        .await
    }

    /// Starts a node.
    pub(crate) async fn set_up(setup: Setup) -> Self {
        let dir = tempfile::tempdir().expect("a directory for a node");
        let process = Process::spawn(serve(&setup, &dir.path().join("data"), &free_ports()));
        let addresses = ready(&process).await;
        Self {
            setup,
            dir,
            process,
            addresses,
        }
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A directory that goes with the node, for whatever else a test needs.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// What it logs.
    pub(crate) fn log(&self) -> Vec<String> {
        self.process.err.all()
    }

    /// Ends the node at once: SIGKILL.
    pub(crate) async fn kill9(&mut self) {
        self.process.kill9().await;
    }

    /// Asks the node to stop, without waiting for it.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the node's end.
    pub(crate) async fn ended(&mut self) -> Ended {
        self.process.ended(STOP_MAX).await
    }

    /// Asks the node to stop, and waits until it has.
    pub(crate) async fn terminate(&mut self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// Starts the node again over the same data, on other ports.
    pub(crate) async fn restart(&mut self) {
        self.process = Process::spawn(serve(&self.setup, &self.data(), &free_ports()));
        self.addresses = ready(&self.process).await;
    }

    /// Starts the node again over the same data and on the same ports, for clients that are to find it again.
    pub(crate) async fn restart_in_place(&mut self) {
        let Addresses { grpc, http, admin } = self.addresses;
        let ports = [grpc, http, admin].map(|address| address.to_string());
        self.process = Process::spawn(serve(&self.setup, &self.data(), &ports));
        self.addresses = ready(&self.process).await;
    }

    /// The address of all gRPC services.
    pub(crate) fn grpc_url(&self) -> String {
        format!("http://{}", self.addresses.grpc)
    }

    /// The gRPC port.
    pub(crate) fn grpc_port(&self) -> u16 {
        self.addresses.grpc.port()
    }

    /// The address of playback.
    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.addresses.http)
    }

    /// The address of health and metrics.
    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}", self.addresses.admin)
    }

    /// A connection of its own.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.grpc_url())
            .expect("an address")
            .tcp_nodelay(true);
        endpoint.connect().await.expect("the node takes connections")
    }

    /// The upload service over a connection of its own, without any help.
    pub(crate) async fn uploads(&self) -> UploadServiceClient<Channel> {
        UploadServiceClient::new(self.channel().await)
    }

    /// The progress service over a connection of its own, without any help.
    pub(crate) async fn progress(&self) -> ProgressServiceClient<Channel> {
        ProgressServiceClient::new(self.channel().await)
    }

    /// The client that users have.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&Endpoints::single(&self.grpc_url())).expect("an address")
    }

    /// Uploads a file, and gives the complete upload.
    pub(crate) async fn upload(&self, path: &Path, preset: &str) -> v1::Upload {
        let client = self.client();
        let request = v1::CreateUploadRequest {
            size_bytes: Some(i64::try_from(path.metadata().expect("a file").len()).expect("a length")),
            file_name: path.file_name().expect("a name").to_string_lossy().into_owned(),
            preset: preset.to_owned(),
            ..Default::default()
        };
        let upload = client.create_upload(request).await.expect("an upload");
        let progress = watch::Sender::new(UploadProgress::default());
        client
            .upload_file(upload, path, &progress)
            .await
            .expect("a complete upload")
    }

    /// The job as it is.
    pub(crate) async fn job(&self, job_id: &str) -> v1::Job {
        let request = v1::GetJobRequest {
            job_id: job_id.to_owned(),
        };
        self.client().get_job(request).await.expect("a job")
    }

    /// The job's tasks as they are.
    pub(crate) async fn tasks(&self, job_id: &str) -> Vec<v1::Task> {
        let request = v1::ListTasksRequest {
            job_id: job_id.to_owned(),
        };
        self.client().list_tasks(request).await.expect("tasks")
    }

    /// The job once it has ended.
    pub(crate) async fn job_ended(&self, job_id: &str, limit: Duration) -> v1::Job {
        within(limit, "the job's end", async || {
            let job = self.job(job_id).await;
            let is_over = !matches!(job.state(), v1::JobState::Queued | v1::JobState::Running);
            is_over.then_some(job)
        })
        .await
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            eprintln!(
                "the node's last lines:\n{}",
                log[log.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}

fn free_ports() -> [String; 3] {
    ["127.0.0.1:0"; 3].map(str::to_owned)
}

fn serve(setup: &Setup, data: &Path, [grpc, http, admin]: &[String; 3]) -> Command {
    let serve = [
        "serve",
        "--grpc",
        grpc,
        "--http",
        http,
        "--admin",
        admin,
        "--log-format",
        "json",
    ];
    let mut command = match setup.under.split_first() {
        None => reelway(serve),
        Some((wrapper, args)) => {
            let mut command = Wrapper::new(wrapper);
            command.args(args).arg(reelway_path()).args(serve);
            command.into()
        }
    };
    command.args(&setup.options).arg("--data").arg(data);
    command
}

/// Waits for the line that says where the node listens.
async fn ready(process: &Process) -> Addresses {
    let addresses = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let address = |name: &str| line[name].as_str()?.parse().ok();
        (line["message"] == "node is ready").then_some(())?;
        Some(Addresses {
            grpc: address("grpc")?,
            http: address("http")?,
            admin: address("admin")?,
        })
    };
    process.err.find(READY_MAX, "the node's addresses", addresses).await
}
