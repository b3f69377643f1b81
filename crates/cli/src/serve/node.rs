//! A process, put together once from its configuration. No role asks which others run beside it.

use std::net::SocketAddr;

use metrics_exporter_prometheus::PrometheusHandle;
use reelway_bus::Bus;
use reelway_edge::admin_router;
use reelway_rpc::{GrpcServer, PlaybackUrls};

use super::{
    check::stream_window,
    parts::Parts,
    ports::{GrpcPort, Reserved, grpc_ports},
    roles,
    running::Running,
    start,
    stop::Stop,
    vitals::Vitals,
};
use crate::{config::ServeConfig, error::CliError, serve_args::Role};

/// A process whose addresses are taken.
pub(super) struct Node {
    config: ServeConfig,
    addresses: Addresses,
    running: Running,
    bus: Bus,
    vitals: Vitals,
    stop: Stop,
}

struct Addresses {
    grpc: Vec<(GrpcPort, Reserved)>,
    http: Option<Reserved>,
    admin: SocketAddr,
}

impl Node {
    /// Takes the addresses, and answers probes.
    pub(super) fn open(config: ServeConfig, metrics: PrometheusHandle, stop: Stop) -> Result<Self, CliError> {
        let bus = start::bus(&config)?;
        let grpc = grpc_ports(&config)?.into_iter().map(|port| {
            let reserved = Reserved::take(port.option, port.address)?;
            Ok((port, reserved))
        });
        let grpc = grpc.collect::<Result<Vec<_>, CliError>>()?;
        let is_edge = config.roles.contains(&Role::Edge);
        let http = is_edge.then(|| Reserved::take("--http", config.http)).transpose()?;
        let admin = Reserved::take("--admin", config.admin)?;
        let vitals = Vitals::new();
        let mut running = Running::new(stop.clone());
        let addresses = Addresses {
            grpc,
            http,
            admin: admin.address,
        };
        // To the last: a probe must be able to see the process drain.
        let router = admin_router(vitals.readiness(), metrics);
        let serving = reelway_edge::serve(admin.listen()?, router, stop.last.clone(), config.grace);
        running.outlast("admin", serving);
        tracing::info!(admin = %addresses.admin, "probes are answered");
        Ok(Self {
            config,
            addresses,
            running,
            bus,
            vitals,
            stop,
        })
    }

    /// Runs the roles until it is time to stop, then waits for them.
    pub(super) async fn run(self) -> Result<(), CliError> {
        let Self {
            config,
            addresses,
            mut running,
            bus,
            vitals,
            stop,
        } = self;
        let draining = stop.draining.clone();
        let catalog = tokio::select! {
            opened = start::catalog(&config, &vitals) => opened?,
            () = draining.cancelled() => return running.wait().await,
        };
        let urls = playback_urls(&config, addresses.http.as_ref());
        let parts = Parts::new(config, catalog, bus, urls, vitals, stop);
        tokio::select! {
            started = start_roles(&parts, &mut running, addresses) => started?,
            // What has started hears of it too.
            () = draining.cancelled() => {}
        }
        let result = running.wait().await;
        parts.catalog.close().await;
        tracing::info!("node stopped");
        result
    }
}

async fn start_roles(parts: &Parts, running: &mut Running, addresses: Addresses) -> Result<(), CliError> {
    let mut listening = Listening::new(addresses.admin);
    let mut servers = Vec::new();
    for (port, reserved) in addresses.grpc {
        listening.add(port.name, reserved.address);
        let mut server = GrpcServer::new(reserved.listen()?)
            .stream_window(stream_window(&parts.config)?)
            .max_connection_age(parts.config.max_connection_age);
        for role in port.roles {
            server = roles::grpc(role, parts, running, server).await?;
        }
        servers.push((port.name, server));
    }
    if let Some(reserved) = addresses.http {
        listening.add("http", reserved.address);
        roles::edge(parts, running, reserved.listen()?).await?;
    }
    if parts.config.roles.contains(&Role::Worker) {
        roles::worker(parts, running).await?;
    }
    roles::common(parts, running);
    parts.vitals.started();
    for (name, server) in servers {
        let shutdown = parts.stop.shutdown.clone();
        running.spawn(name, server.serve(shutdown.cancelled_owned(), parts.config.grace));
    }
    listening.log();
    Ok(())
}

/// Playback is where somebody said, or else where this process, or one on the same machine, serves it.
fn playback_urls(config: &ServeConfig, http: Option<&Reserved>) -> PlaybackUrls {
    if let Some(url) = &config.public_url {
        return PlaybackUrls::new(url);
    }
    let url = format!("http://{}", http.map_or(config.http, |reserved| reserved.address));
    let tells_urls = [Role::Jobs, Role::Progress]
        .iter()
        .any(|role| config.roles.contains(role));
    if http.is_none() && tells_urls {
        tracing::warn!(
            url,
            "playback is served elsewhere, and nobody said where: set --public-url"
        );
    }
    PlaybackUrls::new(&url)
}

/// Where the process listens, for the line that says so.
struct Listening {
    admin: SocketAddr,
    grpc: Option<SocketAddr>,
    upload: Option<SocketAddr>,
    jobs: Option<SocketAddr>,
    progress: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Listening {
    fn new(admin: SocketAddr) -> Self {
        Self {
            admin,
            grpc: None,
            upload: None,
            jobs: None,
            progress: None,
            http: None,
        }
    }

    fn add(&mut self, name: &str, address: SocketAddr) {
        let place = match name {
            "grpc" => &mut self.grpc,
            "upload" => &mut self.upload,
            "jobs" => &mut self.jobs,
            "progress" => &mut self.progress,
            _ => &mut self.http,
        };
        *place = Some(address);
    }

    fn log(&self) {
        let shown = |address: Option<SocketAddr>| address.map(tracing::field::display);
        tracing::info!(
            grpc = shown(self.grpc),
            upload = shown(self.upload),
            jobs = shown(self.jobs),
            progress = shown(self.progress),
            http = shown(self.http),
            admin = %self.admin,
            "node is ready"
        );
    }
}
