//! What the tests share: a worker with the real catalog, store and ffmpeg, without any server.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use reelway_blob::{DiskStore, Sharing};
use reelway_bus::Bus;
use reelway_catalog::{Catalog, Job, NewJob, NewUpload, Opened};
use reelway_domain::{Hint, JobId, Ladder, Notice, Offset, Tenant, UploadId, UploadKind, preset};
use reelway_media::{Limits, Tools};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{Settings, Worker};

/// Longer than any of these clips takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a worker needs, in a directory that goes away.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) catalog: Catalog,
    pub(crate) store: DiskStore,
    pub(crate) worker: Arc<Worker>,
    bus: Bus,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&format!("sqlite://{}/catalog.sqlite", dir.path().display()))
            .await
            .unwrap();
        catalog.migrate().await.unwrap();
        let store = DiskStore::open(dir.path().join("store"), Sharing::Exclusive).unwrap();
        let tools = Tools::find(Limits::default()).await.unwrap();
        let settings = Settings {
            slots: 2,
            scratch: dir.path().join("scratch"),
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

    /// A complete upload of these bytes, and its job.
    pub(crate) async fn job(&self, bytes: Vec<u8>) -> JobId {
        self.job_with(bytes, preset("standard").unwrap()).await
    }

    /// A complete upload of these bytes, and a job that makes this ladder of it.
    pub(crate) async fn job_with(&self, bytes: Vec<u8>, ladder: Ladder) -> JobId {
        let (id, job, tenant) = (UploadId::new(), JobId::new(), Tenant::single());
        self.store.create_upload(id).await.unwrap();
        let size = i64::try_from(bytes.len()).unwrap();
        let new = NewUpload {
            id,
            tenant: tenant.clone(),
            size: Some(size),
            file_name: "clip.mp4".into(),
            content_type: "video/mp4".into(),
            metadata: [].into(),
            expected_sha256: None,
            expiry: Duration::from_secs(3600),
            job: Some(NewJob {
                id: job,
                preset: "standard".into(),
                ladder,
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
            .open_writer(&tenant, id, self.store.writer_id())
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
        file.write_at(Offset::ZERO, bytes.into()).await.unwrap();
        file.finish(Offset(size)).await.unwrap();
        self.catalog
            .complete_upload(id, upload.writer_epoch, size)
            .await
            .unwrap();
        job
    }

    /// Lets the worker work until the job has ended. It hears of nothing.
    pub(crate) async fn run_to_end(&self, job: JobId) -> Job {
        self.run(job, async || {}).await
    }

    /// The same with a worker that is woken, as the relay of a node does it: faster.
    pub(crate) async fn run_woken_to_end(&self, job: JobId) -> Job {
        let tasks = [Notice::from(Hint::Tasks { count: 1 })];
        self.run(job, async || self.bus.publish(&tasks).await.unwrap()).await
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
            tokio::time::sleep(Duration::from_millis(50)).await;
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
