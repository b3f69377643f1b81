//! What a node runs with: flags before the environment, the environment before the file, the file before the defaults.

mod auth;
mod edge;
mod layers;
mod limits;
mod media;
mod slots;
mod store;

use std::{
    env, fs, io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use reelway_blob::BucketSettings;
use reelway_domain::limits::{STREAM_IDLE_MAX, UPLOAD_EXPIRY_DEFAULT};
use reelway_media::Limits;
use reelway_rpc::TlsFiles;

pub(crate) use self::{
    auth::{AuthConfig, JwtConfig},
    edge::{EdgeConfig, UpstreamConfig},
    limits::{LimitsConfig, RateSetting},
    media::Sandbox,
    store::StoreEncryption,
};
use crate::{
    secret::{self, Secret},
    serve_args::{HumanDuration, LogFormat, Role, ServeArgs, ServeOptions},
};

/// Playback's port.
const HTTP_PORT: u16 = 8080;
/// The port of health and metrics.
const ADMIN_PORT: u16 = 9090;
/// Where everything is kept, below the directory that the node is started in.
pub(crate) const DATA_DIR: &str = "./reelway-data";
/// What is logged.
const LOG_FILTER: &str = "info";
/// What the names of Redis's keys begin with.
const REDIS_PREFIX: &str = "reelway";
/// The variable with the secret of webhooks, which has no flag.
const WEBHOOK_SECRET: &str = "REELWAY_WEBHOOK_SECRET";
/// The variable with the keys that this deployment signs with, which has no flag.
const SIGNING_KEY: &str = "REELWAY_SIGNING_KEY";
/// A connection so old makes room for one to a server that may be newer.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(600);
/// How long it takes until everybody has heard that a server of several is not ready any more.
const LAME_DUCK: Duration = Duration::from_secs(3);
/// How long running tasks may go on after the wish to stop, before they are handed back.
const DRAIN: Duration = Duration::from_secs(5);
/// How long answers that are under way may take after the wish to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Everything that a node needs to know, with the defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServeConfig {
    /// The roles to run, each once, in the order of [`Role::ALL`].
    pub(crate) roles: Vec<Role>,
    /// The directory of everything that is kept here.
    pub(crate) data: PathBuf,
    /// Where playback is served.
    pub(crate) http: SocketAddr,
    /// Where gRPC is served, as far as that is configured.
    pub(crate) grpc: GrpcAddresses,
    /// Where health and metrics are served.
    pub(crate) admin: SocketAddr,
    /// The catalog's URL; absent: SQLite below `data`.
    pub(crate) database: Option<String>,
    /// The bus's URL; absent: within the process.
    pub(crate) redis: Option<String>,
    /// Certificates that Redis may have besides those that the system trusts.
    pub(crate) redis_ca_file: Option<PathBuf>,
    /// The beginning of the names of all keys in Redis.
    pub(crate) redis_prefix: String,
    /// The store's URL; absent: files below `data`.
    pub(crate) store: Option<String>,
    /// How a store that is a bucket is used.
    pub(crate) bucket: BucketSettings,
    /// The URL of the store for what jobs make; absent: the same store.
    pub(crate) output_store: Option<String>,
    /// How that one is used if it is a bucket.
    pub(crate) output_bucket: BucketSettings,
    /// The URL of the store that sources are moved to after success; absent: there is none.
    pub(crate) archive_store: Option<String>,
    /// How that one is used if it is a bucket.
    pub(crate) archive_bucket: BucketSettings,
    /// What becomes of sources by preset, as `PRESET=ACTION`.
    pub(crate) preset_source: Vec<String>,
    /// How many tasks the worker runs at a time.
    pub(crate) worker_slots: NonZeroUsize,
    /// What tasks may take together, in bytes; absent: the machine doesn't say what it has.
    pub(crate) worker_memory: Option<u64>,
    /// How much the worker keeps of sources in a bucket, in bytes.
    pub(crate) worker_source_cache: u64,
    /// What a source may be and cost, and how much of the sandbox there must be.
    pub(crate) media: Limits,
    /// The beginning of playback URLs; absent: `http://` and the address that `http` was bound to.
    pub(crate) public_url: Option<String>,
    /// The certificates of HTTP and gRPC; absent: neither is within TLS.
    pub(crate) tls: Option<TlsFiles>,
    /// The services that run elsewhere.
    pub(crate) upstream: UpstreamConfig,
    /// What tenants and addresses may have and do.
    pub(crate) limits: LimitsConfig,
    /// Whose HTTP requests are answered.
    pub(crate) edge: EdgeConfig,
    /// How long an unfinished upload is kept after its last byte.
    pub(crate) upload_expiry: Duration,
    /// How long nothing may come of an upload before its request or stream is ended.
    pub(crate) upload_idle: Duration,
    /// How far a client may send ahead on one stream, in bytes; absent: the server's own choice.
    pub(crate) stream_window: Option<u64>,
    /// How old a connection becomes before its client is asked to connect again.
    pub(crate) max_connection_age: Duration,
    /// How long calls are still taken after the wish to stop.
    pub(crate) lame_duck: Duration,
    /// How long running tasks may go on after the wish to stop.
    pub(crate) drain: Duration,
    /// How long the last answers may take after the wish to stop.
    pub(crate) grace: Duration,
    /// Who is told of what happened.
    pub(crate) webhooks: WebhookConfig,
    /// The collector of traces; absent: none are recorded.
    pub(crate) otlp: Option<String>,
    /// The share of traces that is recorded, 0 to 1.
    pub(crate) trace_ratio: f64,
    /// How callers say who they are.
    pub(crate) auth: AuthConfig,
    /// Listening beyond loopback without authentication is wanted.
    pub(crate) insecure: bool,
    /// The filter of log lines.
    pub(crate) log: String,
    /// The look of log lines.
    pub(crate) log_format: LogFormat,
}

/// Where gRPC is to be served. Which of them counts depends on the roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct GrpcAddresses {
    /// Of all roles, or of the only one.
    pub(crate) shared: Option<SocketAddr>,
    /// Of the role `upload`.
    pub(crate) upload: Option<SocketAddr>,
    /// Of the role `jobs`.
    pub(crate) jobs: Option<SocketAddr>,
    /// Of the role `progress`.
    pub(crate) progress: Option<SocketAddr>,
}

/// Who is told of what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WebhookConfig {
    /// The URLs that hear of everything.
    pub(crate) urls: Vec<String>,
    /// What messages are signed with.
    pub(crate) secret: Option<Secret>,
    /// Private addresses may be told too.
    pub(crate) allow_private: bool,
}

/// The configuration can't be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A value is given, and a file that holds it too.
    #[error("--{option} and --{option}-file (or their variables, or lines of the file) are both given; keep one")]
    Twice { option: &'static str },
    /// The file that holds a value can't be read.
    #[error("--{option}-file: read {path}: {source}")]
    ReadSecret {
        option: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A setting needs another one.
    #[error("--{option}: {problem}")]
    Half {
        option: &'static str,
        problem: &'static str,
    },
    /// It can't be read.
    #[error("read the configuration file {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// It is not TOML, a key is unknown, or a value is wrong; the text names the line and the key.
    #[error("configuration file {path}: {source}")]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
}

impl ServeConfig {
    /// Reads the configuration file, if one is named, and fills in the defaults.
    ///
    /// # Errors
    /// If the file can't be read or understood.
    pub(crate) fn resolve(args: ServeArgs) -> Result<Self, ConfigError> {
        let file = args.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut first = args.options;
        first.webhook_secret = of_environment(WEBHOOK_SECRET);
        first.signing_key = of_environment(SIGNING_KEY);
        first.or(file).with_defaults()
    }

    /// Whether all roles run in this process: the embedded node.
    pub(crate) fn is_whole(&self) -> bool {
        self.roles == Role::ALL
    }
}

/// A secret that a variable holds.
fn of_environment(variable: &str) -> Option<Secret> {
    env::var(variable).ok().filter(|secret| !secret.is_empty()).map(Secret)
}

fn read(path: &Path) -> Result<ServeOptions, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| ConfigError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

impl ServeOptions {
    fn with_defaults(mut self) -> Result<ServeConfig, ConfigError> {
        let (upstream, edge) = (UpstreamConfig::take(&mut self), EdgeConfig::take(&mut self));
        let (tls, auth) = (edge::take_tls(&mut self)?, AuthConfig::take(&mut self)?);
        let (limits, media) = (LimitsConfig::take(&mut self), media::take(&mut self));
        let (bucket, output_bucket) = (store::take(&mut self), store::take_outputs(&mut self));
        let archive_bucket = store::take_archive(&mut self);
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let named = self.role.unwrap_or_default();
        let runs = |role: &Role| named.is_empty() || named.contains(role);
        let roles: Vec<Role> = Role::ALL.into_iter().filter(runs).collect();
        let lame_duck = if roles == Role::ALL { Duration::ZERO } else { LAME_DUCK };
        let or = |given: Option<HumanDuration>, default| given.map_or(default, |given| given.0);
        let secret = self.webhook_secret.map(|secret| secret.0);
        let secret = secret::given("webhook-secret", secret, self.webhook_secret_file.as_deref())?;
        Ok(ServeConfig {
            roles,
            data: self.data.unwrap_or_else(|| DATA_DIR.into()),
            http: self.http.unwrap_or_else(|| loopback(HTTP_PORT)),
            grpc: GrpcAddresses {
                shared: self.grpc,
                upload: self.upload_grpc,
                jobs: self.jobs_grpc,
                progress: self.progress_grpc,
            },
            admin: self.admin.unwrap_or_else(|| loopback(ADMIN_PORT)),
            database: secret::given("database", self.database, self.database_file.as_deref())?,
            redis: secret::given("redis", self.redis, self.redis_file.as_deref())?,
            redis_ca_file: self.redis_ca_file,
            redis_prefix: self.redis_prefix.unwrap_or_else(|| REDIS_PREFIX.to_owned()),
            store: self.store,
            bucket,
            output_store: self.output_store,
            output_bucket,
            archive_store: self.archive_store,
            archive_bucket,
            preset_source: self.preset_source.unwrap_or_default(),
            worker_slots: self.worker_slots.unwrap_or_else(|| slots::fitting(self.worker_memory)),
            worker_memory: slots::memory_bytes(self.worker_memory),
            worker_source_cache: self
                .worker_source_cache
                .map_or(reelway_worker::CACHE_BYTES_DEFAULT, |bytes| bytes.0),
            media,
            public_url: self.public_url,
            tls,
            upstream,
            limits,
            edge,
            upload_expiry: or(self.upload_expiry, UPLOAD_EXPIRY_DEFAULT),
            upload_idle: or(self.upload_idle, STREAM_IDLE_MAX),
            stream_window: self.stream_window.map(|size| size.0),
            max_connection_age: or(self.max_connection_age, CONNECTION_AGE_MAX),
            lame_duck: or(self.lame_duck, lame_duck),
            drain: or(self.drain, DRAIN),
            grace: or(self.grace, GRACE),
            webhooks: WebhookConfig {
                urls: self.webhook_url.unwrap_or_default(),
                secret: secret.map(Secret),
                allow_private: self.webhook_allow_private.unwrap_or(false),
            },
            otlp: self.otlp,
            trace_ratio: self.trace_ratio.unwrap_or(1.0),
            auth,
            insecure: self.insecure.unwrap_or(false),
            log: self.log.unwrap_or_else(|| LOG_FILTER.to_owned()),
            log_format: self.log_format.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
