//! Invariant 1: what was acknowledged is there after a kill, byte for byte, on whichever server the client goes on.

use std::time::Duration;

use bytes::Bytes;
use rand::{Rng as _, rngs::StdRng};

use super::{file::File, seed};
use crate::harness::{Role, Shape, System, noise};

/// How often the server is killed, unless this variable says more.
const KILLS_MIN: usize = 100;
const KILLS_VARIABLE: &str = "REELWAY_TEST_KILLS";
/// Every file is a part of one block of noise.
const NOISE_BYTES: usize = 48 << 20;
/// Large enough that most kills come in the middle of one.
const FILE_BYTES: std::ops::Range<usize> = 8 << 20..40 << 20;
/// The longest life of a server, counted from when a client begins to send.
const LIFE_MS_MAX: u64 = 220;

on_both!(
    fault_01_acked_is_durable_through_100_kills,
    Shape {
        upload: 2,
        worker: 0,
        ..Shape::default()
    }
);

async fn fault_01_acked_is_durable_through_100_kills(mut system: System) {
    let (mut random, seed) = seed::random();
    let kills = seed::number(KILLS_VARIABLE, KILLS_MIN).max(KILLS_MIN);
    let noise = Bytes::from(noise(seed, NOISE_BYTES));
    let file = |random: &mut StdRng| File::part_of(&noise, FILE_BYTES, random);
    let (mut done, mut sent, mut cut) = (Vec::new(), file(&mut random), 0);
    for kill in 0..kills {
        // Of two servers, one is killed while the other one starts again.
        system.server(Role::Upload, kill).ready().await;
        let mut uploads = system.uploads_of(kill).await;
        let life = Duration::from_millis(random.random_range(0..LIFE_MS_MAX));
        let sending = async {
            // Answers that the server sent before it died count, so the client reads until the connection breaks.
            loop {
                if let Err(status) = sent.go_on(&mut uploads, &mut random).await {
                    return status;
                }
                done.push(std::mem::replace(&mut sent, file(&mut random)));
            }
        };
        let server = system.server_mut(Role::Upload, kill);
        let killing = async {
            tokio::time::sleep(life).await;
            server.kill9().await;
        };
        let (status, ()) = tokio::join!(sending, killing);
        assert!(
            std::error::Error::source(&status).is_some(),
            "only the kill ends a stream: {status:?}"
        );
        cut += usize::from(sent.upload_id.is_some());
        server.start_again();
    }
    system.server(Role::Upload, kills).ready().await;
    let mut uploads = system.uploads_of(kills).await;
    sent.go_on(&mut uploads, &mut random)
        .await
        .expect("nobody kills the server any more");
    done.push(sent);
    for file in &done {
        file.is_whole(&system, &mut uploads).await;
    }
    eprintln!(
        "{kills} kills, {cut} of them in the middle of one of {} uploads",
        done.len()
    );
    assert!(cut > kills / 2, "most kills are to hit an upload; only {cut} did");
}
