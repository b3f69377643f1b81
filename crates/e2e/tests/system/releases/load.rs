//! People who upload all the time: files by gRPC, slowly; files by tus; clips of which jobs are made.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use reelway::v1;
use reelway_client::{Client, Endpoints, Target, UploadProgress};
use tokio::{sync::watch, task::JoinSet};

use super::{slow::Slow, tus::Tus, urls};
use crate::harness::{Clip, Role, Server, System, clip, noise, upload, within};

/// About five seconds at the speed of [`Slow`].
const GRPC_BYTES: usize = 8 << 20;
const TUS_BYTES: usize = 3 << 20;
/// A longer pause of somebody is an end.
const ROUND_MAX: Duration = Duration::from_secs(120);
/// A clip with its job is a round, too, and the machine has others to encode.
const CLIP: Clip = Clip::short(2);

/// Everybody who uploads.
pub(super) struct Load {
    people: JoinSet<Done>,
    common: Arc<Common>,
}

/// What somebody has uploaded.
#[derive(Default)]
pub(super) struct Done {
    /// The ids with their bytes.
    pub(super) uploads: Vec<(String, Vec<u8>)>,
    pub(super) jobs: Vec<String>,
}

#[derive(Default)]
struct Common {
    is_over: AtomicBool,
    rounds: [AtomicUsize; 3],
}

impl Common {
    /// Whether somebody is to go on who has just done something.
    fn next(&self, who: usize) -> bool {
        self.rounds[who].fetch_add(1, Ordering::Relaxed);
        !self.is_over.load(Ordering::Relaxed)
    }
}

impl Load {
    pub(super) async fn start(system: &System) -> Self {
        let common = Arc::<Common>::default();
        let client = Client::connect(&Endpoints {
            upload: urls(system, Role::Upload),
            jobs: urls(system, Role::Jobs),
            progress: urls(system, Role::Progress),
        });
        let client = client.expect("addresses");
        let edges = system.all(Role::Edge).map(Server::http_url).collect();
        let mut people = JoinSet::new();
        people.spawn(by_grpc(client.clone(), Arc::clone(&common)));
        people.spawn(by_tus(Tus::new(edges), Arc::clone(&common)));
        people.spawn(clips(client, clip(CLIP).await, Arc::clone(&common)));
        Self { people, common }
    }

    /// Waits until everybody has finished what is under way.
    pub(super) async fn goes_on(&self) {
        for (who, rounds) in self.common.rounds.iter().enumerate() {
            let enough = rounds.load(Ordering::Relaxed) + 1;
            within(ROUND_MAX, &format!("uploader {who} to go on"), async || {
                (rounds.load(Ordering::Relaxed) >= enough).then_some(())
            })
            .await;
        }
    }

    /// Lets everybody finish what they do, and gives all that was uploaded.
    pub(super) async fn stop(mut self) -> Done {
        self.common.is_over.store(true, Ordering::Relaxed);
        let mut all = Done::default();
        while let Some(done) = self.people.join_next().await {
            let done = done.expect("nobody fails");
            all.uploads.extend(done.uploads);
            all.jobs.extend(done.jobs);
        }
        all
    }
}

async fn by_grpc(client: Client, common: Arc<Common>) -> Done {
    let mut done = Done::default();
    for seed in 0.. {
        let bytes = noise(seed, GRPC_BYTES);
        let request = v1::CreateUploadRequest {
            size_bytes: Some(GRPC_BYTES as i64),
            preset: "none".to_owned(),
            request_id: uuid::Uuid::now_v7().to_string(),
            ..Default::default()
        };
        let created = client.create_upload(request).await.expect("an upload");
        let progress = watch::Sender::new(UploadProgress::default());
        let mut file = Slow::new(bytes.clone());
        let sent = client.upload(created, &mut file, GRPC_BYTES as u64, &progress).await;
        done.uploads.push((sent.expect("a complete upload").id, bytes));
        if !common.next(0) {
            break;
        }
    }
    done
}

async fn by_tus(mut tus: Tus, common: Arc<Common>) -> Done {
    let mut done = Done::default();
    for seed in 1_000_000.. {
        let bytes = noise(seed, TUS_BYTES);
        let id = tus.upload(&Bytes::from(bytes.clone())).await;
        done.uploads.push((id, bytes));
        if !common.next(1) {
            break;
        }
    }
    done
}

async fn clips(client: Client, path: PathBuf, common: Arc<Common>) -> Done {
    let mut done = Done::default();
    loop {
        let request = v1::CreateUploadRequest {
            preset: "fast".to_owned(),
            request_id: uuid::Uuid::now_v7().to_string(),
            ..Default::default()
        };
        let job_id = upload(&client, request, &path).await.job_id;
        // The stream ends with the job.
        let mut events = Box::pin(client.watch(Target::Job(job_id.parse().expect("an id"))));
        while let Some(event) = events.next().await {
            event.expect("somebody is always there");
        }
        done.jobs.push(job_id);
        if !common.next(2) {
            return done;
        }
    }
}
