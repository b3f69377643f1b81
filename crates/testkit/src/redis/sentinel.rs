//! A real sentinel that watches a test's server.

use super::{
    Redis,
    process::{Door, Server},
};

/// The name under which it knows the server that it watches.
const SERVICE: &str = "primary";

/// A `redis-server --sentinel` that decides alone (quorum 1) and within about a second.
#[derive(Debug)]
pub struct RedisSentinel {
    server: Server,
}

impl RedisSentinel {
    /// Starts a sentinel that watches this server and finds its replicas by itself.
    pub async fn watching(redis: &Redis) -> Self {
        let settings = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {SERVICE} 500\n\
             sentinel failover-timeout {SERVICE} 3000\n",
            redis.port()
        );
        Self {
            server: Server::start(Door::default(), &["--sentinel"], Some(settings)).await,
        }
    }

    /// `redis-sentinel://127.0.0.1:port?sentinelServiceName=primary`.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "redis-sentinel://127.0.0.1:{}?sentinelServiceName={SERVICE}",
            self.server.port()
        )
    }

    /// What `redis-cli` prints for a command, without the last line's end.
    pub async fn command(&self, words: &[&str]) -> String {
        self.server.command(words).await
    }
}
