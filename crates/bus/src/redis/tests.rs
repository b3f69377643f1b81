//! What only Redis can do to a bus: be away, forget, refuse, and be reached in many ways.

mod access;
mod garbage;
mod outages;
mod places;

use std::time::Duration;

use reelway_domain::{JobId, Notice};
use reelway_testkit::Redis;
use tokio::time::sleep;

use crate::{
    Bus, BusError, Heard, Hints, RedisSettings,
    contract::{comes, job, next_job, notice},
};

fn bus(redis: &Redis) -> Bus {
    Bus::redis(RedisSettings::new(redis.url())).unwrap()
}

/// Publishes as the courier does: again and again until it is taken.
async fn insist(bus: &Bus, notices: &[Notice]) {
    comes(async {
        while bus.publish(notices).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Hears a job's events, which are published until they are heard: a reader that comes back misses what came meanwhile.
async fn hears_again(bus: &Bus, hints: &mut Hints) {
    let job = job();
    comes(async {
        loop {
            insist(bus, &[notice(job)]).await;
            let heard = tokio::time::timeout(Duration::from_millis(100), heard(hints, job));
            if heard.await.is_ok() {
                return;
            }
        }
    })
    .await;
}

async fn heard(hints: &mut Hints, job: JobId) {
    while next_job(hints).await != Some(job) {}
}

/// Waits for [`Heard::Lost`].
async fn loses(hints: &mut Hints) {
    comes(async { while hints.next().await != Some(Heard::Lost) {} }).await;
}

/// What Redis says to a publisher.
async fn refusal(bus: &Bus) -> String {
    let BusError::Away(reason) = bus.publish(&[notice(job())]).await.unwrap_err();
    reason
}
