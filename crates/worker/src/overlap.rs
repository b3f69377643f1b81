//! Encoding while the bytes arrive, with the real catalog, store and ffmpeg.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use reelway_catalog::Task;
use reelway_domain::{
    EncoderSpeed, FileEpoch, JobId, JobState, Ladder, Offset, Reason, Rung, TaskKind, TaskState, Tenant, preset,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::testing::{Arriving, Bench, LOOK_EVERY};

/// Longer than any of these clips takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(100);
/// 16 s at two rungs, of more than the first megabyte that a probe looks at.
const CLIP: &str = "-f lavfi -i testsrc2=size=854x480:rate=15 -f lavfi -i sine=440 -t 16 -pix_fmt yuv420p -c:v libx264 \
                    -preset ultrafast -qp 8 -bf 2 -g 30";

pub(crate) fn clip(bench: &Bench, more: &str) -> Vec<u8> {
    let words: Vec<&str> = CLIP.split_whitespace().chain(more.split_whitespace()).collect();
    bench.clip(&words)
}

/// Two rungs that cost little: how they look is not looked at here.
pub(crate) fn ladder() -> Ladder {
    let rung = |short_side| Rung {
        short_side,
        bitrate_max: 500_000,
    };
    Ladder {
        rungs: vec![rung(240), rung(144)],
        speed: EncoderSpeed::Fast,
        ..preset("fast").unwrap()
    }
}

/// A worker that works in the background.
pub(crate) struct Running {
    shutdown: CancellationToken,
    worker: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub(crate) fn start(bench: &Bench) -> Self {
        let shutdown = CancellationToken::new();
        let worker = tokio::spawn(Arc::clone(&bench.worker).run(shutdown.clone()));
        Self { shutdown, worker }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.worker.await.unwrap().unwrap();
    }
}

pub(crate) async fn tasks(bench: &Bench, job: JobId) -> Vec<Task> {
    bench.catalog.tasks(&Tenant::single(), job).await.unwrap()
}

/// Waits until the tasks of a job are as they should be.
pub(crate) async fn until(bench: &Bench, job: JobId, what: &str, is_so: impl Fn(&[Task]) -> bool) -> Vec<Task> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let tasks = tasks(bench, job).await;
        if is_so(&tasks) {
            return tasks;
        }
        assert!(Instant::now() < deadline, "{what}: {tasks:#?}");
        bench.wake().await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(crate) fn is_done(tasks: &[Task], kind: TaskKind) -> bool {
    tasks
        .iter()
        .any(|task| task.kind == kind && task.state == TaskState::Succeeded)
}

/// What stands on the disk behind the durable offset is no part of the upload yet.
async fn write_rubbish(arriving: &Arriving, from: usize, to: usize) {
    let offset = Offset(i64::try_from(from).unwrap());
    arriving
        .file
        .write_at(offset, vec![0xA5; to - from].into())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_arrived_is_encoded_before_the_rest_is_there() {
    let bench = Bench::new().await;
    let bytes = clip(&bench, "-movflags +faststart");
    let arriving = bench.arriving(bytes.len(), ladder()).await;
    let (job, most) = (arriving.job, bytes.len() * 3 / 4);
    write_rubbish(&arriving, 0, bytes.len()).await;
    let running = Running::start(&bench);
    arriving.write(&bench, &bytes, 0, 100_000).await;
    arriving.write(&bench, &bytes, 100_000, most).await;
    until(&bench, job, "nothing was encoded early", |tasks| {
        [TaskKind::Lead, TaskKind::Video, TaskKind::Audio]
            .iter()
            .all(|kind| is_done(tasks, *kind))
    })
    .await;
    arriving.write(&bench, &bytes, most, bytes.len()).await;
    arriving.complete(&bench, bytes.len()).await;
    running.stop().await;
    let before = tasks(&bench, job).await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    assert_eq!((ended.source.unwrap().frames, ended.missing_frames), (240, 0));
    let after = tasks(&bench, job).await;
    assert!(is_done(&after, TaskKind::Verify), "{after:#?}");
    assert!(
        before.iter().all(|task| after.iter().any(|now| now.id == task.id)),
        "nothing was made anew"
    );
    let ready_at = |kind| before.iter().find(|task| task.kind == kind).unwrap().ready_at_offset;
    assert!(ready_at(TaskKind::Lead) < ready_at(TaskKind::Audio));
    assert_eq!(
        ready_at(TaskKind::Video),
        ready_at(TaskKind::Audio),
        "what playing doesn't begin with takes no slot from what it begins with"
    );
    assert!(bench.is_empty(Path::new("scratch")), "attempts leave nothing behind");
}

/// Sends the tail that has the index, with a change, and then the file.
async fn with_tail(change: impl Fn(&mut Vec<u8>)) -> (Bench, JobId, bool) {
    let bench = Bench::new().await;
    let bytes = clip(&bench, "");
    let arriving = bench.arriving(bytes.len(), ladder()).await;
    let tail = bytes.len() - 60_000;
    let mut sent = bytes[tail..].to_vec();
    change(&mut sent);
    let offset = Offset(i64::try_from(tail).unwrap());
    std::fs::write(bench.store.tail_path(arriving.id, offset), sent).unwrap();
    bench
        .catalog
        .set_tail(&Tenant::single(), arriving.id, offset)
        .await
        .unwrap();
    let (job, most) = (arriving.job, bytes.len() * 3 / 4);
    let running = Running::start(&bench);
    arriving.write(&bench, &bytes, 0, most).await;
    until(&bench, job, "it was not planned early", |tasks| {
        is_done(tasks, TaskKind::Plan)
    })
    .await;
    let planned = tasks(&bench, job).await;
    arriving.write(&bench, &bytes, most, bytes.len()).await;
    arriving.complete(&bench, bytes.len()).await;
    running.stop().await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    assert_eq!((ended.source.unwrap().frames, ended.missing_frames), (240, 0));
    let after = tasks(&bench, job).await;
    let kept = planned.iter().all(|task| after.iter().any(|now| now.id == task.id));
    (bench, job, kept)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_sent_ahead_is_planned_from() {
    let (_bench, _job, kept) = with_tail(|_| {}).await;
    assert!(kept, "what was planned is what was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_lied_is_replaced() {
    let (bench, job, kept) = with_tail(|tail| {
        let stts = tail
            .windows(4)
            .position(|word| word == b"stts")
            .expect("a table of times");
        // The first entry's duration of a sample.
        tail[stts + 15] ^= 0x08;
    })
    .await;
    assert!(!kept, "all was made anew");
    let source = bench
        .catalog
        .job(&Tenant::single(), job)
        .await
        .unwrap()
        .unwrap()
        .source
        .unwrap();
    assert!((source.frame_rate - 15.0).abs() < 0.01, "{}", source.frame_rate);
}

/// Each of these wrote some of the bytes into a file of its own, as happens when a client comes to another node each time.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_in_several_files_is_encoded_while_it_arrives() {
    let bench = Bench::new().await;
    let bytes = clip(&bench, "-movflags +faststart");
    let first = bench.arriving(bytes.len(), ladder()).await;
    let (job, third) = (first.job, bytes.len() / 3);
    let running = Running::start(&bench);
    first.write(&bench, &bytes, 0, third).await;
    // Nobody reads what the first one wrote behind the place where the second one goes on.
    write_rubbish(&first, third, bytes.len()).await;
    let second = first.taken_over(&bench).await;
    second.write(&bench, &bytes, third, 2 * third).await;
    let last = second.taken_over(&bench).await;
    last.write(&bench, &bytes, 2 * third, bytes.len() - 1).await;
    let early = until(&bench, job, "little was encoded early", |tasks| {
        let made = |task: &&Task| task.kind == TaskKind::Video && task.state == TaskState::Succeeded;
        tasks.iter().filter(made).count() >= 2
    })
    .await;
    last.file.write_at(Offset::ZERO, bytes.clone().into()).await.unwrap();
    last.complete(&bench, bytes.len()).await;
    running.stop().await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{:?}", ended.error);
    assert_eq!((ended.source.unwrap().frames, ended.missing_frames), (240, 0));
    let after = tasks(&bench, job).await;
    let kept = |task: &Task| after.iter().any(|now| now.id == task.id);
    assert!(early.iter().all(kept), "nothing was made anew");
    assert!(bench.is_empty(Path::new("scratch")), "attempts leave nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_expires_while_it_is_encoded_ends_its_job() {
    let bench = Bench::new().await;
    let bytes = clip(&bench, "-movflags +faststart");
    let arriving = bench.arriving(bytes.len(), ladder()).await;
    let (job, half) = (arriving.job, bytes.len() / 2);
    let running = Running::start(&bench);
    arriving.write(&bench, &bytes, 0, half).await;
    until(&bench, job, "no lead was begun", |tasks| {
        let begun = |task: &Task| task.kind == TaskKind::Lead && task.state == TaskState::Running;
        tasks.iter().any(begun)
    })
    .await;
    arriving.expire(&bench, half).await;
    let ended = bench.catalog.job(&Tenant::single(), job).await.unwrap().unwrap();
    assert_eq!(ended.state, JobState::Failed, "{ended:?}");
    assert_eq!(ended.error.unwrap().reason, Reason::UploadExpired);
    let deadline = Instant::now() + PATIENCE;
    while !bench.is_empty(Path::new("scratch")) {
        assert!(Instant::now() < deadline, "what was under way is not given up");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    running.stop().await;
    let under_way = |task: &Task| matches!(task.state, TaskState::Queued | TaskState::Running);
    let left = tasks(&bench, job).await;
    assert!(!left.iter().any(under_way), "{left:#?}");
    assert!(!bench.store.upload_path(arriving.id, FileEpoch::FIRST).exists());
    assert!(
        bench
            .catalog
            .playback(job)
            .await
            .unwrap()
            .is_none_or(|shown| !shown.is_final)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_ends_its_job() {
    let bench = Bench::new().await;
    let bytes = clip(&bench, "-movflags +faststart");
    let arriving = bench.arriving(bytes.len(), ladder()).await;
    let running = Running::start(&bench);
    arriving.write(&bench, &bytes, 0, bytes.len() / 2).await;
    until(&bench, arriving.job, "it was not planned early", |tasks| {
        is_done(tasks, TaskKind::Plan)
    })
    .await;
    bench
        .catalog
        .abort_upload(&Tenant::single(), arriving.id)
        .await
        .unwrap();
    bench.store.remove_upload(arriving.id).await.unwrap();
    let ended = bench
        .catalog
        .job(&Tenant::single(), arriving.job)
        .await
        .unwrap()
        .unwrap();
    assert!(
        ended.state.is_terminal() && ended.state != JobState::Succeeded,
        "{ended:?}"
    );
    running.stop().await;
    assert!(bench.is_empty(Path::new("scratch")), "attempts leave nothing behind");
}
