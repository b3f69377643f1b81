//! What only Redis can do to a limiter: be shared, forget, be silent, and be away.

use super::*;

/// More than a call may wait for Redis, with what a busy machine adds; less than a hundred that wait.
const CALL_MAX: Duration = Duration::from_secs(2);

/// What is left is counted in Redis again.
async fn is_asked_again(limiter: &RateLimiter, redis: &Redis) {
    let until = Instant::now() + Duration::from_secs(20);
    while !redis.command(&["KEYS", "reelway:rate:*"]).await.contains("back") {
        assert!(Instant::now() < until, "it is never asked again");
        limiter.take("back").await.unwrap();
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn processes_share_a_limit() {
    let redis = Redis::start().await;
    let (one, other) = (connected(&redis).await, connected(&redis).await);
    let (one, other) = (limiter(&one, "1/h:4"), limiter(&other, "1/h:4"));
    for limiter in [&one, &other, &one, &other] {
        limiter.take("a").await.unwrap();
    }
    assert!(one.take("a").await.is_err() && other.take("a").await.is_err());
}

#[tokio::test]
async fn keys_go_by_themselves_and_scripts_may_be_forgotten() {
    let redis = Redis::start().await;
    let bus = connected(&redis).await;
    let limiter = limiter(&bus, "60/m:3");
    limiter.take("a").await.unwrap();
    redis.command(&["SCRIPT", "FLUSH"]).await;
    limiter.take("a").await.unwrap();
    let left_ms: i64 = redis.command(&["PTTL", "reelway:rate:tenant:a"]).await.parse().unwrap();
    assert!((1..=2000).contains(&left_ms), "{left_ms} ms");
}

#[tokio::test]
async fn a_silent_redis_holds_nobody_up_and_each_process_counts() {
    let mut redis = Redis::start().await;
    let bus = connected(&redis).await;
    let limiter = limiter(&bus, "1/h:5");
    redis.pause();
    let mut passed = 0;
    let mut waited = Duration::ZERO;
    for _ in 0..100 {
        let began = Instant::now();
        passed += u32::from(limiter.take("a").await.is_ok());
        assert!(began.elapsed() < CALL_MAX, "{:?}", began.elapsed());
        waited += began.elapsed();
    }
    assert_eq!(passed, 5, "the process's own limit holds");
    assert!(waited < 2 * CALL_MAX, "only the first waits: {waited:?}");
    redis.resume();
}

#[tokio::test]
async fn a_redis_that_comes_back_counts_again() {
    let mut redis = Redis::start().await;
    let bus = connected(&redis).await;
    let limiter = limiter(&bus, "1000000/s");
    limiter.take("a").await.unwrap();
    redis.kill9();
    let began = Instant::now();
    limiter.take("a").await.unwrap();
    assert!(began.elapsed() < CALL_MAX, "{:?}", began.elapsed());
    redis.restart_in_place().await;
    let slow = super::limiter(&bus, "1000/h");
    is_asked_again(&slow, &redis).await;
}
