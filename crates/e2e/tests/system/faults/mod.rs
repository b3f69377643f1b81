//! What breaks, and what comes of it. Each test bears the number of its fault, and runs on an embedded node and on separate
//! servers wherever both can have it.

/// Declares the tests that run a case, which bears the same name, on an embedded node and on separate servers.
macro_rules! on_both {
    ($case:ident, $shape:expr) => {
        mod $case {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded() {
                super::$case(crate::harness::System::embedded($shape).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn split() {
                super::$case(crate::harness::System::split($shape).await).await;
            }
        }
    };
}

mod backlog;
mod calls;
mod chaos;
mod clock;
mod commit;
mod controllers;
mod early;
mod ending;
mod ffmpeg;
mod file;
mod giving_up;
mod jobs;
mod midchunk;
mod older_schema;
mod outbox;
mod postgres;
mod redis;
mod seed;
mod upgrade;
mod watcher;
mod webhooks;
mod worker_dies;
mod worker_sleeps;
mod worker_stops;
mod writers;
