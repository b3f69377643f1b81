//! What the tests share: a worker with the real catalog, store and ffmpeg, without any server.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use reelway_blob::{DiskStore, Sharing, StagedFile, Stores};
use reelway_bus::Bus;
use reelway_catalog::{Catalog, Job, NewJob, NewUpload, Opened};
use reelway_domain::{
    Hint, JobId, Ladder, Notice, Offset, SourceAction, Tenant, UploadId, UploadKind, WriterEpoch, WriterId, preset,
};
use reelway_media::{Limits, Tools};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{Settings, SourceCache, Worker, bucket_testing::Bucket};

/// Longer than any of these clips takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often tests look whether something is so.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// 150 frames with their index in front, and more than the first megabyte that a probe looks at.
const INDEXED: &str = "-f lavfi -i testsrc2=size=854x480:rate=15 -f lavfi -i sine=440 -t 10 -pix_fmt yuv420p -c:v libx264 \
                       -preset ultrafast -qp 8 -movflags +faststart";

/// What a worker needs, in a directory that goes away.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) catalog: Catalog,
    pub(crate) store: DiskStore,
    pub(crate) worker: Arc<Worker>,
    bus: Bus,
}

/// An upload on its way in.
pub(crate) struct Arriving {
    pub(crate) id: UploadId,
    pub(crate) job: JobId,
    pub(crate) file: StagedFile,
    epoch: WriterEpoch,
}

impl Arriving {
    /// Writes the bytes from one offset up to another, and says that all below is durable.
    pub(crate) async fn write(&self, bench: &Bench, bytes: &[u8], from: usize, to: usize) {
        let offset = Offset(i64::try_from(from).unwrap());
        self.file
            .write_at(offset, bytes[from..to].to_vec().into())
            .await
            .unwrap();
        self.file.sync().await.unwrap();
        let offset = Offset(i64::try_from(to).unwrap());
        let hour = Duration::from_secs(3600);
        bench
            .catalog
            .commit_offset(self.id, self.epoch, offset, hour)
            .await
            .unwrap();
    }

    /// Says how long it will be.
    pub(crate) async fn declare(&self, bench: &Bench, size: usize) {
        let size = i64::try_from(size).unwrap();
        bench.catalog.declare_size(self.id, self.epoch, size).await.unwrap();
    }

    /// Has another process go on where this one is, as an edge does when a client comes back to it: in a file of its own.
    pub(crate) async fn taken_over(&self, bench: &Bench) -> Self {
        let tenant = Tenant::single();
        let opened = bench
            .catalog
            .open_writer(&tenant, self.id, WriterId::new())
            .await
            .unwrap();
        let Opened::Writer(upload) = opened else {
            panic!("not open")
        };
        let (epoch, file) = (upload.writer_epoch, upload.file_epoch);
        Self {
            id: self.id,
            job: self.job,
            epoch,
            file: bench.store.open_writer(self.id, epoch, file).await.unwrap(),
        }
    }

    /// Has the upload expire: for too long nothing came.
    pub(crate) async fn expire(&self, bench: &Bench, written: usize) {
        let offset = Offset(i64::try_from(written).unwrap());
        let commit = bench.catalog.commit_offset(self.id, self.epoch, offset, Duration::ZERO);
        commit.await.unwrap();
        // The clock of the database counts milliseconds: the upload has expired with the next one.
        while bench.catalog.expire_uploads(1).await.unwrap() == 0 {}
        bench.store.remove_upload(self.id).await.unwrap();
        bench.catalog.upload_freed(self.id).await.unwrap();
    }

    /// Says that all of it is there, as an object of a bucket.
    pub(crate) async fn complete_in(&self, bench: &Bench, bucket: &Bucket, bytes: &[u8]) {
        let key = bucket.source(self.id, bytes).await;
        let size = i64::try_from(bytes.len()).unwrap();
        let completed = bench.catalog.complete_upload_in(self.id, self.epoch, size, Some(&key));
        completed.await.unwrap();
    }

    /// Says that all of it is there.
    pub(crate) async fn complete(&self, bench: &Bench, size: usize) {
        let size = i64::try_from(size).unwrap();
        self.file.finish(Offset(size)).await.unwrap();
        bench.catalog.complete_upload(self.id, self.epoch, size).await.unwrap();
    }
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    /// With other limits for sources.
    pub(crate) async fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&format!("sqlite://{}/catalog.sqlite", dir.path().display()))
            .await
            .unwrap();
        catalog.migrate().await.unwrap();
        let store = DiskStore::open(dir.path().join("store"), Sharing::Exclusive).unwrap();
        let tools = Tools::find(limits).await.unwrap();
        let settings = Settings {
            slots: 2,
            memory_mib: None,
            scratch: dir.path().join("scratch"),
            source_cache: SourceCache::default(),
            drain: Duration::ZERO,
        };
        let bus = Bus::default();
        let worker = Worker::new(catalog.clone(), store.clone(), bus.clone(), tools, settings);
        Self {
            dir,
            catalog,
            store,
            worker,
            bus,
        }
    }

    /// Another worker of it, which reads sources from a bucket and keeps so much of them.
    pub(crate) fn worker_reading(&self, bucket: &Bucket, source_cache: SourceCache) -> Arc<Worker> {
        let stores = Stores {
            sources: bucket.store.clone().into(),
            outputs: self.store.clone().into(),
            archive: None,
        };
        let settings = Settings {
            source_cache,
            ..self.worker.settings.clone()
        };
        let tools = self.worker.tools.clone();
        Worker::new(self.catalog.clone(), stores, self.bus.clone(), tools, settings)
    }

    /// A clip that ffmpeg makes by these arguments.
    pub(crate) fn clip(&self, arguments: &[&str]) -> Vec<u8> {
        let path = self.dir.path().join("clip.mp4");
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-y"])
            .args(arguments)
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        std::fs::read(path).unwrap()
    }

    /// A clip of 150 frames that is planned from its index as soon as most of it is there.
    pub(crate) fn indexed_clip(&self) -> Vec<u8> {
        self.clip(&INDEXED.split_whitespace().collect::<Vec<_>>())
    }

    /// A complete upload of these bytes, and its job.
    pub(crate) async fn job(&self, bytes: Vec<u8>) -> JobId {
        self.job_with(bytes, preset("standard").unwrap()).await
    }

    /// A complete upload of these bytes, and a job that makes this ladder of it.
    pub(crate) async fn job_with(&self, bytes: Vec<u8>, ladder: Ladder) -> JobId {
        self.job_of(&Tenant::single(), bytes, ladder).await
    }

    /// The same for a certain tenant.
    pub(crate) async fn job_of(&self, tenant: &Tenant, bytes: Vec<u8>, ladder: Ladder) -> JobId {
        let arriving = self.arriving_of(tenant, bytes.len(), ladder).await;
        let size = bytes.len();
        arriving.file.write_at(Offset::ZERO, bytes.into()).await.unwrap();
        arriving.complete(self, size).await;
        arriving.job
    }

    /// An upload of this length, if it is known, of which nothing is there yet, and a job that makes this ladder of it.
    pub(crate) async fn arriving(&self, size: impl Into<Option<usize>>, ladder: Ladder) -> Arriving {
        self.arriving_of(&Tenant::single(), size, ladder).await
    }

    async fn arriving_of(&self, tenant: &Tenant, size: impl Into<Option<usize>>, ladder: Ladder) -> Arriving {
        let (id, job) = (UploadId::new(), JobId::new());
        self.store.create_upload(id).await.unwrap();
        let size = size.into().map(|size| i64::try_from(size).unwrap());
        let new = NewUpload {
            id,
            tenant: tenant.clone(),
            size,
            file_name: "clip.mp4".into(),
            content_type: "video/mp4".into(),
            metadata: [].into(),
            expected_sha256: None,
            expiry: Duration::from_secs(3600),
            job: Some(NewJob {
                id: job,
                preset: "standard".into(),
                ladder,
                priority: 0,
                source_action: SourceAction::Keep,
            }),
            webhook_url: None,
            client_state: String::new(),
            kind: UploadKind::Whole,
            parts: Vec::new(),
            request: None,
        };
        self.catalog.create_upload(&new).await.unwrap();
        let Opened::Writer(upload) = self
            .catalog
            .open_writer(tenant, id, self.store.writer_id())
            .await
            .unwrap()
        else {
            panic!("not open")
        };
        let file = self
            .store
            .open_writer(id, upload.writer_epoch, upload.file_epoch)
            .await
            .unwrap();
        Arriving {
            id,
            job,
            epoch: upload.writer_epoch,
            file,
        }
    }

    /// Lets the worker work until the job has ended. It hears of nothing.
    pub(crate) async fn run_to_end(&self, job: JobId) -> Job {
        self.run(job, async || {}).await
    }

    /// The same with a worker that is woken, as the relay of a node does it: faster.
    pub(crate) async fn run_woken_to_end(&self, job: JobId) -> Job {
        self.run(job, async || self.wake().await).await
    }

    /// Tells the worker that there are tasks.
    pub(crate) async fn wake(&self) {
        let tasks = [Notice::from(Hint::Tasks { count: 1 })];
        self.bus.publish(&tasks).await.unwrap();
    }

    async fn run(&self, job: JobId, meanwhile: impl AsyncFn()) -> Job {
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&self.worker).run(shutdown.clone()));
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            let job = self.catalog.job(&Tenant::single(), job).await.unwrap().unwrap();
            if job.state.is_terminal() {
                break job;
            }
            assert!(Instant::now() < deadline, "the job did not end: {job:?}");
            meanwhile().await;
            tokio::time::sleep(LOOK_EVERY).await;
        };
        shutdown.cancel();
        running.await.unwrap().unwrap();
        ended
    }

    /// Whether there is nothing in a directory of the bench.
    pub(crate) fn is_empty(&self, dir: &Path) -> bool {
        std::fs::read_dir(self.dir.path().join(dir)).unwrap().next().is_none()
    }
}
