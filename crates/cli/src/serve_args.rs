//! The options of `reelway serve`: as flags, as environment variables and as lines of the configuration file.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr, time::Duration};

use serde::Deserialize;

use crate::{byte_size::ByteSize, secret::Secret};

/// What `reelway serve` was started with.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServeArgs {
    /// Read options from this TOML file; flags and environment variables win over it.
    #[arg(long, value_name = "FILE", env = "REELWAY_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: ServeOptions,
}

/// One layer of options: the command line with its environment, or the file. A layer leaves out what it doesn't set, so
/// that the next one can. The file's keys are the flags' names.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServeOptions {
    /// Run only this role; repeat it for several. Without it, all of them run.
    #[arg(long, value_name = "ROLE", env = "REELWAY_ROLE", value_delimiter = ',')]
    pub(crate) role: Option<Vec<Role>>,
    /// Keep the database, uploads and results here [default: ./reelway-data]
    #[arg(long, value_name = "DIR", env = "REELWAY_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Serve playback here [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "REELWAY_HTTP")]
    pub(crate) http: Option<SocketAddr>,
    /// Serve gRPC here, if all roles or only one of those that serve it run in this process [default: 127.0.0.1:50051; the
    /// role `jobs` alone: port 50052, `progress` alone: port 50053]
    #[arg(long, value_name = "ADDR", env = "REELWAY_GRPC")]
    pub(crate) grpc: Option<SocketAddr>,
    /// Serve the uploads of some roles here [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR", env = "REELWAY_UPLOAD_GRPC")]
    pub(crate) upload_grpc: Option<SocketAddr>,
    /// Serve the jobs of some roles here [default: 127.0.0.1:50052]
    #[arg(long, value_name = "ADDR", env = "REELWAY_JOBS_GRPC")]
    pub(crate) jobs_grpc: Option<SocketAddr>,
    /// Serve the progress of some roles here [default: 127.0.0.1:50053]
    #[arg(long, value_name = "ADDR", env = "REELWAY_PROGRESS_GRPC")]
    pub(crate) progress_grpc: Option<SocketAddr>,
    /// Serve /healthz, /readyz, /startupz and /metrics here [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", env = "REELWAY_ADMIN")]
    pub(crate) admin: Option<SocketAddr>,
    /// Keep the catalog in this database: sqlite:///FILE or postgres://USER@HOST/DATABASE [default: SQLite below the data
    /// directory]
    #[arg(long, value_name = "URL", env = "REELWAY_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Read the database's URL from this file
    #[arg(long, value_name = "FILE", env = "REELWAY_DATABASE_FILE")]
    pub(crate) database_file: Option<PathBuf>,
    /// Send wake-ups, events and samples through this Redis [default: within the process]
    #[arg(long, value_name = "URL", env = "REELWAY_REDIS", hide_env_values = true)]
    pub(crate) redis: Option<String>,
    /// Read Redis's URL from this file
    #[arg(long, value_name = "FILE", env = "REELWAY_REDIS_FILE")]
    pub(crate) redis_file: Option<PathBuf>,
    /// Trust the certificates in this PEM file too when Redis is reached by TLS
    #[arg(long, value_name = "FILE", env = "REELWAY_REDIS_CA_FILE")]
    pub(crate) redis_ca_file: Option<PathBuf>,
    /// Begin the names of all keys in Redis with this, for several deployments on one Redis [default: reelway]
    #[arg(long, value_name = "NAME", env = "REELWAY_REDIS_PREFIX")]
    pub(crate) redis_prefix: Option<String>,
    /// Keep the bytes here: file:///DIR, or file:///DIR?shared=true if several servers see that directory [default: below
    /// the data directory]
    #[arg(long, value_name = "URL", env = "REELWAY_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// Run so many tasks at a time [default: one for each core, as far as the memory reaches]
    #[arg(long, value_name = "N", env = "REELWAY_WORKER_SLOTS")]
    pub(crate) worker_slots: Option<NonZeroUsize>,
    /// The memory that tasks may take together; k, M and G stand for powers of 1024 [default: what the machine or the
    /// control group has]
    #[arg(long, value_name = "BYTES", env = "REELWAY_WORKER_MEMORY")]
    pub(crate) worker_memory: Option<ByteSize>,
    /// Give one ffmpeg process so much address space; one that needs more is tried once more rendition by rendition [default:
    /// 4G]
    #[arg(long, value_name = "BYTES", env = "REELWAY_ENCODER_MEMORY")]
    pub(crate) encoder_memory: Option<ByteSize>,
    /// Kill an ffmpeg process that has got no further for so long, and try again [default: 60s]
    #[arg(long, value_name = "DURATION", env = "REELWAY_ENCODER_STALL")]
    pub(crate) encoder_stall: Option<HumanDuration>,
    /// Where players reach this node, the beginning of playback URLs [default: http:// and the HTTP address]
    #[arg(long, value_name = "URL", env = "REELWAY_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    /// Remove an unfinished upload so long after its last byte, for example 24h or 7d [default: 24h]
    #[arg(long, value_name = "DURATION", env = "REELWAY_UPLOAD_EXPIRY")]
    pub(crate) upload_expiry: Option<HumanDuration>,
    /// Let a client send so far ahead on one stream, 64k to 16M: memory for each upload, speed over long lines, which is this
    /// by the round-trip time [default: 256k]
    #[arg(long, value_name = "BYTES", env = "REELWAY_STREAM_WINDOW")]
    pub(crate) stream_window: Option<ByteSize>,
    /// Ask clients to connect again when a connection is so old, so that new servers get their share; calls that run go on
    /// [default: 10m]
    #[arg(long, value_name = "DURATION", env = "REELWAY_MAX_CONNECTION_AGE")]
    pub(crate) max_connection_age: Option<HumanDuration>,
    /// At the wish to stop, still take calls for so long, until everybody has heard that this server isn't ready any more
    /// [default: 3s, or 0s if all roles run in this process]
    #[arg(long, value_name = "DURATION", env = "REELWAY_LAME_DUCK")]
    pub(crate) lame_duck: Option<HumanDuration>,
    /// At the wish to stop, let running tasks go on for so long before they are handed back [default: 5s]
    #[arg(long, value_name = "DURATION", env = "REELWAY_DRAIN")]
    pub(crate) drain: Option<HumanDuration>,
    /// At the wish to stop, wait so long for the last answers to be read [default: 10s]
    #[arg(long, value_name = "DURATION", env = "REELWAY_GRACE")]
    pub(crate) grace: Option<HumanDuration>,
    /// Tell this URL of completed uploads and of jobs that succeeded or failed; repeat it for several. It needs a secret in
    /// REELWAY_WEBHOOK_SECRET or --webhook-secret-file.
    #[arg(
        long,
        value_name = "URL",
        env = "REELWAY_WEBHOOK_URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub(crate) webhook_url: Option<Vec<String>>,
    /// The secret that webhooks are signed with. No flag: everybody on the machine could read it.
    #[arg(skip)]
    pub(crate) webhook_secret: Option<Secret>,
    /// Read the secret that webhooks are signed with from this file
    #[arg(long, value_name = "FILE", env = "REELWAY_WEBHOOK_SECRET_FILE")]
    pub(crate) webhook_secret_file: Option<PathBuf>,
    /// Let webhooks go to private addresses too
    #[arg(long, env = "REELWAY_WEBHOOK_ALLOW_PRIVATE", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) webhook_allow_private: Option<bool>,
    /// Send traces to this OTLP collector over gRPC, for example http://127.0.0.1:4317
    #[arg(long, value_name = "URL", env = "REELWAY_OTLP", hide_env_values = true)]
    pub(crate) otlp: Option<String>,
    /// Record this share of the traces that begin here, 0 to 1 [default: 1]
    #[arg(long, value_name = "RATIO", env = "REELWAY_TRACE_RATIO")]
    pub(crate) trace_ratio: Option<f64>,
    /// Listen beyond loopback although nobody has to say who they are.
    #[arg(long, env = "REELWAY_INSECURE", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) insecure: Option<bool>,
    /// Log what this filter lets through, for example info or reelway_worker=debug,info [default: info]
    #[arg(long, value_name = "FILTER", env = "REELWAY_LOG")]
    pub(crate) log: Option<String>,
    /// How log lines look [default: auto]
    #[arg(long, value_name = "FORMAT", env = "REELWAY_LOG_FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// A server of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Takes in uploads.
    Upload,
    /// Serves jobs and runs the control loops.
    Jobs,
    /// Serves progress.
    Progress,
    /// Serves HTTP.
    Edge,
    /// Runs tasks.
    Worker,
}

impl Role {
    /// All of them: the embedded node.
    pub(crate) const ALL: [Self; 5] = [Self::Upload, Self::Jobs, Self::Progress, Self::Edge, Self::Worker];

    /// Whether it reads or writes the store.
    pub(crate) fn uses_store(self) -> bool {
        self != Self::Progress
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// A duration as people write it: `90s`, `24h`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HumanDuration(pub(crate) Duration);

impl FromStr for HumanDuration {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self)
    }
}

impl TryFrom<String> for HumanDuration {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
