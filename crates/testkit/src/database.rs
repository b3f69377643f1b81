//! One Postgres database: how to reach it, and what is in it.

use std::{
    env,
    net::SocketAddr,
    ops::Deref,
    process::{Command, Output},
};

use serde_json::Value;
use uuid::Uuid;

/// The variable that names a Postgres server where tests may create databases.
const SERVER_VARIABLE: &str = "REELWAY_TEST_POSTGRES";
/// Tests look into a read-only server and change it, too.
const READ_WRITE: &str = "-c default_transaction_read_only=off";

/// Where a database is. Statements are run by `psql` as a superuser.
#[derive(Debug, Clone)]
pub struct Database {
    address: SocketAddr,
    user: String,
    password: String,
    name: String,
}

impl Database {
    /// A database of the server at `address`.
    pub(crate) fn new(address: SocketAddr, user: &str, password: &str, name: &str) -> Self {
        let [user, password, name] = [user, password, name].map(str::to_owned);
        Self {
            address,
            user,
            password,
            name,
        }
    }

    /// The server that `REELWAY_TEST_POSTGRES` names, for tests that break nothing. `None` if the variable isn't set.
    #[must_use]
    pub fn shared() -> Option<Self> {
        let url = env::var(SERVER_VARIABLE).ok()?;
        let shared = Self::parse(&url);
        Some(shared.unwrap_or_else(|| panic!("{SERVER_VARIABLE}: no postgres://USER:PASSWORD@IP:PORT/NAME: {url}")))
    }

    /// Understands `postgres://USER:PASSWORD@ADDRESS:PORT/NAME`.
    fn parse(url: &str) -> Option<Self> {
        let (access, place) = url.strip_prefix("postgres://")?.rsplit_once('@')?;
        let (user, password) = access.split_once(':')?;
        let (address, name) = place.split_once('/')?;
        Some(Self::new(address.parse().ok()?, user, password, name))
    }

    /// The server's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to connect to.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_through(self.address)
    }

    /// The URL to connect to by way of something that listens at `address`, for example a [`crate::FaultProxy`].
    #[must_use]
    pub fn url_through(&self, address: SocketAddr) -> String {
        let (user, password, name) = (&self.user, &self.password, &self.name);
        format!("postgres://{user}:{password}@{address}/{name}")
    }

    /// Runs statements. Gives what they print, a line for each row, the columns separated by `|`.
    #[must_use]
    pub fn query(&self, sql: &str) -> String {
        let output = self.psql(sql, READ_WRITE);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{sql}: {said}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Runs statements whose result doesn't matter.
    pub fn execute(&self, sql: &str) {
        let _ = self.query(sql);
    }

    /// The rows of a query, each an object with its columns.
    #[must_use]
    pub fn rows(&self, select: &str) -> Vec<Value> {
        let text = self.query(&format!("SELECT COALESCE(json_agg(r), '[]') FROM ({select}) AS r"));
        let rows = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{select}: {error}: {text}"));
        let Value::Array(rows) = rows else {
            panic!("{select}: no rows: {text}")
        };
        rows
    }

    /// The one number that a query gives.
    #[must_use]
    pub fn number(&self, select: &str) -> i64 {
        let text = self.query(select);
        text.parse().unwrap_or_else(|_| panic!("{select}: no number: {text}"))
    }

    /// Whether the server answers.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.psql("SELECT 1", READ_WRITE).status.success()
    }

    /// What a session finds a setting to be that asks for nothing else. Empty while there is no answer.
    pub(crate) fn setting(&self, name: &str) -> String {
        let output = self.psql(&format!("SHOW {name}"), "");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn psql(&self, sql: &str, options: &str) -> Output {
        Command::new("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set=ON_ERROR_STOP=1", "--command", sql, &self.url()])
            .env("PGOPTIONS", options)
            .env("PGCONNECT_TIMEOUT", "5")
            .output()
            .expect("psql is installed: run scripts/setup --test")
    }
}

/// An empty database of its own on a server that others use, too. Dropping it drops the database, whoever is connected.
#[derive(Debug)]
pub struct FreshDatabase {
    server: Database,
    database: Database,
}

impl FreshDatabase {
    /// Creates one beside a database of the server.
    #[must_use]
    pub fn beside(server: &Database) -> Self {
        let name = format!("reelway_test_{}", Uuid::now_v7().simple());
        server.execute(&format!("CREATE DATABASE {name}"));
        let database = Database { name, ..server.clone() };
        Self {
            server: server.clone(),
            database,
        }
    }
}

impl Deref for FreshDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        // A test that fails may have lost the server; its own failure is what counts then.
        let _ = self.server.psql(
            &format!("DROP DATABASE {} WITH (FORCE)", self.database.name),
            READ_WRITE,
        );
    }
}
