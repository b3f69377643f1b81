//! A process, put together once from its configuration. No role asks which others run beside it.

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use metrics_exporter_prometheus::PrometheusHandle;
use reelway_auth::Auth;
use reelway_bus::Bus;
use reelway_domain::Timestamp;
use reelway_edge::{Connections, admin_router};
use reelway_rpc::{GrpcServer, PlaybackUrls, ServerTls};

use super::{
    auth,
    check::stream_window,
    parts::Parts,
    ports::{GrpcPort, Reserved, grpc_ports},
    roles,
    running::Running,
    start,
    stop::Stop,
    upstream::LocalServices,
    vitals::Vitals,
};
use crate::{
    config::ServeConfig,
    error::CliError,
    serve_args::{PlaybackAccess, Role},
};

/// How long a signed playback URL works at least, from the answer on that it is in.
const PLAYBACK_URL_MIN: Duration = Duration::from_secs(24 * 3600);
/// The ends of signed playback URLs are whole multiples of this, so that an answer stays the same while its job does.
const PLAYBACK_URL_STEP: Duration = Duration::from_secs(3600);

/// A process whose addresses are taken.
pub(super) struct Node {
    config: ServeConfig,
    addresses: Addresses,
    tls: Option<ServerTls>,
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
        let tls = config.tls.clone().map(ServerTls::open).transpose();
        let tls = tls.map_err(|error| CliError::usage(format!("--tls-cert, --tls-key: {error}")))?;
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
        let serving = reelway_edge::serve(
            admin.listen()?,
            router,
            Connections::default(),
            stop.last.clone(),
            config.grace,
        );
        running.outlast("admin", serving);
        tracing::info!(admin = %addresses.admin, "probes are answered");
        Ok(Self {
            config,
            addresses,
            tls,
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
            tls,
            mut running,
            bus,
            vitals,
            stop,
        } = self;
        let draining = stop.draining.clone();
        let opening = async {
            let catalog = start::catalog(&config, &vitals).await?;
            let auth = auth::open(&config, &catalog, &vitals).await?;
            Ok::<_, CliError>((catalog, auth))
        };
        let (catalog, auth) = tokio::select! {
            opened = opening => opened?,
            () = draining.cancelled() => return running.wait().await,
        };
        let urls = playback_urls(&config, addresses.http.as_ref(), &auth);
        let parts = Parts::new(config, catalog, bus, auth, urls, vitals, stop);
        tokio::select! {
            started = start_roles(&parts, &mut running, addresses, tls) => started?,
            // What has started hears of it too.
            () = draining.cancelled() => {}
        }
        let result = running.wait().await;
        parts.catalog.close().await;
        tracing::info!("node stopped");
        result
    }
}

async fn start_roles(
    parts: &Parts,
    running: &mut Running,
    addresses: Addresses,
    tls: Option<ServerTls>,
) -> Result<(), CliError> {
    let mut listening = Listening::new(addresses.admin);
    let mut servers = Vec::new();
    let mut local = LocalServices::default();
    if let Some(tls) = tls.clone() {
        let stop = parts.stop.shutdown.clone();
        running.endless("certificates", async move {
            stop.run_until_cancelled(tls.follow()).await;
        });
    }
    for (port, reserved) in addresses.grpc {
        listening.add(port.name, reserved.address);
        let mut server = GrpcServer::new(reserved.listen()?)
            .tls(tls.clone())
            .stream_window(stream_window(&parts.config)?)
            .max_connection_age(parts.config.max_connection_age);
        for role in port.roles {
            server = roles::grpc(role, parts, running, &mut local, server).await?;
        }
        servers.push((port.name, server));
    }
    if let Some(reserved) = addresses.http {
        listening.add("http", reserved.address);
        roles::edge(parts, running, local, tls, reserved.listen()?).await?;
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
fn playback_urls(config: &ServeConfig, http: Option<&Reserved>, auth: &Auth) -> PlaybackUrls {
    let urls = PlaybackUrls::new(&playback_base(config, http));
    match config.edge.playback {
        PlaybackAccess::Public => urls,
        PlaybackAccess::Signed => {
            let auth = auth.clone();
            urls.signed(move |job| auth.sign_playback(job, playback_end()))
        }
    }
}

/// When playback URLs end that are told now.
fn playback_end() -> Timestamp {
    let earliest = SystemTime::now() + PLAYBACK_URL_MIN;
    let since_1970 = earliest.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let step = PLAYBACK_URL_STEP.as_millis();
    let end = (since_1970.as_millis() / step + 1) * step;
    Timestamp(i64::try_from(end).unwrap_or(i64::MAX))
}

fn playback_base(config: &ServeConfig, http: Option<&Reserved>) -> String {
    if let Some(url) = &config.public_url {
        return url.clone();
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", http.map_or(config.http, |reserved| reserved.address));
    let tells_urls = [Role::Jobs, Role::Progress]
        .iter()
        .any(|role| config.roles.contains(role));
    if http.is_none() && tells_urls {
        tracing::warn!(
            url,
            "playback is served elsewhere, and nobody said where: set --public-url"
        );
    }
    url
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
