//! A server process, and what it says.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reelway_testkit::{Postgres, Redis};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;

/// What hasn't happened by then never will.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often something is looked at that has no other way to tell.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The command, without what the environment of the tests would tell it.
pub(crate) fn reelway<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reelway"));
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| name.to_string_lossy().starts_with("REELWAY_")) {
        command.env_remove(name);
    }
    command.args(args);
    command
}

/// Runs the command to its end beside everything else that the test does.
pub(crate) async fn run(mut command: Command) -> Output {
    let ended = tokio::task::spawn_blocking(move || command.output());
    ended.await.expect("it runs").expect("an end")
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + WAIT_MAX;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}: not within {WAIT_MAX:?}");
        sleep(LOOK_EVERY).await;
    }
}

/// What several servers share: a database, a Redis and a directory.
pub(crate) struct Shared {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) dir: TempDir,
}

impl Shared {
    /// Everything is there, and the database is empty.
    pub(crate) async fn start() -> Self {
        Self {
            postgres: Postgres::start().await,
            redis: Redis::start().await,
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    /// The same after `reelway migrate`.
    pub(crate) async fn migrated() -> Self {
        let shared = Self::start().await;
        let migrated = run(reelway(["migrate", "--database", &shared.postgres.database().url()])).await;
        assert!(migrated.status.success(), "{migrated:?}");
        shared
    }

    /// A server of some roles.
    pub(crate) fn serve(&self, name: &str, roles: &str, options: &[&str]) -> Node {
        let (data, store) = (self.dir.path().join(name), self.dir.path().join("store"));
        let store = format!("file://{}?shared=true", store.display());
        let (database, redis) = (self.postgres.database().url(), self.redis.url());
        let common = [
            "--role",
            roles,
            "--database",
            &database,
            "--redis",
            &redis,
            "--store",
            &store,
        ];
        Node::start(&data, &[&common, options].concat())
    }
}

/// A server process. Dropping it kills it.
pub(crate) struct Node {
    child: Child,
    said: mpsc::Receiver<String>,
    heard: Vec<String>,
}

impl Node {
    /// Starts a server whose addresses are any that are free, unless the options say otherwise.
    pub(crate) fn start(data: &Path, options: &[&str]) -> Self {
        let mut command = reelway(["serve", "--log-format", "json"]);
        command.arg("--data").arg(data).args(options);
        let is_given = |option: &str| options.iter().any(|given| given.ends_with(option));
        for free in ["grpc", "http", "admin"] {
            if !is_given(free) {
                command.args([&format!("--{free}"), "127.0.0.1:0"]);
            }
        }
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let (tell, said) = mpsc::channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self {
            child,
            said,
            heard: Vec::new(),
        }
    }

    /// A node that runs all roles in one process.
    pub(crate) async fn whole(data: &Path, options: &[&str]) -> Self {
        let mut node = Self::start(data, options);
        node.ready().await;
        node
    }

    /// Waits until the roles run.
    pub(crate) async fn ready(&mut self) {
        self.line("node is ready").await;
    }

    /// The line with this message, waited for if it hasn't come yet.
    pub(crate) async fn line(&mut self, message: &str) -> Value {
        let mut found = None;
        until(message, async || {
            self.hear();
            let lines = self
                .heard
                .iter()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            found = lines.into_iter().find(|line| line["message"] == message);
            found.is_some()
        })
        .await;
        found.expect("it was waited for")
    }

    fn hear(&mut self) {
        self.heard.extend(self.said.try_iter());
    }

    /// Where it answers probes.
    pub(crate) async fn admin(&mut self) -> SocketAddr {
        let line = self.line("probes are answered").await;
        line["admin"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("an address")
    }

    /// Where it serves this.
    pub(crate) async fn address(&mut self, name: &str) -> SocketAddr {
        let line = self.line("node is ready").await;
        let address = line[name].as_str().and_then(|text| text.parse().ok());
        address.unwrap_or_else(|| panic!("no {name} in {line}"))
    }

    /// The same as a URL.
    pub(crate) async fn url(&mut self, name: &str) -> String {
        format!("http://{}", self.address(name).await)
    }

    /// A connection to one of its servers.
    pub(crate) async fn channel(&mut self, name: &str) -> Channel {
        let endpoint = Channel::from_shared(self.url(name).await).expect("a URL");
        endpoint.connect().await.expect("a connection")
    }

    /// What `reelway health` says of it: whether it is well, and what it printed.
    pub(crate) async fn health(&mut self, options: &[&str]) -> (bool, String) {
        let admin = self.admin().await.to_string();
        let told = run(reelway([&["health", "--admin", &admin], options].concat())).await;
        let text = [told.stdout, told.stderr].concat();
        (told.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Waits until `reelway health` says this: ready, or what is wrong.
    pub(crate) async fn health_says(&mut self, is_well: bool, text: &str) {
        until(text, async || {
            let (well, said) = self.health(&[]).await;
            well == is_well && said.contains(text)
        })
        .await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it is ours");
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the end", async || {
            status = self.child.try_wait().expect("it is ours");
            status.is_some()
        })
        .await;
        status.expect("it was waited for")
    }

    /// Everything it said to its end.
    pub(crate) async fn last_words(&mut self) -> String {
        self.ended().await;
        self.heard.extend(self.said.iter());
        self.heard.join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
