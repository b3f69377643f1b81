//! A catalog, a bus and a real server for each test, and a worker that works on demand.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use reelway::v1::{
    self, progress_service_client::ProgressServiceClient, watch_progress_request, watch_progress_response::Message,
};
use reelway_auth::Identity;
use reelway_bus::Bus;
use reelway_catalog::{Catalog, Claim, Commit, Created, Effect, Fenced, NewJob, NewUpload, Opened, Published, Upload};
use reelway_domain::{
    EventSeq, JobEvent, JobId, NewTask, Notice, Offset, RenditionInfo, SourceAction, SourceInfo, TaskKind, TaskRef,
    Tenant, UploadId, UploadKind, WorkerId, WriterId, limits, preset,
};
use reelway_rpc::PlaybackUrls;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Status, Streaming,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};

use crate::{Hub, Pace, Progress, target::Target, watch::Sources};

/// The upload's length in bytes.
pub(crate) const SIZE: i64 = 8;
/// How much of the source each of the two video tasks makes.
pub(crate) const CHUNK_MS: i64 = 6_000;

pub(crate) struct Fixture {
    pub(crate) catalog: Catalog,
    pub(crate) bus: Bus,
    pub(crate) hub: Arc<Hub>,
    pub(crate) shutdown: CancellationToken,
    _ends_loops: DropGuard,
    _dir: tempfile::TempDir,
}

/// A pace at which nothing happens by itself within a test.
pub(crate) fn patient() -> Pace {
    let never = Duration::from_secs(3_600);
    Pace {
        bookmark_every: never,
        sample_every: Duration::from_millis(1),
        watch_max: never,
    }
}

impl Fixture {
    /// A catalog whose hints go nowhere.
    pub(crate) async fn deaf() -> Self {
        // A bus of its own, on which nobody tells anything.
        let fixture = Self::quiet(Hub::scanning(Duration::from_millis(5))).await;
        fixture.follow(Bus::default());
        fixture
    }

    /// The same with a courier and a hub that hears everything, and sees nothing by itself.
    pub(crate) async fn new() -> Self {
        let fixture = Self::quiet(Hub::scanning(Duration::from_secs(3600))).await;
        fixture.follow(fixture.bus.clone());
        let (catalog, bus, shutdown) = (fixture.catalog.clone(), fixture.bus.clone(), fixture.shutdown.clone());
        tokio::spawn(async move {
            let courier = async {
                loop {
                    let fresh = catalog.next_fresh().await;
                    let notices: Vec<Notice> = fresh.iter().map(|fresh| fresh.notice.clone()).collect();
                    bus.publish(&notices).await.unwrap();
                }
            };
            shutdown.run_until_cancelled(courier).await;
        });
        fixture
    }

    async fn quiet(hub: Arc<Hub>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", dir.path().join("catalog.db").display());
        let catalog = Catalog::open(&url).await.unwrap();
        catalog.migrate().await.unwrap();
        let shutdown = CancellationToken::new();
        Self {
            catalog,
            bus: Bus::default(),
            hub,
            _ends_loops: shutdown.clone().drop_guard(),
            shutdown,
            _dir: dir,
        }
    }

    fn follow(&self, bus: Bus) {
        let hub = Arc::clone(&self.hub);
        tokio::spawn(hub.run(self.catalog.clone(), bus, self.shutdown.clone()));
    }

    pub(crate) fn sources(&self) -> Sources {
        self.sources_of(Tenant::single())
    }

    pub(crate) fn sources_of(&self, tenant: Tenant) -> Sources {
        Sources {
            catalog: self.catalog.clone(),
            hub: Arc::clone(&self.hub),
            urls: PlaybackUrls::new("http://play"),
            tenant,
        }
    }

    /// A server at a pace.
    pub(crate) async fn serve(&self, pace: Pace) -> Client {
        self.serve_to(Some(Identity::anybody()), pace).await
    }

    /// The same to a tenant.
    pub(crate) async fn serve_tenant(&self, tenant: Tenant) -> Client {
        let identity = Identity {
            tenant,
            ..Identity::anybody()
        };
        self.serve_to(Some(identity), patient()).await
    }

    /// A server that takes everybody for this caller, or asks nobody who they are.
    pub(crate) async fn serve_to(&self, identity: Option<Identity>, pace: Pace) -> Client {
        let urls = PlaybackUrls::new("http://play");
        let progress = Progress::new(self.catalog.clone(), Arc::clone(&self.hub), urls, self.shutdown.clone());
        let identify = move |mut request: tonic::Request<()>| {
            identity
                .clone()
                .map(|identity| request.extensions_mut().insert(identity));
            Ok(request)
        };
        let service = InterceptedService::new(progress.with_pace(pace).into_service(), identify);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(incoming));
        let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
        Client(ProgressServiceClient::new(endpoint.connect_lazy()))
    }

    /// An upload that waits for its bytes.
    pub(crate) async fn upload(&self, with_job: bool) -> Upload {
        self.upload_of(Tenant::single(), with_job).await
    }

    /// The same of a tenant.
    pub(crate) async fn upload_of(&self, tenant: Tenant, with_job: bool) -> Upload {
        let job = with_job.then(|| NewJob {
            id: JobId::new(),
            preset: "fast".into(),
            ladder: preset("fast").unwrap(),
            priority: 0,
            source_action: SourceAction::Keep,
        });
        let new = NewUpload {
            id: UploadId::new(),
            tenant: tenant.clone(),
            size: Some(SIZE),
            file_name: "a.mp4".into(),
            content_type: "video/mp4".into(),
            metadata: BTreeMap::new(),
            expected_sha256: None,
            expiry: limits::UPLOAD_EXPIRY_DEFAULT,
            job,
            webhook_url: None,
            client_state: String::new(),
            kind: UploadKind::Whole,
            parts: Vec::new(),
            request: None,
        };
        let Created::New(upload) = self.catalog.create_upload(&new).await.unwrap() else {
            panic!("an upload without request id was there before")
        };
        let Opened::Writer(upload) = self
            .catalog
            .open_writer(&tenant, upload.id, WriterId::ONLY)
            .await
            .unwrap()
        else {
            panic!("a new upload can't be written")
        };
        upload
    }

    pub(crate) async fn commit(&self, upload: &Upload, offset: i64) {
        let expiry = limits::UPLOAD_EXPIRY_DEFAULT;
        let commit = self
            .catalog
            .commit_offset(upload.id, upload.writer_epoch, Offset(offset), expiry)
            .await;
        assert!(matches!(commit.unwrap(), Commit::Done(_)));
    }

    pub(crate) async fn complete(&self, upload: &Upload) {
        let commit = self.catalog.complete_upload(upload.id, upload.writer_epoch, SIZE).await;
        assert!(matches!(commit.unwrap(), Commit::Done(_)));
    }

    /// An upload with all its bytes and a job that waits for a worker.
    pub(crate) async fn job(&self) -> JobId {
        self.job_of(Tenant::single()).await
    }

    /// The same of a tenant.
    pub(crate) async fn job_of(&self, tenant: Tenant) -> JobId {
        let upload = self.upload_of(tenant, true).await;
        self.complete(&upload).await;
        upload.job.unwrap()
    }

    /// Claims the oldest claimable task.
    pub(crate) async fn claim(&self) -> Option<Claim> {
        self.catalog.claim(WorkerId::new(), limits::LEASE_TTL).await.unwrap()
    }

    /// Does a claimed task.
    pub(crate) async fn finish(&self, claim: &Claim) {
        let done = self.catalog.succeed(&claim.task, "{}", &effect(claim.task.kind)).await;
        assert_eq!(done.unwrap(), Fenced::Done);
    }

    /// Claims and does one task.
    pub(crate) async fn work(&self) -> Option<TaskKind> {
        let claim = self.claim().await?;
        self.finish(&claim).await;
        Some(claim.task.kind)
    }

    /// Claims a task and gives it back: two events.
    pub(crate) async fn begin_and_hand_back(&self) {
        let claim = self.claim().await.unwrap();
        assert_eq!(self.catalog.hand_back(&claim.task).await.unwrap(), Fenced::Done);
    }

    /// Every event of a job, as the catalog has it.
    pub(crate) async fn events(&self, job: JobId) -> Vec<JobEvent> {
        self.catalog
            .events_of_job(&Tenant::single(), job, EventSeq(0), 100_000)
            .await
            .unwrap()
    }
}

/// What each kind of task finds: two chunks of video at one rung, and audio.
fn effect(kind: TaskKind) -> Effect {
    let source = SourceInfo {
        duration_ms: 2 * CHUNK_MS,
        ..SourceInfo::default()
    };
    let rendition = |name: &str, height| RenditionInfo {
        name: name.into(),
        height,
        ..RenditionInfo::default()
    };
    let renditions = vec![rendition("360p", 360), rendition("audio", 0)];
    match kind {
        TaskKind::Probe => Effect::Probed(source),
        TaskKind::Plan => {
            let after = |kind, index, before: Vec<TaskRef>, weight_ms| NewTask {
                weight_ms,
                ..NewTask::new(TaskRef { kind, index }, before)
            };
            let plan = TaskRef::only(TaskKind::Plan);
            let video = |index| TaskRef {
                kind: TaskKind::Video,
                index,
            };
            let encoded = vec![video(0), video(1), TaskRef::only(TaskKind::Audio)];
            let tasks = vec![
                after(TaskKind::Video, 0, vec![plan], CHUNK_MS),
                after(TaskKind::Video, 1, vec![plan], CHUNK_MS),
                after(TaskKind::Audio, 0, vec![plan], 2 * CHUNK_MS),
                after(TaskKind::Package, 0, encoded, 0),
                after(TaskKind::Finish, 0, vec![TaskRef::only(TaskKind::Package)], 0),
            ];
            Effect::Planned {
                plan: "{}".into(),
                source,
                renditions,
                tasks,
            }
        }
        TaskKind::Package => Effect::Published(Published {
            renditions,
            prefix: "package/1".into(),
            poster_key: None,
            download_key: None,
            manifest_name: None,
            storyboard_name: None,
            missing_frames: 0,
        }),
        TaskKind::Finish => Effect::Finished,
        _ => Effect::None,
    }
}

#[derive(Clone)]
pub(crate) struct Client(ProgressServiceClient<Channel>);

impl Client {
    pub(crate) async fn watch(&self, target: Target, token: &[u8]) -> Result<Stream, Status> {
        let request = v1::WatchProgressRequest {
            target: Some(match target {
                Target::One(crate::target::Single::Upload(id)) => {
                    watch_progress_request::Target::UploadId(id.to_string())
                }
                Target::One(crate::target::Single::Job(id)) => watch_progress_request::Target::JobId(id.to_string()),
                Target::Everything => watch_progress_request::Target::Everything(()),
            }),
            resume_token: token.to_vec().into(),
        };
        Ok(Stream(self.0.clone().watch_progress(request).await?.into_inner()))
    }

    pub(crate) async fn get(&self, request: v1::GetProgressRequest) -> Result<v1::Progress, Status> {
        Ok(self
            .0
            .clone()
            .get_progress(request)
            .await?
            .into_inner()
            .progress
            .unwrap())
    }
}

/// A watch from the client's side.
pub(crate) struct Stream(Streaming<v1::WatchProgressResponse>);

impl Stream {
    /// The next message and its token; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<(Message, Vec<u8>)>, Status> {
        let next = tokio::time::timeout(Duration::from_secs(30), self.0.message()).await;
        let message = next.expect("a watch says something")?;
        Ok(message.map(|m| (m.message.unwrap(), m.resume_token.to_vec())))
    }

    /// The next message of a watch that goes on.
    pub(crate) async fn message(&mut self) -> Message {
        self.next().await.unwrap().expect("the watch goes on").0
    }

    /// The next event; samples and bookmarks in between are passed over.
    pub(crate) async fn event(&mut self) -> v1::JobEvent {
        loop {
            if let Message::Event(event) = self.message().await {
                return event;
            }
        }
    }

    /// All events until the end.
    pub(crate) async fn events_to_end(&mut self) -> Vec<v1::JobEvent> {
        let mut events = Vec::new();
        while let Some((message, _)) = self.next().await.unwrap() {
            if let Message::Event(event) = message {
                events.push(event);
            }
        }
        events
    }
}
