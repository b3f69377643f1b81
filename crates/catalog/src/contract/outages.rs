//! What becomes of callers, and of the pool, when Postgres goes away, comes back, or refuses (Postgres alone can).

use std::time::Duration;

use reelway_domain::{Failure, Reason};
use reelway_testkit::{FaultProxy, Postgres};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::time::{Instant, timeout};

use super::{db::Db, fixture::*};
use crate::{Catalog, Error};

/// Longer than anybody waits for a connection.
const SOON: Duration = Duration::from_secs(10);

fn assert_retryable(what: &str, error: Error) {
    let said = error.to_string();
    let failure = Failure::from(error);
    assert_eq!(failure.reason, Reason::CatalogUnavailable, "{what}: {said}");
}

async fn create(catalog: &Catalog) -> Result<(), Error> {
    catalog.create_upload(&new_upload()).await.map(drop)
}

/// Waits until uploads can be created, as a client does that tries again. Gives how many tries failed.
async fn create_at_last(catalog: &Catalog) -> usize {
    let until = Instant::now() + SOON;
    let mut failed = 0;
    while let Err(error) = create(catalog).await {
        assert!(Instant::now() < until, "it never heals: {error}");
        assert_retryable("meanwhile", error);
        failed += 1;
    }
    failed
}

/// All connections of the pool at once, so that all of them have been used.
async fn use_all_connections(catalog: &Catalog) {
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(catalog.write.acquire().await.unwrap());
    }
}

#[tokio::test]
async fn a_server_that_was_never_there_is_waited_for() {
    let mut server = Postgres::start().await;
    let url = server.database().url();
    server.stop().await;
    let catalog = Catalog::open(&url).await.expect("opening doesn't connect");
    let asked = Instant::now();
    let unreachable = catalog.ping().await.unwrap_err();
    assert!(asked.elapsed() < SOON);
    assert!(unreachable.to_string().contains("refused"), "{unreachable}");
    assert_retryable("ping", unreachable);
    assert_retryable("schema", catalog.schema().await.unwrap_err());
    assert_retryable("a change", create(&catalog).await.unwrap_err());
    server.start_again().await;
    catalog.migrate().await.unwrap();
    assert_eq!(create_at_last(&catalog).await, 0);

    let stranger = url.replacen("//postgres:", "//stranger:", 1);
    let nobody = Catalog::open(&stranger).await.unwrap();
    let refused = nobody.ping().await.unwrap_err();
    assert!(refused.to_string().contains("authentication"), "{refused}");
}

#[tokio::test]
async fn the_pool_heals_after_a_restart() {
    let mut server = Postgres::start().await;
    let catalog = Catalog::open(&server.database().url()).await.unwrap();
    catalog.migrate().await.unwrap();
    use_all_connections(&catalog).await;
    server.restart_immediate().await;
    // At most each connection fails once, on whoever has it next.
    assert!(create_at_last(&catalog).await <= 16);
}

#[tokio::test]
async fn a_server_that_only_reads_is_left() {
    let server = Postgres::start().await;
    let catalog = Catalog::open(&server.database().url()).await.unwrap();
    catalog.migrate().await.unwrap();
    use_all_connections(&catalog).await;
    // The connections stay, as they do when their server becomes a standby.
    let only_read = |on| {
        let change = format!("ALTER SYSTEM SET default_transaction_read_only = {on}");
        server.database().execute(&change);
        server.database().execute("SELECT pg_reload_conf()");
    };
    only_read("on");
    let until = Instant::now() + SOON;
    let refused = loop {
        match create(&catalog).await {
            Ok(()) => assert!(Instant::now() < until, "the server still writes"),
            Err(error) => break error,
        }
    };
    assert!(refused.to_string().contains("read-only"), "{refused}");
    assert_retryable("read-only", refused);
    let reads = catalog.upload(&tenant(), new_upload().id).await;
    assert_eq!(reads.unwrap(), None, "players are served all the same");
    // From now on only new connections can write.
    let pids = || {
        server
            .database()
            .query("SELECT pid FROM pg_stat_activity WHERE application_name = 'reelway' ORDER BY pid")
    };
    let before = pids();
    let until = Instant::now() + SOON;
    while before.lines().any(|pid| pids().lines().any(|now| now == pid)) {
        assert!(Instant::now() < until, "connections that only read are kept");
        assert!(create(&catalog).await.is_err());
    }
    only_read("off");
    create_at_last(&catalog).await;
}

#[tokio::test]
async fn a_cut_line_is_given_up_in_time() {
    let server = Postgres::start().await;
    let proxy = FaultProxy::before(server.database().address()).await;
    let catalog = Catalog::open(&server.database().url_through(proxy.address()))
        .await
        .unwrap();
    catalog.migrate().await.unwrap();
    proxy.blackhole();
    let asked = Instant::now();
    assert_retryable("ping", catalog.ping().await.unwrap_err());
    assert!(asked.elapsed() < SOON);
    proxy.restore();
    create_at_last(&catalog).await;
    proxy.cut();
    create_at_last(&catalog).await;
}

#[tokio::test]
async fn every_refusal_of_the_moment_is_retryable() {
    let db = Db::postgres().await;
    let catalog = &db.catalog;
    let refusals = [
        ("40001", "serialization"),
        ("40P01", "deadlock"),
        ("57P01", "the server goes down"),
        ("57P02", "the server crashed"),
        ("57P03", "the server comes up"),
        ("53300", "too many connections"),
        ("53100", "the disk is full"),
        ("25006", "read-only"),
    ];
    for (state, what) in refusals {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'as asked' USING ERRCODE = '{state}'; END $$");
        assert_retryable(what, Error::from(db.raw(&raise).await.unwrap_err()));
    }
    let mut tx = catalog.begin().await.unwrap();
    tx.execute("SET LOCAL statement_timeout = 20").await.unwrap();
    let late = tx.execute("SELECT pg_sleep(5)").await.unwrap_err();
    assert_retryable("a statement that takes too long", late.into());
    drop(tx);

    let (upload, _) = db.receiving().await;
    let mut first = catalog.begin().await.unwrap();
    catalog.lock_upload(&mut first, &tenant(), upload.id).await.unwrap();
    let mut second = catalog.begin().await.unwrap();
    second.execute("SET LOCAL lock_timeout = 20").await.unwrap();
    let late = catalog
        .lock_upload(&mut second, &tenant(), upload.id)
        .await
        .unwrap_err();
    assert_retryable("a lock that isn't had", late);
    drop((first, second));

    let mut victim = catalog.write.acquire().await.unwrap();
    let (pid,): (i32,) = sqlx::query_as("SELECT pg_backend_pid()")
        .fetch_one(&mut *victim)
        .await
        .unwrap();
    db.raw(&format!("SELECT pg_terminate_backend({pid})")).await.unwrap();
    let ended = loop {
        if let Err(error) = victim.execute(AssertSqlSafe("SELECT 1")).await {
            break error;
        }
    };
    assert_retryable("a connection that was ended", ended.into());
    drop(victim);
    create(catalog).await.unwrap();

    let mistake = db.raw("UPDATE uploads SET durable_offset = -1").await.unwrap_err();
    assert_eq!(Failure::from(Error::from(mistake)).reason, Reason::Internal);
    db.remove().await;
}

#[tokio::test]
async fn who_gets_no_connection_is_told_in_time() {
    let db = Db::postgres().await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(db.catalog.begin().await.unwrap());
    }
    let refused = timeout(SOON, create(&db.catalog)).await.expect("in time").unwrap_err();
    assert_retryable("no connection", refused);
    drop(held);
    create(&db.catalog).await.unwrap();
    db.remove().await;
}

#[tokio::test]
async fn every_connection_is_told_how_to_behave() {
    let db = Db::postgres().await;
    let expected = [
        ("application_name", "reelway"),
        ("statement_timeout", "15s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "15s"),
        ("synchronous_commit", "on"),
    ];
    for (name, value) in expected {
        let show = AssertSqlSafe(format!("SELECT current_setting('{name}')"));
        let (is,): (String,) = sqlx::query_as(show).fetch_one(&db.catalog.write).await.unwrap();
        assert_eq!(is, value, "{name}");
    }
    db.remove().await;
}
