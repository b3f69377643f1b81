//! What a node runs with: flags before the environment, the environment before the file, the file before the defaults.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use reelway_domain::limits;

use crate::serve_args::{LogFormat, Role, ServeArgs, ServeOptions};

/// Playback's port.
const HTTP_PORT: u16 = 8080;
/// The port of all gRPC services of a node.
const GRPC_PORT: u16 = 50051;
/// The port of health and metrics.
const ADMIN_PORT: u16 = 9090;
/// Where everything is kept, below the directory that the node is started in.
pub(crate) const DATA_DIR: &str = "./reelway-data";
/// What is logged.
const LOG_FILTER: &str = "info";

/// Everything that a node needs to know, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServeConfig {
    /// The roles to run, each once, in the order of [`Role::ALL`].
    pub(crate) roles: Vec<Role>,
    /// The directory of everything that is kept here.
    pub(crate) data: PathBuf,
    /// Where playback is served.
    pub(crate) http: SocketAddr,
    /// Where gRPC is served.
    pub(crate) grpc: SocketAddr,
    /// Where health and metrics are served.
    pub(crate) admin: SocketAddr,
    /// The catalog's URL; absent: SQLite below `data`.
    pub(crate) database: Option<String>,
    /// The bus's URL; absent: within the process.
    pub(crate) redis: Option<String>,
    /// The store's URL; absent: files below `data`.
    pub(crate) store: Option<String>,
    /// How many tasks the worker runs at a time.
    pub(crate) worker_slots: NonZeroUsize,
    /// The beginning of playback URLs; absent: `http://` and the address that `http` was bound to.
    pub(crate) public_url: Option<String>,
    /// How long an unfinished upload is kept after its last byte.
    pub(crate) upload_expiry: Duration,
    /// How far a client may send ahead on one stream, in bytes; absent: the server's own choice.
    pub(crate) stream_window: Option<u64>,
    /// Listening beyond loopback without authentication is wanted.
    pub(crate) insecure: bool,
    /// The filter of log lines.
    pub(crate) log: String,
    /// The look of log lines.
    pub(crate) log_format: LogFormat,
}

/// The configuration file can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
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
        Ok(args.options.or(file).with_defaults())
    }
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
    /// This layer, and where it says nothing the one below.
    fn or(self, below: Self) -> Self {
        Self {
            role: self.role.or(below.role),
            data: self.data.or(below.data),
            http: self.http.or(below.http),
            grpc: self.grpc.or(below.grpc),
            admin: self.admin.or(below.admin),
            database: self.database.or(below.database),
            redis: self.redis.or(below.redis),
            store: self.store.or(below.store),
            worker_slots: self.worker_slots.or(below.worker_slots),
            public_url: self.public_url.or(below.public_url),
            upload_expiry: self.upload_expiry.or(below.upload_expiry),
            stream_window: self.stream_window.or(below.stream_window),
            insecure: self.insecure.or(below.insecure),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
        }
    }

    fn with_defaults(self) -> ServeConfig {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let named = self.role.unwrap_or_default();
        let runs = |role: &Role| named.is_empty() || named.contains(role);
        ServeConfig {
            roles: Role::ALL.into_iter().filter(runs).collect(),
            data: self.data.unwrap_or_else(|| DATA_DIR.into()),
            http: self.http.unwrap_or_else(|| loopback(HTTP_PORT)),
            grpc: self.grpc.unwrap_or_else(|| loopback(GRPC_PORT)),
            admin: self.admin.unwrap_or_else(|| loopback(ADMIN_PORT)),
            database: self.database,
            redis: self.redis,
            store: self.store,
            worker_slots: self.worker_slots.unwrap_or_else(cores),
            public_url: self.public_url,
            upload_expiry: self
                .upload_expiry
                .map_or(limits::UPLOAD_EXPIRY_DEFAULT, |expiry| expiry.0),
            stream_window: self.stream_window.map(|size| size.0),
            insecure: self.insecure.unwrap_or(false),
            log: self.log.unwrap_or_else(|| LOG_FILTER.to_owned()),
            log_format: self.log_format.unwrap_or_default(),
        }
    }
}

/// As many as the machine lets this process use at once; one if it doesn't say.
fn cores() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command};

    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command as CliCommand};

    /// What `reelway serve` with these flags runs with.
    fn resolve(flags: &[&str]) -> Result<ServeConfig, ConfigError> {
        let cli = Cli::try_parse_from(["reelway", "serve"].iter().chain(flags)).expect("good flags");
        let CliCommand::Serve(args) = cli.command else {
            panic!("it is another command")
        };
        ServeConfig::resolve(*args)
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("a written file");
        file
    }

    fn path(file: &tempfile::NamedTempFile) -> &str {
        file.path().to_str().expect("a plain path")
    }

    #[test]
    fn without_options_all_roles_run_on_loopback() {
        let config = resolve(&[]).expect("the defaults");
        assert_eq!(config.roles, Role::ALL);
        assert_eq!(config.grpc.to_string(), "127.0.0.1:50051");
        assert_eq!(config.upload_expiry, limits::UPLOAD_EXPIRY_DEFAULT);
        assert!(!config.insecure && config.database.is_none());
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = file(
            "http = '127.0.0.1:1'\ngrpc = '127.0.0.1:2'\nupload-expiry = '90m'\nrole = ['jobs']\nworker-slots = 3",
        );
        let config =
            resolve(&["--config", path(&file), "--grpc", "127.0.0.1:3", "--insecure"]).expect("a configuration");
        assert_eq!(
            (config.http.port(), config.grpc.port(), config.admin.port()),
            (1, 3, ADMIN_PORT)
        );
        assert_eq!(config.upload_expiry, Duration::from_secs(90 * 60));
        assert_eq!((config.roles, config.worker_slots.get()), (vec![Role::Jobs], 3));
        assert!(config.insecure);
    }

    /// Variables belong to the whole process, so this test runs itself in another one that has them.
    #[test]
    fn the_environment_stands_between_flags_and_file() {
        const CHILD: &str = "REELWAY_TEST_CHILD";
        let file = file("http = '127.0.0.1:1'\ngrpc = '127.0.0.1:2'");
        if env::var_os(CHILD).is_some() {
            let config = resolve(&["--config", path(&file), "--admin", "127.0.0.1:9"]).expect("a configuration");
            assert_eq!((config.http.port(), config.grpc.port(), config.admin.port()), (1, 5, 9));
            assert_eq!(config.roles, [Role::Upload, Role::Worker]);
            assert!(config.insecure);
            return;
        }
        let own = env::current_exe().expect("this test's program");
        let child = Command::new(own)
            .args([
                "--exact",
                "config::tests::the_environment_stands_between_flags_and_file",
            ])
            .envs([
                (CHILD, "1"),
                ("REELWAY_GRPC", "127.0.0.1:5"),
                ("REELWAY_ADMIN", "127.0.0.1:6"),
            ])
            .envs([("REELWAY_ROLE", "worker,upload"), ("REELWAY_INSECURE", "true")])
            .output()
            .expect("it runs");
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }

    #[test]
    fn a_wrong_file_is_named_with_its_key() {
        for (text, key) in [
            ("htpp = '127.0.0.1:1'", "htpp"),
            ("http = 'here'", "http"),
            ("upload-expiry = 'soon'", "upload-expiry"),
        ] {
            let file = file(text);
            let error = resolve(&["--config", path(&file)]).expect_err(text).to_string();
            assert!(error.contains(path(&file)) && error.contains(key), "{error}");
        }
        assert!(matches!(
            resolve(&["--config", "/nowhere.toml"]),
            Err(ConfigError::Read { .. })
        ));
    }
}
