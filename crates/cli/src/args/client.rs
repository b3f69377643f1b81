//! Where the servers are.

use clap::Args;
use reelway_client::{Client, Endpoints};

use crate::error::CliError;

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
        Ok(Client::connect(&self.endpoints())?)
    }
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
