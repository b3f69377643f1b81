//! The arguments of `reelway jobs` and `reelway uploads`.

use clap::{Args, Subcommand};
use reelway_domain::{JobId, JobState, UploadId, UploadState};

use super::ClientArgs;

/// How many entries a list shows unless asked for more.
const LIST_LIMIT: &str = "50";

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
