//! The roles: one function each, which takes what it needs of the parts and runs beside the others.

use std::sync::Arc;

use reelway_jobs::{Jobs, expirer, gauges, janitor, reaper, relay, sweeper};
use reelway_media::{Limits, Tools};
use reelway_progress::{Hub, Progress};
use reelway_rpc::GrpcServer;
use reelway_upload::UploadServer;
use reelway_worker::Worker;
use tokio::net::TcpListener;

use super::{parts::Parts, running::Running, webhooks};
use crate::{error::CliError, serve_args::Role};

/// Adds the service of a role that serves gRPC to a server.
pub(super) async fn grpc(
    role: Role,
    parts: &Parts,
    running: &mut Running,
    server: GrpcServer,
) -> Result<GrpcServer, CliError> {
    match role {
        Role::Upload => upload(parts, running, server).await,
        Role::Jobs => jobs(parts, running, server).await,
        Role::Progress => Ok(progress(parts, running, server)),
        Role::Edge | Role::Worker => Ok(server),
    }
}

async fn upload(parts: &Parts, running: &mut Running, server: GrpcServer) -> Result<GrpcServer, CliError> {
    let settings = reelway_upload::Settings {
        expiry: parts.config.upload_expiry,
        webhooks: parts.config.webhooks.secret.is_some(),
        ..reelway_upload::Settings::default()
    };
    let shutdown = parts.stop.shutdown.clone();
    let uploads = UploadServer::new(
        parts.catalog.clone(),
        parts.store().await?,
        parts.bus.clone(),
        settings,
        shutdown.clone(),
    );
    running.endless("take-overs", uploads.clone().follow());
    // A stream may outlive its connection: the catalog is closed only when what arrived is durable.
    let draining = uploads.clone();
    running.endless("uploads", async move {
        shutdown.cancelled().await;
        draining.drained().await;
    });
    Ok(server.add_service_while(uploads.into_service(), parts.vitals.ready(true)))
}

async fn jobs(parts: &Parts, running: &mut Running, server: GrpcServer) -> Result<GrpcServer, CliError> {
    let (catalog, store) = (&parts.catalog, parts.store().await?);
    let stop = || parts.stop.shutdown.clone();
    running.endless("relay", relay::run(catalog.clone(), parts.bus.clone(), stop()));
    running.endless("reaper", reaper::run(catalog.clone(), stop()));
    running.endless("expirer", expirer::run(catalog.clone(), store.clone(), stop()));
    running.endless("sweeper", sweeper::run(catalog.clone(), store.clone(), stop()));
    running.endless("janitor", janitor::run(catalog.clone(), stop()));
    running.endless("gauges", gauges::run(catalog.clone(), stop()));
    let settings = webhooks::settings(&parts.config)?;
    running.endless(
        "webhooks",
        reelway_jobs::webhooks::run(catalog.clone(), settings, stop()),
    );
    let jobs = Jobs::new(catalog.clone(), store, parts.urls.clone());
    // Jobs are looked at and steered without the store; only what deleted ones have made waits for it.
    Ok(server.add_service_while(jobs.into_service(), parts.vitals.ready(false)))
}

fn progress(parts: &Parts, running: &mut Running, server: GrpcServer) -> GrpcServer {
    let shutdown = parts.stop.shutdown.clone();
    let hub = Hub::new();
    running.endless(
        "hub",
        Arc::clone(&hub).run(parts.catalog.clone(), parts.bus.clone(), shutdown.clone()),
    );
    let progress = Progress::new(parts.catalog.clone(), hub, parts.urls.clone(), shutdown);
    server.add_service_while(progress.into_service(), parts.vitals.ready(false))
}

/// Serves HTTP.
pub(super) async fn edge(parts: &Parts, running: &mut Running, listener: TcpListener) -> Result<(), CliError> {
    let play = reelway_edge::play_router(parts.catalog.clone(), parts.store().await?);
    let (shutdown, grace) = (parts.stop.shutdown.clone(), parts.config.grace);
    running.spawn("http", reelway_edge::serve(listener, play, shutdown, grace));
    Ok(())
}

/// Runs tasks.
pub(super) async fn worker(parts: &Parts, running: &mut Running) -> Result<(), CliError> {
    let usual = Limits::default();
    let limits = Limits {
        memory_bytes_max: parts.config.encoder_memory.unwrap_or(usual.memory_bytes_max),
        stall_max: parts.config.encoder_stall.unwrap_or(usual.stall_max),
        ..usual
    };
    let tools = Tools::find(limits).await.map_err(|error| tools_failure(&error))?;
    tracing::info!(ffmpeg = tools.version(), sandbox = %tools.confinement(), "media tools found");
    let settings = reelway_worker::Settings {
        slots: parts.config.worker_slots.get(),
        scratch: parts.config.data.join("scratch"),
        drain: parts.config.drain,
    };
    let worker = Worker::new(
        parts.catalog.clone(),
        parts.store().await?,
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
    if let Some(store) = parts.opened_store() {
        running.outlast_endless("store watch", parts.vitals.clone().watch_store(store.clone(), last()));
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
