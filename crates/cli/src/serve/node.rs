//! A node: the parts, put together once. No role asks which parts it was given.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use reelway_blob::DiskStore;
use reelway_bus::Bus;
use reelway_catalog::Catalog;
use reelway_domain::Failure;
use reelway_edge::{Readiness, admin_router, play_router};
use reelway_jobs::{Jobs, expirer, gauges, reaper, relay, sweeper};
use reelway_media::{Limits, Tools};
use reelway_progress::{Hub, Progress};
use reelway_rpc::{GrpcServer, PlaybackUrls};
use reelway_upload::UploadServer;
use reelway_worker::Worker;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::check::{database_url, store_dir, stream_window};
use crate::{config::ServeConfig, error::CliError};

/// How long answers that are under way may take after the wish to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long running tasks may go on after the wish to stop, before they are handed back.
const DRAIN: Duration = Duration::from_secs(5);

/// All parts of a node, ready to run.
pub(super) struct Node {
    config: ServeConfig,
    catalog: Catalog,
    store: DiskStore,
    bus: Bus,
    tools: Tools,
    metrics: PrometheusHandle,
    listeners: Listeners,
    shutdown: CancellationToken,
}

struct Listeners {
    http: TcpListener,
    grpc: TcpListener,
    admin: TcpListener,
}

impl Node {
    /// Takes the ports, then opens what the node stands on.
    pub(super) async fn build(
        config: ServeConfig,
        metrics: PrometheusHandle,
        shutdown: CancellationToken,
    ) -> Result<Self, CliError> {
        let listeners = Listeners {
            http: bind("--http", config.http).await?,
            grpc: bind("--grpc", config.grpc).await?,
            admin: bind("--admin", config.admin).await?,
        };
        let catalog = open_catalog(&database_url(config.database.as_deref(), &config.data)).await?;
        catalog.expire_orphaned_leases().await.map_err(catalog_failure)?;
        let dir = store_dir(&config)?;
        let opened = tokio::task::spawn_blocking(move || DiskStore::open(dir)).await;
        let store = opened
            .map_err(|error| CliError::failed("STORE_UNAVAILABLE", error))?
            .map_err(|error| CliError::failed("STORE_UNAVAILABLE", error))?;
        let tools = Tools::find(Limits::default())
            .await
            .map_err(|error| tools_failure(&error))?;
        tracing::info!(ffmpeg = tools.version(), sandbox = %tools.confinement(), "media tools found");
        Ok(Self {
            config,
            catalog,
            store,
            bus: Bus::default(),
            tools,
            metrics,
            listeners,
            shutdown,
        })
    }

    /// Runs all roles until the token is cancelled, then waits for them.
    pub(super) async fn run(self) -> Result<(), CliError> {
        let http = local(&self.listeners.http)?;
        let urls = PlaybackUrls::new(
            &self
                .config
                .public_url
                .clone()
                .unwrap_or_else(|| format!("http://{http}")),
        );
        let (grpc, admin) = (local(&self.listeners.grpc)?, local(&self.listeners.admin)?);
        let mut roles = Roles {
            running: JoinSet::new(),
            shutdown: self.shutdown.clone(),
        };
        self.spawn_loops(&mut roles);
        let catalog = self.catalog.clone();
        self.spawn_servers(&mut roles, urls)?;
        tracing::info!(%grpc, %http, %admin, "node is ready");
        let result = roles.wait().await;
        catalog.close().await;
        tracing::info!("node stopped");
        result
    }

    fn spawn_loops(&self, roles: &mut Roles) {
        let (catalog, stop) = (&self.catalog, &self.shutdown);
        roles.endless("relay", relay::run(catalog.clone(), self.bus.clone(), stop.clone()));
        roles.endless("reaper", reaper::run(catalog.clone(), stop.clone()));
        roles.endless(
            "expirer",
            expirer::run(catalog.clone(), self.store.clone(), stop.clone()),
        );
        roles.endless(
            "sweeper",
            sweeper::run(catalog.clone(), self.store.clone(), stop.clone()),
        );
        roles.endless("gauges", gauges::run(catalog.clone(), stop.clone()));
        let settings = reelway_worker::Settings {
            slots: self.config.worker_slots.get(),
            scratch: self.config.data.join("scratch"),
            drain: DRAIN,
        };
        let worker = Worker::new(
            catalog.clone(),
            self.store.clone(),
            self.bus.clone(),
            self.tools.clone(),
            settings,
        );
        roles.spawn("worker", worker.run(stop.clone()));
    }

    fn spawn_servers(self, roles: &mut Roles, urls: PlaybackUrls) -> Result<(), CliError> {
        let Self {
            config,
            catalog,
            store,
            bus,
            metrics,
            listeners,
            shutdown,
            ..
        } = self;
        let hub = Hub::new();
        roles.endless("hub", Arc::clone(&hub).run(bus.clone(), shutdown.clone()));
        let settings = reelway_upload::Settings {
            expiry: config.upload_expiry,
            ..reelway_upload::Settings::default()
        };
        let uploads = UploadServer::new(catalog.clone(), store.clone(), bus, settings, shutdown.clone());
        let jobs = Jobs::new(catalog.clone(), store.clone(), urls.clone());
        let progress = Progress::new(catalog.clone(), hub, urls, shutdown.clone());
        let grpc = GrpcServer::new(listeners.grpc)
            .stream_window(stream_window(&config)?)
            .add_service(uploads.clone().into_service())
            .add_service(jobs.into_service())
            .add_service(progress.into_service());
        let stop = shutdown.clone();
        // A stream may outlive its connection: the catalog is closed only when what arrived is durable.
        let drained = shutdown.clone();
        roles.endless("uploads", async move {
            drained.cancelled().await;
            uploads.drained().await;
        });
        roles.spawn("grpc", grpc.serve(async move { stop.cancelled().await }, GRACE));
        let play = play_router(catalog.clone(), store);
        roles.spawn(
            "http",
            reelway_edge::serve(listeners.http, play, shutdown.clone(), GRACE),
        );
        // The admin port answers for as long as the node lives: a probe must be able to see it drain.
        let admin = admin_router(
            Readiness {
                catalog,
                shutdown: shutdown.clone(),
            },
            metrics,
        );
        roles.spawn("admin", reelway_edge::serve(listeners.admin, admin, shutdown, GRACE));
        Ok(())
    }
}

/// What runs side by side. When one of them fails, all stop: half a node is worse than a restart.
struct Roles {
    running: JoinSet<(&'static str, Result<(), String>)>,
    shutdown: CancellationToken,
}

impl Roles {
    fn spawn<E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        role: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.running
            .spawn(async move { (name, role.await.map_err(|error| error.to_string())) });
    }

    fn endless(&mut self, name: &'static str, role: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(async move {
            role.await;
            (name, Ok(()))
        });
    }

    async fn wait(mut self) -> Result<(), CliError> {
        let mut result = Ok(());
        while let Some(ended) = self.running.join_next().await {
            let failure = match ended {
                Ok((_, Ok(()))) if self.shutdown.is_cancelled() => continue,
                Ok((name, Ok(()))) => format!("{name} ended without being asked to"),
                Ok((name, Err(error))) => format!("{name} failed: {error}"),
                Err(error) => format!("a role panicked: {error}"),
            };
            tracing::error!(failure, "stopping the node");
            self.shutdown.cancel();
            result = Err(CliError::failed("ROLE_FAILED", failure));
        }
        result
    }
}

/// Opens the catalog and brings its schema up to date.
///
/// # Errors
/// With what to do about it.
pub(crate) async fn open_catalog(url: &str) -> Result<Catalog, CliError> {
    let opened = async {
        let catalog = Catalog::open(url).await?;
        catalog.migrate().await?;
        Ok(catalog)
    };
    opened.await.map_err(catalog_failure)
}

fn catalog_failure(error: reelway_catalog::Error) -> CliError {
    let message = error.to_string();
    CliError::failed(Failure::from(error).reason.as_str(), message)
}

async fn bind(option: &str, address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|error| {
        CliError::failed("ADDRESS_UNAVAILABLE", format!("{option} {address}: {error}")).hint(format!(
            "stop what listens there, or choose another address with {option}"
        ))
    })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, CliError> {
    listener
        .local_addr()
        .map_err(|error| CliError::failed("ADDRESS_UNAVAILABLE", error))
}

pub(crate) fn tools_failure(error: &reelway_media::Error) -> CliError {
    let message = error
        .failure()
        .map_or_else(|| "stopped".to_owned(), |failure| failure.message.clone());
    CliError::failed("MEDIA_TOOLS", message).hint("on Debian and Ubuntu: apt-get install ffmpeg")
}
