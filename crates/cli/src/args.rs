//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use reelway_client::{Client, Endpoints};
use reelway_domain::{JobId, JobState, UploadId, UploadState};

use crate::{error::CliError, ids::WatchId, serve_args::ServeArgs};

/// How many entries a list shows unless asked for more.
const LIST_LIMIT: &str = "50";

/// Takes in video of any size and turns it into streaming video.
#[derive(Debug, Parser)]
#[command(name = "reelway", version, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node: all roles in one process, or those that are named.
    Serve(Box<ServeArgs>),
    /// Upload files and wait until they can be streamed. Run it again to continue what was interrupted.
    Upload(UploadArgs),
    /// Follow an upload or a job to its end.
    Watch(WatchArgs),
    /// Look at jobs and steer them.
    Jobs {
        #[command(subcommand)]
        command: JobsCommand,
    },
    /// Look at uploads and give them up.
    Uploads {
        #[command(subcommand)]
        command: UploadsCommand,
    },
    /// Bring the database to this release's schema.
    Migrate(MigrateArgs),
    /// Look for what would keep a node from working here.
    Doctor(Box<DoctorArgs>),
    /// Print a script that completes this command's arguments in a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

impl Command {
    /// Whether the result is to be JSON lines.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Upload(args) => args.client.json,
            Self::Watch(args) => args.client.json,
            Self::Jobs { command } => command.client().json,
            Self::Uploads { command } => command.client().json,
            Self::Doctor(args) => args.json,
            Self::Serve(_) | Self::Migrate(_) | Self::Completions { .. } => false,
        }
    }
}

/// Where the servers are, and how to print what they say.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// The gRPC address of all services.
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

/// What `reelway upload` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct UploadArgs {
    /// The files, uploaded one after another.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    /// What to make of the files: fast, standard, quality, or none to store them only.
    #[arg(long, value_name = "NAME", env = "REELWAY_PRESET", default_value = reelway_domain::DEFAULT_PRESET)]
    pub(crate) preset: String,
    /// Don't wait for the job: end when the file is stored.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// The media type [default: by the file name's extension]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// Read the file once more before, and have its SHA-256 verified by the server.
    #[arg(long)]
    pub(crate) sha256: bool,
    /// Begin anew even if an interrupted upload of the same file could be continued.
    #[arg(long)]
    pub(crate) no_resume: bool,
    /// Keep this key and value with the upload; repeat it for several.
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) metadata: Vec<(String, String)>,
}

/// What `reelway watch` takes.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// An upload's or a job's id.
    #[arg(value_name = "ID")]
    pub(crate) id: WatchId,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// What can be done with jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List jobs, newest first.
    List {
        /// Only jobs in this state: queued, running, succeeded, failed or cancelled.
        #[arg(long)]
        state: Option<JobState>,
        /// Only jobs of this upload.
        #[arg(long, value_name = "UPLOAD_ID")]
        upload: Option<UploadId>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value = LIST_LIMIT)]
        limit: usize,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show a job.
    Get(JobArgs),
    /// Ask for a job's end.
    Cancel(JobArgs),
    /// Start a failed or cancelled job again.
    Retry(JobArgs),
    /// List a job's tasks.
    Tasks(JobArgs),
    /// Delete a job that has ended, and everything it made. The upload stays.
    Delete(JobArgs),
}

impl JobsCommand {
    /// Where the servers are.
    pub(crate) fn client(&self) -> &ClientArgs {
        match self {
            Self::List { client, .. } => client,
            Self::Get(args) | Self::Cancel(args) | Self::Retry(args) | Self::Tasks(args) | Self::Delete(args) => {
                &args.client
            }
        }
    }
}

/// One job, on some server.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// The job's id.
    #[arg(value_name = "JOB_ID")]
    pub(crate) id: JobId,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// What can be done with uploads.
#[derive(Debug, Subcommand)]
pub(crate) enum UploadsCommand {
    /// List uploads, newest first.
    List {
        /// Only uploads in this state: receiving, complete, failed, aborted or expired.
        #[arg(long)]
        state: Option<UploadState>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value = LIST_LIMIT)]
        limit: usize,
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show an upload.
    Get(UploadIdArgs),
    /// Give an upload up and free its bytes.
    Abort(UploadIdArgs),
}

impl UploadsCommand {
    /// Where the servers are.
    pub(crate) fn client(&self) -> &ClientArgs {
        match self {
            Self::List { client, .. } => client,
            Self::Get(args) | Self::Abort(args) => &args.client,
        }
    }
}

/// One upload, on some server.
#[derive(Debug, Args)]
pub(crate) struct UploadIdArgs {
    /// The upload's id.
    #[arg(value_name = "UPLOAD_ID")]
    pub(crate) id: UploadId,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// What `reelway migrate` takes.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The database [default: SQLite below the data directory]
    #[arg(long, value_name = "URL", env = "REELWAY_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    /// The data directory of the node.
    #[arg(long, value_name = "DIR", env = "REELWAY_DATA", default_value = crate::config::DATA_DIR)]
    pub(crate) data: PathBuf,
}

/// What `reelway doctor` takes: what the node would be started with.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) serve: ServeArgs,
    /// Print JSON lines.
    #[arg(long)]
    pub(crate) json: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must look like KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is empty".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_of_serve_has_its_variable() {
        let cli = Cli::command();
        let serve = cli.find_subcommand("serve").expect("it is there");
        for option in serve
            .get_arguments()
            .filter(|arg| arg.get_long().is_some_and(|l| l != "help" && l != "version"))
        {
            let long = option.get_long().expect("filtered by it");
            let variable = format!("REELWAY_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(
                option.get_env().and_then(|name| name.to_str()),
                Some(&*variable),
                "--{long}"
            );
        }
    }

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

    #[test]
    fn metadata_is_a_key_and_a_value() {
        assert_eq!(key_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(key_value("a").is_err() && key_value("=b").is_err());
    }
}
