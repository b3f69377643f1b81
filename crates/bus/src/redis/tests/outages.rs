//! Redis is away, comes back empty, is full, or says nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use reelway_testkit::Redis;

use super::{bus, hears_again, insist, loses, refusal};
use crate::{
    Bus,
    contract::{comes, job, notice, subscribe, tasks, trace},
};

/// An answer from a bus that is away must not take longer, on a machine that has much else to do; a hundred must not either.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);

/// All metrics by name, summed over their labels. Counters count from the last look on.
fn metrics(snapshotter: &Snapshotter) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        *metrics.entry(key.key().name().to_owned()).or_default() += match value {
            DebugValue::Counter(count) => f64::from(u32::try_from(count).unwrap()),
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => 0.0,
        };
    }
    metrics
}

/// A waiting worker is woken by what is published from now on.
async fn wakes_up(bus: &Bus, waiting: tokio::task::JoinHandle<Option<crate::Woken>>) {
    comes(async {
        while !waiting.is_finished() {
            insist(bus, &[tasks(1, 1)]).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(waiting.await.unwrap().unwrap().trace, Some(trace(1)));
}

fn wait(bus: &Bus) -> tokio::task::JoinHandle<Option<crate::Woken>> {
    let mut wakes = bus.wakes();
    tokio::spawn(async move { wakes.next().await })
}

#[tokio::test]
async fn it_may_be_absent_at_the_start_and_appear() {
    let mut redis = Redis::start().await;
    redis.kill9();
    let bus = bus(&redis);
    let (mut hints, waiting) = (bus.hints(), wait(&bus));
    let begun = Instant::now();
    refusal(&bus).await;
    refusal(&bus).await;
    assert!(begun.elapsed() < REFUSED_WITHIN, "{:?}", begun.elapsed());
    redis.restart_in_place().await;
    loses(&mut hints).await;
    hears_again(&bus, &mut hints).await;
    wakes_up(&bus, waiting).await;
}

#[tokio::test]
async fn it_may_be_killed_and_come_back_empty() {
    let mut redis = Redis::start().await;
    let bus = bus(&redis);
    let (mut hints, waiting) = (subscribe(&bus).await, wait(&bus));
    redis.kill9();
    let begun = Instant::now();
    refusal(&bus).await;
    assert!(begun.elapsed() < REFUSED_WITHIN, "{:?}", begun.elapsed());
    redis.restart_in_place().await;
    loses(&mut hints).await;
    hears_again(&bus, &mut hints).await;
    wakes_up(&bus, waiting).await;
}

#[tokio::test]
async fn it_may_say_nothing_for_a_while() {
    let mut redis = Redis::start().await;
    let bus = bus(&redis);
    let (mut hints, waiting) = (subscribe(&bus).await, wait(&bus));
    redis.pause();
    let begun = Instant::now();
    refusal(&bus).await;
    assert!(begun.elapsed() < REFUSED_WITHIN, "{:?}", begun.elapsed());
    let begun = Instant::now();
    for _ in 0..100 {
        refusal(&bus).await;
    }
    assert!(
        begun.elapsed() < REFUSED_WITHIN,
        "only the first one waits: {:?}",
        begun.elapsed()
    );
    redis.resume();
    hears_again(&bus, &mut hints).await;
    wakes_up(&bus, waiting).await;
}

#[tokio::test]
async fn it_may_be_flushed_while_everybody_waits() {
    let redis = Redis::start().await;
    let bus = bus(&redis);
    let (mut hints, mut wakes) = (subscribe(&bus).await, bus.wakes());
    bus.publish(&[tasks(1, 1)]).await.unwrap();
    comes(wakes.next()).await.unwrap();
    let waiting = tokio::spawn(async move { wakes.next().await });
    comes(async { while !redis.command(&["CLIENT", "LIST"]).await.contains("flags=b") {} }).await;
    assert_eq!(redis.command(&["FLUSHALL"]).await, "OK");
    // The first one after it wakes somebody: nobody has to insist.
    bus.publish(&[tasks(1, 2)]).await.unwrap();
    assert_eq!(comes(waiting).await.unwrap().unwrap().trace, Some(trace(2)));
    loses(&mut hints).await;
    hears_again(&bus, &mut hints).await;
}

#[tokio::test]
async fn it_may_be_full_and_refuse() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let redis = Redis::start_with(&["--maxmemory-policy", "noeviction"]).await;
    let bus = bus(&redis);
    let mut hints = subscribe(&bus).await;
    assert_eq!(metrics(&snapshotter)["reelway_bus_up"], 1.0);
    assert_eq!(redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await, "OK");
    assert!(refusal(&bus).await.starts_with("OOM"));
    let seen = metrics(&snapshotter);
    assert_eq!((seen["reelway_bus_up"], seen["reelway_bus_errors_total"]), (0.0, 1.0));
    assert_eq!(redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await, "OK");
    // Nobody has to publish for it to be seen.
    comes(async {
        while metrics(&snapshotter)["reelway_bus_up"] != 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // The connection was good all the time, so this goes through at once.
    bus.publish(&[notice(job())]).await.unwrap();
    let seen = metrics(&snapshotter);
    assert_eq!(
        (seen["reelway_bus_up"], seen["reelway_bus_published_total"]),
        (1.0, 1.0)
    );
    hears_again(&bus, &mut hints).await;
}

#[tokio::test]
async fn the_number_says_whether_it_is_there() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let is = async |wanted: f64| {
        comes(async {
            while metrics(&snapshotter).get("reelway_bus_up") != Some(&wanted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    let mut redis = Redis::start().await;
    let _bus = bus(&redis);
    is(1.0).await;
    redis.pause();
    is(0.0).await;
    redis.resume();
    is(1.0).await;
    redis.kill9();
    is(0.0).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_bus_that_was_dropped() {
    let redis = Redis::start().await;
    let bus = bus(&redis);
    let (_hints, _samples, waiting) = (subscribe(&bus).await, bus.samples(), wait(&bus));
    bus.publish(&[tasks(1, 1)]).await.unwrap();
    comes(waiting).await.unwrap().unwrap();
    drop(bus);
    comes(async {
        // The one that asks is there.
        while redis.command(&["CLIENT", "LIST"]).await.lines().count() > 1 {}
    })
    .await;
}
