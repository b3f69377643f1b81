//! Everything at once: random servers die, sleep and are cut off while uploads and jobs go on. Afterwards a checker goes
//! through the history of what clients were told.

mod blows;
mod check;
mod clients;
mod watcher;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::time::Instant;

use self::{
    clients::{Client, Clips},
    watcher::Watcher,
};
use super::seed;
use crate::harness::{Shape, System, noise};

/// How long it goes on, in seconds, unless this variable says more.
const SECONDS: u64 = 60;
const SECONDS_VARIABLE: &str = "REELWAY_TEST_CHAOS_SECONDS";
/// Clients that upload one file after the other.
const CLIENTS: usize = 3;
/// Every file that is no video is a part of one block of noise.
const NOISE_BYTES: usize = 8 << 20;

on_both!(
    fault_38_random_servers_die,
    Shape {
        upload: 2,
        jobs: 2,
        worker: 2,
        has_receiver: true,
        ..Shape::default()
    }
);

async fn fault_38_random_servers_die(mut system: System) {
    let (mut random, seed) = seed::random();
    let until = Instant::now() + Duration::from_secs(seed::number(SECONDS_VARIABLE, SECONDS));
    let (noise, clips) = (Bytes::from(noise(seed, NOISE_BYTES)), Clips::load().await);
    let watcher = Watcher::start(&system).await;
    let clients = (0..CLIENTS).map(|_| {
        let client = Client::of(
            &system,
            noise.clone(),
            clips.clone(),
            StdRng::seed_from_u64(random.random()),
        );
        tokio::spawn(client.work(until))
    });
    let clients: Vec<_> = clients.collect();
    let blows = blows::until(until, &mut system, &mut random).await;
    let sent = join_all(clients)
        .await
        .into_iter()
        .flat_map(|files| files.expect("a client never fails"));
    let sent: Vec<_> = sent.collect();
    eprintln!("{blows:?}; {} uploads", sent.len());
    check::all(&system, &sent, &watcher).await;
}
