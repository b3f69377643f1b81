//! Real servers for tests, and ways to break what lies between them.
//!
//! [`Postgres`] and [`Redis`] are private servers on free ports of loopback, [`FreshDatabase`] is a database of its own on a
//! server that several tests share, [`FaultProxy`] is the wire between a process and a server, [`S3Proxy`] the way to an S3
//! server, and [`GoogleStorage`] what makes of an S3 server one that speaks as Google Cloud Storage does. What a test started
//! ends with it, also if the test is killed. Everything here panics when it fails: there is nothing that a test could do.

mod database;
mod google;
mod keeper;
mod port;
mod postgres;
mod proxy;
mod redis;
mod s3_proxy;

pub use database::{Database, FreshDatabase};
pub use google::GoogleStorage;
pub use keeper::Daemon;
pub use port::free_port;
pub use postgres::Postgres;
pub use proxy::{FaultProxy, Way};
pub use redis::{Redis, RedisSentinel};
pub use s3_proxy::{S3Call, S3Fault, S3Proxy};
