//! A database and a Redis that are away, are not ours yet, or have another time.

use std::{path::Path, time::Duration};

use reelway_testkit::{Postgres, Redis};

use super::expect;
use crate::harness::{Ended, Process, reelway, skewed};

/// Longer than the doctor waits for a database.
const DOCTOR_MAX: Duration = Duration::from_secs(60);

/// What the doctor says to the settings of a server of jobs.
async fn look(dir: &Path, options: &[&str], env: &[(&str, &str)]) -> Ended {
    let mut doctor = reelway(["doctor", "--json", "--role", "jobs"]);
    doctor.args(options).arg("--data").arg(dir);
    doctor.envs(env.iter().copied());
    Process::spawn(doctor).ended(DOCTOR_MAX).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_ours_or_away_is_named_with_what_to_do() {
    let (postgres, dir) = (Postgres::start().await, tempfile::tempdir().expect("a directory"));
    let url = postgres.database().url();
    let before = look(dir.path(), &["--database", &url], &[]).await;
    assert_eq!(before.code, Some(1), "{before:#?}");
    expect(&before.json(), "schema", "failed", "reelway migrate");
    let migrated = Process::spawn(reelway(["migrate", "--database", &url]))
        .ended(DOCTOR_MAX)
        .await;
    assert_eq!(migrated.code, Some(0), "{migrated:#?}");
    expect(
        &look(dir.path(), &["--database", &url], &[]).await.json(),
        "schema",
        "ok",
        "",
    );

    let nowhere = "postgres://nobody:secret-word@127.0.0.1:1/none";
    let away = look(dir.path(), &["--database", nowhere], &[]).await;
    assert_eq!(away.code, Some(1), "{away:#?}");
    expect(&away.json(), "database", "failed", "is it running");
    let said = [away.out, away.err].concat().concat();
    assert!(!said.contains("secret-word"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_differ_are_named() {
    let (postgres, redis) = (Postgres::start().await, Redis::start().await);
    let dir = tempfile::tempdir().expect("a directory");
    let (database, bus) = (postgres.database().url(), redis.url());
    let options = ["--database", &database, "--redis", &bus];
    for (seconds, verdict, advice) in [
        ("+300", "failed", "time service"),
        ("-5", "warning", "time service"),
        ("+0", "ok", ""),
    ] {
        let found = look(dir.path(), &options, &skewed(seconds)).await.json();
        for clock in ["clock", "redis-clock"] {
            // A database without our schema has a clock, too.
            expect(&found, clock, verdict, advice);
        }
    }
    drop(redis);
    let without = look(dir.path(), &options, &[]).await.json();
    expect(&without, "redis", "warning", "nothing is lost without Redis");
}
