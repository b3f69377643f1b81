//! A private Postgres that a test may break.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::{
    sys::signal::Signal,
    unistd::{Uid, User, chown, geteuid},
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{Daemon, Database, free_port};

/// Connections that a test's processes may open at once, over all of them.
const CONNECTIONS_MAX: &str = "max_connections=300";
const READY_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(30);
/// Another process may have taken the port that was free a moment ago.
const START_TRIES_MAX: u32 = 5;
/// How often a server is asked whether it has come so far.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SUPERUSER: &str = "postgres";

/// A server with data of its own. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    // Before the directory: fields are dropped in this order.
    daemon: Option<Daemon>,
    dir: TempDir,
    owner: Option<User>,
    database: Database,
}

impl Postgres {
    /// Makes a cluster and starts its server on a free port.
    pub async fn start() -> Self {
        let owner = owner();
        let dir = tempfile::Builder::new()
            .prefix("reelway-postgres.")
            .tempdir()
            .expect("a directory");
        let password = format!("{:032x}", rand::random::<u128>());
        let password_file = dir.path().join("password");
        fs::write(&password_file, &password).expect("a file");
        for path in [dir.path(), &password_file] {
            if let Some(owner) = &owner {
                chown(path, Some(owner.uid), Some(owner.gid)).expect("root may give files away");
            }
        }
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let database = Database::new(at(free_port()), SUPERUSER, &password, "postgres");
        let mut server = Self {
            daemon: None,
            dir,
            owner,
            database,
        };
        server.init(&password_file);
        for _ in 0..START_TRIES_MAX {
            if server.try_start().await {
                return server;
            }
            server.daemon = None;
            server.database = Database::new(at(free_port()), SUPERUSER, &password, "postgres");
        }
        panic!("Postgres doesn't start:\n{}", server.log());
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The process that all of its processes are children of.
    #[must_use]
    pub fn pid(&self) -> nix::unistd::Pid {
        self.daemon.as_ref().expect("it runs").pid()
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// What `pg_ctl restart -m immediate` does: all connections break, nothing is written down, and the next start recovers
    /// from the write-ahead log. Returns when the server answers again, on the same port.
    pub async fn restart_immediate(&mut self) {
        self.end(Signal::SIGQUIT).await;
        self.start_again().await;
    }

    /// Stops it in good order, without waiting for clients.
    pub async fn stop(&mut self) {
        self.end(Signal::SIGINT).await;
    }

    /// Starts a stopped server again, on the same port. Returns when it answers.
    pub async fn start_again(&mut self) {
        assert!(self.try_start().await, "Postgres doesn't start again:\n{}", self.log());
    }

    /// Makes every transaction read-only, as on a standby, or takes that back; either ends all connections.
    pub async fn set_read_only(&self, is_read_only: bool) {
        let wanted = if is_read_only { "on" } else { "off" };
        let change = format!("ALTER SYSTEM SET default_transaction_read_only = {wanted}");
        self.database.execute(&change);
        self.database.execute("SELECT pg_reload_conf()");
        // New sessions have what the first process has; those that are there take it over by themselves, later.
        let until = Instant::now() + READY_MAX;
        while self.database.setting("default_transaction_read_only") != wanted {
            assert!(Instant::now() < until, "the setting isn't taken over:\n{}", self.log());
            sleep(LOOK_EVERY).await;
        }
        self.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
    }

    fn init(&self, password_file: &Path) {
        let mut initdb = self.command("initdb");
        initdb
            .args([
                "--no-sync",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--username", SUPERUSER, "--pwfile"])
            .arg(password_file)
            .arg("--pgdata")
            .arg(self.data());
        let output = initdb.output().expect("initdb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the server and waits until it answers. False if it ended instead.
    async fn try_start(&mut self) -> bool {
        let mut command = self.command("postgres");
        let port = self.database.address().port().to_string();
        command.arg("-D").arg(self.data()).args(["-p", &port]);
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            CONNECTIONS_MAX,
        ];
        for setting in settings {
            command.args(["-c", setting]);
        }
        let daemon = self.daemon.insert(Daemon::start(command, &self.dir.path().join("log")));
        let until = Instant::now() + READY_MAX;
        while daemon.is_running() {
            if self.database.answers() {
                return true;
            }
            assert!(Instant::now() < until, "not ready:\n{}", daemon.log());
            sleep(LOOK_EVERY).await;
        }
        false
    }

    async fn end(&mut self, signal: Signal) {
        let daemon = self.daemon.as_mut().expect("it runs");
        daemon.signal(signal);
        daemon.ended(STOP_MAX).await;
        self.daemon = None;
    }

    /// A program of Postgres, as a user that it accepts, from a directory that every user may enter.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(programs().join(program));
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        if let Some(owner) = &self.owner {
            command.uid(owner.uid.as_raw()).gid(owner.gid.as_raw());
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGKILL would leave its children to notice by themselves, and they would write while the data is removed.
        if let Some(daemon) = &mut self.daemon {
            daemon.signal(Signal::SIGCONT);
            daemon.signal(Signal::SIGQUIT);
            let until = std::time::Instant::now() + STOP_MAX;
            while daemon.is_running() && std::time::Instant::now() < until {
                std::thread::sleep(LOOK_EVERY / 10);
            }
        }
    }
}

/// Whom the server runs as: Postgres refuses root. `None`: the caller.
fn owner() -> Option<User> {
    if geteuid() != Uid::from_raw(0) {
        return None;
    }
    let named = |name| User::from_name(name).expect("the list of users");
    Some(
        ["postgres", "nobody"]
            .into_iter()
            .find_map(named)
            .expect("Postgres refuses to run as root"),
    )
}

/// The newest server's programs. Debian keeps them out of the PATH.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let newest = versions.max_by_key(|dir| dir.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    newest
        .map(|dir| dir.path().join("bin"))
        .filter(|bin| bin.join("postgres").is_file())
        .expect("Postgres is installed: run scripts/setup --test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_can_be_restarted_stopped_and_made_read_only() {
        let mut server = Postgres::start().await;
        let database = server.database().clone();
        database.execute("CREATE TABLE t (n BIGINT); INSERT INTO t VALUES (7)");
        let before = server.pid();
        server.restart_immediate().await;
        assert_ne!(server.pid(), before);
        assert_eq!(database.number("SELECT n FROM t"), 7);
        assert!(
            server.log().contains("automatic recovery in progress"),
            "{}",
            server.log()
        );

        server.set_read_only(true).await;
        assert_eq!(database.setting("transaction_read_only"), "on");
        server.set_read_only(false).await;
        assert_eq!(database.setting("transaction_read_only"), "off");

        let fresh = crate::FreshDatabase::beside(&database);
        let count = "SELECT COUNT(*) FROM pg_database WHERE datname LIKE 'reelway_test_%'";
        assert_eq!((fresh.number("SELECT 1"), database.number(count)), (1, 1));
        drop(fresh);
        assert_eq!(database.number(count), 0);

        server.stop().await;
        assert!(!database.answers());
        server.start_again().await;
        assert_eq!(database.rows("SELECT n FROM t"), [serde_json::json!({"n": 7})]);
    }
}
