//! Where the servers are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use clap::Args;
use reelway_client::{Client, Endpoints, Trust};

use crate::{error::CliError, secret};

/// The variable with what is shown to servers, which has no flag.
pub(crate) const TOKEN: &str = "REELWAY_TOKEN";

/// Where the servers are, and how to print what they say.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// The gRPC address of all services; several servers of one deployment with commas between them.
    #[arg(
        long,
        value_name = "URL",
        env = "REELWAY_SERVER",
        default_value = "http://127.0.0.1:50051"
    )]
    pub(crate) server: String,
    /// The upload service, if it is elsewhere.
    #[arg(long, value_name = "URL", env = "REELWAY_UPLOAD_URL")]
    pub(crate) upload_url: Option<String>,
    /// The job service, if it is elsewhere.
    #[arg(long, value_name = "URL", env = "REELWAY_JOBS_URL")]
    pub(crate) jobs_url: Option<String>,
    /// The progress service, if it is elsewhere.
    #[arg(long, value_name = "URL", env = "REELWAY_PROGRESS_URL")]
    pub(crate) progress_url: Option<String>,
    /// Read the API key or token to show from this file. Without it, REELWAY_TOKEN is shown if it is set. No flag: everybody on
    /// the machine could read it.
    #[arg(long, value_name = "FILE", env = "REELWAY_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Trust the authorities in this PEM file, and no others, at https:// addresses [default: those of the system]
    #[arg(long, value_name = "FILE", env = "REELWAY_UPSTREAM_CA")]
    pub(crate) upstream_ca: Option<PathBuf>,
    /// Show the certificate in this PEM file to servers that ask for one
    #[arg(long, value_name = "FILE", env = "REELWAY_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE", env = "REELWAY_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Print JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ClientArgs {
    /// The services' addresses.
    pub(crate) fn endpoints(&self) -> Endpoints {
        let or_server = |url: &Option<String>| url.clone().unwrap_or_else(|| self.server.clone());
        Endpoints {
            upload: or_server(&self.upload_url),
            jobs: or_server(&self.jobs_url),
            progress: or_server(&self.progress_url),
        }
    }

    /// A client for the servers.
    pub(crate) fn connect(&self) -> Result<Client, CliError> {
        let pair = self.tls_cert.as_deref().zip(self.tls_key.as_deref());
        let trust = trust(self.upstream_ca.as_deref(), pair)?;
        let client = Client::connect_trusting(&self.endpoints(), &trust)?;
        let variable = env::var(TOKEN).ok().filter(|token| !token.is_empty());
        Ok(match secret::given("token", variable, self.token_file.as_deref())? {
            Some(token) => client.with_token(&token)?,
            None => client,
        })
    }
}

/// Whom to trust at `https://` addresses: the authorities in a file, or those of the system. Servers that ask for a certificate
/// get the one of this pair of files.
///
/// # Errors
/// A usage error if a file can't be read.
pub(crate) fn trust(ca: Option<&Path>, pair: Option<(&Path, &Path)>) -> Result<Trust, CliError> {
    let read = |option: &str, path: &Path| {
        fs::read(path).map_err(|error| CliError::usage(format!("{option} {}: {error}", path.display())))
    };
    let mut trust = Trust::default();
    if let Some(ca) = ca {
        trust = trust.authorities(read("--upstream-ca", ca)?);
    }
    if let Some((certificate, key)) = pair {
        trust = trust.identity(read("--tls-cert", certificate)?, read("--tls-key", key)?);
    }
    Ok(trust)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::{Cli, Command};

    #[test]
    fn services_are_where_the_server_is_unless_told_otherwise() {
        let line = [
            "reelway",
            "watch",
            "job_0198c0de000070008000000000000001",
            "--server",
            "http://a:1",
        ];
        let cli = Cli::try_parse_from(line.into_iter().chain(["--jobs-url", "http://b:2"])).expect("a command");
        let Command::Watch(args) = cli.command else {
            panic!("another command")
        };
        let endpoints = args.client.endpoints();
        assert_eq!(
            (&*endpoints.upload, &*endpoints.jobs, &*endpoints.progress),
            ("http://a:1", "http://b:2", "http://a:1")
        );
    }
}
