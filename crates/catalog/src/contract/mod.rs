//! One suite over SQLite and a real Postgres (invariant 11): every test here runs on both.

mod checks;
mod claims;
mod db;
mod effects;
mod endings;
mod events;
mod fixture;
mod jobs;
mod leases;
mod model;
mod outbox;
mod races;
mod requests;
mod schema;
mod uploads;
mod writers;

/// Makes two tests of each function, one for each database.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            use crate::contract::db::Db;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let db = Db::sqlite().await;
                super::$test(&db).await;
                db.remove().await;
            })+
        }
        mod postgres {
            use crate::contract::db::Db;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let db = Db::postgres().await;
                super::$test(&db).await;
                db.remove().await;
            })+
        }
    };
}
use on_both;
