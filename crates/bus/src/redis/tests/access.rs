//! Passwords, sentinels, clusters, TLS.

use std::{path::Path, process::Command};

use reelway_testkit::{Redis, RedisSentinel};

use super::{bus, hears_again, insist, loses};
use crate::{
    Bus, BusError, RedisSettings, RedisSettingsError,
    contract::{comes, job, next_job, notice, subscribe, tasks},
};

/// Everything goes through.
async fn works(bus: &Bus) {
    let mut hints = subscribe(bus).await;
    let (job, mut wakes) = (job(), bus.wakes());
    bus.publish(&[notice(job), tasks(1, 1)]).await.unwrap();
    assert_eq!(next_job(&mut hints).await, Some(job));
    comes(wakes.next()).await.unwrap();
}

#[tokio::test]
async fn passwords_get_in_and_are_never_shown() {
    let redis = Redis::start_with(&["--requirepass", "p/a:s@s"]).await;
    let host = format!("127.0.0.1:{}", redis.port());
    let settings = RedisSettings::new(format!("redis://:p%2Fa%3As%40s@{host}"));
    assert!(!format!("{settings:?}").contains("p%2F"));
    let bus = Bus::redis(settings).unwrap();
    works(&bus).await;
    let shown = format!("{bus:?}");
    assert!(!shown.contains("p/a") && !shown.contains("p%2F"), "{shown}");

    for url in [format!("redis://:secret@{host}"), format!("redis://{host}")] {
        let bus = Bus::redis(RedisSettings::new(url)).unwrap();
        let BusError::Away(reason) = bus.publish(&[notice(job())]).await.unwrap_err();
        assert!(!reason.contains("secret"), "{reason}");
    }
}

#[test]
fn settings_that_cannot_be_understood_are_refused_without_showing_them() {
    for url in [
        "secret",
        "http://:secret@localhost",
        "redis://:secret@localhost:99999",
        "redis://:secret@localhost:secret",
        "redis://:secret@",
        "redis-sentinel://:secret@localhost:26379",
        "redis-cluster://:secret@localhost:7000?node=secret",
        "redis+unix:///secret",
        "",
    ] {
        let error = RedisSettings::new(url).check().expect_err(url);
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn a_cluster_works() {
    let redis = Redis::start_with(&["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]).await;
    assert_eq!(redis.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await, "OK");
    comes(async { while !redis.command(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {} }).await;
    let url = format!("redis-cluster://127.0.0.1:{}", redis.port());
    works(&Bus::redis(RedisSettings::new(url)).unwrap()).await;
}

#[tokio::test]
async fn a_sentinel_leads_to_the_next_primary() {
    let mut primary = Redis::start().await;
    let port = primary.port().to_string();
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    comes(async {
        while !replica
            .command(&["INFO", "replication"])
            .await
            .contains("master_link_status:up")
        {}
    })
    .await;
    let sentinel = RedisSentinel::watching(&primary).await;
    comes(async {
        while !sentinel
            .command(&["SENTINEL", "REPLICAS", "primary"])
            .await
            .contains("flags\nslave\n")
        {}
    })
    .await;
    let bus = Bus::redis(RedisSettings::new(sentinel.url())).unwrap();
    let mut hints = subscribe(&bus).await;
    let mut wakes = bus.wakes();
    let waiting = tokio::spawn(async move { wakes.next().await });
    primary.kill9();
    loses(&mut hints).await;
    hears_again(&bus, &mut hints).await;
    insist(&bus, &[tasks(1, 1)]).await;
    comes(waiting).await.unwrap().unwrap();
    assert!(replica.command(&["INFO", "replication"]).await.contains("role:master"));
}

#[tokio::test]
async fn a_replica_takes_nothing_until_it_is_the_primary() {
    let primary = Redis::start().await;
    let redis = Redis::start().await;
    let bus = bus(&redis);
    let mut hints = subscribe(&bus).await;
    let port = primary.port().to_string();
    assert_eq!(redis.command(&["REPLICAOF", "127.0.0.1", &port]).await, "OK");
    assert!(bus.publish(&[notice(job())]).await.is_err());
    assert_eq!(redis.command(&["REPLICAOF", "NO", "ONE"]).await, "OK");
    hears_again(&bus, &mut hints).await;
}

/// Makes a certificate for `127.0.0.1` that is its own authority.
fn certificate(dir: &Path) -> [std::path::PathBuf; 2] {
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| dir.join(name));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]);
    openssl.args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key);
    let output = openssl.output().expect("openssl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    [certificate, key]
}

#[tokio::test]
async fn tls_is_spoken_and_the_server_is_examined() {
    let dir = tempfile::tempdir().unwrap();
    let [certificate, key] = certificate(dir.path());
    let redis = Redis::start_tls(&certificate, &certificate, &key).await;
    let mut settings = RedisSettings::new(redis.url());
    let stranger = Bus::redis(settings.clone()).unwrap();
    assert!(
        stranger.publish(&[notice(job())]).await.is_err(),
        "nobody has said that it is to be trusted"
    );
    settings.ca_file = Some(certificate);
    works(&Bus::redis(settings.clone()).unwrap()).await;

    settings.ca_file = Some(dir.path().join("missing.pem"));
    assert!(matches!(settings.check(), Err(RedisSettingsError::CaFile { .. })));
    settings.ca_file = Some(key);
    assert!(matches!(settings.check(), Err(RedisSettingsError::CaFile { .. })));
}
