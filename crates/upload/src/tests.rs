//! A real server on a real port, over a real database and a real store, and a real client. What a disk and a bucket both do is
//! tested on both.

mod atomic;
mod complete;
mod create;
mod cut;
mod direct;
mod full;
mod grant;
mod hand_over;
mod harness;
mod identity;
mod join;
mod join_kill;
mod refuse;
mod sharing;
mod stream;
mod tail;
mod takeover;
mod wanted;

/// Makes two tests of each function, one for each kind of store.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod disk {
            use crate::tests::harness::At;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(At::Disk).await;
            })+
        }
        mod bucket {
            use crate::tests::harness::At;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test(At::Bucket).await;
            })+
        }
    };
}
use on_both;
