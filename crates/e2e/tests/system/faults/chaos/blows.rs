//! What happens to servers.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::{Rng as _, rngs::StdRng};
use tokio::time::{Instant, sleep};

use crate::harness::System;

/// The time between two blows, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 100..1200;
/// How long a server stays dead, in milliseconds at most.
const DEAD_MS_MAX: u64 = 400;
/// How long a server sleeps, in milliseconds at most: mostly less than anybody notices, sometimes more than they wait.
const ASLEEP_MS_MAX: u64 = 3000;

/// How often which blow fell.
#[derive(Debug, Default)]
pub(super) struct Blows {
    killed: usize,
    paused: usize,
    cut_off: usize,
}

/// Goes on until a time. All servers are ready then.
pub(super) async fn until(until: Instant, system: &mut System, random: &mut StdRng) -> Blows {
    let mut blows = Blows::default();
    let (is_split, count) = (system.is_split(), system.servers().len());
    while Instant::now() < until {
        let server = &mut system.servers_mut()[random.random_range(0..count)];
        server.ready().await;
        match random.random_range(0..10) {
            0..2 => {
                blows.paused += 1;
                server.signal(Signal::SIGSTOP);
                sleep(Duration::from_millis(random.random_range(0..ASLEEP_MS_MAX))).await;
                server.signal(Signal::SIGCONT);
            }
            2..4 if is_split => {
                blows.cut_off += 1;
                server.wires().postgres.cut();
                server.wires().redis.cut();
            }
            _ => {
                blows.killed += 1;
                server.kill9().await;
                sleep(Duration::from_millis(random.random_range(0..DEAD_MS_MAX))).await;
                server.start_again();
            }
        }
        sleep(Duration::from_millis(random.random_range(PAUSE_MS))).await;
    }
    for server in system.servers() {
        server.ready().await;
    }
    blows
}
