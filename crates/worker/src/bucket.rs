//! Jobs whose sources are in a bucket, on the S3 server that `scripts/test` starts: what comes out is what comes out of a file, and no more
//! is fetched than is read.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use reelway_catalog::{Claim, Task};
use reelway_domain::{JobId, JobState, Ladder, Reason, TaskKind, TaskState, WorkerId};
use reelway_testkit::{S3Call, S3Fault};
use tokio_util::sync::CancellationToken;

use crate::{
    Claimed, SourceCache, Worker, attempt,
    bucket_testing::Bucket,
    overlap::{Running, clip, is_done, ladder, tasks, until},
    testing::{Bench, LOOK_EVERY},
};

const MIB: u64 = 1 << 20;
/// Longer than any of these clips takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
/// Small blocks: the clips are short.
const BLOCKS: SourceCache = SourceCache {
    bytes_max: 1 << 30,
    block_bytes: MIB,
};
/// A minute with many bytes, of which little is to be made.
const LONG: &str = "-f lavfi -i testsrc2=size=640x360:rate=10,noise=alls=40:allf=t -f lavfi -i sine=440 -t 61 -pix_fmt yuv420p \
                    -c:v libx264 -preset ultrafast -qp 34 -g 20";

fn long(bench: &Bench) -> Vec<u8> {
    let bytes = bench.clip(&LONG.split_whitespace().collect::<Vec<_>>());
    assert!(bytes.len() as u64 > 32 * MIB, "{}", bytes.len());
    bytes
}

/// A complete upload of these bytes in a bucket, and its job.
async fn job_in(bench: &Bench, bucket: &Bucket, bytes: &[u8], ladder: Ladder) -> JobId {
    let arriving = bench.arriving(bytes.len(), ladder).await;
    arriving.complete_in(bench, bucket, bytes).await;
    let _ = bucket.proxy.take_read_bytes("");
    arriving.job
}

/// Lets the worker of a bench work until the job has ended well.
async fn done(bench: &Bench, job: JobId, name: &str) {
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!(ended.state, JobState::Succeeded, "{name}: {:?}", ended.error);
    assert_eq!(ended.missing_frames, 0, "{name}");
}

/// All pictures and all sound that a job made.
fn made(bench: &Bench, job: JobId) -> BTreeMap<String, Vec<u8>> {
    let output = bench.store.output(job).path(&"x".parse().unwrap());
    let output = output.parent().unwrap();
    let mut made = BTreeMap::new();
    for task in fs::read_dir(output).unwrap().map(|entry| entry.unwrap()) {
        let task_name = task.file_name().into_string().unwrap();
        // What was shown meanwhile depends on who was done first.
        let is_dir = task.file_type().unwrap().is_dir() && !task_name.starts_with("growing");
        for file in fs::read_dir(task.path()).into_iter().flatten().filter(|_| is_dir) {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            if [".m4s", ".mp4", ".jpg", ".vtt"].iter().any(|end| name.ends_with(end)) {
                made.insert(format!("{task_name}/{name}"), fs::read(file.path()).unwrap());
            }
        }
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_out_is_what_comes_out_of_a_file() {
    let (mut bench, bucket) = (Bench::new().await, Bucket::new().await);
    let on_disk = Arc::clone(&bench.worker);
    for (name, options) in [
        ("an index at the end", "-c:a aac"),
        ("an index in front", "-movflags +faststart -bf 3 -g 250"),
        ("fragments", "-movflags frag_keyframe+empty_moov -f mp4 -t 8"),
        ("Matroska", "-f matroska -t 8"),
        ("MPEG-TS", "-f mpegts -t 8"),
    ] {
        let bytes = clip(&bench, options);
        bench.worker = Arc::clone(&on_disk);
        let of_file = bench.job_with(bytes.clone(), ladder()).await;
        done(&bench, of_file, name).await;
        bench.worker = bench.worker_reading(&bucket, BLOCKS);
        let of_object = job_in(&bench, &bucket, &bytes, ladder()).await;
        done(&bench, of_object, name).await;
        let (of_file, of_object) = (made(&bench, of_file), made(&bench, of_object));
        assert!(of_file.len() > 6, "{name}");
        let names = |made: &BTreeMap<String, Vec<u8>>| made.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&of_file), names(&of_object), "{name}");
        for (file, bytes) in &of_file {
            assert!(of_object[file] == *bytes, "{name}: {file} is another");
        }
    }
}

/// Whoever opens such a file reads more of it than every task gets.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_begins_with_long_packets_is_planned_from_all_of_it() {
    let (mut bench, bucket) = (Bench::new().await, Bucket::new().await);
    let words = "-f lavfi -i testsrc2=size=3840x2160:rate=2,noise=alls=100:allf=t -t 2 -c:v mjpeg -q:v 1 -qmin 1 -pix_fmt yuvj420p";
    let bytes = bench.clip(&words.split_whitespace().collect::<Vec<_>>());
    bench.worker = bench.worker_reading(&bucket, BLOCKS);
    let job = job_in(&bench, &bucket, &bytes, ladder()).await;
    done(&bench, job, "long packets").await;
    assert_eq!(bucket.proxy.take_read_bytes("/uploads/"), bytes.len() as u64);
}

/// Only all of a source proves that nothing can be made of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_was_looked_at_whole() {
    let (mut bench, bucket) = (Bench::new().await, Bucket::new().await);
    let words = "-f lavfi -i testsrc2=size=640x360:rate=10,noise=alls=100:allf=t -t 3 -c:v qtrle -f mov";
    let bytes = bench.clip(&words.split_whitespace().collect::<Vec<_>>());
    assert!(bytes.len() as u64 > 12 * MIB, "{}", bytes.len());
    bench.worker = bench.worker_reading(&bucket, BLOCKS);
    let job = job_in(&bench, &bucket, &bytes, ladder()).await;
    let ended = bench.run_woken_to_end(job).await;
    assert_eq!((ended.state, ended.attempts), (JobState::Failed, 1));
    assert_eq!(ended.error.unwrap().reason, Reason::SourceCodecUnsupported);
    assert_eq!(bucket.proxy.take_read_bytes("/uploads/"), bytes.len() as u64);
}

/// Claims all that can be claimed, and gives one task; the others are given back.
async fn claim(bench: &Bench, is_it: impl Fn(&Task) -> bool) -> Claim {
    let lease = Duration::from_secs(60);
    let mut found = None;
    for claim in bench
        .catalog
        .claim_batch(WorkerId::new(), lease, 100, None)
        .await
        .unwrap()
    {
        if is_it(&claim.task) && found.is_none() {
            found = Some(claim);
        } else {
            bench.catalog.hand_back(&claim.task).await.unwrap();
        }
    }
    found.expect("such a task")
}

/// Has a worker do one task.
async fn do_one(bench: &Bench, worker: &Arc<Worker>, is_it: impl Fn(&Task) -> bool) {
    let claimed = Claimed {
        claim: claim(bench, is_it).await,
        asked_at: tokio::time::Instant::now(),
    };
    let (id, job) = (claimed.claim.task.id, claimed.claim.job.id);
    attempt::run(worker, claimed, CancellationToken::new()).await;
    let tasks = tasks(bench, job).await;
    let task = tasks.iter().find(|task| task.id == id).unwrap();
    assert_eq!(task.state, TaskState::Succeeded, "{task:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_fetches_what_it_reads_and_all_of_them_the_file_once() {
    let (mut bench, bucket) = (Bench::new().await, Bucket::new().await);
    let bytes = long(&bench);
    let size = bytes.len() as u64;
    let job = job_in(&bench, &bucket, &bytes, ladder()).await;
    for kind in [TaskKind::Probe, TaskKind::Plan] {
        let worker = bench.worker_reading(&bucket, BLOCKS);
        do_one(&bench, &worker, |task| task.kind == kind).await;
        let read = bucket.proxy.take_read_bytes("/uploads/");
        assert!((8 * MIB..12 * MIB).contains(&read), "{kind}: {read}");
    }
    let worker = bench.worker_reading(&bucket, BLOCKS);
    do_one(&bench, &worker, |task| task.kind == TaskKind::Trial).await;
    let _ = bucket.proxy.take_read_bytes("");
    // Eight seconds in the middle, with what every task gets.
    let worker = bench.worker_reading(&bucket, BLOCKS);
    do_one(&bench, &worker, |task| (task.kind, task.index) == (TaskKind::Video, 4)).await;
    let read = bucket.proxy.take_read_bytes("/uploads/");
    assert!(read < 12 * MIB + size / 5, "{read} of {size}");

    bench.worker = bench.worker_reading(&bucket, BLOCKS);
    done(&bench, job, "the rest").await;
    let read = bucket.proxy.take_read_bytes("/uploads/");
    assert!((size / 2..=size).contains(&read), "every block once: {read} of {size}");
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_reads_and_little_room_change_nothing() {
    let (mut bench, bucket) = (Bench::new().await, Bucket::new().await);
    let bytes = long(&bench);
    let kept = SourceCache {
        bytes_max: 12 * MIB,
        ..BLOCKS
    };
    bench.worker = bench.worker_reading(&bucket, kept);
    let job = job_in(&bench, &bucket, &bytes, ladder()).await;
    let blocks = bench.dir.path().join("scratch/sources");
    // What an earlier process left.
    fs::create_dir_all(&blocks).unwrap();
    fs::write(blocks.join("1"), vec![7; 13 << 20]).unwrap();
    let mut reads = 0;
    bucket.proxy.breaks(move |call| {
        reads += u32::from(call == S3Call::Get);
        match reads % 6 {
            _ if call != S3Call::Get => None,
            0 => Some(S3Fault::CutAnswerAfter(300_001)),
            2 | 3 => Some(S3Fault::Answer(StatusCode::SERVICE_UNAVAILABLE)),
            _ => None,
        }
    });
    let running = Running::start(&bench);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let tasks = tasks(&bench, job).await;
        if is_done(&tasks, TaskKind::Finish) {
            break;
        }
        assert!(Instant::now() < deadline, "{tasks:#?}");
        // It empties that first.
        if is_done(&tasks, TaskKind::Probe) {
            let held = bytes_below(&blocks);
            assert!(held <= kept.bytes_max, "{held}");
        }
        bench.wake().await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    running.stop().await;
    done(&bench, job, "broken reads").await;
}

/// What the files of a directory take.
fn bytes_below(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).into_iter().flatten();
    files
        .map(|file| file.unwrap().metadata().map_or(0, |file| file.len()))
        .sum()
}

/// What was planned while the source arrived goes on from the bucket, once it is complete there.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_planned_early_is_read_from_the_bucket() {
    let bucket = Bucket::new().await;
    for (name, options) in [
        ("an index in front", "-movflags +faststart"),
        ("fragments", "-movflags frag_keyframe+empty_moov -f mp4"),
    ] {
        let mut bench = Bench::new().await;
        let bytes = clip(&bench, options);
        let arriving = bench.arriving(bytes.len(), ladder()).await;
        let running = Running::start(&bench);
        arriving.write(&bench, &bytes, 0, 100_000).await;
        arriving.write(&bench, &bytes, 100_000, bytes.len() * 3 / 4).await;
        until(&bench, arriving.job, name, |tasks| is_done(tasks, TaskKind::Plan)).await;
        running.stop().await;
        let before = tasks(&bench, arriving.job).await;
        arriving.complete_in(&bench, &bucket, &bytes).await;
        bench.worker = bench.worker_reading(&bucket, BLOCKS);
        done(&bench, arriving.job, name).await;
        let after = tasks(&bench, arriving.job).await;
        let is_kept = |task: &Task| after.iter().any(|now| now.id == task.id);
        assert!(before.iter().all(is_kept), "{name}: nothing was made anew");
    }
}
