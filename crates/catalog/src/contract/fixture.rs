//! Uploads, jobs and tasks in the states that tests begin with.

use std::{collections::BTreeMap, time::Duration};

use reelway_domain::{
    DEFAULT_PRESET, EventSeq, Failure, Hint, JobEvent, JobId, NewTask, Offset, Reason, RenditionInfo, SourceAction,
    SourceInfo, TaskKind, TaskRef, Tenant, UploadId, UploadKind, WorkerId, WriterId, preset,
};

use super::db::Db;
use crate::{Claim, Commit, Effect, Fenced, Job, NewJob, NewUpload, Opened, Published, RequestId, Task, Upload};

/// Long enough for every test.
pub(super) const LONG: Duration = Duration::from_secs(3600);
/// The length of the uploads that are completed here, in bytes.
pub(super) const SIZE_BYTES: i64 = 1000;
/// More than any list here has.
pub(super) const MANY: i64 = 10_000;

pub(super) fn tenant() -> Tenant {
    Tenant::single()
}

pub(super) fn new_job() -> NewJob {
    NewJob {
        id: JobId::new(),
        preset: DEFAULT_PRESET.to_owned(),
        ladder: preset(DEFAULT_PRESET).unwrap(),
        priority: 0,
        source_action: SourceAction::Keep,
    }
}

/// An upload of unknown length without a job.
pub(super) fn new_upload() -> NewUpload {
    NewUpload {
        id: UploadId::new(),
        tenant: tenant(),
        size: None,
        file_name: "clip.mp4".into(),
        content_type: "video/mp4".into(),
        metadata: BTreeMap::new(),
        expected_sha256: None,
        expiry: LONG,
        job: None,
        webhook_url: None,
        client_state: String::new(),
        kind: UploadKind::Whole,
        parts: Vec::new(),
        request: None,
    }
}

pub(super) fn request(id: &str, hash: u8) -> RequestId {
    RequestId {
        id: id.to_owned(),
        method: "Create",
        request_hash: [hash; 32],
    }
}

pub(super) fn transient() -> Failure {
    Failure::new(Reason::EncoderFailed, "ffmpeg ended with signal 11")
}

pub(super) fn permanent() -> Failure {
    Failure::new(Reason::SourceNotMedia, "this is a text")
}

pub(super) fn published() -> Effect {
    Effect::Published(Published {
        renditions: vec![RenditionInfo {
            name: "720p".into(),
            codecs: "avc1.64001f".into(),
            bitrate_average: 1_000_000,
            ..RenditionInfo::default()
        }],
        prefix: "package/1".into(),
        poster_key: None,
        download_key: None,
        manifest_name: None,
        storyboard_name: None,
        missing_frames: 2,
    })
}

/// A plan with this many chunks of video, all before the package, which is before the finish.
pub(super) fn planned(chunks: i32) -> Effect {
    let plan = TaskRef::only(TaskKind::Plan);
    let package = TaskRef::only(TaskKind::Package);
    let video = |index| TaskRef {
        kind: TaskKind::Video,
        index,
    };
    let mut tasks: Vec<NewTask> = (0..chunks).map(|i| NewTask::new(video(i), vec![plan])).collect();
    tasks.push(NewTask::new(package, (0..chunks).map(video).collect()));
    tasks.push(NewTask::new(TaskRef::only(TaskKind::Finish), vec![package]));
    Effect::Planned {
        plan: r#"{"chunks":1}"#.into(),
        source: SourceInfo {
            frames: 300,
            ..SourceInfo::default()
        },
        renditions: vec![RenditionInfo::default()],
        tasks,
    }
}

/// What the success of a task of this kind means.
pub(super) fn effect_of(kind: TaskKind, chunks: i32) -> Effect {
    match kind {
        TaskKind::Probe => Effect::Probed(SourceInfo::default()),
        TaskKind::Plan => planned(chunks),
        TaskKind::Package => published(),
        TaskKind::Finish => Effect::Finished,
        _ => Effect::None,
    }
}

impl Db {
    /// An upload that receives, with a job.
    pub(super) async fn receiving(&self) -> (Upload, JobId) {
        let job = new_job();
        let id = job.id;
        let new = NewUpload {
            job: Some(job),
            ..new_upload()
        };
        (self.catalog.create_upload(&new).await.unwrap().into_inner(), id)
    }

    /// A complete upload, with a job whose first task can be claimed.
    pub(super) async fn complete(&self) -> (Upload, JobId) {
        let (upload, job) = self.receiving().await;
        let upload = self.opened(&upload).await;
        let done = self
            .catalog
            .complete_upload(upload.id, upload.writer_epoch, SIZE_BYTES)
            .await;
        (committed(done.unwrap()), job)
    }

    /// A job whose probe and plan are done.
    pub(super) async fn planned(&self, chunks: i32) -> JobId {
        let (_, job) = self.complete().await;
        for kind in [TaskKind::Probe, TaskKind::Plan] {
            let task = self.claim().await.task;
            assert_eq!((task.job, task.kind), (job, kind));
            self.succeed(&task, &effect_of(kind, chunks)).await;
        }
        job
    }

    /// Opens a writer. The upload's epoch is the writer's.
    pub(super) async fn opened(&self, upload: &Upload) -> Upload {
        self.opened_by(upload, WriterId::ONLY).await
    }

    /// As [`Self::opened`], from this process.
    pub(super) async fn opened_by(&self, upload: &Upload, writer: WriterId) -> Upload {
        match self
            .catalog
            .open_writer(&upload.tenant, upload.id, writer)
            .await
            .unwrap()
        {
            Opened::Writer(upload) => upload,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn commit_at(&self, writer: &Upload, offset: i64) -> Commit {
        self.catalog
            .commit_offset(writer.id, writer.writer_epoch, Offset(offset), LONG)
            .await
            .unwrap()
    }

    pub(super) async fn try_claim(&self) -> Option<Claim> {
        self.catalog.claim(WorkerId::new(), LONG).await.unwrap()
    }

    pub(super) async fn claim(&self) -> Claim {
        self.try_claim().await.expect("a task that can be claimed")
    }

    pub(super) async fn claim_many(&self, count: usize) -> Vec<Task> {
        let mut tasks = Vec::with_capacity(count);
        for _ in 0..count {
            tasks.push(self.claim().await.task);
        }
        tasks
    }

    pub(super) async fn succeed(&self, task: &Task, effect: &Effect) {
        assert_eq!(self.catalog.succeed(task, "{}", effect).await.unwrap(), Fenced::Done);
    }

    pub(super) async fn job(&self, id: JobId) -> Job {
        self.catalog.job(&tenant(), id).await.unwrap().expect("the job")
    }

    pub(super) async fn upload(&self, id: UploadId) -> Upload {
        self.catalog.upload(&tenant(), id).await.unwrap().expect("the upload")
    }

    pub(super) async fn task(&self, task: &Task) -> Task {
        let tasks = self.catalog.tasks(&tenant(), task.job).await.unwrap();
        tasks.into_iter().find(|t| t.id == task.id).expect("the task")
    }

    /// The hints since the last look.
    pub(super) async fn hints(&self) -> Vec<Hint> {
        let batch = self.catalog.take_outbox(MANY, Duration::ZERO).await.unwrap();
        let hints = batch.notices.iter().map(|notice| notice.hint).collect();
        batch.delivered().await.unwrap();
        hints
    }

    pub(super) async fn events(&self, job: JobId) -> Vec<JobEvent> {
        let events = self.catalog.events_of_job(&tenant(), job, EventSeq(0), MANY).await;
        events.unwrap()
    }

    /// Makes a lease run out.
    pub(super) async fn expire_lease(&self, task: &Task) {
        let sql = format!(
            "UPDATE tasks SET lease_expires_at_ms = 0 WHERE id = '{}' AND state = 'running'",
            task.id
        );
        self.raw(&sql).await.unwrap();
    }

    /// Ends all pauses before further attempts.
    pub(super) async fn skip_backoff(&self) {
        self.raw("UPDATE tasks SET run_at_ms = 0").await.unwrap();
    }
}

pub(super) fn committed(commit: Commit) -> Upload {
    match commit {
        Commit::Done(upload) => upload,
        Commit::Superseded => panic!("superseded"),
    }
}
