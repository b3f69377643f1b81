//! What every limiter does: the same tests over the one within the process and the one in a real Redis.

mod outages;

use std::{
    ops::Deref,
    time::{Duration, Instant},
};

use reelway_bus::{Bus, RedisSettings};
use reelway_domain::{Failure, Reason};
use reelway_testkit::Redis;
use tokio::{task::JoinSet, time::sleep};

use super::*;

const HOUR_MS: u64 = 3_600_000;

/// A place where calls are counted.
struct Place {
    bus: Bus,
    _redis: Option<Redis>,
}

impl Place {
    async fn redis() -> Self {
        let redis = Redis::start().await;
        Self {
            bus: connected(&redis).await,
            _redis: Some(redis),
        }
    }

    fn local() -> Self {
        Self {
            bus: Bus::default(),
            _redis: None,
        }
    }

    fn limiter(&self, rate: &str) -> RateLimiter {
        limiter(&self.bus, rate)
    }
}

impl Deref for Place {
    type Target = Bus;

    fn deref(&self) -> &Bus {
        &self.bus
    }
}

fn limiter(bus: &Bus, rate: &str) -> RateLimiter {
    RateLimiter::new(RateBy::Tenant, rate.parse().unwrap(), bus)
}

/// A bus that has its connection: before, limits are each process's own.
async fn connected(redis: &Redis) -> Bus {
    let bus = Bus::redis(RedisSettings::new(redis.url())).unwrap();
    while bus.publish(&[]).await.is_err() {
        tokio::task::yield_now().await;
    }
    bus
}

fn wait_ms(refused: &Failure) -> u64 {
    assert_eq!(refused.reason, Reason::RateLimited);
    refused.metadata[RETRY_AFTER_MS].parse().unwrap()
}

async fn a_burst_goes_through_and_no_more(place: Place) {
    let limiter = place.limiter("1/h:3");
    for _ in 0..3 {
        limiter.take("a").await.unwrap();
    }
    let wait = wait_ms(&limiter.take("a").await.unwrap_err());
    assert!((HOUR_MS - 60_000..=HOUR_MS).contains(&wait), "{wait} ms");
    let again = wait_ms(&limiter.take("a").await.unwrap_err());
    assert!(again <= wait, "a refusal costs nothing");
    limiter.take("b").await.unwrap();
}

async fn one_comes_back_after_the_wait_that_was_told(place: Place) {
    let limiter = place.limiter("20/s:1");
    limiter.take("a").await.unwrap();
    let began = Instant::now();
    let wait = wait_ms(&limiter.take("a").await.unwrap_err());
    assert!((1..=50).contains(&wait), "{wait} ms");
    // Not to wait for something: that it is enough is what is asked.
    sleep(Duration::from_millis(wait)).await;
    limiter.take("a").await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}

async fn of_many_at_once_exactly_the_burst_goes_through(place: Place) {
    let limiter = place.limiter("1/h:10");
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let limiter = limiter.clone();
        calls.spawn(async move { limiter.take("a").await.is_ok() });
    }
    let passed = calls.join_all().await.into_iter().filter(|passed| *passed).count();
    assert_eq!(passed, 10);
}

async fn a_smaller_limit_counts_at_once(place: Place) {
    let before = place.limiter("1/h:1000");
    for _ in 0..100 {
        before.take("a").await.unwrap();
    }
    // Over Redis both know of each other's calls; within a process a new limiter begins anew.
    let after = place.limiter("20/s:1");
    let _ = after.take("a").await;
    let wait = wait_ms(&after.take("a").await.unwrap_err());
    assert!(wait <= 50, "{wait} ms");
}

/// Each of these functions is a test of both limiters.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod local { $(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Place::local()).await;
            }
        )+ }
        mod redis { $(
            #[tokio::test]
            async fn $name() {
                super::$name(super::Place::redis().await).await;
            }
        )+ }
    };
}

contract!(
    a_burst_goes_through_and_no_more,
    one_comes_back_after_the_wait_that_was_told,
    of_many_at_once_exactly_the_burst_goes_through,
    a_smaller_limit_counts_at_once,
);
