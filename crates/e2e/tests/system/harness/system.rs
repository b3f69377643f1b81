//! The whole system: one embedded node, or separate servers on a Postgres, a Redis and a directory that they share.

use std::{
    ops::Deref as _,
    path::{Path, PathBuf},
};

use reelway_testkit::{Database, FaultProxy, FreshDatabase, Postgres, Redis};
use tempfile::TempDir;
use tokio::process::Command;

use super::{
    Process, Receiver,
    receiver::webhook_secret,
    reelway,
    server::{Addresses, Role, Server, Setup, Wires},
};

/// Nobody listens here.
const NOWHERE: &str = "http://127.0.0.1:1";

/// What a test wants of a system. An embedded node has one process for everything, whatever is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// How many processes have the role.
    pub(crate) upload: usize,
    pub(crate) jobs: usize,
    pub(crate) progress: usize,
    pub(crate) worker: usize,
    /// Options of every process.
    pub(crate) options: Vec<String>,
    /// Variables of every process's environment.
    pub(crate) env: Vec<(String, String)>,
    /// The Postgres is the test's own, to be broken.
    pub(crate) own_postgres: bool,
    /// There is a receiver of webhooks, which is told of everything.
    pub(crate) has_receiver: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            upload: 1,
            jobs: 1,
            progress: 1,
            worker: 1,
            options: Vec::new(),
            env: Vec::new(),
            own_postgres: false,
            has_receiver: false,
        }
    }
}

impl Shape {
    /// Starts the receiver, if there is to be one, and makes everybody tell it.
    async fn receiver(&mut self) -> Option<Receiver> {
        if !self.has_receiver {
            return None;
        }
        let receiver = Receiver::start(&[]).await;
        let options = ["--webhook-url", &receiver.url(), "--webhook-allow-private"];
        self.options.extend(options.map(str::to_owned));
        self.env.push(webhook_secret());
        Some(receiver)
    }
}

/// A running system. Dropping it kills it and removes its data.
pub(crate) struct System {
    // Before what they use: fields are dropped in this order.
    servers: Vec<Server>,
    shared: Option<Shared>,
    receiver: Option<Receiver>,
    store: PathBuf,
    dir: TempDir,
}

/// What separate servers share.
struct Shared {
    postgres: Catalog,
    redis: Redis,
    /// Options that every server needs beside the addresses of the two.
    options: Vec<String>,
    env: Vec<(String, String)>,
}

enum Catalog {
    Own(Postgres),
    Fresh(FreshDatabase),
}

impl System {
    /// One process.
    pub(crate) async fn embedded(mut shape: Shape) -> Self {
        let receiver = shape.receiver().await;
        let setup = Setup {
            options: shape.options,
            env: shape.env,
            ..Setup::default()
        };
        let mut system = Self::one(setup).await;
        system.receiver = receiver;
        system
    }

    /// One process, started in a certain way.
    pub(crate) async fn one(setup: Setup) -> Self {
        let dir = tempfile::tempdir().expect("a directory for a node");
        let data = dir.path().join("data");
        Self {
            servers: vec![Server::start(setup, data.clone(), None).await],
            shared: None,
            receiver: None,
            store: data.join("store"),
            dir,
        }
    }

    /// A process for each role, or as many as the shape says.
    pub(crate) async fn split(shape: Shape) -> Self {
        Self::split_on(shape, Redis::start().await).await
    }

    /// [`System::split`], over a certain Redis.
    pub(crate) async fn split_on(shape: Shape, redis: Redis) -> Self {
        let migrated = async |database: &Database, _: &Path| migrate(database).await;
        Self::split_after(shape, redis, migrated).await
    }

    /// [`System::split_on`], after something was done to the empty database and where the store will be.
    pub(crate) async fn split_after(
        mut shape: Shape,
        redis: Redis,
        prepare: impl AsyncFnOnce(&Database, &Path),
    ) -> Self {
        let receiver = shape.receiver().await;
        let dir = tempfile::tempdir().expect("a directory for a system");
        let store = dir.path().join("store");
        let postgres = match Database::shared() {
            Some(server) if !shape.own_postgres => Catalog::Fresh(FreshDatabase::beside(&server)),
            _ => Catalog::Own(Postgres::start().await),
        };
        let mut options = shape.options;
        if !options.iter().any(|option| option == "--store") {
            options.extend(["--store".to_owned(), format!("file://{}?shared=true", store.display())]);
        }
        // Nobody balances load here, so nobody has to hear that a server is about to go. An option may say otherwise.
        let mut env = [("REELWAY_LAME_DUCK", "0s"), ("REELWAY_WORKER_SLOTS", "1")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        env.extend(shape.env);
        let shared = Shared {
            postgres,
            redis,
            options,
            env,
        };
        prepare(shared.postgres.database(), &store).await;
        let mut system = Self {
            servers: Vec::new(),
            shared: Some(shared),
            receiver,
            store,
            dir,
        };
        let counts = [
            (Role::Upload, shape.upload),
            (Role::Jobs, shape.jobs),
            (Role::Progress, shape.progress),
            (Role::Worker, shape.worker),
        ];
        let places = counts.map(|(role, count)| {
            let addresses: Vec<_> = (0..count).map(|_| Addresses::of(Some(role))).collect();
            (role, addresses)
        });
        // First the edge: the others tell its address. It looks for them where they will be.
        let mut edge = Setup::of(Role::Edge);
        let options = ["--upload-url", "--jobs-url", "--progress-url"];
        for (option, (_, addresses)) in options.into_iter().zip(&places) {
            let urls: Vec<_> = addresses.iter().map(Addresses::grpc_url).collect();
            // It must be told something also of a role that nobody has.
            let urls = if urls.is_empty() {
                NOWHERE.to_owned()
            } else {
                urls.join(",")
            };
            edge = edge.option(option, urls);
        }
        system.join(edge).await;
        for (role, addresses) in places {
            for addresses in addresses {
                system.join_at(addresses, Setup::of(role)).await;
            }
        }
        system
    }

    /// Starts a further server and waits until it is ready.
    pub(crate) async fn join(&mut self, setup: Setup) {
        self.join_at(Addresses::of(setup.role), setup).await;
    }

    async fn join_at(&mut self, addresses: Addresses, mut setup: Setup) {
        let shared = self.shared.as_ref().expect("an embedded node is alone");
        let (database, redis) = (shared.postgres.database(), &shared.redis);
        let redis_address = ([127, 0, 0, 1], redis.port()).into();
        let wires = Wires {
            postgres: FaultProxy::before(database.address()).await,
            redis: FaultProxy::before(redis_address).await,
        };
        setup = setup.option("--database", database.url_through(wires.postgres.address()));
        setup = setup.option("--redis", format!("redis://{}", wires.redis.address()));
        setup.options.extend(shared.options.iter().cloned());
        setup.env.extend(shared.env.iter().cloned());
        if let Some(edge) = self.servers.first() {
            setup = setup.option("--public-url", edge.http_url());
        }
        let data = self.dir.path().join(format!("server-{}", self.servers.len()));
        self.servers
            .push(Server::start_at(addresses, setup, data, Some(wires)).await);
    }

    /// All servers.
    pub(crate) fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// All servers.
    pub(crate) fn servers_mut(&mut self) -> &mut [Server] {
        &mut self.servers
    }

    /// The servers that have the role.
    pub(crate) fn all(&self, role: Role) -> impl Iterator<Item = &Server> {
        self.servers.iter().filter(move |server| server.has(role))
    }

    /// The n-th server with the role, counted round: an embedded node is every one of them.
    pub(crate) fn server(&self, role: Role, n: usize) -> &Server {
        &self.servers[self.place(role, n)]
    }

    /// The n-th server with the role, counted round.
    pub(crate) fn server_mut(&mut self, role: Role, n: usize) -> &mut Server {
        let place = self.place(role, n);
        &mut self.servers[place]
    }

    fn place(&self, role: Role, n: usize) -> usize {
        let with_role = || (0..self.servers.len()).filter(|place| self.servers[*place].has(role));
        let count = with_role().count();
        assert!(count > 0, "no server is {}", role.name());
        with_role().nth(n % count).expect("it was counted")
    }

    /// Whether there is a process for each role.
    pub(crate) fn is_split(&self) -> bool {
        self.shared.is_some()
    }

    /// The database that separate servers share.
    pub(crate) fn database(&self) -> &Database {
        self.shared().postgres.database()
    }

    /// The Postgres of the test's own.
    pub(crate) fn postgres(&mut self) -> &mut Postgres {
        match &mut self.shared.as_mut().expect("separate servers").postgres {
            Catalog::Own(postgres) => postgres,
            Catalog::Fresh(_) => panic!("this Postgres belongs to other tests, too"),
        }
    }

    /// The Redis that separate servers share.
    pub(crate) fn redis(&self) -> &Redis {
        &self.shared().redis
    }

    /// The Redis that separate servers share, to be broken.
    pub(crate) fn redis_mut(&mut self) -> &mut Redis {
        &mut self.shared.as_mut().expect("separate servers").redis
    }

    fn shared(&self) -> &Shared {
        self.shared.as_ref().expect("separate servers")
    }

    /// The receiver of webhooks.
    pub(crate) fn receiver(&self) -> &Receiver {
        self.receiver.as_ref().expect("a system that tells somebody")
    }

    /// Where the bytes are.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// A directory that goes with the system, for whatever else a test needs.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for server in &self.servers {
                server.show_last_lines();
            }
        }
    }
}

impl Catalog {
    fn database(&self) -> &Database {
        match self {
            Self::Own(postgres) => postgres.database(),
            Self::Fresh(database) => database.deref(),
        }
    }
}

async fn migrate(database: &Database) {
    let command: Command = reelway(["migrate", "--database", &database.url()]);
    let ended = Process::spawn(command).ended(super::server::STOP_MAX).await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}
