//! A reader's place in a stream that changes under it, and consumers that are gone.

use fred::types::Value;
use reelway_testkit::Redis;
use tokio::sync::broadcast;

use crate::{
    Heard, RedisSettings,
    contract::{comes, job, notice},
    redis::{
        entry::{self, EntryId},
        follow::Follow,
        pull::Group,
        session::Door,
    },
};

/// Adds an entry under this id.
async fn add(redis: &Redis, id: &str) {
    let fields = entry::of_notice(&notice(job()));
    let added = redis.command(&["XADD", "stream", id, fields[0].0, &fields[0].1]).await;
    assert_eq!(added, id);
}

/// Whether a reader that stood here notices that it lost its place, and what it heard before.
async fn read_on(redis: &Redis, place: &str) -> usize {
    let session = Door::new(&RedisSettings::new(redis.url()))
        .unwrap()
        .connect()
        .await
        .unwrap();
    let (audience, mut heard) = broadcast::channel::<Heard>(100);
    let follow = Follow {
        session,
        key: "stream",
        audience: &audience,
    };
    comes(follow.read_on(place.parse::<EntryId>().unwrap())).await.unwrap();
    let mut count = 0;
    while let Ok(heard) = heard.try_recv() {
        assert!(matches!(heard, Heard::Hint(_)));
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_place_that_was_trimmed_away_is_noticed() {
    let redis = Redis::start().await;
    add(&redis, "5-1").await;
    add(&redis, "5-2").await;
    assert_eq!(read_on(&redis, "4-7").await, 2);
}

#[tokio::test]
async fn ids_that_went_back_are_noticed() {
    let redis = Redis::start().await;
    assert_eq!(read_on(&redis, "4-7").await, 0);
    add(&redis, "3-1").await;
    assert_eq!(read_on(&redis, "4-7").await, 0);
}

#[test]
fn only_consumers_that_are_gone_and_owe_nothing_are_removed() {
    let consumer = |pending: i64, idle_seconds: i64| {
        let text = |text: &'static str| Value::from_static_str(text);
        let (pending, idle) = (Value::Integer(pending), Value::Integer(idle_seconds * 1000));
        Value::Array(vec![
            text("name"),
            text("one"),
            text("pending"),
            pending,
            text("idle"),
            idle,
        ])
    };
    assert_eq!(Group::gone(&consumer(0, 601)), Some("one"));
    assert_eq!(Group::gone(&consumer(1, 601)), None);
    assert_eq!(Group::gone(&consumer(0, 599)), None);
    assert_eq!(Group::gone(&Value::Null), None);
}

#[tokio::test]
async fn tidying_leaves_those_who_read() {
    let redis = Redis::start().await;
    let session = Door::new(&RedisSettings::new(redis.url()))
        .unwrap()
        .connect()
        .await
        .unwrap();
    redis
        .command(&["XGROUP", "CREATE", "stream", "workers", "0", "MKSTREAM"])
        .await;
    redis
        .command(&["XGROUP", "CREATECONSUMER", "stream", "workers", "one"])
        .await;
    let group = Group::new("stream".to_owned());
    group.tidy(&session).await.unwrap();
    assert!(
        redis
            .command(&["XINFO", "CONSUMERS", "stream", "workers"])
            .await
            .contains("one")
    );
}
