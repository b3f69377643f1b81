//! What others leave in the streams.

use std::time::{Duration, Instant};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use reelway_testkit::Redis;

use super::bus;
use crate::contract::{comes, job, next_job, notice, subscribe, tasks, trace};

#[tokio::test]
async fn malformed_entries_are_passed_over_and_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let redis = Redis::start().await;
    let bus = bus(&redis);
    let mut hints = subscribe(&bus).await;
    for stream in ["reelway:tasks", "reelway:events"] {
        for fields in [
            &["nonsense", "1"][..],
            &["hint", "{"],
            &["hint", r#"{"hint":"unheard_of"}"#],
            &["other", "1", "hint", "\u{fffd}"],
        ] {
            redis.command(&[&["XADD", stream, "*"], fields].concat()).await;
        }
    }
    // Each is good in the other stream only.
    redis
        .command(&["XADD", "reelway:events", "*", "hint", r#"{"hint":"tasks","count":1}"#])
        .await;
    let events = serde_json::to_string(&notice(job())).unwrap();
    redis.command(&["XADD", "reelway:tasks", "*", "hint", &events]).await;
    // The hint is good, the trace is not.
    redis
        .command(&[
            "XADD",
            "reelway:tasks",
            "*",
            "hint",
            r#"{"hint":"tasks","count":1}"#,
            "traceparent",
            "no",
        ])
        .await;

    let mut wakes = bus.wakes();
    assert_eq!(comes(wakes.next()).await.unwrap().trace, None);
    bus.publish(&[tasks(1, 1)]).await.unwrap();
    assert_eq!(comes(wakes.next()).await.unwrap().trace, Some(trace(1)));
    let last = job();
    bus.publish(&[notice(last)]).await.unwrap();
    assert_eq!(next_job(&mut hints).await, Some(last));

    comes(async { while redis.command(&["XLEN", "reelway:tasks"]).await != "0" {} }).await;
    assert!(
        redis
            .command(&["XPENDING", "reelway:tasks", "workers"])
            .await
            .starts_with('0')
    );
    let all = snapshotter.snapshot().into_vec();
    let malformed = all
        .into_iter()
        .find(|(key, ..)| key.key().name() == "reelway_bus_malformed_total")
        .unwrap();
    assert_eq!(malformed.3, DebugValue::Counter(10));
}

#[tokio::test]
async fn what_a_dead_worker_read_wakes_another() {
    let redis = Redis::start().await;
    let bus = bus(&redis);
    redis
        .command(&["XGROUP", "CREATE", "reelway:tasks", "workers", "0", "MKSTREAM"])
        .await;
    bus.publish(&[tasks(1, 7)]).await.unwrap();
    let read = redis
        .command(&[
            "XREADGROUP",
            "GROUP",
            "workers",
            "dead",
            "STREAMS",
            "reelway:tasks",
            ">",
        ])
        .await;
    assert!(read.contains(trace(7).as_str()));
    let (mut wakes, begun) = (bus.wakes(), Instant::now());
    assert_eq!(comes(wakes.next()).await.unwrap().trace, Some(trace(7)));
    assert!(begun.elapsed() > Duration::from_secs(2), "it might not have been dead");
    comes(async { while redis.command(&["XLEN", "reelway:tasks"]).await != "0" {} }).await;
}

#[tokio::test]
async fn a_stream_of_another_type_is_trouble_and_no_end() {
    let redis = Redis::start().await;
    for key in ["reelway:tasks", "reelway:events"] {
        redis.command(&["SET", key, "1"]).await;
    }
    let bus = bus(&redis);
    let mut hints = bus.hints();
    assert!(super::refusal(&bus).await.starts_with("WRONGTYPE"));
    let mut wakes = bus.wakes();
    let waiting = tokio::spawn(async move { wakes.next().await });
    redis.command(&["DEL", "reelway:tasks", "reelway:events"]).await;
    super::loses(&mut hints).await;
    bus.publish(&[tasks(1, 1)]).await.unwrap();
    comes(waiting).await.unwrap().unwrap();
}
