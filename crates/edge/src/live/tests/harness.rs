//! An edge of its own in front of a ProgressService whose pace and whose bytes the test knows.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::middleware;
use http_body_util::BodyExt as _;
use reelway::v1;
use reelway_auth::Auth;
use reelway_catalog::{Catalog, Commit, Fenced, Opened};
use reelway_domain::{EventSeq, JobId, Sample, Tenant, UploadId, WorkerId, WriterId, limits};
use reelway_progress::{Hub, Progress};
use reelway_rpc::PlaybackUrls;
use tokio::net::TcpSocket;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::body::Body;
use tower::{Layer as _, ServiceExt};

use super::super::{Pace, routes_at};
use crate::{
    AllowedOrigin, Connections, Edge, Settings, Upstream, cors, in_process,
    testing::{Node, PATIENCE},
};

/// What sockets of these tests hold, in bytes, or the kernel would swallow all that a slow reader doesn't read.
pub(super) const SOCKET_BYTES: u32 = 8 << 10;
/// The length of an upload, in bytes.
pub(super) const SIZE: i64 = 1 << 20;

/// What a test may set.
pub(super) struct Setup {
    pub(super) progress: reelway_progress::Pace,
    pub(super) pace: Pace,
    pub(super) origins: Vec<AllowedOrigin>,
    /// Who may watch. The rest of the node asks nobody who they are.
    pub(super) auth: fn(&Catalog) -> Auth,
}

impl Default for Setup {
    /// Nothing happens by itself within a test.
    fn default() -> Self {
        let never = Duration::from_secs(3_600);
        Self {
            progress: reelway_progress::Pace {
                bookmark_every: never,
                sample_every: Duration::from_millis(1),
                watch_max: never,
            },
            pace: Pace {
                ping_every: never,
                send_max: never,
            },
            origins: Vec::new(),
            auth: |_| Auth::open(),
        }
    }
}

pub(super) struct Live {
    pub(super) node: Node,
    pub(super) address: SocketAddr,
    pub(super) shutdown: CancellationToken,
    /// The bytes of messages that the edge has taken from the service, of each call in its order.
    taken_bytes: Arc<Mutex<Vec<Arc<AtomicU64>>>>,
    _ends: DropGuard,
}

impl Live {
    pub(super) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(super) async fn with(setup: Setup) -> Self {
        Self::on(Node::start().await, setup).await
    }

    pub(super) async fn on(node: Node, setup: Setup) -> Self {
        let shutdown = CancellationToken::new();
        let hub = Hub::new();
        tokio::spawn(Arc::clone(&hub).run(node.catalog.clone(), node.bus.clone(), shutdown.clone()));
        // Shutdown is the edge's here: the service goes on.
        let service_ends = CancellationToken::new();
        let progress = Progress::new(
            node.catalog.clone(),
            hub,
            PlaybackUrls::new("http://play"),
            service_ends,
        );
        let service = progress.with_pace(setup.progress).into_service();
        let auth = (setup.auth)(&node.catalog);
        let taken_bytes = Arc::<Mutex<Vec<Arc<AtomicU64>>>>::default();
        let calls = Arc::clone(&taken_bytes);
        let judged = auth.layer().layer(service);
        let counted = ServiceExt::<http::Request<Body>>::map_response(judged, move |answer: http::Response<Body>| {
            let count = Arc::new(AtomicU64::new(0));
            calls.lock().unwrap().push(Arc::clone(&count));
            answer.map(|body| counting(body, count))
        });
        let upstream = Upstream {
            progress: in_process(counted),
            ..node.upstream.clone()
        };
        let edge = Edge::new(upstream, Settings::default(), shutdown.clone());
        let origins: Arc<[AllowedOrigin]> = setup.origins.into();
        let routes = routes_at(setup.pace)
            .layer(middleware::from_fn_with_state(origins, cors::layer))
            .with_state(edge);
        let socket = TcpSocket::new_v4().unwrap();
        // Connections inherit it.
        socket.set_send_buffer_size(SOCKET_BYTES).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let ends = shutdown.clone().drop_guard();
        let connections = Connections::default();
        tokio::spawn(crate::serve(listener, routes, connections, shutdown.clone(), PATIENCE));
        Self {
            node,
            address,
            shutdown,
            taken_bytes,
            _ends: ends,
        }
    }

    /// The bytes of messages that the edge has taken from the service for the n-th call.
    pub(super) fn taken_bytes(&self, call: usize) -> u64 {
        self.taken_bytes.lock().unwrap()[call].load(Ordering::Relaxed)
    }

    /// An upload that waits for its bytes, and its job.
    pub(super) async fn upload(&self) -> (UploadId, JobId) {
        let request = v1::CreateUploadRequest {
            size_bytes: Some(SIZE),
            ..Default::default()
        };
        let created = self.node.upstream.uploads().create_upload(request).await.unwrap();
        let upload = created.into_inner().upload.unwrap();
        (upload.id.parse().unwrap(), upload.job_id.parse().unwrap())
    }

    /// An upload with all its bytes, and its job, which waits for a worker.
    pub(super) async fn job(&self) -> (UploadId, JobId) {
        let (upload, job) = self.upload().await;
        let opened = self
            .node
            .catalog
            .open_writer(&Tenant::single(), upload, WriterId::ONLY)
            .await;
        let Opened::Writer(row) = opened.unwrap() else {
            panic!("a new upload can't be written")
        };
        let done = self.node.catalog.complete_upload(upload, row.writer_epoch, SIZE).await;
        assert!(matches!(done.unwrap(), Commit::Done(_)));
        (upload, job)
    }

    /// Two events: a task is claimed and given back.
    pub(super) async fn work(&self) {
        let claim = self
            .node
            .catalog
            .claim(WorkerId::new(), limits::LEASE_TTL)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(self.node.catalog.hand_back(&claim.task).await.unwrap(), Fenced::Done);
    }

    /// The last events of a job.
    pub(super) async fn cancel(&self, job: JobId) {
        self.node.catalog.cancel_job(&Tenant::single(), job).await.unwrap();
    }

    /// A sample that differs from all with another offset, if it is beyond the end of the upload.
    pub(super) fn sample(&self, upload: UploadId, durable_offset: i64) {
        self.node.bus.sample(Sample::Upload { upload, durable_offset });
    }

    /// The number of a job's last event.
    pub(super) async fn last_seq(&self, job: JobId) -> i64 {
        let events = self
            .node
            .catalog
            .events_of_job(&Tenant::single(), job, EventSeq(0), 100_000)
            .await;
        events.unwrap().last().unwrap().seq.0
    }
}

/// The same body, counted as it is taken.
fn counting(body: Body, count: Arc<AtomicU64>) -> Body {
    Body::new(body.map_frame(move |frame| {
        if let Some(data) = frame.data_ref() {
            count.fetch_add(data.len() as u64, Ordering::Relaxed);
        }
        frame
    }))
}
