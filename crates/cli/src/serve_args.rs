//! The options of `reelway serve`: as flags, as environment variables and as lines of the configuration file.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, str::FromStr, time::Duration};

use reelway_edge::{AllowedOrigin, Network, PublicBase};
use serde::Deserialize;

use crate::{
    byte_size::ByteSize,
    config::{RateSetting, Sandbox, StoreEncryption},
    secret::Secret,
};

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
    /// Keep the bytes here: file:///DIR, file:///DIR?shared=true if several servers see that directory, s3://BUCKET/PREFIX or
    /// gs://BUCKET/PREFIX [default: below the data directory]
    #[arg(long, value_name = "URL", env = "REELWAY_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// The server of a store that is a bucket, if it is not the provider's own: http://HOST:PORT
    #[arg(long, value_name = "URL", env = "REELWAY_STORE_ENDPOINT")]
    pub(crate) store_endpoint: Option<url::Url>,
    /// Let the S3 bucket of --store encrypt what is stored: AES256 for keys of its own, or kms:KEY for a key of a key management
    /// service [default: as the bucket is set up]
    #[arg(long, value_name = "HOW", env = "REELWAY_STORE_ENCRYPTION")]
    pub(crate) store_encryption: Option<StoreEncryption>,
    /// Keep sources and outputs in this storage class of the provider, for example STANDARD_IA [default: the bucket's]
    #[arg(long, value_name = "CLASS", env = "REELWAY_STORE_STORAGE_CLASS")]
    pub(crate) store_storage_class: Option<String>,
    /// Keep what jobs make here, and only sources in --store; it looks like --store. To be said from the first start on
    /// [default: --store]
    #[arg(long, value_name = "URL", env = "REELWAY_OUTPUT_STORE", hide_env_values = true)]
    pub(crate) output_store: Option<String>,
    /// As --store-endpoint, for the bucket of --output-store
    #[arg(long, value_name = "URL", env = "REELWAY_OUTPUT_STORE_ENDPOINT")]
    pub(crate) output_store_endpoint: Option<url::Url>,
    /// As --store-encryption, for the bucket of --output-store
    #[arg(long, value_name = "HOW", env = "REELWAY_OUTPUT_STORE_ENCRYPTION")]
    pub(crate) output_store_encryption: Option<StoreEncryption>,
    /// As --store-storage-class, for what jobs make
    #[arg(long, value_name = "CLASS", env = "REELWAY_OUTPUT_STORE_STORAGE_CLASS")]
    pub(crate) output_store_storage_class: Option<String>,
    /// Move sources here after success, if their jobs or presets say so; it looks like --store
    #[arg(long, value_name = "URL", env = "REELWAY_ARCHIVE_STORE", hide_env_values = true)]
    pub(crate) archive_store: Option<String>,
    /// As --store-endpoint, for the bucket of --archive-store
    #[arg(long, value_name = "URL", env = "REELWAY_ARCHIVE_STORE_ENDPOINT")]
    pub(crate) archive_store_endpoint: Option<url::Url>,
    /// As --store-encryption, for the bucket of --archive-store
    #[arg(long, value_name = "HOW", env = "REELWAY_ARCHIVE_STORE_ENCRYPTION")]
    pub(crate) archive_store_encryption: Option<StoreEncryption>,
    /// As --store-storage-class, for sources that were moved
    #[arg(long, value_name = "CLASS", env = "REELWAY_ARCHIVE_STORE_STORAGE_CLASS")]
    pub(crate) archive_store_storage_class: Option<String>,
    /// What becomes of the sources of jobs with a preset, unless the caller says otherwise: PRESET=keep, PRESET=delete or
    /// PRESET=archive, separated by commas [default: they are kept]
    #[arg(
        long,
        value_name = "PRESET=ACTION",
        env = "REELWAY_PRESET_SOURCE",
        value_delimiter = ','
    )]
    pub(crate) preset_source: Option<Vec<String>>,
    /// The memory that all uploads into a bucket may take together in this process; clients are slowed down when it is used up,
    /// and a file of N GiB needs N*0.3M at least [default: 64M]
    #[arg(long, value_name = "BYTES", env = "REELWAY_UPLOAD_MEMORY")]
    pub(crate) upload_memory: Option<ByteSize>,
    /// Run so many tasks at a time [default: one for each core, as far as the memory reaches]
    #[arg(long, value_name = "N", env = "REELWAY_WORKER_SLOTS")]
    pub(crate) worker_slots: Option<NonZeroUsize>,
    /// The memory that tasks may take together; k, M and G stand for powers of 1024 [default: what the machine or the
    /// control group has]
    #[arg(long, value_name = "BYTES", env = "REELWAY_WORKER_MEMORY")]
    pub(crate) worker_memory: Option<ByteSize>,
    /// Keep so much of sources in a bucket on the worker's disk, so that what several tasks read is fetched once [default: 4G]
    #[arg(long, value_name = "BYTES", env = "REELWAY_WORKER_SOURCE_CACHE")]
    pub(crate) worker_source_cache: Option<ByteSize>,
    /// Give one ffmpeg process so much address space; one that needs more is tried once more rendition by rendition [default:
    /// 4G]
    #[arg(long, value_name = "BYTES", env = "REELWAY_ENCODER_MEMORY")]
    pub(crate) encoder_memory: Option<ByteSize>,
    /// Kill an ffmpeg process that has got no further for so long, and try again [default: 60s]
    #[arg(long, value_name = "DURATION", env = "REELWAY_ENCODER_STALL")]
    pub(crate) encoder_stall: Option<HumanDuration>,
    /// How much of the sandbox around ffmpeg there must be [default: prefer]
    #[arg(long, value_name = "LEVEL", env = "REELWAY_SANDBOX")]
    pub(crate) sandbox: Option<Sandbox>,
    /// Take no source whose pictures have more pixels than this [default: 35389440, which is 8192 by 4320]
    #[arg(long, value_name = "N", env = "REELWAY_SOURCE_PIXELS_MAX")]
    pub(crate) source_pixels_max: Option<u64>,
    /// Take no source that is longer than this, for example 90m or 12h [default: 12h]
    #[arg(long, value_name = "DURATION", env = "REELWAY_SOURCE_DURATION_MAX")]
    pub(crate) source_duration_max: Option<HumanDuration>,
    /// Take no source with more streams than this, of whatever kind [default: 64]
    #[arg(long, value_name = "N", env = "REELWAY_SOURCE_STREAMS_MAX")]
    pub(crate) source_streams_max: Option<usize>,
    /// Take no source with more audio tracks than this [default: 8]
    #[arg(long, value_name = "N", env = "REELWAY_SOURCE_AUDIO_TRACKS_MAX")]
    pub(crate) source_audio_tracks_max: Option<usize>,
    /// Take no source with more subtitle tracks than this, those that are pictures not counted [default: 16]
    #[arg(long, value_name = "N", env = "REELWAY_SOURCE_SUBTITLE_TRACKS_MAX")]
    pub(crate) source_subtitle_tracks_max: Option<usize>,
    /// Take no source with more frames a second than this, on average [default: 300]
    #[arg(long, value_name = "N", env = "REELWAY_SOURCE_FRAME_RATE_MAX")]
    pub(crate) source_frame_rate_max: Option<u32>,
    /// Where players reach this node, the beginning of playback URLs [default: http:// and the HTTP address]
    #[arg(long, value_name = "URL", env = "REELWAY_PUBLIC_URL")]
    pub(crate) public_url: Option<String>,
    /// Where an edge finds the services that don't run in its process; several servers of one deployment with commas between
    /// them
    #[arg(long, value_name = "URL", env = "REELWAY_SERVER")]
    pub(crate) server: Option<String>,
    /// Where an edge finds the upload service, if it is elsewhere than --server says
    #[arg(long, value_name = "URL", env = "REELWAY_UPLOAD_URL")]
    pub(crate) upload_url: Option<String>,
    /// Where an edge finds the job service, if it is elsewhere than --server says
    #[arg(long, value_name = "URL", env = "REELWAY_JOBS_URL")]
    pub(crate) jobs_url: Option<String>,
    /// Where an edge finds the progress service, if it is elsewhere than --server says
    #[arg(long, value_name = "URL", env = "REELWAY_PROGRESS_URL")]
    pub(crate) progress_url: Option<String>,
    /// Let an edge trust the authorities in this PEM file, and no others, at https:// addresses [default: those of the system]
    #[arg(long, value_name = "FILE", env = "REELWAY_UPSTREAM_CA")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// Serve HTTP and gRPC within TLS with the certificate and its chain in this PEM file, which is read again when it changes
    #[arg(long, value_name = "FILE", env = "REELWAY_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE", env = "REELWAY_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Take only clients with a certificate of an authority in this PEM file
    #[arg(long, value_name = "FILE", env = "REELWAY_TLS_CLIENT_CA")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// Let pages of this origin upload and call the API, for example https://app.example; repeat it for several, or say * for
    /// all of them [default: only pages of the same origin]
    #[arg(long, value_name = "ORIGIN", env = "REELWAY_CORS_ORIGIN", value_delimiter = ',')]
    pub(crate) cors_origin: Option<Vec<AllowedOrigin>>,
    /// Believe Forwarded and X-Forwarded-* from this address or network, for example 10.0.0.0/8; repeat it for several
    #[arg(long, value_name = "CIDR", env = "REELWAY_TRUSTED_PROXY", value_delimiter = ',')]
    pub(crate) trusted_proxy: Option<Vec<Network>>,
    /// Who may play: public, whoever knows the job's id; signed, whoever has one of the URLs in the answers about the job, which
    /// end after a while [default: public]
    #[arg(long, value_name = "WHO", env = "REELWAY_PLAYBACK")]
    pub(crate) playback: Option<PlaybackAccess>,
    /// How segments, pictures and downloads get from a bucket to players: proxy, by way of this server; presigned, from the bucket
    /// under URLs that are signed for some minutes; public, from where --playback-public-url says [default: proxy]
    #[arg(long, value_name = "HOW", env = "REELWAY_PLAYBACK_DELIVERY")]
    pub(crate) playback_delivery: Option<PlaybackDelivery>,
    /// Where everybody may read what is below the prefix of the store, for example https://cdn.example/PREFIX
    #[arg(long, value_name = "URL", env = "REELWAY_PLAYBACK_PUBLIC_URL")]
    pub(crate) playback_public_url: Option<PublicBase>,
    /// Take so many HTTP connections at once [default: 10000]
    #[arg(long, value_name = "N", env = "REELWAY_HTTP_CONNECTIONS")]
    pub(crate) http_connections: Option<NonZeroUsize>,
    /// Take so many HTTP connections at once from one address that is no trusted proxy [default: 512]
    #[arg(long, value_name = "N", env = "REELWAY_HTTP_CONNECTIONS_PER_ADDRESS")]
    pub(crate) http_connections_per_address: Option<NonZeroUsize>,
    /// Let each tenant have so many bytes in uploads, unless `reelway tenants set` says otherwise; k, M, G and T stand for powers
    /// of 1024. All upload servers must be told the same [default: none]
    #[arg(long, value_name = "BYTES", env = "REELWAY_TENANT_BYTES_MAX")]
    pub(crate) tenant_bytes_max: Option<ByteSize>,
    /// Let each tenant have so many unfinished uploads at the same time, unless `reelway tenants set` says otherwise. All upload
    /// servers must be told the same [default: none]
    #[arg(long, value_name = "N", env = "REELWAY_TENANT_UPLOADS_OPEN_MAX")]
    pub(crate) tenant_uploads_open_max: Option<u32>,
    /// Take so many calls of each tenant, for example 100/s, 600/m or 100/s:500, of which 500 may come at once; or none for as
    /// many as come. Counted in Redis, or by each process alone without it [default: none]
    #[arg(long, value_name = "RATE", env = "REELWAY_RATE_PER_TENANT")]
    pub(crate) rate_per_tenant: Option<RateSetting>,
    /// Take so many HTTP requests from each address, or /64 network; as for tenants. Those from this machine are not counted
    /// [default: 1000/s:5000]
    #[arg(long, value_name = "RATE", env = "REELWAY_RATE_PER_ADDRESS")]
    pub(crate) rate_per_address: Option<RateSetting>,
    /// Remove an unfinished upload so long after its last byte, for example 24h or 7d [default: 24h]
    #[arg(long, value_name = "DURATION", env = "REELWAY_UPLOAD_EXPIRY")]
    pub(crate) upload_expiry: Option<HumanDuration>,
    /// End a request or stream that uploads when nothing came for so long; what came is kept. An edge and its upload servers
    /// should be told the same [default: 1m]
    #[arg(long, value_name = "DURATION", env = "REELWAY_UPLOAD_IDLE")]
    pub(crate) upload_idle: Option<HumanDuration>,
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
    /// Whether callers have to say who they are [default: none]
    #[arg(long, value_name = "WHO", env = "REELWAY_AUTH")]
    pub(crate) auth: Option<AuthMode>,
    /// Take tokens (JWT) that are signed with these keys: a JSON Web Key Set in a file, or at an https:// address
    #[arg(long, value_name = "FILE|URL", env = "REELWAY_JWT_JWKS")]
    pub(crate) jwt_jwks: Option<String>,
    /// Take tokens of this issuer (`iss`); repeat it for several
    #[arg(long, value_name = "ISSUER", env = "REELWAY_JWT_ISSUER", value_delimiter = ',')]
    pub(crate) jwt_issuer: Option<Vec<String>>,
    /// Take tokens for this audience (`aud`); repeat it for several
    #[arg(long, value_name = "AUDIENCE", env = "REELWAY_JWT_AUDIENCE", value_delimiter = ',')]
    pub(crate) jwt_audience: Option<Vec<String>>,
    /// Take tokens that are signed in these ways [default: RS256,ES256,EdDSA]
    #[arg(long, value_name = "ALG", env = "REELWAY_JWT_ALGORITHMS", value_delimiter = ',')]
    pub(crate) jwt_algorithms: Option<Vec<String>>,
    /// How far the issuer's clock and ours may be apart [default: 30s]
    #[arg(long, value_name = "DURATION", env = "REELWAY_JWT_LEEWAY")]
    pub(crate) jwt_leeway: Option<HumanDuration>,
    /// The claim of tokens that names the tenant: 1 to 64 letters, digits, '.', '_' and '-' [default: tenant]
    #[arg(long, value_name = "CLAIM", env = "REELWAY_JWT_TENANT_CLAIM")]
    pub(crate) jwt_tenant_claim: Option<String>,
    /// The claim of tokens that lists the scopes, with spaces between them or as an array [default: scope]
    #[arg(long, value_name = "CLAIM", env = "REELWAY_JWT_SCOPE_CLAIM")]
    pub(crate) jwt_scope_claim: Option<String>,
    /// The key that upload grants and playback addresses are signed with. No flag: everybody on the machine could read it.
    #[arg(skip)]
    pub(crate) signing_key: Option<Secret>,
    /// Read the keys that upload grants and playback addresses are signed with from this file; the first signs, those after it
    /// are still believed [default: one that the servers make and keep in the database]
    #[arg(long, value_name = "FILE", env = "REELWAY_SIGNING_KEY_FILE")]
    pub(crate) signing_key_file: Option<PathBuf>,
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

/// Whether callers have to say who they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AuthMode {
    /// Everybody may do everything, and everything belongs to one tenant.
    #[default]
    None,
    /// By an API key (`reelway token`), an upload grant, or a token if --jwt-jwks is given.
    Required,
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

/// Who may play what was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlaybackAccess {
    /// Whoever knows the job's id.
    #[default]
    Public,
    /// Whoever has a signed URL.
    Signed,
}

/// How segments, pictures and downloads get to players.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlaybackDelivery {
    /// By way of this server.
    #[default]
    Proxy,
    /// From the bucket, under signed URLs.
    Presigned,
    /// From a public address of the bucket.
    Public,
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
