//! The node under test, and what its clients say.

use std::{
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use nix::{fcntl::OFlag, sys::stat::Mode, unistd::mkfifo};
use reelway::v1::{self, UploadChunk, upload_service_client::UploadServiceClient};
use reelway_auth::Identity;
use reelway_blob::{BucketSettings, BucketStore, DiskStore, Held, Owner, Sharing, SourcePlace, Store};
use reelway_bus::Bus;
use reelway_catalog::{Catalog, Commit, Opened, Upload};
use reelway_domain::{Failure, FileEpoch, Offset, Reason, Tenant, UploadId};
use reelway_rpc::{GrpcServer, from_status};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status, Streaming,
    body::Body,
    codegen::{Service, http},
    server::NamedService,
    transport::Channel,
};

use crate::{Settings, UploadServer};

/// Longer than anything takes here, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const MIB: usize = 1 << 20;

/// Where the bytes of a test are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Disk,
    Bucket,
}

/// A server, what it works on, and a client.
pub(crate) struct Node {
    pub(crate) catalog: Catalog,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) client: UploadServiceClient<Channel>,
    pub(crate) server: UploadServer,
    pub(crate) shutdown: CancellationToken,
    pub(crate) address: String,
    data: Arc<TempDir>,
    /// Of a bucket: another one for each test.
    prefix: String,
}

impl Node {
    pub(crate) async fn start(at: At) -> Self {
        Self::with(at, Settings::default()).await
    }

    pub(crate) async fn with(at: At, settings: Settings) -> Self {
        Self::beginning(at, settings, Sharing::Exclusive).await
    }

    /// With the bytes below another directory than the database.
    pub(crate) async fn on_disk(bytes: &Path) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let store = DiskStore::open(bytes, Sharing::Exclusive).unwrap().into();
        let catalog = open_catalog(&data).await;
        Self::on(
            catalog,
            store,
            Bus::default(),
            Settings::default(),
            (data, String::new()),
        )
        .await
    }

    /// With a store that other nodes may share.
    pub(crate) async fn sharing(at: At) -> Self {
        Self::sharing_with(at, Settings::default()).await
    }

    pub(crate) async fn sharing_with(at: At, settings: Settings) -> Self {
        Self::beginning(at, settings, Sharing::Shared).await
    }

    async fn beginning(at: At, settings: Settings, sharing: Sharing) -> Self {
        let data = Arc::new(tempfile::tempdir().unwrap());
        let prefix = UploadId::new().to_string();
        let store = match at {
            At::Disk => DiskStore::open(data.path().join("blobs"), sharing).unwrap().into(),
            At::Bucket => open_bucket(&prefix).await,
        };
        let catalog = open_catalog(&data).await;
        Self::on(catalog, store, Bus::default(), settings, (data, prefix)).await
    }

    /// The same bytes, as another process has them.
    pub(crate) async fn another_store(&self) -> Store {
        match &self.store {
            Store::Disk(_) => {
                let disk = DiskStore::open(self.data.path().join("blobs"), Sharing::Shared);
                disk.unwrap().into()
            }
            Store::Bucket(_) => open_bucket(&self.prefix).await,
        }
    }

    /// Another node on the same catalog and the same bytes, as another process has them.
    pub(crate) async fn beside(&self, bus: Bus) -> Self {
        let store = self.another_store().await;
        let settings = self.server.shared.settings.clone();
        let place = (Arc::clone(&self.data), self.prefix.clone());
        Self::on(self.catalog.clone(), store, bus, settings, place).await
    }

    async fn on(
        catalog: Catalog,
        store: Store,
        bus: Bus,
        settings: Settings,
        (data, prefix): (Arc<TempDir>, String),
    ) -> Self {
        let shutdown = CancellationToken::new();
        let server = UploadServer::new(catalog.clone(), store.clone(), bus.clone(), settings, shutdown.clone());
        let address = serve(&server, Identity::anybody(), &shutdown).await;
        tokio::spawn(server.clone().follow());
        tokio::spawn(server.clone().join());
        Self {
            client: connect(&address).await,
            catalog,
            store,
            bus,
            server,
            shutdown,
            address,
            data,
            prefix,
        }
    }

    /// A client of the same server that is somebody else.
    pub(crate) async fn client_of(&self, identity: Identity) -> UploadServiceClient<Channel> {
        connect(&serve(&self.server, identity, &self.shutdown).await).await
    }

    pub(crate) async fn create(&self, size: Option<usize>) -> v1::Upload {
        self.create_with(v1::CreateUploadRequest {
            size_bytes: size.map(|size| i64::try_from(size).unwrap()),
            ..Default::default()
        })
        .await
        .unwrap()
    }

    pub(crate) async fn create_with(&self, request: v1::CreateUploadRequest) -> Result<v1::Upload, Failure> {
        let answer = self.client.clone().create_upload(request).await.map_err(failure)?;
        Ok(answer.into_inner().upload.unwrap())
    }

    pub(crate) async fn get(&self, id: &str) -> v1::Upload {
        let answer = self.client.clone().get_upload(get(id, false)).await;
        answer.unwrap().into_inner().upload.unwrap()
    }

    /// GetUpload by somebody who wants to go on with the upload.
    pub(crate) async fn end_writer(&self, id: &str) -> v1::Upload {
        let answer = self.client.clone().get_upload(get(id, true)).await;
        answer.unwrap().into_inner().upload.unwrap()
    }

    /// WriteUpload with all these chunks.
    pub(crate) async fn write(&self, chunks: Vec<UploadChunk>) -> Result<v1::Upload, Failure> {
        let messages = chunks
            .into_iter()
            .map(|chunk| v1::WriteUploadRequest { chunk: Some(chunk) });
        let answer = self.client.clone().write_upload(tokio_stream::iter(messages)).await;
        let answer = answer.map_err(failure)?.into_inner();
        let upload = answer.upload.unwrap();
        assert_eq!(answer.durable_offset, upload.durable_offset);
        Ok(upload)
    }

    pub(crate) async fn complete(&self, id: &str, size_bytes: i64) -> Result<v1::Upload, Failure> {
        let upload_id = id.to_owned();
        let request = v1::CompleteUploadRequest { upload_id, size_bytes };
        let answer = self.client.clone().complete_upload(request).await.map_err(failure)?;
        Ok(answer.into_inner().upload.unwrap())
    }

    pub(crate) async fn abort(&self, id: &str) -> Result<v1::Upload, Failure> {
        let request = v1::AbortUploadRequest {
            upload_id: id.to_owned(),
            ..Default::default()
        };
        let answer = self.client.clone().abort_upload(request).await;
        Ok(answer.map_err(failure)?.into_inner().upload.unwrap())
    }

    /// A later writer completes an upload in the catalog alone, so that nothing here hears of it.
    pub(crate) async fn completed_elsewhere(&self, id: &str) {
        let row = self.row(id).await;
        let opened = self
            .catalog
            .open_writer(&row.tenant, row.id, self.store.writer_id())
            .await;
        let Opened::Writer(later) = opened.unwrap() else {
            panic!("the upload has ended");
        };
        let (epoch, size) = (later.writer_epoch, later.size.unwrap());
        let completed = self.catalog.complete_upload(row.id, epoch, size).await.unwrap();
        assert!(matches!(completed, Commit::Done(_)), "{completed:?}");
    }

    /// The upload's row.
    pub(crate) async fn row(&self, id: &str) -> Upload {
        let found = self.catalog.upload(&Tenant::single(), id.parse().unwrap()).await;
        found.unwrap().unwrap()
    }

    /// The store of a test on disk.
    pub(crate) fn disk(&self) -> &DiskStore {
        self.store.disk().expect("the test is one on disk")
    }

    /// The upload's first file: its only one, unless several nodes wrote it.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.disk().upload_path(id.parse().unwrap(), FileEpoch::FIRST)
    }

    /// What the store has of an upload; of one that is not complete only on disk.
    pub(crate) async fn stored(&self, id: &str) -> Vec<u8> {
        let row = self.row(id).await;
        if let Some(disk) = self.store.disk() {
            return std::fs::read(disk.upload_path(row.id, row.file_epoch)).unwrap();
        }
        let size = usize::try_from(row.size.unwrap()).unwrap();
        let place = SourcePlace {
            upload: row.id,
            file: row.file_epoch,
            key: row.source_key,
        };
        let source = self.store.read_upload(&place).await.unwrap();
        source.read_at(Offset::ZERO, size).await.unwrap().to_vec()
    }

    /// Whether the store has these bytes of an upload that is not complete, as far as that can be seen.
    pub(crate) async fn has(&self, id: &str, from: usize, bytes: &[u8]) -> bool {
        let to = from + bytes.len();
        match &self.store {
            Store::Disk(_) => self.stored(id).await[from..to] == *bytes,
            Store::Bucket(_) => {
                let staged = self.catalog.staged(id.parse().unwrap()).await.unwrap();
                let parts_end = staged.parts.last().map(reelway_domain::StoredPart::to);
                let end = staged.rests.last().map(|rest| rest.to).or(parts_end);
                let row = self.row(id).await;
                row.source_key.is_some() || end.is_some_and(|end| end.as_u64() >= to as u64)
            }
        }
    }

    /// The uploads that the store has anything of, once for each thing.
    pub(crate) async fn uploads(&self) -> Vec<UploadId> {
        match &self.store {
            Store::Disk(disk) => {
                let files = disk.list_uploads().await.unwrap();
                files.into_iter().map(|file| file.id.upload).collect()
            }
            Store::Bucket(bucket) => {
                let held: Vec<_> = bucket.held().collect().await;
                let upload = |held: Result<Held, _>| match held.unwrap().owner {
                    Owner::Upload(upload) => Some(upload),
                    _ => None,
                };
                held.into_iter().filter_map(upload).collect()
            }
        }
    }

    /// Whether the store has nothing of an upload.
    pub(crate) async fn is_freed(&self, id: &str) -> bool {
        !self.uploads().await.contains(&id.parse().unwrap())
    }
}

/// One StreamUpload call as its client sees it.
pub(crate) struct Stream {
    messages: Option<mpsc::Sender<v1::StreamUploadRequest>>,
    answers: Streaming<v1::StreamUploadResponse>,
}

impl Stream {
    /// Begins with this chunk and reads the first answer.
    pub(crate) async fn open(node: &Node, first: UploadChunk) -> (Self, v1::Upload) {
        Self::try_open(node, first).await.unwrap()
    }

    /// As [`Self::open`], where somebody else may be faster.
    pub(crate) async fn try_open(node: &Node, first: UploadChunk) -> Result<(Self, v1::Upload), Failure> {
        let (messages, receiver) = mpsc::channel(8);
        let answers = node.client.clone().stream_upload(ReceiverStream::new(receiver)).await;
        let mut stream = Self {
            messages: Some(messages),
            answers: answers.map_err(failure)?.into_inner(),
        };
        stream.send(first).await;
        let begin = stream.answer().await.unwrap()?;
        Ok((stream, begin.upload.expect("the first answer has the upload")))
    }

    pub(crate) async fn send(&self, chunk: UploadChunk) {
        let message = v1::StreamUploadRequest { chunk: Some(chunk) };
        // A stream that the server has ended takes nothing any more; what it said is in the answers.
        let _ = self.messages.as_ref().unwrap().send(message).await;
    }

    /// Another handle of the client's side, which stays open until both are closed.
    pub(crate) fn sender(&self) -> mpsc::Sender<v1::StreamUploadRequest> {
        self.messages.clone().unwrap()
    }

    /// Ends the client's side.
    pub(crate) fn close(&mut self) {
        self.messages = None;
    }

    pub(crate) async fn answer(&mut self) -> Option<Result<v1::StreamUploadResponse, Failure>> {
        let answer = patient(self.answers.next()).await;
        answer.map(|answer| answer.map_err(failure))
    }

    /// The last answer with the upload, or the failure, after all answers that are still to come.
    pub(crate) async fn end(&mut self) -> Result<v1::Upload, Failure> {
        let mut last = None;
        while let Some(answer) = self.answer().await {
            last = Some(answer?);
        }
        Ok(last
            .and_then(|answer| answer.upload)
            .expect("the last answer has the upload"))
    }
}

/// A service whose callers are all the same.
#[derive(Clone)]
struct As<S> {
    inner: S,
    identity: Identity,
}

impl<S: NamedService> NamedService for As<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for As<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> S::Future {
        request.extensions_mut().insert(self.identity.clone());
        self.inner.call(request)
    }
}

/// Serves everybody as this caller, as the layer in front of the service would have found out.
async fn serve(server: &UploadServer, identity: Identity, shutdown: &CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = As {
        inner: server.clone().into_service(),
        identity,
    };
    let grpc = GrpcServer::new(listener).add_service(service);
    tokio::spawn(grpc.serve(shutdown.clone().cancelled_owned(), PATIENCE));
    address
}

pub(crate) fn get(upload_id: &str, end_writer: bool) -> v1::GetUploadRequest {
    v1::GetUploadRequest {
        upload_id: upload_id.to_owned(),
        end_writer,
    }
}

/// The bucket that `scripts/test` has a server for, below a prefix of the test's own.
async fn open_bucket(prefix: &str) -> Store {
    let of = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("scripts/test sets {name}"));
    let url = format!("{}/{prefix}", of("REELWAY_TEST_S3"));
    let settings = BucketSettings {
        endpoint: Some(of("REELWAY_TEST_S3_ENDPOINT").parse().unwrap()),
        ..BucketSettings::default()
    };
    BucketStore::open(&url.parse().unwrap(), &settings)
        .await
        .unwrap()
        .into()
}

async fn open_catalog(data: &TempDir) -> Catalog {
    let url = format!("sqlite://{}", data.path().join("catalog.db").display());
    let catalog = Catalog::open(&url).await.unwrap();
    catalog.migrate().await.unwrap();
    catalog
}

pub(crate) async fn connect(address: &str) -> UploadServiceClient<Channel> {
    let endpoint = Channel::from_shared(address.to_owned()).unwrap();
    UploadServiceClient::new(endpoint.connect().await.unwrap())
}

/// A chunk of the upload.
pub(crate) fn chunk(upload: &v1::Upload, offset: usize, data: impl Into<Bytes>) -> UploadChunk {
    UploadChunk {
        upload_id: upload.id.clone(),
        offset: i64::try_from(offset).unwrap(),
        data: data.into(),
        ..Default::default()
    }
}

pub(crate) fn flush(chunk: UploadChunk) -> UploadChunk {
    UploadChunk { flush: true, ..chunk }
}

pub(crate) fn finish(chunk: UploadChunk) -> UploadChunk {
    UploadChunk { finish: true, ..chunk }
}

/// Bytes that differ everywhere.
pub(crate) fn content(length: usize) -> Bytes {
    (0..length.div_ceil(4))
        .flat_map(|i| u32::try_from(i).unwrap().wrapping_mul(2_654_435_761).to_le_bytes())
        .take(length)
        .collect::<Vec<u8>>()
        .into()
}

/// All of `content` from `begin` on, in chunks of this size.
pub(crate) fn chunks(upload: &v1::Upload, content: &Bytes, begin: usize, chunk_bytes: usize) -> Vec<UploadChunk> {
    let offsets = (begin..content.len()).step_by(chunk_bytes);
    offsets
        .map(|at| chunk(upload, at, content.slice(at..content.len().min(at + chunk_bytes))))
        .collect()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn failure(status: Status) -> Failure {
    from_status(&status).unwrap_or_else(|| panic!("not one of ours: {status:?}"))
}

/// The failure's offsets, as the client goes on from them.
pub(crate) fn durable(failure: &Failure) -> usize {
    failure.metadata["durableOffset"].parse().unwrap()
}

/// Checks the reason and gives the failure.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Failure>, reason: Reason) -> Failure {
    let failure = result.unwrap_err();
    assert_eq!(failure.reason, reason, "{failure}");
    failure
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

/// Puts something in a file's place that keeps whoever opens it waiting. Gives what puts the file back.
pub(crate) fn block(path: PathBuf) -> impl FnOnce() {
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    move || {
        let_go(&path);
        std::fs::rename(away, path).unwrap();
    }
}

/// Lets whoever waits at a blocked path go on, who finds nothing to be read; whether anybody did.
pub(crate) fn let_go(path: &Path) -> bool {
    let nobody_waits = std::fs::File::options()
        .write(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .is_err();
    !nobody_waits
}

/// Spawned, so that it goes on while the test does something else.
pub(crate) fn beside<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}
