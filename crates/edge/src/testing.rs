//! A whole node for each test, on a port of its own: the edge in front of real services, with a catalog, a store and a bus.

mod stores;
pub(crate) mod wire;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reelway_auth::Auth;
use reelway_blob::{Sharing, Store};
use reelway_bus::Bus;
use reelway_catalog::{Catalog, Upload};
use reelway_domain::Tenant;
use reelway_jobs::{Jobs, courier};
use reelway_progress::{Hub, Progress};
use reelway_rpc::PlaybackUrls;
use reelway_upload::UploadServer;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::Layer as _;

use crate::{Connections, Edge, Front, Settings, Upstream, in_process};
pub(crate) use stores::{At, on_both};
use wire::{Answer, Wire};

/// Longer than anything takes here, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a node is made of.
pub(crate) struct Setup {
    pub(crate) edge: Settings,
    pub(crate) uploads: reelway_upload::Settings,
    /// Who may call.
    pub(crate) auth: fn(&Catalog) -> Auth,
    pub(crate) sharing: Sharing,
    pub(crate) at: At,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            edge: Settings::default(),
            uploads: reelway_upload::Settings::default(),
            auth: |_| Auth::open(),
            sharing: Sharing::Exclusive,
            at: At::Disk,
        }
    }
}

impl Setup {
    /// One of several nodes on the same bytes.
    pub(crate) fn shared() -> Self {
        Self {
            sharing: Sharing::Shared,
            ..Self::default()
        }
    }
}

/// The node. It ends with its last owner.
pub(crate) struct Node {
    pub(crate) address: SocketAddr,
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) upstream: Upstream,
    /// Cancel it to let the node go down.
    pub(crate) shutdown: CancellationToken,
    _ends: DropGuard,
    data: Arc<TempDir>,
    at: At,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn start_at(at: At) -> Self {
        Self::with(Setup { at, ..Setup::default() }).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let url = format!("sqlite://{}", data.path().join("catalog.db").display());
        let catalog = Catalog::open(&url).await.unwrap();
        catalog.migrate().await.unwrap();
        Self::on(catalog, Bus::default(), setup, data).await
    }

    /// Another node on the same catalog, bus and bytes, as another process has them. The first one must be [`Setup::shared`].
    pub(crate) async fn beside(&self) -> Self {
        self.beside_as(Setup::shared()).await
    }

    /// The same, made of this.
    pub(crate) async fn beside_as(&self, setup: Setup) -> Self {
        let (data, setup) = (Arc::clone(&self.data), Setup { at: self.at, ..setup });
        Self::on(self.catalog.clone(), self.bus.clone(), setup, data).await
    }

    async fn on(catalog: Catalog, bus: Bus, setup: Setup, data: Arc<TempDir>) -> Self {
        let shutdown = CancellationToken::new();
        let store = setup.at.open(data.path(), setup.sharing).await;
        let auth = (setup.auth)(&catalog);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let urls = PlaybackUrls::new(&format!("http://{address}"));
        let uploads = UploadServer::new(
            catalog.clone(),
            store.clone(),
            bus.clone(),
            setup.uploads,
            shutdown.clone(),
        );
        let hub = Hub::new();
        tokio::spawn(uploads.clone().follow());
        tokio::spawn(uploads.clone().join());
        tokio::spawn(courier::run(catalog.clone(), bus.clone(), shutdown.clone()));
        tokio::spawn(Arc::clone(&hub).run(catalog.clone(), bus.clone(), shutdown.clone()));
        let jobs = Jobs::new(catalog.clone(), store.clone(), urls.clone());
        let progress = Progress::new(catalog.clone(), hub, urls, shutdown.clone());
        let upstream = Upstream {
            uploads: in_process(auth.layer().layer(uploads.clone().into_service())),
            jobs: in_process(auth.layer().layer(jobs.into_service())),
            progress: in_process(auth.layer().layer(progress.into_service())),
        };
        let edge = Edge::new(upstream.clone(), setup.edge, shutdown.clone());
        let routes = Front::default().before(edge, axum::Router::new());
        let connections = Connections::default();
        tokio::spawn(crate::serve(listener, routes, connections, shutdown.clone(), PATIENCE));
        Self {
            address,
            catalog,
            store,
            bus,
            upstream,
            _ends: shutdown.clone().drop_guard(),
            shutdown,
            data,
            at: setup.at,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut wire = Wire::connect(self.address).await;
        wire.request(method, path, headers, body).await;
        wire.answer(method).await
    }

    /// The row of an upload.
    pub(crate) async fn upload(&self, id: &str) -> Upload {
        let found = self.catalog.upload(&Tenant::single(), id.parse().unwrap()).await;
        found.unwrap().unwrap()
    }
}

/// Bytes that differ everywhere.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let words = (0..length.div_ceil(4)).map(|i| u32::try_from(i).unwrap().wrapping_mul(2_654_435_761));
    words.flat_map(u32::to_le_bytes).take(length).collect()
}

pub(crate) async fn patient<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it hangs")
}

/// Waits until something is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    patient(async {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while !is_so().await {
            look.tick().await;
        }
    })
    .await;
}
