//! The process behind a server of a test.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{Daemon, free_port};

/// Another process may have taken the port that was free a moment ago.
const START_TRIES_MAX: u32 = 5;
const READY_MAX: Duration = Duration::from_secs(20);
const STOP_MAX: Duration = Duration::from_secs(20);
/// How often a server is asked whether it has come so far.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How a client gets in.
#[derive(Debug, Clone, Default)]
pub(super) struct Door {
    pub(super) password: Option<String>,
    /// With it, the server speaks TLS only.
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Server {
    // Before the directory: fields are dropped in this order.
    daemon: Option<Daemon>,
    dir: TempDir,
    door: Door,
    /// Arguments without the port's.
    args: Vec<String>,
    /// What a file of settings holds that the server may write to. A sentinel needs one.
    settings: Option<String>,
    port: u16,
}

impl Server {
    pub(super) async fn start(door: Door, args: &[&str], settings: Option<String>) -> Self {
        let mut server = Self {
            daemon: None,
            dir: TempDir::with_prefix("reelway-redis.").expect("a directory"),
            door,
            args: args.iter().map(ToString::to_string).collect(),
            settings,
            port: 0,
        };
        for _ in 0..START_TRIES_MAX {
            server.port = free_port();
            if server.try_start().await {
                return server;
            }
        }
        panic!("Redis doesn't start:\n{}", server.log());
    }

    /// Starts the process and waits until it answers. False if it ended instead.
    async fn try_start(&mut self) -> bool {
        let daemon = Daemon::start(self.process(), &self.dir.path().join("log"));
        // Whoever else may have got the port has another id.
        let is_this_one = format!("process_id:{}\r", daemon.pid());
        self.daemon = Some(daemon);
        let until = Instant::now() + READY_MAX;
        while self.daemon.as_mut().is_some_and(Daemon::is_running) {
            if self.command(&["INFO", "server"]).await.contains(&is_this_one) {
                return true;
            }
            assert!(Instant::now() < until, "not ready:\n{}", self.log());
            sleep(LOOK_EVERY).await;
        }
        false
    }

    fn process(&self) -> Command {
        let mut command = Command::new("redis-server");
        if let Some(settings) = &self.settings {
            let file = self.dir.path().join("settings.conf");
            fs::write(&file, settings).expect("a file");
            command.arg(file);
        }
        let port = self.port.to_string();
        match self.door.ca_file {
            None => command.args(["--port", &port]),
            Some(_) => command.args(["--port", "0", "--tls-port", &port]),
        };
        command.args(["--bind", "127.0.0.1"]).args(&self.args);
        command.current_dir(self.dir.path());
        command
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.door.ca_file.is_some() { "rediss" } else { "redis" };
        let password = self.door.password.as_ref();
        let user = password.map(|password| format!(":{password}@")).unwrap_or_default();
        format!("{scheme}://{user}127.0.0.1:{}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn kill9(&mut self) {
        self.daemon = None;
    }

    pub(super) async fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let daemon = self.daemon.as_mut().expect("it runs");
        daemon.ended(STOP_MAX).await;
    }

    pub(super) async fn restart_in_place(&mut self) {
        self.kill9();
        assert!(self.try_start().await, "Redis doesn't start again:\n{}", self.log());
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.daemon.as_mut().expect("it was not killed").signal(signal);
    }

    pub(super) async fn command(&self, words: &[&str]) -> String {
        let mut cli = tokio::process::Command::new("redis-cli");
        cli.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if let Some(password) = &self.door.password {
            cli.env("REDISCLI_AUTH", password);
        }
        if let Some(ca_file) = &self.door.ca_file {
            cli.arg("--tls").arg("--cacert").arg(ca_file);
        }
        let output = cli
            .args(words)
            .kill_on_drop(true)
            .output()
            .await
            .expect("redis-cli runs");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}
