//! Redis is away, forgets, is full, or says things twice: everything goes on by looking at the catalog.

use std::time::Duration;

use futures_util::future::join_all;
use reelway_testkit::Redis;
use tokio::time::interval;

use super::jobs::{Job, SHORT};
use crate::harness::{Role, Server, Shape, System, within_secs};

/// Jobs at once, so that there is always something on its way.
const JOBS: usize = 4;
/// How often Redis is hurt while they go on.
const HURT_EVERY: Duration = Duration::from_millis(300);
const BUS_UP: &str = "reelway_bus_up";

#[tokio::test(flavor = "multi_thread")]
async fn fault_14_redis_is_absent_at_start() {
    let mut redis = Redis::start().await;
    redis.kill9();
    let mut system = System::split_on(Shape::default(), redis).await;
    for server in system.servers() {
        assert!(server.probe("readyz").await, "nobody needs Redis to be ready");
    }
    for server in with_bus(&system) {
        bus_is(server, 0.0).await;
    }
    done(&system, &[Job::of(&system, SHORT, "fast").await]).await;
    system.redis_mut().restart_in_place().await;
    for server in with_bus(&system) {
        bus_is(server, 1.0).await;
    }
    done(&system, &[Job::of(&system, SHORT, "fast").await]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_15_everything_is_flushed_again_and_again() {
    let system = System::split(two_workers()).await;
    let jobs = started(&system).await;
    let flush = async {
        let mut tick = interval(HURT_EVERY);
        loop {
            tick.tick().await;
            assert_eq!(system.redis().command(&["FLUSHALL"]).await, "OK");
        }
    };
    tokio::select! {
        () = done(&system, &jobs) => {}
        () = flush => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_16_redis_dies_and_comes_back_empty() {
    let mut system = System::split(two_workers()).await;
    let jobs = started(&system).await;
    for _ in 0..3 {
        system.redis_mut().kill9();
        for server in with_bus(&system) {
            bus_is(server, 0.0).await;
        }
        system.redis_mut().restart_in_place().await;
        for server in with_bus(&system) {
            bus_is(server, 1.0).await;
        }
    }
    done(&system, &jobs).await;
    // What wakes workers works again: far faster than they look by themselves.
    done(&system, &started(&system).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_17_redis_is_full() {
    let full = Redis::start_with(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).await;
    let system = System::split_on(Shape::default(), full).await;
    let jobs = [Job::of(&system, SHORT, "fast").await];
    bus_is(system.server(Role::Upload, 0), 0.0).await;
    done(&system, &jobs).await;
    let left = || system.database().number("SELECT COUNT(*) FROM outbox");
    assert!(left() > 0, "what was not published is kept");
    assert_eq!(system.redis().command(&["CONFIG", "SET", "maxmemory", "0"]).await, "OK");
    within_secs(20, "an empty outbox", async || left() == 0).await;
    for server in with_bus(&system) {
        bus_is(server, 1.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_18_everything_is_delivered_twice_and_to_others() {
    let system = System::split(two_workers()).await;
    let jobs = started(&system).await;
    let repeat = async {
        let mut tick = interval(HURT_EVERY);
        loop {
            tick.tick().await;
            let said = system
                .redis()
                .command(&["EVAL", AGAIN, "2", "reelway:tasks", "reelway:events"])
                .await;
            assert!(said.parse::<u64>().is_ok(), "{said}");
        }
    };
    tokio::select! {
        () = done(&system, &jobs) => {}
        () = repeat => {}
    }
    let again = system
        .database()
        .number("SELECT COUNT(*) FROM tasks WHERE attempt <> 1 OR lease_epoch <> 1");
    assert_eq!(again, 0, "each task was claimed once");
}

/// Adds the newest entries of each stream once more, and gives what somebody has read and not finished to somebody else.
const AGAIN: &str = "
    local added = 0
    for _, key in ipairs(KEYS) do
        for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', 20)) do
            redis.call('XADD', key, 'MAXLEN', '~', 1000, '*', unpack(entry[2]))
            added = added + 1
        end
        for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
            redis.call('XAUTOCLAIM', key, group[2], 'a-stranger', 0, '0')
        end
    end
    return added";

fn two_workers() -> Shape {
    Shape {
        worker: 2,
        ..Shape::default()
    }
}

async fn started(system: &System) -> Vec<Job> {
    join_all((0..JOBS).map(|_| Job::of(system, SHORT, "fast"))).await
}

async fn done(system: &System, jobs: &[Job]) {
    for job in jobs {
        job.ends_right(system).await;
    }
}

/// The servers that speak with Redis.
fn with_bus(system: &System) -> impl Iterator<Item = &Server> {
    system.servers().iter().filter(|server| !server.has(Role::Edge))
}

async fn bus_is(server: &Server, value: f64) {
    let what = format!("{BUS_UP} {value} of {}", server.admin_url());
    within_secs(30, &what, async || server.metric(BUS_UP).await == Some(value)).await;
}
