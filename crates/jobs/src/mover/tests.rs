use std::time::Duration;

use bytes::Bytes;
use reelway_blob::{DiskStore, Sharing, SourceReader};
use reelway_catalog::{Commit, Effect, NewJob, NewUpload, Opened};
use reelway_domain::{
    FileEpoch, JobId, JobState, NewTask, RenditionInfo, SourceInfo, SourceState, TaskKind, TaskRef, Tenant,
    UploadState, WorkerId, WriterId,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::*;
use crate::{
    expirer, remover,
    testing::{Fixture, new_upload},
};

/// Two reads' worth and a bit.
const SIZE_BYTES: usize = (16 << 20) + 5;

struct Given {
    fixture: Fixture,
    stores: Stores,
    archive: DiskStore,
    content: Bytes,
    _dir: TempDir,
}

impl Given {
    async fn new() -> Self {
        let (fixture, dir) = (Fixture::new().await, tempfile::tempdir().unwrap());
        let archive = DiskStore::open(dir.path(), Sharing::Exclusive).unwrap();
        let stores = Stores {
            archive: Some(archive.clone().into()),
            ..fixture.bytes.clone().into()
        };
        let content: Vec<u8> = (0..=250).cycle().take(SIZE_BYTES).collect();
        Self {
            fixture,
            stores,
            archive,
            content: content.into(),
            _dir: dir,
        }
    }

    fn mover(&self) -> Mover {
        Mover {
            catalog: self.fixture.catalog.clone(),
            sources: self.stores.sources.clone(),
            archive: self.stores.archive.clone().unwrap(),
            lease: Duration::from_secs(3600),
        }
    }

    /// A complete upload with this content, of which a job has succeeded that wants its source moved.
    async fn to_be_moved(&self) -> UploadId {
        self.succeeded(SourceAction::Archive, |_| {}).await
    }

    async fn succeeded(&self, action: SourceAction, change: impl FnOnce(&mut NewUpload)) -> UploadId {
        let mut new = new_upload();
        new.size = Some(SIZE_BYTES as i64);
        new.job = new.job.map(|job| NewJob {
            source_action: action,
            ..job
        });
        change(&mut new);
        let upload = self.fixture.create(new).await;
        let catalog = &self.fixture.catalog;
        let opened = catalog.open_writer(&Tenant::single(), upload.id, WriterId::ONLY).await;
        let Opened::Writer(row) = opened.unwrap() else {
            panic!("not open")
        };
        let store = &self.fixture.store;
        let file = store
            .open_writer(row.id, row.writer_epoch, row.file_epoch)
            .await
            .unwrap();
        file.write_at(Offset::ZERO, self.content.clone()).await.unwrap();
        file.finish(Offset(SIZE_BYTES as i64)).await.unwrap();
        let done = catalog
            .complete_upload(row.id, row.writer_epoch, SIZE_BYTES as i64)
            .await;
        assert!(matches!(done, Ok(Commit::Done(_))), "{done:?}");
        self.finish(upload.job.unwrap()).await;
        upload.id
    }

    async fn finish(&self, job: JobId) {
        let catalog = &self.fixture.catalog;
        loop {
            let claim = catalog.claim(WorkerId::new(), Duration::from_secs(60)).await.unwrap();
            let task = claim.expect("a task").task;
            assert_eq!(task.job, job);
            catalog.succeed(&task, "{}", &effect(task.kind)).await.unwrap();
            if task.kind == TaskKind::Finish {
                break;
            }
        }
        let row = catalog.job(&Tenant::single(), job).await.unwrap().unwrap();
        assert_eq!(row.state, JobState::Succeeded);
    }

    async fn state(&self, id: UploadId) -> SourceState {
        self.fixture.upload(id).await.source_state
    }

    /// The source, wherever the catalog says that it is.
    async fn source(&self, id: UploadId) -> Bytes {
        let row = self.fixture.upload(id).await;
        let store = self.stores.holding(row.source_state).expect("it is somewhere");
        let reader: SourceReader = store.read_upload(&place(&row)).await.unwrap();
        reader.read_at(Offset::ZERO, SIZE_BYTES).await.unwrap()
    }

    async fn files(&self) -> [usize; 2] {
        let of = async |disk: &DiskStore| disk.list_uploads().await.unwrap().len();
        [of(&self.fixture.store).await, of(&self.archive).await]
    }

    async fn remover_round(&self) {
        remover::round(&self.fixture.catalog, &self.stores).await.unwrap();
    }
}

fn effect(kind: TaskKind) -> Effect {
    match kind {
        TaskKind::Probe => Effect::Probed(SourceInfo::default()),
        TaskKind::Plan => {
            let package = TaskRef::only(TaskKind::Package);
            Effect::Planned {
                plan: "{}".into(),
                source: SourceInfo::default(),
                renditions: vec![RenditionInfo::default()],
                tasks: vec![
                    NewTask::new(package, vec![TaskRef::only(TaskKind::Plan)]),
                    NewTask::new(TaskRef::only(TaskKind::Finish), vec![package]),
                ],
            }
        }
        TaskKind::Package => Effect::Published(reelway_catalog::Published {
            renditions: Vec::new(),
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

#[tokio::test]
async fn a_source_is_moved_whole_and_its_old_bytes_go() {
    let given = Given::new().await;
    let upload = given.to_be_moved().await;
    given.mover().round().await.unwrap();
    assert_eq!(given.state(upload).await, SourceState::Archived);
    assert_eq!(
        given.files().await,
        [1, 1],
        "the old bytes are there until the remover comes"
    );
    assert!(given.source(upload).await == given.content);
    given.remover_round().await;
    assert_eq!(given.files().await, [0, 1]);
    assert!(given.source(upload).await == given.content);
    given.mover().round().await.unwrap();
    given.remover_round().await;
    assert_eq!(given.files().await, [0, 1], "and that is all");
}

#[tokio::test]
async fn a_source_is_removed_and_an_archived_one_too() {
    let given = Given::new().await;
    let upload = given.succeeded(SourceAction::Delete, |_| {}).await;
    given.remover_round().await;
    assert_eq!(given.state(upload).await, SourceState::Removed);
    assert_eq!(given.files().await, [0, 0]);

    let upload = given.to_be_moved().await;
    given.mover().round().await.unwrap();
    let job = NewJob {
        id: JobId::new(),
        source_action: SourceAction::Delete,
        ..new_upload().job.unwrap()
    };
    let catalog = &given.fixture.catalog;
    catalog.create_job(&Tenant::single(), upload, &job, None).await.unwrap();
    given.finish(job.id).await;
    given.remover_round().await;
    assert_eq!(given.files().await, [0, 0], "nothing of it is left at either place");
}

/// What somebody leaves who is killed while it copies, after it has copied, and after the commit.
#[tokio::test]
async fn whoever_is_killed_at_any_step_loses_nothing() {
    let given = Given::new().await;
    let catalog = &given.fixture.catalog;
    for step in 0..4 {
        let upload = given.to_be_moved().await;
        let moving = catalog
            .claim_source(upload, Duration::ZERO)
            .await
            .unwrap()
            .expect("a source");
        let mover = given.mover();
        let copied = match step {
            0 => None,
            1 => {
                // Half of it, synced, with its writer still there.
                let epoch = reelway_domain::WriterEpoch(moving.epoch);
                let file = given.archive.open_writer(upload, epoch, moving.file()).await.unwrap();
                let half = given.content.slice(..SIZE_BYTES / 2);
                file.write_at(Offset::ZERO, half).await.unwrap();
                file.sync().await.unwrap();
                None
            }
            _ => Some(mover.copy(&moving).await.unwrap()),
        };
        if let (3, Some(copied)) = (step, &copied) {
            assert!(catalog.source_moved(&moving, copied.key.as_deref()).await.unwrap());
        }
        assert!(given.source(upload).await == given.content, "after step {step}");
        given.remover_round().await;
        assert!(given.source(upload).await == given.content, "after step {step}");
        // The lease of the one that was killed runs out with the next millisecond.
        while given.state(upload).await != SourceState::Archived {
            mover.round().await.unwrap();
        }
        let late = catalog.source_moved(&moving, None).await.unwrap();
        assert!(!late, "whoever comes back changes nothing after step {step}");
        given.remover_round().await;
        assert!(given.source(upload).await == given.content, "after step {step}");
        assert_eq!(given.files().await, [0, step + 1], "one file of each after step {step}");
    }
}

#[tokio::test]
async fn a_source_that_is_not_what_it_was_is_not_moved() {
    let given = Given::new().await;
    let digest = Sha256::digest(&given.content).into();
    let upload = given
        .succeeded(SourceAction::Archive, |new| new.expected_sha256 = Some(digest))
        .await;
    let path = given.fixture.store.upload_path(upload, FileEpoch::FIRST);
    let mut damaged = given.content.to_vec();
    damaged[SIZE_BYTES - 1] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    assert!(given.mover().round().await.is_err());
    given.remover_round().await;
    assert_eq!(given.state(upload).await, SourceState::Stored);
    assert!(path.exists(), "what is there stays");

    // A source that is mended is moved when its turn comes again.
    std::fs::write(&path, &given.content).unwrap();
    let waiting = given.mover().round().await;
    assert!(waiting.is_ok(), "it is left alone meanwhile");
    assert_eq!(given.state(upload).await, SourceState::Stored);
}

#[tokio::test]
async fn a_job_that_comes_while_its_source_is_copied_finds_it_where_it_is() {
    let given = Given::new().await;
    let (upload, mover) = (given.to_be_moved().await, given.mover());
    let catalog = &given.fixture.catalog;
    let moving = catalog.claim_source(upload, mover.lease).await.unwrap().unwrap();
    mover.copy(&moving).await.unwrap();
    let job = NewJob {
        id: JobId::new(),
        ..new_upload().job.unwrap()
    };
    catalog.create_job(&Tenant::single(), upload, &job, None).await.unwrap();
    assert!(!catalog.source_moved(&moving, None).await.unwrap());
    catalog.let_go_source(&moving).await.unwrap();
    mover.round().await.unwrap();
    assert_eq!(given.state(upload).await, SourceState::Stored, "the job needs it there");
    given.finish(job.id).await;
    mover.round().await.unwrap();
    given.remover_round().await;
    assert_eq!(given.state(upload).await, SourceState::Archived);
    assert!(given.source(upload).await == given.content);
    assert_eq!(given.files().await, [0, 1]);
}

#[tokio::test]
async fn an_archived_upload_that_is_given_up_leaves_nothing() {
    let given = Given::new().await;
    let (upload, catalog) = (given.to_be_moved().await, &given.fixture.catalog);
    given.mover().round().await.unwrap();
    given.remover_round().await;
    catalog
        .abort_upload_also_complete(&Tenant::single(), upload)
        .await
        .unwrap();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(expirer::run(catalog.clone(), given.stores.clone(), shutdown.clone()));
    crate::testing::eventually(async || given.files().await == [0, 0]).await;
    shutdown.cancel();
    running.await.unwrap();
    assert_eq!(given.fixture.upload(upload).await.state, UploadState::Aborted);
}
