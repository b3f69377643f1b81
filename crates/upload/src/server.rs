//! The server of UploadService: what it works on, and how it ends.

use std::{future::Future, sync::Arc, time::Duration};

use reelway::v1::upload_service_server::UploadServiceServer;
use reelway_auth::Auth;
use reelway_blob::Store;
use reelway_bus::Bus;
use reelway_catalog::Catalog;
use reelway_domain::{Failure, Reason, SourceRules, limits};
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{drafts::Drafts, meter, openings::Openings, registry::Registry};

/// So many streams take the next chunk in while they write one; further ones read and write in turn.
const READING_AHEAD_MAX: usize = 16;

/// How often a slow stream is made durable.
const COMMIT_EVERY: Duration = Duration::from_secs(2);

/// What can be configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long an unfinished upload is kept after its last byte.
    pub expiry: Duration,
    /// How long a write stream may be silent before it is ended; what came is kept.
    pub idle_max: Duration,
    /// A slow stream is made durable at least this often, so that little is lost when its writer is taken over.
    pub commit_every: Duration,
    /// Whether uploads may name a URL for webhooks: only where there is a secret to sign them with.
    pub webhooks: bool,
    /// Who signs upload grants; `None`: nobody does.
    pub auth: Option<Auth>,
    /// Where the edge is that grants lead to, such as `https://video.example`; `None`: their URLs are relative to it.
    pub public_url: Option<String>,
    /// For how long a server that puts an upload together may not be heard of, before another one does it.
    pub join_lease: Duration,
    /// What becomes of the sources of jobs.
    pub source_rules: SourceRules,
}

/// UploadService over a catalog, a store and a bus. Clones are the same server.
#[derive(Debug, Clone)]
pub struct UploadServer {
    pub(crate) shared: Arc<Shared>,
}

/// What all calls work on.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) settings: Settings,
    pub(crate) shutdown: CancellationToken,
    pub(crate) registry: Registry,
    pub(crate) openings: Openings,
    pub(crate) drafts: Drafts,
    /// There may be something to be put together.
    pub(crate) parts_changed: Notify,
    /// The open writers are to be held against the catalog before it is time.
    pub(crate) look_now: Notify,
    pub(crate) reading_ahead: Semaphore,
    pub(crate) calls: TaskTracker,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            expiry: limits::UPLOAD_EXPIRY_DEFAULT,
            idle_max: limits::STREAM_IDLE_MAX,
            commit_every: COMMIT_EVERY,
            webhooks: false,
            auth: None,
            public_url: None,
            join_lease: limits::LEASE_TTL,
            source_rules: SourceRules::default(),
        }
    }
}

impl UploadServer {
    /// A server whose write streams end when `shutdown` is cancelled: what came is made durable, and clients hear
    /// `SHUTTING_DOWN`. Run [`Self::follow`] and [`Self::join`] beside it.
    #[must_use]
    pub fn new(
        catalog: Catalog,
        store: impl Into<Store>,
        bus: Bus,
        settings: Settings,
        shutdown: CancellationToken,
    ) -> Self {
        meter::describe();
        let shared = Shared {
            catalog,
            store: store.into(),
            bus,
            settings,
            shutdown,
            registry: Registry::default(),
            openings: Openings::default(),
            drafts: Drafts::default(),
            parts_changed: Notify::new(),
            look_now: Notify::new(),
            reading_ahead: Semaphore::new(READING_AHEAD_MAX),
            calls: TaskTracker::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The gRPC service, with the limit on its messages set.
    #[must_use]
    pub fn into_service(self) -> UploadServiceServer<Self> {
        UploadServiceServer::new(self).max_decoding_message_size(limits::MESSAGE_BYTES_MAX)
    }

    /// Waits until no call changes anything any more. Call it after the shutdown token was cancelled and the transport
    /// has ended, and before the catalog is closed.
    pub async fn drained(&self) {
        self.shared.calls.close();
        self.shared.calls.wait().await;
    }

    /// Runs a call to its end even if its client goes away: a cut connection drops the handler, and what has arrived
    /// would be lost with it.
    pub(crate) async fn detached<T, E>(&self, call: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Lost> + Send + 'static,
    {
        let task = self.shared.calls.spawn(call.in_current_span());
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "call did not end");
            Err(Lost.into())
        })
    }

    /// Runs the rest of a call whose answers go through a channel.
    pub(crate) fn detach(&self, call: impl Future<Output = ()> + Send + 'static) {
        self.shared.calls.spawn(call.in_current_span());
    }
}

/// A call that panicked, or that the runtime dropped while it went down.
#[derive(Debug)]
pub(crate) struct Lost;

impl From<Lost> for Failure {
    fn from(_: Lost) -> Self {
        Failure::new(Reason::Internal, "the call did not end")
    }
}

impl From<Lost> for tonic::Status {
    fn from(lost: Lost) -> Self {
        reelway_rpc::to_status(&lost.into())
    }
}
