//! One suite over SQLite and a real Postgres (invariant 11): every test here runs on both.

mod api_keys;
mod checks;
mod claims;
mod copies;
mod db;
mod direct;
mod effects;
mod endings;
mod events;
mod fixture;
mod growing;
mod hints;
mod jobs;
mod joins;
mod leases;
mod model;
mod outages;
mod outbox;
mod quota_model;
mod quota_races;
mod quotas;
mod races;
mod reprieves;
mod requests;
mod retention;
mod scheduling;
mod schema;
mod settings;
mod sources;
mod staged;
mod throughput;
mod uploads;
mod waiting;
mod webhooks;
mod writers;

/// Makes two tests of each function, one for each database.
macro_rules! on_both {
    ($($(#[$attribute:meta])* $test:ident),+ $(,)?) => {
        mod sqlite {
            use crate::contract::db::Db;
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let db = Db::sqlite().await;
                super::$test(&db).await;
                db.remove().await;
            })+
        }
        mod postgres {
            use crate::contract::db::Db;
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let db = Db::postgres().await;
                super::$test(&db).await;
                db.remove().await;
            })+
        }
    };
}
use on_both;
