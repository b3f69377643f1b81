//! A real Redis of a test's own.

mod process;
mod sentinel;

use std::path::Path;

use nix::sys::signal::Signal;

use self::process::{Door, Server};

pub use self::sentinel::RedisSentinel;

/// A `redis-server` on a free port of loopback that keeps nothing on the disk. Dropping it kills it.
#[derive(Debug)]
pub struct Redis {
    server: Server,
}

impl Redis {
    /// Starts a server and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with further arguments, for example `["--maxmemory", "2mb"]`. The word after `--requirepass` becomes
    /// part of [`Self::url`].
    pub async fn start_with(args: &[&str]) -> Self {
        let password = args
            .iter()
            .position(|arg| *arg == "--requirepass")
            .and_then(|at| args.get(at + 1));
        let door = Door {
            password: password.map(ToString::to_string),
            ca_file: None,
        };
        Self::start_behind(door, args).await
    }

    /// Starts a server that speaks TLS only. The certificate must be good for `127.0.0.1`.
    pub async fn start_tls(ca_file: &Path, cert_file: &Path, key_file: &Path) -> Self {
        let door = Door {
            password: None,
            ca_file: Some(ca_file.to_owned()),
        };
        let [ca, cert, key] = [ca_file, cert_file, key_file].map(|file| file.to_str().expect("a path in UTF-8"));
        let files = [
            "--tls-ca-cert-file",
            ca,
            "--tls-cert-file",
            cert,
            "--tls-key-file",
            key,
            "--tls-auth-clients",
            "no",
        ];
        Self::start_behind(door, &files).await
    }

    async fn start_behind(door: Door, args: &[&str]) -> Self {
        let nothing_on_disk = ["--save", "", "--appendonly", "no"];
        let args = [&nothing_on_disk[..], args].concat();
        Self {
            server: Server::start(door, &args, None).await,
        }
    }

    /// `redis://:password@127.0.0.1:port`, or `rediss://`.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The port that it listens on, the same over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Kills it with everything that it held. Connections are reset, and nobody listens on the port.
    pub fn kill9(&mut self) {
        self.server.kill9();
    }

    /// Lets it end by itself, as SIGTERM does.
    pub async fn stop(&mut self) {
        self.server.stop().await;
    }

    /// Starts it again, empty, on the same port; kills it before if it still runs.
    pub async fn restart_in_place(&mut self) {
        self.server.restart_in_place().await;
    }

    /// Freezes it: connections stay, and nothing is answered until [`Self::resume`].
    pub fn pause(&mut self) {
        self.server.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.server.signal(Signal::SIGCONT);
    }

    /// What `redis-cli` prints for a command, without the last line's end. Errors of the server come as text as well.
    pub async fn command(&self, words: &[&str]) -> String {
        self.server.command(words).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_answers_dies_and_comes_back_empty_on_the_same_port() {
        let mut redis = Redis::start().await;
        let url = redis.url();
        assert_eq!(redis.command(&["SET", "a", "1"]).await, "OK");
        redis.kill9();
        assert!(redis.command(&["GET", "a"]).await.contains("Could not connect"));
        redis.restart_in_place().await;
        assert_eq!((redis.command(&["GET", "a"]).await.as_str(), redis.url()), ("", url));
        redis.pause();
        redis.resume();
        redis.stop().await;
        assert!(redis.command(&["PING"]).await.contains("Could not connect"));
    }

    #[tokio::test]
    async fn a_password_is_part_of_the_url() {
        let redis = Redis::start_with(&["--requirepass", "secret"]).await;
        assert!(redis.url().starts_with("redis://:secret@127.0.0.1:"));
        assert_eq!(redis.command(&["PING"]).await, "PONG");
    }
}
