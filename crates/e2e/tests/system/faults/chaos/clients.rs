//! Those who use the system meanwhile, and remember what they were told.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use rand::{Rng as _, rngs::StdRng};
use reelway::v1::upload_service_client::UploadServiceClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};

use super::super::file::File;
use crate::harness::{Clip, Role, Server, System, clip};

/// How large files are that are no video.
const FILE_BYTES: Range<usize> = 1..3 << 20;
/// A client uploads a video so often, and other files in between: a job is much more work than an upload.
const VIDEO_EVERY: Duration = Duration::from_secs(4);
/// The pause of a client that was cut off, in milliseconds at most.
const PAUSE_MS_MAX: u64 = 100;
/// Nothing that a client waits for takes so long.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Videos, as bytes: tiny ones, because every kill costs the work that was under way.
#[derive(Clone)]
pub(super) struct Clips(Vec<Bytes>);

impl Clips {
    /// Makes them.
    pub(super) async fn load() -> Self {
        let clips = [("160x120", 1), ("160x90", 2)].map(|(size, seconds)| Clip {
            size,
            ..Clip::short(seconds)
        });
        let read = async |what| Bytes::from(std::fs::read(clip(what).await).expect("a clip"));
        Self(join_all(clips.map(read)).await)
    }
}

/// A client that uploads one file after the other, each over whichever servers answer.
pub(super) struct Client {
    servers: Vec<UploadServiceClient<Channel>>,
    noise: Bytes,
    clips: Clips,
    random: StdRng,
}

impl Client {
    pub(super) fn of(system: &System, noise: Bytes, clips: Clips, random: StdRng) -> Self {
        let lazy = |url: String| Endpoint::from_shared(url).expect("an address").connect_lazy();
        let urls = system.all(Role::Upload).map(Server::grpc_url);
        Self {
            servers: urls.map(|url| UploadServiceClient::new(lazy(url))).collect(),
            noise,
            clips,
            random,
        }
    }

    /// Begins files until a time, and finishes each. Gives them all.
    pub(super) async fn work(mut self, until: Instant) -> Vec<File> {
        let (mut sent, mut next_video) = (Vec::new(), Instant::now());
        while Instant::now() < until {
            let random = &mut self.random;
            let mut file = if next_video < Instant::now() {
                next_video = Instant::now() + VIDEO_EVERY;
                let clip = self.clips.0[random.random_range(0..self.clips.0.len())].clone();
                File::of(clip, "fast", random)
            } else {
                File::part_of(&self.noise, FILE_BYTES, random)
            };
            self.send(&mut file).await;
            sent.push(file);
        }
        sent
    }

    async fn send(&mut self, file: &mut File) {
        loop {
            let server = self.random.random_range(0..self.servers.len());
            let sent = timeout(ANSWER_MAX, file.go_on(&mut self.servers[server], &mut self.random)).await;
            match sent.expect("an answer, or an end") {
                Ok(()) => return,
                Err(status) => passes(&status),
            }
            sleep(Duration::from_millis(self.random.random_range(0..PAUSE_MS_MAX))).await;
        }
    }
}

/// A client may see that a connection broke, that the server asks to be tried again, and that another stream of its own came
/// later after all.
pub(super) fn passes(status: &Status) {
    let is_broken = std::error::Error::source(status).is_some();
    assert!(
        is_broken || matches!(status.code(), Code::Unavailable | Code::Aborted),
        "{status:?}"
    );
}
