//! Postgres restarts, goes away or only reads: callers are told to try again, and nobody has to be restarted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::join_all;
use reelway::v1::{self, upload_service_client::UploadServiceClient};
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;
use uuid::Uuid;

use super::{
    calls::created,
    jobs::{HEAVY, Job, SHORT},
    seed,
};
use crate::harness::{Role, Shape, System, WriteStream, children_of, within, within_secs};

/// How often Postgres is restarted under load, unless this variable says more.
const RESTARTS: usize = 4;
const RESTARTS_VARIABLE: &str = "REELWAY_TEST_RESTARTS";
/// Clients that create uploads all the time.
const CREATORS: usize = 3;
/// Clients that write an upload each all the time.
const WRITERS: usize = 4;
/// So many calls succeed between two restarts, of creators and writers each.
const CALLS_BETWEEN: usize = 12;
const PIECE_BYTES: usize = 50_000;
/// How soon calls succeed again, however busy the machine is.
const HEALED_WITHIN: Duration = Duration::from_secs(30);
/// How long Postgres stays away, in seconds, unless this variable says more.
const AWAY_SECS: u64 = 15;
const AWAY_VARIABLE: &str = "REELWAY_TEST_AWAY_SECONDS";

#[tokio::test(flavor = "multi_thread")]
async fn fault_11_postgres_restarts_under_load() {
    let mut system = System::split(own_postgres()).await;
    // Commits take their time, so that restarts come in the middle of them.
    for setting in ["commit_delay = 20000", "commit_siblings = 0"] {
        system.database().execute(&format!("ALTER SYSTEM SET {setting}"));
    }
    system.database().execute("SELECT pg_reload_conf()");
    let jobs = join_all((0..2).map(|_| Job::of(&system, SHORT, "fast"))).await;
    let load = Arc::new(Load::default());
    let (mut creators, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..CREATORS {
        creators.push(tokio::spawn(Arc::clone(&load).creates(system.uploads().await)));
    }
    for _ in 0..WRITERS {
        let mut uploads = system.uploads().await;
        let upload_id = created(&mut uploads).await;
        let writer = tokio::spawn(Arc::clone(&load).writes(uploads, upload_id.clone()));
        writers.push((upload_id, writer));
    }
    for _ in 0..seed::number(RESTARTS_VARIABLE, RESTARTS) {
        load.goes_on().await;
        system.postgres().restart_immediate().await;
    }
    load.goes_on().await;
    load.is_enough.store(true, Relaxed);
    for creator in creators {
        creator.await.expect("it ends");
    }
    for (upload_id, writer) in writers {
        let size = writer.await.expect("it ends");
        assert!(system.stored(&upload_id) == pattern(0, size));
    }
    for job in &jobs {
        job.ends_right(&system).await;
    }
    let rows = system.database().number("SELECT COUNT(*) FROM uploads");
    let made = load.created.load(Relaxed) + jobs.len() + WRITERS;
    assert_eq!(
        usize::try_from(rows),
        Ok(made),
        "each call made one upload, however often it was made again"
    );
    nobody_died(&mut system);
}

/// Clients that call all the time, and what came of it.
#[derive(Default)]
struct Load {
    created: AtomicUsize,
    acked: AtomicUsize,
    is_enough: AtomicBool,
}

impl Load {
    /// Creates uploads. A call that fails is made again with the same request id.
    async fn creates(self: Arc<Self>, mut uploads: UploadServiceClient<Channel>) {
        while !self.is_enough.load(Relaxed) {
            let request = v1::CreateUploadRequest {
                request_id: Uuid::now_v7().to_string(),
                preset: "none".to_owned(),
                ..Default::default()
            };
            while let Err(status) = uploads.create_upload(request.clone()).await {
                sleep(come_back_after(&status)).await;
            }
            self.created.fetch_add(1, Relaxed);
        }
    }

    /// Writes one upload, piece by piece, on as many streams as it takes. Gives its length.
    async fn writes(self: Arc<Self>, mut uploads: UploadServiceClient<Channel>, upload_id: String) -> usize {
        let mut acked = 0;
        loop {
            let opened = WriteStream::open(&mut uploads, &upload_id).await;
            let ended = match opened {
                Ok(stream) => self.write_on(stream, &mut acked).await,
                Err(status) => Err(status),
            };
            match ended {
                Ok(size) => return size,
                Err(status) => sleep(come_back_after(&status)).await,
            }
        }
    }

    async fn write_on(&self, mut stream: WriteStream, acked: &mut usize) -> Result<usize, Status> {
        // What was in flight counts or doesn't; it is there once all the same, as the pattern shows.
        assert!(
            stream.at() >= *acked,
            "{acked} bytes were acknowledged, {} count",
            stream.at()
        );
        while !self.is_enough.load(Relaxed) {
            stream.send_flushed(pattern(stream.at(), PIECE_BYTES)).await;
            stream.acked().await?;
            *acked = stream.at();
            self.acked.fetch_add(1, Relaxed);
        }
        let size = stream.at();
        stream.finish().await.map(|_| size)
    }

    /// Waits until calls have succeeded, of each kind.
    async fn goes_on(&self) {
        let counts = || [self.created.load(Relaxed), self.acked.load(Relaxed)];
        let before = counts();
        within_secs(60, "calls that succeed", async || {
            counts()
                .iter()
                .zip(before)
                .all(|(now, before)| *now >= before + CALLS_BETWEEN)
        })
        .await;
    }
}

/// Bytes that say where they belong.
fn pattern(from: usize, count: usize) -> Vec<u8> {
    (from..from + count)
        .map(|at| at.wrapping_mul(0x9e37_79b9).to_le_bytes()[3])
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_12_postgres_is_away_while_ffmpeg_runs() {
    let mut system = System::split(own_postgres()).await;
    let job = Job::of(&system, HEAVY, "standard").await;
    let worker = system.server(Role::Worker, 0).pid();
    within_secs(60, "an encoder", async || !children_of(worker, "ffmpeg").is_empty()).await;
    system.postgres().stop().await;
    let until = Instant::now() + Duration::from_secs(seed::number(AWAY_VARIABLE, AWAY_SECS));
    for server in system.servers() {
        within_secs(30, "a server that says it can't work", async || {
            !server.probe("readyz").await
        })
        .await;
        assert!(server.probe("healthz").await, "a restart would mend nothing");
    }
    // Not to wait for something: this is how long the fault lasts.
    sleep_until(until).await;
    system.postgres().start_again().await;
    for server in system.servers() {
        within_secs(20, "a server that can work again", async || {
            server.probe("readyz").await
        })
        .await;
    }
    job.ends_right(&system).await;
    nobody_died(&mut system);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_13_postgres_only_reads() {
    let mut system = System::split(own_postgres()).await;
    let job = Job::of(&system, SHORT, "fast").await;
    let mut uploads = system.uploads().await;
    let upload_id = created(&mut uploads).await;
    let mut stream = WriteStream::open(&mut uploads, &upload_id).await.expect("a stream");
    stream.send_flushed(pattern(0, PIECE_BYTES)).await;
    stream.acked().await.expect("an acknowledgement");
    system.postgres().set_read_only(true).await;

    let request = v1::CreateUploadRequest::default();
    let refused = uploads
        .create_upload(request.clone())
        .await
        .expect_err("nothing can be written");
    come_back_after(&refused);
    stream.send_flushed(pattern(PIECE_BYTES, PIECE_BYTES)).await;
    come_back_after(&stream.acked().await.expect_err("nothing can be committed"));
    let read = at_last(async || durable(&mut uploads.clone(), &upload_id).await).await;
    assert_eq!(read, PIECE_BYTES as i64, "reading works");

    system.postgres().set_read_only(false).await;
    at_last(async || uploads.clone().create_upload(request.clone()).await).await;
    at_last(async || {
        let mut again = WriteStream::open(&mut uploads.clone(), &upload_id).await?;
        // What was in flight counts or doesn't.
        assert!((PIECE_BYTES..=PIECE_BYTES + 1).contains(&again.at()), "{}", again.at());
        again
            .send_flushed(pattern(again.at(), PIECE_BYTES + 1 - again.at()))
            .await;
        again.acked().await
    })
    .await;
    let complete = v1::CompleteUploadRequest {
        upload_id: upload_id.clone(),
        size_bytes: PIECE_BYTES as i64 + 1,
    };
    at_last(async || uploads.clone().complete_upload(complete.clone()).await).await;
    assert!(system.stored(&upload_id) == pattern(0, PIECE_BYTES + 1));
    job.ends_right(&system).await;
    nobody_died(&mut system);
}

/// What a call gives that is made again as long as its client is told to come back: each connection that Postgres has ended fails
/// once, on whoever has it next.
async fn at_last<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> T {
    within(HEALED_WITHIN, "an answer", async || match call().await {
        Ok(answer) => Some(answer),
        Err(refused) => {
            come_back_after(&refused);
            None
        }
    })
    .await
}

async fn durable(uploads: &mut UploadServiceClient<Channel>, upload_id: &str) -> Result<i64, Status> {
    let request = v1::GetUploadRequest {
        upload_id: upload_id.to_owned(),
        end_writer: false,
    };
    let upload = uploads.get_upload(request).await?.into_inner().upload;
    Ok(upload.expect("an upload").durable_offset)
}

/// What a client that is told to try again is told about when.
fn come_back_after(status: &Status) -> Duration {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
    told.unwrap_or_else(|| panic!("when to come back: {status:?}"))
}

fn own_postgres() -> Shape {
    Shape {
        own_postgres: true,
        ..Shape::default()
    }
}

/// Everybody is the process that was started in the beginning.
fn nobody_died(system: &mut System) {
    for server in system.servers_mut() {
        assert!(server.is_running(), "{:?}", server.log());
    }
}
