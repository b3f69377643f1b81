//! The options of `reelway serve`: as flags, as environment variables and as lines of the configuration file.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr, time::Duration};

use serde::Deserialize;

use crate::byte_size::ByteSize;

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
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, clap::Args)]
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
    /// Serve gRPC here [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR", env = "REELWAY_GRPC")]
    pub(crate) grpc: Option<SocketAddr>,
    /// Serve /healthz, /readyz and /metrics here [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", env = "REELWAY_ADMIN")]
    pub(crate) admin: Option<SocketAddr>,
    /// Keep the catalog in this database [default: SQLite below the data directory]
    #[arg(long, value_name = "URL", env = "REELWAY_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// Send wake-ups, events and samples through this Redis [default: within the process]
    #[arg(long, value_name = "URL", env = "REELWAY_REDIS", hide_env_values = true)]
    pub(crate) redis: Option<String>,
    /// Keep the bytes here: file:///DIR, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX [default: below the data directory]
    #[arg(long, value_name = "URL", env = "REELWAY_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// Encode so many chunks at a time [default: one for each core]
    #[arg(long, value_name = "N", env = "REELWAY_WORKER_SLOTS")]
    pub(crate) worker_slots: Option<NonZeroUsize>,
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
