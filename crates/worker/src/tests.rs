//! A worker with the real catalog, store and ffmpeg, without any server.

use std::{
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use reelway_blob::DiskStore;
use reelway_bus::Bus;
use reelway_catalog::{Catalog, Fenced, Job, NewJob, NewUpload, Opened};
use reelway_domain::{
    Failure, JobId, JobState, Offset, Reason, TaskKind, TaskState, Tenant, UploadId, WorkerId, preset,
};
use reelway_media::{Limits, Tools};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{Settings, Worker, work};

/// Longer than any of these clips takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Bench {
    dir: TempDir,
    catalog: Catalog,
    store: DiskStore,
    worker: Arc<Worker>,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&format!("sqlite://{}/catalog.sqlite", dir.path().display()))
            .await
            .unwrap();
        catalog.migrate().await.unwrap();
        let store = DiskStore::open(dir.path().join("store")).unwrap();
        let tools = Tools::find(Limits::default()).await.unwrap();
        let settings = Settings {
            slots: 2,
            scratch: dir.path().join("scratch"),
            drain: Duration::ZERO,
        };
        let worker = Worker::new(catalog.clone(), store.clone(), Bus::default(), tools, settings);
        Self {
            dir,
            catalog,
            store,
            worker,
        }
    }

    fn clip(&self, arguments: &[&str]) -> Vec<u8> {
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
    async fn job(&self, bytes: Vec<u8>) -> JobId {
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
                ladder: preset("standard").unwrap(),
            }),
            request: None,
        };
        self.catalog.create_upload(&new).await.unwrap();
        let Opened::Writer(upload) = self.catalog.open_writer(&tenant, id).await.unwrap() else {
            panic!("not open")
        };
        let file = self.store.open_writer(id, upload.writer_epoch).await.unwrap();
        file.write_at(Offset::ZERO, bytes.into()).await.unwrap();
        file.finish(Offset(size)).await.unwrap();
        self.catalog
            .complete_upload(id, upload.writer_epoch, size)
            .await
            .unwrap();
        job
    }

    async fn run_to_end(&self, job: JobId) -> Job {
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(Arc::clone(&self.worker).run(shutdown.clone()));
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            let job = self.catalog.job(&Tenant::single(), job).await.unwrap().unwrap();
            if job.state.is_terminal() {
                break job;
            }
            assert!(Instant::now() < deadline, "the job did not end: {job:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        shutdown.cancel();
        running.await.unwrap().unwrap();
        ended
    }

    fn is_empty(&self, dir: &Path) -> bool {
        std::fs::read_dir(self.dir.path().join(dir)).unwrap().next().is_none()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_becomes_renditions() {
    let bench = Bench::new().await;
    let clip = bench.clip(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=640x360:rate=30",
        "-f",
        "lavfi",
        "-i",
        "sine=440",
        "-t",
        "6",
        "-pix_fmt",
        "yuv420p",
    ]);
    let job = bench.job(clip).await;
    let ended = bench.run_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    let names: Vec<&str> = ended
        .renditions
        .iter()
        .map(|rendition| rendition.name.as_str())
        .collect();
    assert_eq!(names, ["360p", "audio"]);
    assert_eq!(ended.source.unwrap().frames, 180);
    assert_eq!(ended.missing_frames, 0);
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    assert!(
        tasks
            .iter()
            .all(|task| task.state == TaskState::Succeeded && task.attempt == 1),
        "{tasks:?}"
    );
    assert!(bench.is_empty(Path::new("scratch")), "attempts leave nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_media_fails_at_once() {
    let bench = Bench::new().await;
    let job = bench.job(b"this is a letter, not a film".to_vec()).await;
    let ended = bench.run_to_end(job).await;
    assert_eq!(ended.state, JobState::Failed);
    assert_eq!(ended.error.unwrap().reason, Reason::SourceNotMedia);
    assert_eq!(ended.attempts, 1, "the same bytes would fail again");
}

/// Invariant 5: a worker that lost its lease changes nothing, and what it made is removed.
#[tokio::test(flavor = "multi_thread")]
async fn effects_are_fenced() {
    let bench = Bench::new().await;
    let job = bench.job(b"whatever".to_vec()).await;
    let zombie = bench
        .catalog
        .claim(WorkerId::new(), Duration::ZERO)
        .await
        .unwrap()
        .unwrap();
    let made = bench.dir.path().join("made");
    std::fs::write(&made, b"late").unwrap();
    let key = format!("probe-0000-e{}/late.txt", zombie.task.lease_epoch)
        .parse()
        .unwrap();
    bench.store.output(job).adopt(&key, &made).await.unwrap();
    while bench.catalog.reap(10).await.unwrap() == 0 {}

    let late = bench
        .catalog
        .succeed(&zombie.task, "{}", &reelway_catalog::Effect::None)
        .await
        .unwrap();
    assert_eq!(late, Fenced::LeaseLost);
    let failure = Failure::new(Reason::Internal, "late");
    assert_eq!(
        bench.catalog.fail_attempt(&zombie.task, &failure, "").await.unwrap(),
        Fenced::LeaseLost
    );
    work::discard(&bench.worker, &zombie.task).await;
    assert!(!bench.store.output(job).path(&key).exists());
    let tasks = bench.catalog.tasks(&Tenant::single(), job).await.unwrap();
    let probe = tasks.iter().find(|task| task.kind == TaskKind::Probe).unwrap();
    assert_eq!((probe.state, probe.attempt), (TaskState::Queued, 1));
}
