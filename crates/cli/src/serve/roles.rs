//! The roles: one function each, which takes what it needs of the parts and runs beside the others.

use std::sync::Arc;

use http::Response;
use reelway_auth::RateLayer;
use reelway_domain::Failure;
use reelway_edge::{Connections, Edge, Front, PlayAccess, play_router};
use reelway_jobs::{Jobs, expirer, gauges, janitor, mover, reaper, relay, remover, sweeper};
use reelway_media::Tools;
use reelway_progress::{Hub, Progress};
use reelway_rpc::{GrpcServer, ServerTls, to_status};
use reelway_upload::UploadServer;
use reelway_worker::{SourceCache, Worker};
use tokio::net::TcpListener;
use tonic::{body::Body, server::NamedService};
use tower::Layer as _;

use super::{
    parts::Parts,
    running::Running,
    store_options,
    upstream::{LocalService, LocalServices},
    webhooks,
};
use crate::{
    error::CliError,
    serve_args::{PlaybackAccess, Role},
};

/// Adds the service of a role that serves gRPC to a server.
pub(super) async fn grpc(
    role: Role,
    parts: &Parts,
    running: &mut Running,
    local: &mut LocalServices,
    server: GrpcServer,
) -> Result<GrpcServer, CliError> {
    let place = Place { parts, local, server };
    match role {
        Role::Upload => upload(parts, running, place).await,
        Role::Jobs => jobs(parts, running, place).await,
        Role::Progress => Ok(progress(parts, running, place)),
        Role::Edge | Role::Worker => Ok(place.server),
    }
}

/// Where services are called: at a port, and by the edge of this process.
struct Place<'a> {
    parts: &'a Parts,
    local: &'a mut LocalServices,
    server: GrpcServer,
}

impl Place<'_> {
    /// Puts who judges callers before a service, and what limits their rate, and lets it be called.
    fn provide(self, role: Role, service: impl LocalService + NamedService, uses_store: bool) -> GrpcServer {
        // Behind the one who knows whose call it is.
        let refused: fn(Failure) -> Response<Body> = |failure| to_status(&failure).into_http();
        let limited = RateLayer::new(self.parts.limits.tenant.clone(), refused).layer(service);
        let service = self.parts.auth.layer().layer(limited);
        self.local.keep(role, service.clone());
        self.server
            .add_service_while(service, self.parts.vitals.ready(uses_store))
    }
}

async fn upload(parts: &Parts, running: &mut Running, place: Place<'_>) -> Result<GrpcServer, CliError> {
    let settings = reelway_upload::Settings {
        expiry: parts.config.upload_expiry,
        idle_max: parts.config.upload_idle,
        webhooks: parts.config.webhooks.secret.is_some(),
        auth: Some(parts.auth.clone()),
        public_url: Some(parts.urls.base().to_owned()),
        source_rules: store_options::source_rules(&parts.config)?,
        ..reelway_upload::Settings::default()
    };
    let shutdown = parts.stop.shutdown.clone();
    let uploads = UploadServer::new(
        parts.catalog.clone(),
        parts.stores().await?.sources,
        parts.bus.clone(),
        settings,
        shutdown.clone(),
    );
    running.endless("take-overs", uploads.clone().follow());
    running.endless("joins", uploads.clone().join());
    // A stream may outlive its connection: the catalog is closed only when what arrived is durable.
    let draining = uploads.clone();
    running.endless("uploads", async move {
        shutdown.cancelled().await;
        draining.drained().await;
    });
    Ok(place.provide(Role::Upload, uploads.into_service(), true))
}

async fn jobs(parts: &Parts, running: &mut Running, place: Place<'_>) -> Result<GrpcServer, CliError> {
    let (catalog, stores) = (&parts.catalog, parts.stores().await?);
    let stop = || parts.stop.shutdown.clone();
    running.endless("relay", relay::run(catalog.clone(), parts.bus.clone(), stop()));
    running.endless("reaper", reaper::run(catalog.clone(), stop()));
    running.endless("expirer", expirer::run(catalog.clone(), stores.clone(), stop()));
    running.endless("source remover", remover::run(catalog.clone(), stores.clone(), stop()));
    running.endless("source mover", mover::run(catalog.clone(), stores.clone(), stop()));
    running.endless("sweeper", sweeper::run(catalog.clone(), stores.clone(), stop()));
    running.endless("janitor", janitor::run(catalog.clone(), stop()));
    running.endless("gauges", gauges::run(catalog.clone(), stop()));
    let settings = webhooks::settings(&parts.config)?;
    running.endless(
        "webhooks",
        reelway_jobs::webhooks::run(catalog.clone(), settings, stop()),
    );
    let rules = store_options::source_rules(&parts.config)?;
    let jobs = Jobs::new(catalog.clone(), stores.outputs, parts.urls.clone()).with_source_rules(rules);
    // Jobs are looked at and steered without the store; only what deleted ones have made waits for it.
    Ok(place.provide(Role::Jobs, jobs.into_service(), false))
}

fn progress(parts: &Parts, running: &mut Running, place: Place<'_>) -> GrpcServer {
    let shutdown = parts.stop.shutdown.clone();
    let hub = Hub::new();
    running.endless(
        "hub",
        Arc::clone(&hub).run(parts.catalog.clone(), parts.bus.clone(), shutdown.clone()),
    );
    let progress = Progress::new(parts.catalog.clone(), hub, parts.urls.clone(), shutdown);
    place.provide(Role::Progress, progress.into_service(), false)
}

/// Serves HTTP.
pub(super) async fn edge(
    parts: &Parts,
    running: &mut Running,
    local: LocalServices,
    tls: Option<ServerTls>,
    listener: TcpListener,
) -> Result<(), CliError> {
    let (config, shutdown) = (&parts.config, parts.stop.shutdown.clone());
    let settings = reelway_edge::Settings {
        public_url: config.public_url.clone(),
        body_idle_max: config.upload_idle,
        cors_origins: config.edge.cors_origins.clone(),
        ..reelway_edge::Settings::default()
    };
    let edge = Edge::new(local.upstream(config)?, settings, shutdown.clone());
    let access = match config.edge.playback {
        PlaybackAccess::Public => PlayAccess::Public,
        PlaybackAccess::Signed => PlayAccess::Signed(parts.auth.clone()),
    };
    let delivery = super::delivery::of(config)?;
    let play = play_router(parts.catalog.clone(), parts.stores().await?.outputs, access, delivery);
    let play = play.map_err(|error| CliError::usage(format!("--playback-delivery: {error}")))?;
    let front = Front {
        trusted_proxies: config.edge.trusted_proxies.clone(),
        address_limit: parts.limits.address.clone(),
    };
    let connections = Connections {
        tls,
        max: config.edge.connections.unwrap_or(Connections::MAX),
        per_address_max: config
            .edge
            .connections_per_address
            .unwrap_or(Connections::PER_ADDRESS_MAX),
        proxies: config.edge.trusted_proxies.clone(),
    };
    let router = front.before(edge, play);
    running.spawn(
        "http",
        reelway_edge::serve(listener, router, connections, shutdown, config.grace),
    );
    Ok(())
}

/// Runs tasks.
pub(super) async fn worker(parts: &Parts, running: &mut Running) -> Result<(), CliError> {
    let found = Tools::find(parts.config.media.clone()).await;
    let tools = found.map_err(|error| tools_failure(&error))?;
    let sandbox = tools.confinement();
    tracing::info!(ffmpeg = tools.version(), %sandbox, "media tools found");
    if !sandbox.is_whole() {
        tracing::warn!(%sandbox, "hostile files may do harm");
    }
    let settings = reelway_worker::Settings {
        slots: parts.config.worker_slots.get(),
        memory_mib: parts
            .config
            .worker_memory
            .map(|bytes| i64::try_from(bytes >> 20).unwrap_or(i64::MAX)),
        scratch: parts.config.data.join("scratch"),
        source_cache: SourceCache {
            bytes_max: parts.config.worker_source_cache,
            ..SourceCache::default()
        },
        drain: parts.config.drain,
    };
    let worker = Worker::new(
        parts.catalog.clone(),
        parts.stores().await?,
        parts.bus.clone(),
        tools,
        settings,
    );
    // It begins nothing new from the first wish to stop on.
    running.spawn("worker", worker.run(parts.stop.draining.clone()));
    Ok(())
}

/// What every process does besides: it carries its own hints to the bus, and looks after what it depends on.
pub(super) fn common(parts: &Parts, running: &mut Running) {
    let last = || parts.stop.last.clone();
    // To the last: the ends of streams and tasks leave hints too.
    let courier = reelway_jobs::courier::run(parts.catalog.clone(), parts.bus.clone(), last());
    running.outlast_endless("courier", courier);
    running.outlast_endless(
        "catalog watch",
        parts.vitals.clone().watch_catalog(parts.catalog.clone(), last()),
    );
    if let Some(stores) = parts.opened_stores() {
        running.outlast_endless("store watch", parts.vitals.clone().watch_stores(stores.clone(), last()));
    }
    let (vitals, draining, last) = (parts.vitals.clone(), parts.stop.draining.clone(), last());
    running.outlast_endless("draining watch", async move {
        draining.cancelled().await;
        vitals.draining();
        last.cancelled().await;
    });
}

pub(crate) fn tools_failure(error: &reelway_media::Error) -> CliError {
    let message = error
        .failure()
        .map_or_else(|| "stopped".to_owned(), |failure| failure.message.clone());
    CliError::failed("MEDIA_TOOLS", message).hint("on Debian and Ubuntu: apt-get install ffmpeg")
}
